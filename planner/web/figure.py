"""A chart: a Plotly figure with its finding in words and its table; and logarithmic axes.

Colours are names of the stylesheet's variables ("token:c-blue"), so that one figure suits both themes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from planner.web import formats

Cell = str | formats.Quantity
#: How the reader's own plan is marked on every chart.
MINE = {
    "color": "token:accent",
    "size": 15,
    "symbol": "circle-open",
    "line": {"width": 3, "color": "token:accent"},
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


def dollar_tick(usd: float) -> str:
    """$200k, $1.5M: an axis label without zeros at the end."""
    return re.sub(r"\.?0+(?=[kMB]?$)", "", text) if "." in (text := formats.dollars(usd).text) else text
