"""Time against cost of every plan found: the front with names, the others grey, the reader's marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from planner.engine.question.result import PlanResult
from planner.engine.question.words import PURCHASES
from planner.plans.presenters import machines
from planner.tradeoffs.points import Point
from planner.web import formats
from planner.web.figure import MINE, Cell, Chart, Table, dollar_tick, log_axis, time_axis

#: Height of a label, and the width that one on the left needs, as shares of the front's extent.
LABEL, ROOM = 0.07, 0.3


def front_chart(
    points: Sequence[Point], plan: PlanResult | None, link: Callable[[Point], str]
) -> Chart | None:
    """Every priced plan; both axes are logarithmic. link: a plan's address, which a click leads to."""
    priced = [point for point in points if point.usd is not None]
    if not priced:
        return None
    mine = plan if plan is not None and plan.fits and plan.cost is not None else None
    usd = [point.usd for point in priced if point.usd is not None]
    times = [point.total_s for point in priced]
    if mine is not None and mine.cost is not None:
        usd.append(mine.cost.usd)
        times.append(mine.time.total_s)
    front = [point for point in priced if point.front]
    beaten = [point for point in priced if not point.front]
    band = _band(front)
    traces = [*band, _marks(beaten, link, named=False), _line(front), _marks(front, link, named=True)]
    if mine is not None and mine.cost is not None:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": "your plan",
                "marker": MINE,
                "x": [mine.cost.usd],
                "y": [mine.time.total_s],
                "text": ["your plan"],
                "textposition": "bottom right",
                "hoverinfo": "skip",
                "cliponaxis": False,
            }
        )
    return Chart(
        slug="chart-front",
        title="Time against cost",
        finding=front_finding(front, mine),
        css="wide",
        figure={
            "data": traces,
            "layout": {
                "height": 460,
                "margin": {"l": 8, "r": 120, "t": 16, "b": 8},
                "showlegend": False,
                "hovermode": "closest",
                "xaxis": {"type": "log", "title": {"text": "cost of the run, dollars (log)"}}
                | log_axis(min(usd), max(usd), dollar_tick),
                "yaxis": {"type": "log", "title": {"text": "time of the run (log)"}}
                | time_axis(min(times), max(times)),
            },
            "narrow": {"height": 380, "margin": {"r": 20}},
        },
        table=front_table(priced),
        legend=(
            *((("your plan", "mark-mine"),) if mine else ()),
            ("no other plan is both cheaper and faster", "mark-front"),
            *((("where the front lies four times in five", "band"),) if band else ()),
            ("another one is", "mark-beaten"),
        ),
    )


def front_table(points: Sequence[Point]) -> Table:
    """The plans as rows, the front first, quickest first."""
    ordered = sorted(points, key=lambda point: (not point.front, point.total_s))
    return Table(
        columns=(
            *("Machines", "On the front", "Region", "Purchase", "Time", "80 % range"),
            *("Cost", "80 % range of cost", "Memory", "MFU"),
        ),
        rows=[_row(point) for point in ordered],
    )


def front_finding(front: Sequence[Point], mine: PlanResult | None) -> str:
    """What the front spans, and how far the reader's plan is from it."""
    quickest, cheapest = front[0], front[-1]
    if quickest is cheapest:
        said = f"{told(quickest)} is both the cheapest and the fastest."
    else:
        said = f"{len(front)} plans are on the front, from {told(quickest)} to {told(cheapest)}."
    if mine is None or mine.cost is None:
        return said
    seconds, usd = mine.time.total_s, mine.cost.usd
    as_quick = [point for point in front if point.total_s <= seconds and (point.usd or 0.0) < usd]
    if not as_quick:
        return f"{said} None of them beats your plan in both."
    best = min(as_quick, key=lambda point: point.usd or 0.0)
    less = formats.percent(1.0 - (best.usd or 0.0) / usd)
    return f"{said} {best.name} is no slower than your plan and costs {less} less."


