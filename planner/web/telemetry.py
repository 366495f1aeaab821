"""The program's own work in numbers, for Prometheus: requests by address, tasks by name, how long they took.

Where PROMETHEUS_MULTIPROC_DIR names a folder, all processes of one machine count there, and any of them
tells the sum. Knows neither views nor tasks: whoever runs them calls.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: What the library keeps of this process there, by the kinds of numbers below, and the room for it.
KEPT, KEPT_BYTES = ("counter", "histogram"), 1 << 20


def make_room(folder: Path) -> bool:
    """Take the room of this process's files at once; False where there is none.

    The library writes to them as memory: on a disk that has filled up since, that ends the process (SIGBUS).
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for kind in KEPT:
            with (folder / f"{kind}_{os.getpid()}.db").open("a+b") as file:
                if file.tell() < KEPT_BYTES:
                    file.truncate(0)  # of an earlier process of this number, cut short
                    _allocate(file.fileno())
    except OSError:
        return False
    return True


def _allocate(descriptor: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, KEPT_BYTES)
    else:
        os.write(descriptor, bytes(KEPT_BYTES))


# The library looks for it when it is imported. Without room each process counts for itself.
if os.environ.get(FOLDER) and not make_room(Path(os.environ[FOLDER])):
    del os.environ[FOLDER]

from prometheus_client import (  # noqa: E402
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

disable_created_metrics()  # type: ignore[no-untyped-call]
OWN = CollectorRegistry()
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Upper ends of the classes in seconds: from a page out of memory to the longest search.
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

REQUESTS = Counter(
    "headroom_http_requests", "Requests answered.", ("method", "route", "status"), registry=OWN
)
REQUEST_SECONDS = Histogram(
    "headroom_http_request_duration_seconds",
    "From a request's arrival to the start of its answer.",
    ("route",),
    buckets=SECONDS,
    registry=OWN,
)
TASKS = Counter("headroom_tasks", "Tasks of workers that ended, by how.", ("task", "outcome"), registry=OWN)
TASK_SECONDS = Histogram(
    "headroom_task_duration_seconds",
    "From a task's start to its end.",
    ("task",),
    buckets=SECONDS,
    registry=OWN,
)


def note_request(method: str, route: str, status: int, took_s: float) -> None:
    """Count a request. route: the address's pattern, so that there are as many as the program has."""
    REQUESTS.labels(method if method in METHODS else "other", route, str(status)).inc()
    REQUEST_SECONDS.labels(route).observe(took_s)


def note_task(task: str, outcome: str, took_s: float) -> None:
    """Count a task that has ended. outcome: Celery's state in lower case."""
    TASKS.labels(task, outcome).inc()
    TASK_SECONDS.labels(task).observe(took_s)


def registry() -> CollectorRegistry:
    """What there is to tell: of this process, or of all that share the folder; and this process's memory."""
    found = OWN
    if os.environ.get(FOLDER):
        found = CollectorRegistry()
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]
    return found


def exposition() -> str:
    """The numbers in Prometheus' text format."""
    process = CollectorRegistry()
    ProcessCollector(namespace="headroom", registry=process)
    return (generate_latest(registry()) + generate_latest(process)).decode()


def serve(port: int) -> None:
    """Answer Prometheus on this port, in a thread, for processes that have no pages."""
    start_http_server(port, registry=registry())
