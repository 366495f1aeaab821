"""A chart: a Plotly figure with its finding in words and its table; and logarithmic axes.

Colours are names of the stylesheet's variables ("token:c-blue"), so that one figure suits both themes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from planner.engine.question.result import Verdict as VerdictKind
from planner.web import formats

Cell = str | formats.Quantity
#: How the reader's own plan is marked on every chart.
MINE = {
    "color": "token:accent",
    "size": 15,
    "symbol": "circle-open",
    "line": {"width": 3, "color": "token:accent"},
}

#: The three verdicts, in their order, with their colours and marks on every chart.
VERDICTS: dict[VerdictKind, str] = {"fits": "fits", "tight": "tight", "does_not_fit": "does not fit"}
VERDICT_COLOURS: dict[VerdictKind, str] = {
    "fits": "token:good",
    "tight": "token:warn",
    "does_not_fit": "token:bad",
}
VERDICT_SYMBOLS: dict[VerdictKind, str] = {
    "fits": "circle",
    "tight": "diamond",
    "does_not_fit": "x-thin-open",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The chart's numbers as a table, for readers who cannot or do not want to see the figure."""

    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart. finding: what it shows, in words.  css: classes of its frame.

    legend: (name, class of its swatch), where labels in the figure are not enough.
    """

    slug: str
    title: str
    finding: str
    figure: dict[str, Any]
    table: Table
    css: str = field(default="")
    legend: tuple[tuple[str, str], ...] = ()

    @property
    def data_id(self) -> str:
        """HTML id of the element that holds the figure's data."""
        return f"{self.slug}-data"


def nodes_in_words(count: int) -> str:
    """A count of nodes: ``1 node``, ``16 nodes``."""
    return f"{count:,} node" if count == 1 else f"{count:,} nodes"


def log_axis(low: float, high: float, write: Callable[[float], str]) -> dict[str, Any]:
    """Range and ticks of a logarithmic axis: at least half a decade, so that a flat line looks flat."""
    middle = math.log10(low * high) / 2
    half = max(0.25, math.log10(high / low) / 2 * 1.12)
    ends = (10 ** (middle - half), 10 ** (middle + half))
    steps = (1.0,) if half > 1.6 else (1.0, 2.0, 5.0) if half > 0.5 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    decades = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    ticks = [tick for tick in ticks if ends[0] <= tick <= ends[1]]
    return {
        "range": [middle - half, middle + half],
        "tickvals": ticks,
        "ticktext": [write(tick) for tick in ticks],
    }


#: Seconds at which an axis of time has its ticks, with what is written there.
TIME_TICKS: tuple[tuple[float, str], ...] = (
    *((n * 1e-3, f"{n} ms") for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *((float(n), f"{n} s") for n in (1, 2, 5, 10, 20)),
    *((n * formats.MINUTE_S, f"{n} min") for n in (0.5, 1, 2, 5, 10, 20, 30)),
    *((n * formats.HOUR_S, f"{n} h") for n in (1, 2, 3, 6, 12)),
    *((n * formats.DAY_S, f"{n} day{'s' * (n > 1)}") for n in (1, 2, 3, 5, 7, 10, 14, 20, 30, 60, 100, 200)),
    *((n * formats.YEAR_S, f"{n} year{'s' * (n > 1)}") for n in (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)),
)
MOST_TICKS = 7


def time_axis(low_s: float, high_s: float) -> dict[str, Any]:
    """Range and ticks of a logarithmic axis of time in seconds; each tick has the unit that suits it."""
    spread = log_axis(low_s, high_s, str)["range"]
    inside = [tick for tick in TIME_TICKS if spread[0] <= math.log10(tick[0]) <= spread[1]]
    step = max(1, math.ceil(len(inside) / MOST_TICKS))
    kept = inside[::step]
    return {
        "range": spread,
        "tickvals": [seconds for seconds, _ in kept],
        "ticktext": [words for _, words in kept],
    }


def dollar_tick(usd: float) -> str:
    """$200k, $1.5M: an axis label without zeros at the end."""
    return re.sub(r"\.?0+(?=[kMB]?$)", "", text) if "." in (text := formats.dollars(usd).text) else text