def told(point: Point) -> str:
    """``16 × p5.48xlarge, $655k in 31.2 days``."""
    cost = "no price" if point.usd is None else formats.dollars(point.usd).text
    return f"{point.name} ({bought(point)}), {cost} in {formats.duration(point.total_s)}"


def bought(point: Point) -> str:
    """``spot, us-east-1``; with the stack and the precision where several are looked at."""
    purchase = PURCHASES[point.purchase].in_sentence() if point.purchase in PURCHASES else ""
    return ", ".join(each for each in (purchase, point.region, point.stack, point.precision) if each)


def mine_told(plan: PlanResult) -> str:
    """The reader's plan in the words of the others."""
    cost = "no price" if plan.cost is None else formats.dollars(plan.cost.usd).text
    return f"{machines(plan.cluster)}, {cost} in {formats.duration(plan.time.total_s)}"


def _marks(points: Sequence[Point], link: Callable[[Point], str], *, named: bool) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers+text" if named else "markers",
        "name": "on the front" if named else "beaten",
        "x": [point.usd for point in points],
        "y": [point.total_s for point in points],
        "marker": {"color": "token:text" if named else "token:c-idle", "size": 11 if named else 7},
        "text": [point.name if named else "" for point in points],
        "textposition": _label_places(points) if named else "top right",
        "hovertext": [told(point) for point in points],
        "customdata": [link(point) for point in points],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "cliponaxis": False,
    }


def _label_places(front: Sequence[Point]) -> list[str]:
    """Beside each mark; of two that are near one another the slower one's lies below it on the left, where no
    plan is. A picture that is taken away has no script to move its labels.
    """
    times, usd = [[math.log(each) for each in axis] for axis in _axes(front)]
    high, wide = max(max(times) - min(times), 1e-9), max(max(usd) - min(usd), 1e-9)
    places: list[str] = []
    for place in range(len(front)):
        near = place > 0 and places[-1] == "top right" and (times[place] - times[place - 1]) / high < LABEL
        room = (usd[place] - min(usd)) / wide > ROOM
        places.append("bottom left" if near and room else "top right")
    return places


def _axes(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.total_s for point in points], [point.usd or 1.0 for point in points]


def _line(front: Sequence[Point]) -> dict[str, Any]:
    """The front as steps: between two plans one pays for the cheaper of those that are quick enough."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "front",
        "x": [point.usd for point in front],
        "y": [point.total_s for point in front],
        "line": {"color": "token:line-strong", "width": 1.5, "shape": "hv"},
        "hoverinfo": "skip",
    }


def _band(front: Sequence[Point]) -> list[dict[str, Any]]:
    """The front's 80 % band: between the fronts of all lower and of all upper ends. Most of its width is
    common to all plans, so that it moves as a whole.
    """
    known = [point for point in front if point.total_interval_s and point.usd_interval]
    if len(known) < 2 or len(known) < len(front):
        return []
    edges = []
    for end, fill in ((0, None), (1, "tonexty")):
        edge: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "name": "band",
            "x": [point.usd_interval[end] for point in known if point.usd_interval is not None],
            "y": [point.total_interval_s[end] for point in known if point.total_interval_s is not None],
            "line": {"width": 0, "shape": "hv", "color": "token:band"},
            "hoverinfo": "skip",
        }
        edges.append(edge | ({"fill": fill, "fillcolor": "token:band"} if fill else {}))
    return edges


def range_told(ends: tuple[float, float] | None, write: Callable[[float], Any]) -> str:
    """``28 to 35 days``, "" where not known."""
    return "" if ends is None else f"{write(ends[0])} to {write(ends[1])}"


def _row(point: Point) -> tuple[Cell, ...]:
    return (
        point.name,
        "yes" if point.front else "no",
        point.region,
        bought(point).split(",")[0],
        formats.duration(point.total_s),
        range_told(point.total_interval_s, formats.duration),
        "no price" if point.usd is None else formats.dollars(point.usd),
        range_told(point.usd_interval, formats.dollars),
        formats.percent(point.memory_share),
        formats.percent(point.model_flops_utilization),
    )
