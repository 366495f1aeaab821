"""What the validation page shows of a report for an address: chosen runs, ordered tables, links to others.

Uses the report and the charts; the view only calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.utils.text import slugify

from planner.accuracy.charts import validation_charts
from planner.accuracy.report import (
    ERROR_COLUMNS,
    HELD_OUT_SOURCE,
    ErrorLine,
    ErrorTable,
    ValidatedRun,
    ValidationReport,
    share,
    signed,
)

CHOICES = ("source", "accelerator", "kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A column of the error tables. sorted: value of aria-sort.  query: the address that sorts by it."""

    label: str
    number: bool
    sorted: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an error table.

    name, cells: as shown.  query: the address that chooses its runs, empty where it chooses none.
    """

    name: str
    query: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTable:
    """An error table as shown. slug: its anchor on the page."""

    slug: str
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """A run as shown. peer: the error of another estimator on the same run, where it reports one."""

    run: ValidatedRun
    peer: str


def context(report: ValidationReport, asked: Mapping[str, str]) -> dict[str, Any]:
    """What the template needs. asked: source, accelerator and sort; unknown values are ignored."""
    known = {name: report.values_of(name) for name in CHOICES}
    chosen = {name: asked.get(name, "") if asked.get(name, "") in known[name] else "" for name in CHOICES}
    sort = asked.get("sort", "")
    any_chosen = any(chosen.values())
    picked = report.chosen(**chosen)
    listed = picked if any_chosen else report.chosen(source=HELD_OUT_SOURCE, accelerator="")
    return {
        "report": report,
        "charts": validation_charts(picked),
        "runs": [_shown(run, report) for run in listed],
        "runs_title": _title(chosen),
        "with_peer": any(run.name in report.peer.errors for run in listed),
        "chosen": chosen if any_chosen else None,
        "options": [(name, chosen[name], known[name]) for name in CHOICES],
        "headings": [_heading(key, chosen, sort) for key in ERROR_COLUMNS],
        "tables": [_table(table, sort) for table in report.sorted_by(sort)],
    }


def _shown(run: ValidatedRun, report: ValidationReport) -> ShownRun:
    of_peer = run.quantity == "step time" and run.name in report.peer.errors
    return ShownRun(run=run, peer=signed(report.peer.errors[run.name]) if of_peer else "")


def _title(chosen: Mapping[str, str]) -> str:
    if not any(chosen.values()):
        return "Held-out benchmark: Korthikanti et al. 2022, table 5"
    of = f" of {chosen['source']}" if chosen["source"] else ""
    on = f" on {chosen['accelerator']}" if chosen["accelerator"] else ""
    return f"The {chosen['kind']} runs{of}{on}".replace("  ", " ")


def _query(**wanted: str) -> str:
    return urlencode({name: value for name, value in wanted.items() if value})


def _heading(key: str, chosen: Mapping[str, str], sort: str) -> Heading:
    mine, descending = sort.removeprefix("-") == key, sort.startswith("-")
    # Numbers sort from the largest down first, names from A.
    first, second = (key, f"-{key}") if key == "name" else (f"-{key}", key)
    return Heading(
        label=ERROR_COLUMNS[key][0],
        number=key != "name",
        sorted=("descending" if descending else "ascending") if mine else "",
        query=_query(**chosen, sort=second if sort == first else first),
    )


def _table(table: ErrorTable, sort: str) -> ShownTable:
    return ShownTable(
        slug=slugify(table.title),
        title=table.title,
        lines=tuple(_line(line, table.chooses, sort) for line in table.lines),
    )


def _line(line: ErrorLine, chooses: str, sort: str) -> Line:
    return Line(
        name=line.name,
        query=_query(**{chooses: line.name}, sort=sort) if chooses else "",
        cells=(
            f"{line.figures:,}",
            *map(share, (line.shipped, line.by_group, line.by_source, line.largest, line.covered)),
        ),
    )
