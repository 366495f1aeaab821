"""What the validation page shows of a report for an address: sentences, charts, one table with filters.

Uses the report and the charts; the view only calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from planner.accuracy import errors
from planner.accuracy.bills import bills
from planner.accuracy.charts import validation_charts
from planner.accuracy.errors import ErrorLine
from planner.accuracy.overview_charts import bill_chart, coverage_chart
from planner.accuracy.report import (
    CLASSES,
    HELD_OUT_SOURCE,
    PEAK,
    STEP,
    ValidatedRun,
    ValidationReport,
    share,
    signed,
)
from planner.web import formats

#: Filters in the address that choose among known values: field of a run, label.
CHOICES = (
    ("kind", "Class"),
    ("figure", "Figure"),
    ("source", "Source"),
    ("accelerator", "Accelerator"),
    ("framework", "Stack"),
)
#: What a line of the table may stand for: value in the address, name of the column.
LINES = {
    "kind": "Class",
    "source": "Source",
    "accelerator": "Accelerator",
    "framework": "Stack",
    "run": "Run",
}
#: Runs listed at once.
MOST_RUNS = 100

#: Columns of grouped lines: key in the address, heading, value, how it is written.
GROUP_COLUMNS: tuple[tuple[str, str, Callable[[ErrorLine], Any], Callable[[Any], str]], ...] = (
    ("figure", "Figure", lambda line: line.figure, str),
    ("figures", "Figures", lambda line: line.figures, lambda value: f"{value:,}"),
    ("sources", "Sources", lambda line: line.sources, str),
    ("unseen", "Error, source left out", lambda line: line.by_source, share),
    ("group", "Group left out", lambda line: line.by_group, share),
    ("shipped", "Constants in use", lambda line: line.shipped, share),
    ("largest", "Largest", lambda line: line.largest, share),
    ("covered", "80 % range holds", lambda line: line.covered, share),
    ("width", "Range, high / low", lambda line: line.width, lambda value: f"{value:.2f}" if value else ""),
)
#: Columns of single runs.
RUN_COLUMNS: tuple[tuple[str, str, Callable[[ValidatedRun], Any], Callable[[Any], str]], ...] = (
    ("accelerators", "Accelerators", lambda run: run.accelerators, str),
    ("figure", "Figure", lambda run: run.quantity, str),
    ("measured", "Measured", lambda run: run.measured, str),
    ("predicted", "Predicted", lambda run: run.predicted, str),
    ("unseen", "Error, source left out", lambda run: _size(run.by_source), str),
    ("group", "Group left out", lambda run: _size(run.by_group), str),
    ("shipped", "Constants in use", lambda run: _size(run.error), str),
)
#: Columns that hold words.
WORDS = ("name", "figure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A column of the table. sorted: value of aria-sort.  query: the address that sorts by it."""

    label: str
    number: bool
    sorted: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the grouped table. query: the address that lists its runs."""

    name: str
    query: str
    cells: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """A run as shown. peer: the error of another estimator on the same run, where it reports one."""

    run: ValidatedRun
    unseen: str
    group: str
    shipped: str
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One of the figures at the top of the page."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A choice of the form. options: (value, label)."""

    name: str
    label: str
    value: str
    options: tuple[tuple[str, str], ...]


def context(report: ValidationReport, asked: Mapping[str, str]) -> dict[str, Any]:
    """What the template needs. asked: filters, ``by``, ``sort`` and ``all``; unknown values are ignored."""
    chosen = {}
    for name, _ in CHOICES:
        value = asked.get(name, "")
        chosen[name] = value if value in report.values_of(name) else ""
    text = asked.get("text", "").strip()[:100]
    any_chosen = bool(text) or any(chosen.values())
    by = asked.get("by", "")
    by = by if by in LINES else ("run" if any_chosen else "kind")
    picked = report.chosen(text=text, **chosen)
    kept = {**chosen, "text": text, "by": by}
    sort = asked.get("sort", "")
    table = (
        _runs(report, picked, sort, kept, asked) if by == "run" else _lines(report, picked, by, sort, kept)
    )
    everything = bills()
    return {
        "report": report,
        "calibrated_on": formats.day(date.fromisoformat(report.calibrated_on)),
        "sentences": errors.sentences(report),
        "headlines": headlines(report),
        "charts": validation_charts(picked),
        "general_charts": [bill_chart(everything), coverage_chart(report)] if not any_chosen else [],
        "filters": [_filter(report, name, label, chosen[name]) for name, label in CHOICES],
        "by": Filter(name="by", label="A line for each", value=by, options=_by_options()),
        "text": text,
        "chosen": any_chosen,
        "picked": len(picked),
        "title": _title(by, picked, any_chosen),
        "beside": [(each, _query(source=each.query_source)) for each in errors.beside_peers(report)],
        "stacks": errors.stack_rows(report),
        "bills": everything,
        "misses": [(miss, signed(miss.run.by_source), signed(miss.run.by_group)) for miss in report.misses],
        **table,
    }


