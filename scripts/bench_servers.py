"""Which web server answers while slow clients hold their connections: the application under each, in one run.

`python -m scripts.bench_servers` measures the servers that are installed: waitress is; the others are not
requirements, `pip install gunicorn granian uvicorn a2wsgi` brings them. Prints the table of
docs/operations.md.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THREADS = 16
START_DEADLINE_S = 60
ANSWER_DEADLINE_S = 15.0
BYTE_EVERY_S = 2.0
WATCHED_S = 12.0
CLIENTS = 8
#: What is asked for, and how often by each client: next to nothing, a page, a plan.
REQUESTS = {"/healthz": 60, "/glossary": 30, "/": 6}
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
#: What a slow client has sent when it begins to send a byte now and then.
HEADERS = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = b"POST /api/v1/estimate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Server:
    """One server. needs: modules.  command: what follows the interpreter, with {port} in it."""

    name: str
    needs: tuple[str, ...]
    command: str


SERVERS = (
    Server("waitress (`config.web`)", ("waitress",), "-m config.web"),
    Server(
        "gunicorn, gthread",
        ("gunicorn",),
        f"-m gunicorn -k gthread -w 1 --threads {THREADS} -b 127.0.0.1:{{port}} config.wsgi:application",
    ),
    Server(
        "granian, WSGI",
        ("granian",),
        f"-m granian --interface wsgi --workers 1 --blocking-threads {THREADS} --port {{port}}"
        " --no-access-log config.wsgi:application",
    ),
    Server(
        "uvicorn, a2wsgi",
        ("uvicorn", "a2wsgi"),
        "-m uvicorn --port {port} --log-level warning --no-access-log scripts.bench_servers:as_asgi",
    ),
)


def __getattr__(name: str) -> object:
    """The application for servers that speak ASGI, made when one asks for it."""
    if name != "as_asgi":
        raise AttributeError(name)
    from a2wsgi import WSGIMiddleware

    from config.wsgi import application

    return WSGIMiddleware(application, workers=THREADS)


@dataclass(slots=True)
class Figures:
    """What was measured of one server. slow_s: by kind of slow client, the longest wait for `/healthz`."""

    idle_mib: float = 0.0
    busy_mib: float = 0.0
    requests_a_cpu_s: dict[str, float] = field(default_factory=dict)
    requests_a_s: dict[str, float] = field(default_factory=dict)
    slow_s: dict[str, float] = field(default_factory=dict)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running(server: Server, port: int, data: str) -> Iterator[int]:
    """The server, once it answers; gives its process number."""
    environment = os.environ | {"HEADROOM_DATA": data, "PORT": str(port), "WEB_THREADS": str(THREADS)}
    command = [sys.executable, *server.command.format(port=port).split()]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        end = time.monotonic() + START_DEADLINE_S
        while ask(port, "/healthz") > ANSWER_DEADLINE_S:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{server.name} did not start")
            time.sleep(0.2)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ask(port: int, path: str) -> float:
    """Seconds until the whole answer was there; infinite where none came in time."""
    began = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_DEADLINE_S)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        answer = connection.getresponse()
        answer.read()
        return time.monotonic() - began if answer.status == 200 else float("inf")
    except (OSError, HTTPException):
        return float("inf")
    finally:
        connection.close()


def family(pid: int) -> list[int]:
    """The process and all that came of it: they share its session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, ProcessLookupError):
            if os.getsid(int(entry.name)) == pid:
                found.append(int(entry.name))
    return found


def resident_mib(pid: int) -> float:
    """Memory of the server's processes."""
    kib = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{one}/status").read_text()
            kib += int(status.partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status else 0
    return kib / 1024


def cpu_s(pid: int) -> float:
    """Processor time of the server's processes."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / TICKS_A_SECOND


def throughput(port: int, pid: int, path: str) -> tuple[float, float]:
    """Answers a second, and a second of the server's processor time, with eight clients at once."""
    failed: list[float] = []

    def client() -> None:
        failed.extend(took for _ in range(REQUESTS[path]) if (took := ask(port, path)) == float("inf"))

    began, before = time.monotonic(), cpu_s(pid)
    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    answered = CLIENTS * REQUESTS[path] - len(failed)
    return answered / (time.monotonic() - began), answered / max(cpu_s(pid) - before, 1e-9)


def longest_wait_s(port: int, opening: bytes, connections: int) -> float:
    """The longest wait for `/healthz` while so many clients send a byte every two seconds."""
    with contextlib.ExitStack() as held:
        slow = []
        for _ in range(connections):
            with contextlib.suppress(OSError):
                slow.append(held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5)))
                slow[-1].sendall(opening)
        waits, end, due = [], time.monotonic() + WATCHED_S, time.monotonic() + BYTE_EVERY_S
        while time.monotonic() < end:
            waits.append(ask(port, "/healthz"))
            if time.monotonic() >= due:
                due += BYTE_EVERY_S
                for each in slow:
                    with contextlib.suppress(OSError):
                        each.sendall(b"a")
            time.sleep(0.2)
    return max(waits)


def measured(server: Server, data: str) -> Figures:
    """All figures of one server; each kind of slow client meets a fresh one."""
    found = Figures()
    port = free_port()
    with running(server, port, data) as pid:
        ask(port, "/")  # the first answer reads the catalog
        found.idle_mib = resident_mib(pid)
        for path in REQUESTS:
            found.requests_a_s[path], found.requests_a_cpu_s[path] = throughput(port, pid, path)
        found.busy_mib = resident_mib(pid)
    for kind, opening in (("headers", HEADERS), ("body", BODY)):
        for connections in (8, 200):
            port = free_port()
            with running(server, port, data):
                found.slow_s[f"{connections} {kind}"] = longest_wait_s(port, opening, connections)
    return found


def table(rows: Sequence[tuple[Server, Figures]]) -> str:
    """The figures in Markdown."""
    kinds = list(rows[0][1].slow_s)
    paths = list(rows[0][1].requests_a_s)
    heads = ["server", "MiB, idle / after", *(f"`{path}`, a second (of CPU)" for path in paths), *kinds]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for server, found in rows:
        cells = [server.name, f"{found.idle_mib:.0f} / {found.busy_mib:.0f}"]
        cells += [f"{found.requests_a_s[path]:.0f} ({found.requests_a_cpu_s[path]:.0f})" for path in paths]
        cells += [
            "none" if found.slow_s[kind] == float("inf") else f"{found.slow_s[kind]:.2f} s" for kind in kinds
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure those that are installed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    there = [server for server in SERVERS if all(find_spec(name) for name in server.needs)]
    with tempfile.TemporaryDirectory(prefix="headroom-bench-") as data:
        prepare = [sys.executable, "-m", "config.prepare"]
        subprocess.run(prepare, cwd=ROOT, env=os.environ | {"HEADROOM_DATA": data}, check=True)
        rows = []
        for server in there:
            rows.append((server, measured(server, data)))
            print(table(rows[-1:]), flush=True)
    loads = statistics.mean(os.getloadavg())
    print(f"\n{table(rows)}\n\nThe machine's mean load meanwhile: {loads:.1f} on {os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
