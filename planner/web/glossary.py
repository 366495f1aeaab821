"""The glossary as a page: docs/glossary.md in HTML, with an index; other pages link to each term's anchor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclass(frozen=True, slots=True)
class Term:
    """One entry of the index."""

    name: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Glossary:
    """The entries as HTML, and their index by first letter, in alphabetical order."""

    entries: SafeString
    index: tuple[tuple[str, tuple[Term, ...]], ...]


def glossary_of(text: str) -> Glossary:
    """The project's own Markdown, which is trusted, as HTML. Raw HTML in it is shown as text."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    terms = []
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(inline))
            if heading.tag == "h2":
                terms.append(Term(inline.content, anchor(inline)))
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    return Glossary(mark_safe(html), index_of(terms))


def index_of(terms: list[Term]) -> tuple[tuple[str, tuple[Term, ...]], ...]:
    """Terms by their first letter; those that begin with a digit stand first, under ``0-9``."""
    letters: dict[str, list[Term]] = {}
    for term in sorted(terms, key=lambda term: term.name.lower()):
        first = term.name[0].upper()
        letters.setdefault(first if first.isalpha() else "0\u20139", []).append(term)
    return tuple((letter, tuple(found)) for letter, found in letters.items())


def anchor(inline: Token) -> str:
    """The anchor of a heading: its first term, so that "MFU (model FLOPs utilisation)" is #mfu."""
    return slugify(inline.content.split("(")[0].split(",")[0])


@require_safe
def glossary(request: HttpRequest) -> HttpResponse:
    """The field's terms, from docs/glossary.md."""
    return render(request, "web/glossary.html", {"glossary": shipped_glossary()})


@lru_cache(maxsize=1)
def shipped_glossary() -> Glossary:
    """The glossary of this version."""
    return glossary_of((Path(settings.BASE_DIR) / "docs" / "glossary.md").read_text(encoding="utf-8"))
