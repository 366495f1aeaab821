"""The program's own work: counted for Prometheus over all processes, traced where a collector is named."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from config import telemetry
from config.celery import ping
from planner.web.telemetry import KEPT, KEPT_BYTES

ROOT = Path(__file__).resolve().parents[2]


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The samples of this name, by their labels' values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.django_db
def test_requests_are_counted_by_pattern_and_tasks_by_outcome(client: Client) -> None:
    host = ("GET", "fleet/hosts/<str:name>", "404")
    before = samples(client.get("/metrics").text, "headroom_http_requests_total").get(host, 0)
    for name in ("a", "b"):
        client.get(f"/fleet/hosts/{name}")
    client.get("/no-such-page")
    ping.delay()
    text = client.get("/metrics").text
    requests = samples(text, "headroom_http_requests_total")
    assert requests[host] - before == 2
    assert requests["GET", "none", "404"] >= 1
    assert samples(text, "headroom_tasks_total")["success", "config.ping"] >= 1
    assert samples(text, "headroom_task_duration_seconds_count")[("config.ping",)] >= 1
    assert samples(text, "headroom_process_resident_memory_bytes")[()] > 1e7


def test_processes_of_one_machine_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "counter_1.db").write_bytes(b"of the last run")
    telemetry.count_together(tmp_path / "elsewhere")
    note = "from planner.web import telemetry as t; t.note_task('x', 'success', 1.0); print(t.exposition())"
    said = [subprocess.check_output([sys.executable, "-c", note], cwd=ROOT, text=True) for _ in range(2)]
    assert [samples(text, "headroom_tasks_total")["success", "x"] for text in said] == [1, 2]


def test_the_room_of_the_counts_is_taken_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    note = "from planner.web import telemetry as t; t.note_task('x', 'success', 1.0); print(t.exposition())"
    subprocess.check_call([sys.executable, "-c", note], cwd=ROOT, stdout=subprocess.DEVNULL)
    kept = list(tmp_path.glob("*.db"))
    assert len(kept) == len(KEPT)
    assert all(file.stat().st_blocks * 512 >= KEPT_BYTES for file in kept), "no page of them can be missing"


def test_where_there_is_no_room_each_counts_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "file" / "metrics"))
    note = "from planner.web import telemetry as t; t.note_task('x', 'success', 1.0); print(t.exposition())"
    said = subprocess.check_output([sys.executable, "-c", note], cwd=ROOT, text=True)
    assert samples(said, "headroom_tasks_total")["success", "x"] == 1


def test_without_a_collector_nothing_of_it_is_imported(tmp_path: Path) -> None:
    ask = "import sys, config.web as w; w.trace('web'); print([m for m in sys.modules if 'opentelem' in m])"
    environment = {"PATH": os.environ["PATH"], "HEADROOM_DATA": str(tmp_path)}
    assert (
        subprocess.check_output([sys.executable, "-c", ask], cwd=ROOT, env=environment, text=True) == "[]\n"
    )


def test_packages_that_are_missing_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert telemetry.trace("web") is False
    assert "pip install -r requirements-telemetry.txt" in capsys.readouterr().err


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector of traces: its address, and what it was sent."""
    got: list[bytes] = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()


@pytest.mark.slow
def test_a_request_is_a_span_with_its_pattern(tmp_path: Path, collector: tuple[str, list[bytes]]) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    address, got = collector
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_port
    environment = {
        "PATH": os.environ["PATH"],
        "HEADROOM_DATA": str(tmp_path / "data"),
        "PORT": str(port),
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    web = subprocess.Popen([sys.executable, "-m", "config.web"], cwd=ROOT, env=environment)
    try:
        end = time.monotonic() + 60
        while not got and time.monotonic() < end:
            for path in ("healthz", "glossary"):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10).close()
                except OSError:
                    time.sleep(0.2)
    finally:
        web.terminate()
        web.wait(timeout=30)
    sent = ExportTraceServiceRequest.FromString(got[0]).resource_spans[0]
    names = {each.key: each.value.string_value for each in sent.resource.attributes}
    assert names["service.name"] == "headroom-web"
    assert {span.name for scope in sent.scope_spans for span in scope.spans} == {"GET glossary"}
