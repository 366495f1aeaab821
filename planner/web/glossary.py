"""The glossary as a page: docs/glossary.md in HTML, each term with an anchor that other pages link to."""

from __future__ import annotations

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


def glossary_html(text: str) -> SafeString:
    """The project's own Markdown, which is trusted, as HTML. Raw HTML in it is shown as text."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(inline))
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    return mark_safe(html)


def anchor(inline: Token) -> str:
    """The anchor of a heading: its first term, so that "MFU (model FLOPs utilisation)" is #mfu."""
    return slugify(inline.content.split("(")[0].split(",")[0])


@require_safe
def glossary(request: HttpRequest) -> HttpResponse:
    """The field's terms, from docs/glossary.md."""
    return render(request, "web/glossary.html", {"entries": _glossary()})


@lru_cache(maxsize=1)
def _glossary() -> str:
    return glossary_html((Path(settings.BASE_DIR) / "docs" / "glossary.md").read_text(encoding="utf-8"))
