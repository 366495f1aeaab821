"""What a report says, as plain blocks that page, PDF and Markdown print alike.

Reads answers and computes nothing of its own but differences between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.words import FRAMEWORKS, TASKS
from planner.engine.run.length import SECONDS_PER_DAY
from planner.plans.assumptions import Assumption
from planner.plans.form import sentence
from planner.plans.presenters import PlanPage
from planner.plans.variations import MachineRow
from planner.tradeoffs.charts.front import bought, front_finding, range_told
from planner.tradeoffs.points import TAKEN_BACK, Point
from planner.web import formats
from planner.web.figure import MOST_TICKS, TIME_TICKS

#: Alternatives on the first page, and machines of the annex.
MOST_ALTERNATIVES, MOST_REFUSED = 5, 12
#: Alternatives on spot beside a proposal that is not.
MOST_ON_SPOT = 2
#: Without a deadline, an alternative may take so many times the proposal's time.  A judgement.
SLOWER = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns and rows of text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A plan in the picture, 0 to 1 from left and from top. kind: front, beaten or mine."""

    x: float
    y: float
    label: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Time against cost, both logarithmic. across, up: (position from 0 to 1, words) of the ticks.

    band: corners of the front's 80 % band, 0 to 1 from left and from top; empty where ranges are not known.
    """

    marks: tuple[Mark, ...]
    band: tuple[tuple[float, float], ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    caption: str

    @property
    def band_at(self) -> str:
        """The band's corners in the page's drawing."""
        return " ".join(f"{80 + 670 * x:.1f},{8 + 260 * y:.1f}" for x, y in self.band)

    @property
    def across_at(self) -> list[dict[str, Any]]:
        """The ticks of dollars in the page's drawing, which is 760 by 300."""
        return [{"x": round(80 + 670 * at, 1), "words": words} for at, words in self.across]

    @property
    def up_at(self) -> list[dict[str, Any]]:
        """The ticks of time in the page's drawing."""
        return [{"y": round(8 + 260 * at, 1), "words": words} for at, words in self.up]

    @property
    def drawn(self) -> list[dict[str, Any]]:
        """The marks in the page's drawing; labels that would lie on another are left out."""
        taken: list[tuple[float, float]] = []
        found = []
        for mark in self.marks:
            x, y = round(80 + 670 * mark.x, 1), round(8 + 260 * mark.y, 1)
            free = not any(abs(x - one) < 130 and abs(y - other) < 13 for one, other in taken)
            if mark.label and free:
                taken.append((x, y))
            late = mark.x > 0.8
            found.append(
                {
                    "x": x,
                    "y": y,
                    "r": {"front": 4, "mine": 6}.get(mark.kind, 2.5),
                    "kind": mark.kind,
                    "label": mark.label if free else "",
                    "text_x": x - 7 if late else x + 7,
                    "text_y": y - 5,
                    "anchor": "end" if late else "start",
                }
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with what stands beneath it."""

    title: str
    paragraphs: tuple[str, ...] = ()
    table: Table | None = None
    picture: Picture | None = None
    annex: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """title, subject: what it is about.  verdict: the answer in one sentence.  made_on: the day, in words."""

    title: str
    verdict: str
    made_on: str
    sections: tuple[Section, ...]

    @property
    def first_page(self) -> tuple[Section, ...]:
        """What who signs reads."""
        return tuple(section for section in self.sections if not section.annex)

    @property
    def annex(self) -> tuple[Section, ...]:
        """What who checks reads."""
        return tuple(section for section in self.sections if section.annex)


def report(
    question: PlanRequest,
    result: PlanResult,
    page: PlanPage,
    *,
    points: Sequence[Point],
    assumed: Sequence[Assumption],
    rows: Sequence[MachineRow],
    constants: Mapping[str, Any],
    today: date,
    sure: Callable[[Point], str] = lambda point: "",
    fix: Callable[[MachineRow], str] = lambda row: "",
) -> Report:
    """The report of a plan. points: of the trade-offs page, empty where they are not known yet.

    sure: how surely the proposal beats an alternative, in words.  fix: what would make a machine's plan fit.
    """
    sections = [
        Section(title="What is proposed", paragraphs=_proposal(question, page)),
        Section(title="What it takes", table=figures_table(page)),
    ]
    if page.price is not None:
        sections.append(Section(title="How it is paid", paragraphs=(page.price.text, *page.price.bill)))
    if points:
        sections.append(
            Section(
                title="Alternatives",
                table=alternatives(points, result, question.deadline_days, sure),
                paragraphs=(SURE,) if any(sure(point) for point in points) else (),
            )
        )
        sections.append(Section(title="All choices", picture=picture(points, result)))
    else:
        sections.append(
            Section(
                title="Alternatives",
                paragraphs=("The search over the market has not ended; make this report again once it has.",),
            )
        )
    if page.warnings:
        sections.append(Section(title="Mind", paragraphs=page.warnings))
    sections += [
        Section(title="Assumptions", table=_assumptions(question, assumed), annex=True),
        Section(title="The plan in figures", table=_facts(page), annex=True),
        Section(title="Layout", paragraphs=(page.layout,), annex=True),
    ]
    front = [point for point in points if point.front]
    if front:
        sections.append(Section(title="Plans on the front", table=front_rows(front), annex=True))
    refused = why_not(rows, fix)
    if refused.rows:
        sections.append(Section(title="What does not fit, and why", table=refused, annex=True))
    sections.append(Section(title="Sources", paragraphs=_sources(result, page, constants), annex=True))
    return Report(
        title=page.verdict.subject,
        verdict=page.verdict.sentence,
        made_on=formats.day(today),
        sections=tuple(sections),
    )


def figures_table(page: PlanPage) -> Table:
    """The headline figures with their ranges and what stands behind them."""
    return Table(
        columns=("", "Expected", "80 % range", "Evidence"),
        rows=tuple(
            (
                each.label,
                "unknown" if each.value is None else str(each.value),
                "" if each.range is None else str(each.range),
                "; ".join(note.text for note in each.evidence),
            )
            for each in page.headlines
        ),
    )


def alternatives(
    points: Sequence[Point],
    result: PlanResult,
    deadline_days: float | None = None,
    sure: Callable[[Point], str] = lambda point: "",
) -> Table:
    """The best plan of each kind of accelerator, the cheapest first, held against the proposal.

    Of each it is the cheapest that is in time: by the deadline, else not much later than the proposal. Beside
    a proposal that is not taken back those that are not either stand first, and spot after them.
    """
    late_s = SLOWER * result.time.total_s if deadline_days is None else deadline_days * SECONDS_PER_DAY
    best: dict[tuple[bool, str], Point] = {}
    apart = result.cluster.purchase not in TAKEN_BACK
    for point in points:
        if point.usd is None:
            continue
        key = (apart and point.purchase in TAKEN_BACK, point.accelerator)
        known = best.get(key)
        if known is None or _rank(point, late_s) < _rank(known, late_s):
            best[key] = point
    ordered = sorted(best.items(), key=lambda each: (each[0][0], _rank(each[1], late_s)))
    firm = [point for (taken, _), point in ordered if not taken][:MOST_ALTERNATIVES]
    chosen = firm + [point for (taken, _), point in ordered if taken][:MOST_ON_SPOT]
    return Table(
        columns=("Alternative", "Bought", "Time", "Cost", "Against the proposal", "The proposal, how surely"),
        rows=tuple(
            (
                point.name,
                bought(point),
                str(formats.duration(point.total_s)),
                str(formats.dollars(point.usd or 0.0)),
                against(point, result),
                sure(point),
            )
            for point in chosen
        ),
    )


def against(point: Point, result: PlanResult) -> str:
    """``12 % cheaper, 40 % slower; can be taken back``: what a choice would change."""
    said = [_share(point.total_s, result.time.total_s, "faster", "slower")]
    if result.cost is not None and point.usd is not None:
        said.insert(0, _share(point.usd, result.cost.usd, "cheaper", "dearer"))
    told = ", ".join(each for each in said if each) or "the same"
    catches = {"spot": "may be taken back at any time", "capacity_block": "has to be booked ahead, in blocks"}
    catch = catches.get(point.purchase, "")
    return f"{told}; {catch}" if catch else told


#: How the last column of the alternatives is to be read.
SURE = (
    "How surely: the chance that the proposal costs less or more, or is faster or slower, than the "
    "alternative. What is wrong with both estimates cancels; up to 60 % counts as equal."
)


def why_not(rows: Sequence[MachineRow], fix: Callable[[MachineRow], str] = lambda row: "") -> Table:
    """Machines on which it does not fit or cannot run, one a kind of accelerator, with what would help."""
    found: dict[str, tuple[str, str, str]] = {}
    for row in rows:
        answer, chip = row.answer, row.record.spec.accelerator.name
        if isinstance(answer, PlanResult):
            if answer.fits or chip in found:
                continue
            said = f"{sentence(answer.reason or '')} {fix(row)}".strip()
            found[chip] = (row.record.slug, chip, said)
        elif chip not in found:
            found[chip] = (row.record.slug, chip, answer.errors[0].message)
        if len(found) == MOST_REFUSED:
            break
    return Table(columns=("Machine", "Accelerator", "Why not"), rows=tuple(found.values()))


def front_rows(front: Sequence[Point]) -> Table:
    """The front with its figures."""
    return Table(
        columns=(
            "Machines",
            "Bought",
            "Time",
            "80 % range",
            "Cost",
            "80 % range of cost",
            "Memory used",
            "MFU",
        ),
        rows=tuple(
            (
                point.name,
                bought(point),
                str(formats.duration(point.total_s)),
                range_told(point.total_interval_s, formats.duration),
                "no price" if point.usd is None else str(formats.dollars(point.usd)),
                range_told(point.usd_interval, formats.dollars),
                str(formats.percent(point.memory_share)),
                str(formats.percent(point.model_flops_utilization)),
            )
            for point in front
        ),
    )


def picture(points: Sequence[Point], result: PlanResult) -> Picture:
    """Every priced plan as a mark."""
    priced = [point for point in points if point.usd]
    own = None if result.cost is None or not result.fits else (result.cost.usd, result.time.total_s)
    usd = [point.usd or 1.0 for point in priced] + ([own[0]] if own else [])
    times = [point.total_s for point in priced] + ([own[1]] if own else [])
    across, up = _scale(usd), _scale(times)
    marks = [
        Mark(
            x=_at(point.usd or 1.0, across),
            y=1.0 - _at(point.total_s, up),
            label=point.name if point.front else "",
            kind="front" if point.front else "beaten",
        )
        for point in sorted(priced, key=lambda point: point.front)
    ]
    if own:
        marks.append(Mark(x=_at(own[0], across), y=1.0 - _at(own[1], up), label="proposed", kind="mine"))
    front = [point for point in priced if point.front]
    return Picture(
        marks=tuple(marks),
        band=_band(front, across, up),
        across=tuple((_at(tick, across), formats.dollars(tick).text) for tick in _ticks(*across)),
        up=tuple((1.0 - _at(tick, up), words) for tick, words in _time_ticks(*up)),
        caption=front_finding(front, result if own else None) if front else "No plan has a price.",
    )


def _band(
    front: Sequence[Point], across: tuple[float, float], up: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """The lower ends as steps, and back along the upper ones, kept within the picture."""

    def steps(end: int) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        for point in front:
            assert point.usd_interval is not None
            assert point.total_interval_s is not None
            x, y = _at(point.usd_interval[end], across), 1.0 - _at(point.total_interval_s[end], up)
            corner = (min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))
            if found:
                found.append((corner[0], found[-1][1]))
            found.append(corner)
        return found

    if len(front) < 2 or not all(point.usd_interval and point.total_interval_s for point in front):
        return ()
    return (*steps(0), *reversed(steps(1)))


def _proposal(question: PlanRequest, page: PlanPage) -> tuple[str, ...]:
    workload = question.workload
    said = (
        f"{TASKS[workload.task].label} {question.model.name} on {formats.count(workload.tokens, 'tokens')}, "
        f"sequences of {workload.sequence_length:,}, {workload.global_batch_size:,} a step, in "
        f"{workload.precision}, with {FRAMEWORKS[workload.framework].label}."
    )
    return tuple(each for each in (said, page.verdict.detail) if each)


def _assumptions(question: PlanRequest, assumed: Sequence[Assumption]) -> Table:
    rows = tuple(
        (
            each.label,
            each.value,
            "; ".join(f"{other.label}: {other.says}" for other in each.others) or "no change",
        )
        for each in assumed
    )
    return Table(columns=("Left to its default", "Taken as", "Otherwise"), rows=rows)


def _facts(page: PlanPage) -> Table:
    return Table(columns=("Figure", "Value"), rows=tuple((name, str(value)) for name, value in page.facts))


def _sources(result: PlanResult, page: PlanPage, constants: Mapping[str, Any]) -> tuple[str, ...]:
    price = page.price
    said = []
    if price is not None and price.source:
        said.append(f"Price: {price.source}{f' ({price.note})' if price.note else ''}. {price.age}".strip())
    for part, kept in constants.items():
        if kept.get("fitted_on"):
            runs = f" to {kept['runs']} measured runs" if kept.get("runs") else ""
            said.append(f"Constants of {part}: fitted on {kept['fitted_on']}{runs}.")
    said.append("Ranges are 80 % prediction intervals. Memory in GiB (2^30 bytes).")
    return tuple(said)


def _rank(point: Point, late_s: float) -> tuple[bool, float]:
    """In time and cheap first; of what is late the quickest."""
    late = point.total_s > late_s
    return late, point.total_s if late else point.usd or math.inf


def _share(value: float, base: float, less: str, more: str) -> str:
    share = value / base - 1.0
    if abs(share) < 0.005:
        return ""
    if share > 1.0:
        return (
            f"{formats.significant(value / base, 2)} times {'the cost' if more == 'dearer' else 'the time'}"
        )
    return f"{formats.significant(abs(share) * 100, 2)} % {less if share < 0 else more}"


def _scale(values: Sequence[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    return low / 1.25, high * 1.6


def _at(value: float, scale: tuple[float, float]) -> float:
    return math.log(value / scale[0]) / math.log(scale[1] / scale[0])


def _time_ticks(low: float, high: float) -> list[tuple[float, str]]:
    inside = [(tick, words) for tick, words in TIME_TICKS if low <= tick <= high]
    return inside[:: max(1, math.ceil(len(inside) / MOST_TICKS))]


def _ticks(low: float, high: float) -> list[float]:
    steps = (1.0, 3.0) if high / low < 1000 else (1.0,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
