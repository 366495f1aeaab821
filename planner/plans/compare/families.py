"""The comparison folded: one row a machine family with its best size, filtered, beside one another, as text.

Turns answered questions into rows; asks the engine nothing itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from planner.catalog.facts.records import PROVIDER_NAMES
from planner.engine.question.errors import PlanErrors
from planner.engine.question.result import PlanResult
from planner.engine.run.length import SECONDS_PER_DAY
from planner.plans.compare.columns import (
    COLUMNS,
    NAME,
    ORDERS,
    USUAL,
    Shown,
    usd_per_accelerator_hour,
    usd_per_million_tokens,
)
from planner.plans.compare.goals import GOALS, NOTHING, Wish, missed, standing
from planner.plans.compare.table import DEFAULT_SORT
from planner.plans.form import sentence
from planner.plans.room import VERDICTS
from planner.plans.state import spelled_number
from planner.plans.variations import MachineRow
from planner.web.csv import as_text
from planner.web.formats import Quantity

Cell = str | Quantity
MOST_BESIDE = 6
#: A cluster of so many machines or more ...
MANY_NODES = 32
#: ... in which each accelerator has less of the network than this is marked: nobody trains so.  A judgement:
#: 10 Gbit/s an accelerator, a tenth of the slowest fabric that vendors sell for training.
LEAST_BYTES_PER_S = 1.25e9
#: Filters that are limits, by their parameter: label, and the value that may not be above it.
LIMITS: dict[str, tuple[str, Callable[[PlanResult], float]]] = {
    "most_days": ("Days", lambda result: result.time.total_s / SECONDS_PER_DAY),
    "most_usd": ("Dollars", lambda result: math.inf if result.cost is None else result.cost.usd),
    "most_chip_hour": ("$/GPU-h", usd_per_accelerator_hour),
    "most_m_tokens": ("$/M tokens", usd_per_million_tokens),
}
#: ... and those that are choices.
CHOICES = ("only_provider", "only_chip", "only_region", "only_verdict", "only_goal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an address asks of the table. Empty: everything, or the usual."""

    choices: Mapping[str, str]
    limits: Mapping[str, str]
    columns: tuple[str, ...]
    beside: tuple[str, ...]

    def query(self) -> str:
        """As it stands in an address, with an & before it; "" where all is as usual."""
        pairs = [(name, value) for name, value in (*self.choices.items(), *self.limits.items()) if value]
        pairs += [("column", name) for name in self.columns]
        pairs += [("beside", slug) for slug in self.beside]
        return f"&{urlencode(pairs)}" if pairs else ""

    @property
    def filtered(self) -> bool:
        """Whether some rows may be left out."""
        return any((*self.choices.values(), *self.limits.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's heading. sorted: "ascending", "descending" or "", as in aria-sort.  sort: the order that its
    link asks for.
    """

    key: str
    label: str
    number: bool
    sorted: str
    sort: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeBar:
    """A range on the column's logarithmic scale, 0 to 100: its ends and its value."""

    low: float
    high: float
    value: float

    @property
    def width(self) -> float:
        """From end to end, wide enough to be seen."""
        return max(self.high - self.low, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCell:
    """One cell. bar: its range, None for none."""

    key: str
    text: Cell
    number: bool
    bar: RangeBar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRow:
    """One machine. measured: runs measured on its accelerator.  odd: why nobody would run it so.

    lacks: it is computed and does not fit, so that something may make it fit.  missed: deadline or budget.
    """

    slug: str
    fits: bool
    lacks: bool
    missed: tuple[str, ...]
    mine: bool
    cells: tuple[FamilyCell, ...]
    why: str
    odd: str
    query: str
    measured: int
    ticked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A machine family: its best size, and the others."""

    name: str
    best: FamilyRow
    others: tuple[FamilyRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One filter of the form. options: (value, label, chosen); empty for a limit, which has a value."""

    name: str
    label: str
    value: str
    options: tuple[tuple[str, str, bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Families:
    """The folded table. choosable: every column, with whether it is shown.  beside: by label."""

    columns: tuple[Column, ...]
    families: tuple[Family, ...]
    shown: int
    left_out: int
    filters: tuple[Filter, ...]
    choosable: tuple[tuple[str, str, bool], ...]
    beside_names: tuple[str, ...]
    beside: tuple[tuple[str, tuple[Cell, ...], bool], ...]
    texts: tuple[tuple[str, str], ...]
    query: str
    sort: str
    filtered: bool


def read_wanted(given: Mapping[str, str], lists: Callable[[str], Sequence[str]]) -> Wanted:
    """What an address asks for; what makes no sense is left out."""
    limits = {name: given.get(name, "").strip() for name in LIMITS}
    return Wanted(
        choices={name: given.get(name, "").strip() for name in CHOICES},
        limits={name: text for name, text in limits.items() if _limit(text) is not None},
        columns=tuple(dict.fromkeys(name for name in lists("column") if name in COLUMNS)),
        beside=tuple(dict.fromkeys(lists("beside")))[:MOST_BESIDE],
    )


def families(
    rows: Sequence[MachineRow],
    plan: PlanResult,
    wanted: Wanted,
    *,
    sort: str,
    measured: Callable[[str], int],
    link: Callable[[MachineRow], str],
    goal: Wish = NOTHING,
) -> Families:
    """The table as asked for. sort: a column's key, "-" before it for descending.  goal: what rows miss.

    measured: how many runs were measured on an accelerator, by its slug.  link: the query of a row's plan.
    """
    key = sort.removeprefix("-")
    if key not in ORDERS:
        sort = key = DEFAULT_SORT
    kept = ordered(kept_rows(rows, wanted), key, descending=sort.startswith("-"))
    chosen = [COLUMNS[name] for name in COLUMNS if name in (wanted.columns or USUAL)]
    scales = {column.key: _scale(kept, column) for column in chosen if column.interval is not None}
    mine = plan.cluster.instance_type

    def shown(row: MachineRow) -> FamilyRow:
        return FamilyRow(
            slug=row.record.slug,
            fits=isinstance(row.answer, PlanResult) and row.answer.fits,
            lacks=isinstance(row.answer, PlanResult) and not row.answer.fits,
            missed=missed(row.answer, goal),
            mine=row.record.slug == mine,
            cells=_cells(row, chosen, scales),
            why=_why(row),
            odd=odd(row),
            query=link(row),
            measured=measured(row.record.spec.accelerator.slug),
            ticked=row.record.slug in wanted.beside,
        )

    grouped: dict[str, list[MachineRow]] = {}
    for row in kept:
        grouped.setdefault(row.record.spec.family, []).append(row)
    beside = [row for slug in wanted.beside for row in rows if row.record.slug == slug]
    return Families(
        columns=tuple(_heading(name, key, sort) for name in (NAME, *(column.key for column in chosen))),
        families=tuple(
            Family(name=name, best=shown(members[0]), others=tuple(shown(row) for row in members[1:]))
            for name, members in grouped.items()
        ),
        shown=len(kept),
        left_out=len(rows) - len(kept),
        filters=_filters(rows, wanted),
        choosable=tuple((each.key, each.label, each in chosen) for each in COLUMNS.values()),
        beside_names=tuple(row.record.slug for row in beside) if len(beside) > 1 else (),
        beside=side_by_side(beside) if len(beside) > 1 else (),
        texts=texts(kept, chosen),
        query=wanted.query(),
        sort=sort,
        filtered=wanted.filtered,
    )


def kept_rows(rows: Sequence[MachineRow], wanted: Wanted) -> list[MachineRow]:
    """The rows that pass all filters; limits keep only what can be computed and has the quantity."""
    return [row for row in rows if _passes(row, wanted)]


def ordered(rows: Sequence[MachineRow], key: str, *, descending: bool) -> list[MachineRow]:
    """What fits and meets deadline and budget first, then what misses them, what fits but nobody would run
    so, what does not fit, what cannot be computed.
    """
    value = ORDERS[key]
    answered = [(row, row.answer) for row in rows if isinstance(row.answer, PlanResult)]
    answered.sort(key=lambda pair: value(*pair), reverse=descending)
    answered.sort(key=lambda pair: (not pair[1].fits, bool(odd(pair[0])), standing(pair[1]) != "met"))
    wrong = [row for row in rows if isinstance(row.answer, PlanErrors)]
    return [row for row, _ in answered] + sorted(wrong, key=lambda row: row.record.slug)


def odd(row: MachineRow) -> str:
    """Why nobody would run it so, "" where one might: many machines with a thin network between them."""
    if not isinstance(row.answer, PlanResult):
        return ""
    spec, nodes = row.record.spec, row.answer.cluster.nodes or 1
    each = spec.internode_bytes_per_s / max(spec.accelerators_per_node, 1)
    if nodes < MANY_NODES or each >= LEAST_BYTES_PER_S:
        return ""
    return (
        f"{nodes:,} machines with {each * 8 / 1e9:.3g} Gbit/s an accelerator between them: "
        "not built for such a run."
    )


def side_by_side(rows: Sequence[MachineRow]) -> tuple[tuple[str, tuple[Cell, ...], bool], ...]:
    """(label, a cell each, whether they differ) of every column."""
    found = []
    for column in COLUMNS.values():
        cells = tuple(
            column.cell(row, row.answer) if isinstance(row.answer, PlanResult) else "cannot run"
            for row in rows
        )
        found.append((column.label, cells, len({str(cell) for cell in cells}) > 1))
    return tuple(found)


def texts(rows: Sequence[MachineRow], columns: Sequence[Shown]) -> tuple[tuple[str, str], ...]:
    """The table as it is shown, as CSV, TSV and Markdown."""
    lines: list[list[str]] = [["Instance type", *(column.label for column in columns)]]
    for row in rows:
        answer = row.answer
        cells = ["cannot run"] * len(columns)
        if isinstance(answer, PlanResult):
            cells = [str(column.cell(row, answer)) for column in columns]
        lines.append([row.record.slug, *cells])
    as_csv, as_tsv = as_text(lines, line_end="\n"), as_text(lines, delimiter="\t", line_end="\n")
    bars = [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]
    bars.insert(1, f"|{' --- |' * len(lines[0])}")
    return (("CSV", as_csv), ("TSV", as_tsv), ("Markdown", "\n".join(bars)))


def _passes(row: MachineRow, wanted: Wanted) -> bool:
    spec, answer = row.record.spec, row.answer
    verdict = answer.verdict if isinstance(answer, PlanResult) else "cannot_run"
    own = {
        "only_provider": spec.provider,
        "only_chip": spec.accelerator.slug,
        "only_region": row.cluster.region or "",
        "only_verdict": verdict,
        "only_goal": standing(answer) if isinstance(answer, PlanResult) else "",
    }
    if any(value and own[name] != value for name, value in wanted.choices.items()):
        return False
    for name, text in wanted.limits.items():
        most = _limit(text)
        if most is not None and not (isinstance(answer, PlanResult) and LIMITS[name][1](answer) <= most):
            return False
    return True


def _limit(text: str) -> float | None:
    value = spelled_number(text.removeprefix("$")) if text else ""
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _filters(rows: Sequence[MachineRow], wanted: Wanted) -> tuple[Filter, ...]:
    providers = dict.fromkeys(row.record.spec.provider for row in rows)
    chips = {row.record.spec.accelerator.slug: row.record.spec.accelerator.name for row in rows}
    verdicts: list[tuple[str, str]] = list(VERDICTS.items())
    offered: dict[str, tuple[str, dict[str, str]]] = {
        "only_provider": (
            "Provider",
            {slug: PROVIDER_NAMES.get(slug, slug) for slug in providers},
        ),
        "only_chip": ("Accelerator", dict(sorted(chips.items(), key=lambda item: item[1]))),
        "only_region": (
            "Region",
            {region: region for region in sorted({row.cluster.region or "" for row in rows}) if region},
        ),
        "only_verdict": ("Verdict", {**dict(verdicts), "cannot_run": "cannot run"}),
        "only_goal": ("Deadline and budget", GOALS),
    }
    choices = [
        Filter(
            name=name,
            label=label,
            value=wanted.choices[name],
            options=tuple((value, text, value == wanted.choices[name]) for value, text in words.items()),
        )
        for name, (label, words) in offered.items()
    ]
    limits = [
        Filter(name=name, label=f"At most: {label}", value=wanted.limits.get(name, ""))
        for name, (label, _) in LIMITS.items()
    ]
    return (*choices, *limits)


def _cells(
    row: MachineRow, columns: Sequence[Shown], scales: Mapping[str, tuple[float, float]]
) -> tuple[FamilyCell, ...]:
    answer = row.answer
    if not isinstance(answer, PlanResult):
        spec = row.record.spec
        known = {
            "accelerators": f"{spec.accelerators_per_node} × {spec.accelerator.name}",
            "nodes": "" if row.cluster.nodes is None else f"{row.cluster.nodes:,}",
            "fits": "cannot run",
        }
        return tuple(
            FamilyCell(key=each.key, text=known.get(each.key, ""), number=each.number) for each in columns
        )
    found = []
    for column in columns:
        bar = None
        interval = None if column.interval is None else column.interval(answer)
        value = column.value(row, answer)
        if interval is not None and isinstance(value, float) and answer.fits:
            bar = _bar(interval, value, scales[column.key])
        found.append(FamilyCell(key=column.key, text=column.cell(row, answer), number=column.number, bar=bar))
    return tuple(found)


def _scale(rows: Sequence[MachineRow], column: Shown) -> tuple[float, float]:
    """(least, most) of the column's ranges among what fits."""
    assert column.interval is not None
    ends = [
        end
        for row in rows
        if isinstance(row.answer, PlanResult) and row.answer.fits
        for end in column.interval(row.answer) or ()
        if end > 0
    ]
    return (min(ends), max(ends)) if ends else (1.0, 1.0)


def _bar(interval: tuple[float, float], value: float, scale: tuple[float, float]) -> RangeBar | None:
    low, high = scale
    if not 0 < low < high or interval[0] <= 0:
        return None
    width = math.log(high / low)
    start, at, end = (100.0 * math.log(each / low) / width for each in (interval[0], value, interval[1]))
    return RangeBar(low=round(start, 2), high=round(end, 2), value=round(at, 2))


def _why(row: MachineRow) -> str:
    answer = row.answer
    if isinstance(answer, PlanErrors):
        return f"{answer.errors[0].message} {answer.errors[0].remedy}"
    return answer.unavailable if answer.fits else sentence(answer.reason or "")


def _heading(name: str, key: str, sort: str) -> Column:
    descending = sort.startswith("-")
    label = "Instance type" if name == NAME else COLUMNS[name].label
    return Column(
        key=name,
        label=label,
        number=name != NAME and COLUMNS[name].number,
        sorted=("descending" if descending else "ascending") if name == key else "",
        sort=f"-{name}" if name == key and not descending else name,
    )
