"""What a test reads of a page, and the questions it asks of one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser

from django.http import HttpResponse
from django.test import Client

HTMX = {"HX-Request": "true"}


class Page(HTMLParser):
    """What a test asks of a page: text of elements by id, values of fields, JSON for charts."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.values: dict[str, str | None] = {}
        self.described: dict[str, str | None] = {}
        self.text_of: dict[str, str] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input" and (name := found.get("name")) and found.get("type") != "radio":
            self.values[name] = found.get("value")
            self.described[name] = found.get("aria-describedby")
        if tag not in ("input", "link", "meta", "br", "img", "hr"):
            self._open.append((tag, found.get("id")))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, name in self._open:
            if name:
                self.text_of[name] = self.text_of.get(name, "") + data


def field_errors(response: HttpResponse) -> dict[str, str]:
    """What a swap says beside the fields: data that the page's script puts there."""
    told: dict[str, str] = json.loads(Page(response).text_of["field-errors"])
    return told


def strip_titles(text: str) -> str:
    """A page without what is shown on hover, where every digit belongs."""
    return re.sub(r'title="[^"]*"', "", text)


def plan(client: Client, query: str = "", **headers: str) -> HttpResponse:
    return client.get(f"/?{query}", headers=headers)


def least_cpu_s(ask: Callable[[str], HttpResponse]) -> float:
    """Seconds of a processor that an answer takes: the least of a few, each for another number of nodes."""
    found = []
    for nodes in ("3", "5", "7"):
        began = time.process_time()
        ask(nodes)
        found.append(time.process_time() - began)
    return min(found)


def verdict(response: HttpResponse) -> str:
    return verdict_of(response.content.decode())


def verdict_of(text: str) -> str:
    start = text.index("data-announce>") + len("data-announce>")
    return text[start : text.index("</h1>", start)]
