"""The command ``headroom``: questions from a file or standard input, answers as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headroom_client.answers import Estimate, Found, Listing, Partitions
from headroom_client.client import Headroom
from headroom_client.errors import HeadroomError

SHOWN_COLUMNS = (
    "slug",
    "key",
    "name",
    "family",
    "provider",
    "accelerator",
    "memory_bytes",
    "vendor",
    "status",
)
FAILED = 2


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    top = argparse.ArgumentParser(prog="headroom", description="Ask a Headroom server.")
    top.add_argument("--url", help="the server's address (HEADROOM_URL; usually http://localhost:8000)")
    top.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    asked = top.add_subparsers(dest="what", required=True)
    for name, words in (
        ("estimate", "does a run fit, how long does it take, what does it cost"),
        ("search", "the best plans over many machines"),
        ("mig", "partitions of GPUs"),
    ):
        one = asked.add_parser(name, help=words)
        one.add_argument("file", nargs="?", default="-", help="a question in JSON; - reads standard input")
    for name, words in (
        ("models", "models of the catalog"),
        ("instances", "machines that can be bought"),
        ("accelerators", "accelerators"),
        ("hosts", "hosts of the fleet"),
        ("scenarios", "saved scenarios"),
    ):
        asked.add_parser(name, help=words).add_argument("q", nargs="?", help="words in the name")
    door = asked.add_parser("mcp", help="serve assistants (MCP) on standard input and output")
    door.add_argument("--http", action="store_true", help="serve over HTTP; each caller sends a token")
    door.add_argument("--host", default="127.0.0.1")
    door.add_argument("--port", type=int, default=8765)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 where there is no answer."""
    given = parser().parse_args(arguments)
    if given.what == "mcp":
        try:
            from headroom_client.mcp_server import serve
        except ImportError as missing:
            remedy = "pip install 'headroom-client[mcp]'"
            print(f"headroom: {missing.name} is not installed: {remedy}", file=sys.stderr)
            return FAILED
        return serve(given.url, http=given.http, host=given.host, port=given.port)
    try:
        with Headroom(given.url) as server:
            answer = ask(server, given)
    except (HeadroomError, OSError, ValueError) as problem:
        print(f"headroom: {problem}", file=sys.stderr)
        return FAILED
    show(answer, as_json=given.json)
    return 0


def ask(server: Headroom, given: argparse.Namespace) -> Any:
    """The answer to what the arguments ask."""
    if "file" in given:
        text = sys.stdin.read() if given.file == "-" else Path(given.file).read_text(encoding="utf-8")
        return getattr(server, given.what)(json.loads(text))
    return getattr(server, given.what)(q=given.q)


def show(answer: Estimate | Found | Partitions | Listing, *, as_json: bool) -> None:
    """Print an answer."""
    if as_json:
        print(json.dumps(answer.rows if isinstance(answer, Listing) else answer.raw))
    elif isinstance(answer, Listing):
        for row in answer:
            print(plain("  ".join(str(row[name]) for name in SHOWN_COLUMNS if row.get(name) is not None)))
    else:
        for name, value in answer.pairs():
            print(plain(f"{name:<16}{value}"))


def plain(text: str) -> str:
    """The text without signs that would move a terminal's cursor: names come from elsewhere."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


if __name__ == "__main__":
    sys.exit(main())
