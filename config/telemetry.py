"""What is told of the program's own work: tasks counted for Prometheus, traces sent with OpenTelemetry.

Traces are off, and their packages not even imported, unless OTEL_EXPORTER_OTLP_ENDPOINT names a collector;
all else about them is the SDK's own environment (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER ...).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import signals

from config.local import say

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
#: Asked all the time, and of no interest to anybody.
LEFT_OUT = "healthz,readyz,metrics"


def wanted() -> bool:
    """Whether traces are to be sent."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not off and any(os.environ.get(name) for name in ENDPOINTS)


def trace(part: str) -> bool:
    """Begin to send traces of this process, if they are wanted. part: web, worker.

    A collector that cannot be reached costs nothing but a line in the log: spans wait in a thread, and are
    dropped when too many do.
    """
    if not wanted():
        return False
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("OTEL_SERVICE_NAME", f"headroom-{part}")
    os.environ.setdefault("OTEL_PYTHON_DJANGO_EXCLUDED_URLS", LEFT_OUT)
    try:
        from opentelemetry import trace as api
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.celery import CeleryInstrumentor
        from opentelemetry.instrumentation.django import DjangoInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        say(f"no traces are sent: {missing.name} is not installed; pip install -r requirements-telemetry.txt")
        return False
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    api.set_tracer_provider(provider)
    if part == "web":
        DjangoInstrumentor().instrument()
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    return True


def count_together(folder: Path) -> None:
    """Have the processes that are started from here count in one folder, unless the environment names one.

    What processes of the last run left there is forgotten: counters begin anew, as Prometheus expects.
    """
    named = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(folder)))
    for left in named.glob("*.db"):
        left.unlink(missing_ok=True)


def watch_tasks() -> None:
    """Count the tasks of workers, and tell of them where METRICS_PORT says so."""
    signals.worker_init.connect(_worker_starts, weak=False)
    signals.worker_process_init.connect(_child_starts, weak=False)
    signals.task_prerun.connect(_task_starts, weak=False)
    signals.task_postrun.connect(_task_ends, weak=False)


def _worker_starts(**_: Any) -> None:
    from django.conf import settings

    if settings.METRICS_PORT:
        from planner.web import telemetry

        telemetry.serve(settings.METRICS_PORT)


def _child_starts(**_: Any) -> None:
    trace("worker")


def _task_starts(task: Any, **_: Any) -> None:
    task.request.began_s = time.perf_counter()


def _task_ends(task: Any, state: str | None, **_: Any) -> None:
    from planner.web import telemetry

    took_s = time.perf_counter() - getattr(task.request, "began_s", time.perf_counter())
    telemetry.note_task(task.name, (state or "unknown").lower(), took_s)
