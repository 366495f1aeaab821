"""A report as Markdown, for a wiki."""

from __future__ import annotations

import re

from planner.tradeoffs.report.content import Report, Section, Table


def markdown(found: Report) -> str:
    """The whole report; the picture is left to its caption and the table of the front."""
    lines = [
        f"# {_plain(found.title)}",
        "",
        f"**{_plain(found.verdict)}**",
        "",
        f"Made on {found.made_on}.",
        "",
    ]
    for section in found.first_page:
        lines += _section(section, "##")
    lines += ["## Annex", ""]
    for section in found.annex:
        lines += _section(section, "###")
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, mark: str) -> list[str]:
    lines = [f"{mark} {section.title}", ""]
    for paragraph in section.paragraphs:
        lines += [_plain(paragraph), ""]
    if section.picture is not None:
        lines += [_plain(section.picture.caption), ""]
    if section.table is not None:
        lines += [*_table(section.table), ""]
    return lines


def _table(table: Table) -> list[str]:
    rows = [table.columns, *table.rows]
    written = [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows]
    return [written[0], f"|{' --- |' * len(table.columns)}", *written[1:]]


def _plain(text: str) -> str:
    """Text in which nothing is taken for markup."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