def headlines(report: ValidationReport) -> list[Headline]:
    """The figures at the top: all of them on sources left out."""
    timed, peaks = errors.steps(report), report.chosen(figure=PEAK)
    sources = len({run.source for run in timed})
    return [
        Headline(
            label="Step time, unseen sources",
            value=share(errors.balanced(timed)),
            note=f"mean error over {sources} sources; {share(errors.mean_size(r.by_source for r in timed))} "
            f"over {len(timed):,} runs",
        ),
        Headline(
            label="Inside the 80 % range",
            value=share(errors.held(timed)),
            note=f"of step times on unseen sources; {share(errors.held(peaks))} of memory",
        ),
        Headline(
            label="Peak memory, unseen sources",
            value=share(errors.balanced(peaks)),
            note=f"mean error over {len({run.source for run in peaks})} sources",
        ),
        Headline(
            label="Fits or not, judged rightly",
            value=share(report.verdicts["right"]),
            note=f"of {report.verdicts['runs']:,} runs, {report.verdicts['failed_runs']} of which ran out of "
            "memory",
        ),
    ]


def _size(error: float | None) -> float | None:
    return None if error is None else abs(error)


def _filter(report: ValidationReport, name: str, label: str, value: str) -> Filter:
    words = CLASSES if name == "kind" else {}
    options = tuple((each, words.get(each, each)) for each in report.values_of(name))
    return Filter(name=name, label=label, value=value, options=(("", "all"), *options))


def _by_options() -> tuple[tuple[str, str], ...]:
    return tuple((value, label.lower()) for value, label in LINES.items())


def _title(by: str, runs: Sequence[ValidatedRun], any_chosen: bool) -> str:
    of = f"{len(runs):,} published figures" + (" chosen" if any_chosen else "")
    return f"{of}, one by one" if by == "run" else f"{of}, by {LINES[by].lower()}"


def _query(**wanted: str) -> str:
    return urlencode({name: value for name, value in wanted.items() if value})


def _ordered(rows: Sequence[Any], value: Callable[[Any], Any] | None, descending: bool) -> list[Any]:
    """By value, with those that have none last; as they are without a value."""
    if value is None:
        return list(rows)
    known = [row for row in rows if value(row) is not None]
    return [
        *sorted(known, key=value, reverse=descending),
        *(row for row in rows if value(row) is None),
    ]


def _heading(key: str, label: str, sort: str, kept: Mapping[str, str]) -> Heading:
    mine, descending = sort.removeprefix("-") == key, sort.startswith("-")
    # Numbers sort from the largest down first, names from A.
    first, second = (key, f"-{key}") if key in WORDS else (f"-{key}", key)
    return Heading(
        label=label,
        number=key not in WORDS,
        sorted=("descending" if descending else "ascending") if mine else "",
        query=_query(**kept, sort=second if sort == first else first),
    )


def _lines(
    report: ValidationReport, runs: Sequence[ValidatedRun], by: str, sort: str, kept: Mapping[str, str]
) -> dict[str, Any]:
    order = report.values_of(by)
    placed = sorted(runs, key=lambda run: (order.index(getattr(run, by)), run.figure != STEP))
    # The held-out benchmark is no part of its class: it is never fitted, and was looked at.
    apart = by not in ("source", "run") and not kept["source"]
    lines = errors.error_lines(
        [run for run in placed if not (apart and run.source == HELD_OUT_SOURCE)],
        lambda run: getattr(run, by),
    )
    values = {"name": lambda line: line.name, **{key: value for key, _, value, _ in GROUP_COLUMNS}}
    key = sort.removeprefix("-")
    words = CLASSES if by == "kind" else {}
    return {
        "headings": [
            _heading("name", LINES[by], sort, kept),
            *(_heading(key, label, sort, kept) for key, label, _, _ in GROUP_COLUMNS),
        ],
        "lines": [
            Line(
                name=words.get(line.name, line.name),
                query=_query(**{**kept, by: line.name, "figure": line.figure, "by": "run"}),
                cells=tuple((write(value(line)), key not in WORDS) for key, _, value, write in GROUP_COLUMNS),
            )
            for line in _ordered(lines, values.get(key), sort.startswith("-"))
        ],
    }


def _runs(
    report: ValidationReport,
    runs: Sequence[ValidatedRun],
    sort: str,
    kept: Mapping[str, str],
    asked: Mapping[str, str],
) -> dict[str, Any]:
    values: dict[str, Callable[[ValidatedRun], Any]] = {"name": lambda run: run.model}
    values |= {key: value for key, _, value, _ in RUN_COLUMNS}
    ordered = _ordered(runs, values.get(sort.removeprefix("-")), sort.startswith("-"))
    listed = ordered if asked.get("all") else ordered[:MOST_RUNS]
    return {
        "headings": [
            _heading("name", LINES["run"], sort, kept),
            *(_heading(key, label, sort, kept) for key, label, _, _ in RUN_COLUMNS),
        ],
        "runs": [_shown(run, report) for run in listed],
        "all_query": _query(**kept, sort=sort, all="1") if len(listed) < len(runs) else "",
        "with_peer": any(run.name in report.peer.errors for run in listed),
    }


def _shown(run: ValidatedRun, report: ValidationReport) -> ShownRun:
    of_peer = run.quantity == "step time" and run.name in report.peer.errors
    return ShownRun(
        run=run,
        unseen=signed(run.by_source),
        group=signed(run.by_group),
        shipped=signed(run.error),
        peer=signed(report.peer.errors[run.name]) if of_peer else "",
    )
