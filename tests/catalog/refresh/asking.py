"""What the tests of sources share: a question, AWS clients with recorded shapes, and a web server of one's
own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
from botocore.stub import Stubber

from planner.catalog.changes.observed import Asked, Fault, Item, KnownAccelerator, KnownMachine, Source

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
P5 = KnownMachine(
    slug="p5.48xlarge", provider="aws", family="p5", accelerator="h100-sxm", accelerators=8,
    vcpus=192, host_memory_gib=2048.0,
)  # fmt: skip
H100 = KnownAccelerator(slug="h100-sxm", name="H100 SXM", memory_mib=81559)


def asked(*machines: KnownMachine, **changes: Any) -> Asked:
    """A question about these machines, P5 if none."""
    given: dict[str, Any] = {
        "machines": machines or (P5,),
        "accelerators": (H100,),
        "regions": {"aws": ("us-east-1",), "gcp": ("us-central1",), "azure": ("eastus",)},
        "now": NOW,
    }
    return Asked(**given | changes)


def client(service: str, region: str = "us-east-1") -> Any:
    """A client that reaches nobody without a stub; it retries nothing by itself."""
    return boto3.client(
        service, region_name=region, aws_access_key_id="testing", aws_secret_access_key="testing"
    )


@contextmanager
def stubbed(service: str) -> Iterator[tuple[Any, Stubber]]:
    """A client and what it will answer; botocore checks both questions and answers against the service's
    model."""
    made = client(service)
    with Stubber(made) as stub:
        yield made, stub


def read(source: Source, question: Asked | None = None) -> tuple[list[Item], list[Fault]]:
    """What a source gives: rows, and faults."""
    items = list(source.read(question or asked()))
    return [each for each in items if not isinstance(each, Fault)], [
        each for each in items if isinstance(each, Fault)
    ]


Answer = tuple[int, Any, dict[str, str]]


@contextmanager
def served(answer: Callable[[str], Answer]) -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine: (address, the paths asked for so far).  answer: path -> status, body,
    headers."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            status, body, headers = answer(self.path)
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/prices", paths
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
