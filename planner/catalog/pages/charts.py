"""Prices over time: on demand and commitments as steps, blocks as marks, the spot market as a band over
its zones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from planner.catalog.changes.models import SpotDay
from planner.catalog.models import Price
from planner.engine.question.words import PURCHASES
from planner.web import formats
from planner.web.figure import Chart, Table

COLOURS = {
    "on_demand": "c-blue",
    "spot": "c-green",
    "reserved_1y": "c-sky",
    "reserved_3y": "c-yellow",
    "savings_1y": "c-pink",
    "savings_3y": "c-red",
    "capacity_block": "c-orange",
}


def price_chart(
    slug: str, region: str, prices: Sequence[Price], days: Sequence[SpotDay], today: date
) -> Chart | None:
    """Every price of one machine in one region; None where there is none."""
    if not prices and not days:
        return None
    traces: list[dict[str, Any]] = [*_band(days)]
    for purchase, word in PURCHASES.items():
        held = [price for price in prices if price.purchase == purchase]
        if held:
            traces.append(_steps(held, word.label, COLOURS[purchase], today))
    return Chart(
        slug="chart-prices",
        title=f"{slug} in {region}, USD an hour",
        finding=_finding(prices, days),
        figure={
            "data": traces,
            "layout": {
                "height": 380,
                "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
                "yaxis": {"title": {"text": "USD per instance-hour"}, "rangemode": "tozero"},
                "xaxis": {"type": "date"},
                "showlegend": True,
                "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            },
        },
        table=Table(
            columns=("From", "Until", "Purchase", "USD per hour"),
            rows=[
                (
                    price.valid_from.isoformat(),
                    price.valid_to.isoformat() if price.valid_to else "today",
                    PURCHASES[price.purchase].label,
                    f"{price.usd_per_hour.normalize():f}",
                )
                for price in prices
            ],
        ),
        css="wide",
    )


def _steps(held: Sequence[Price], name: str, colour: str, today: date) -> dict[str, Any]:
    """A price holds from its first day to the day it ends; where nothing follows, the line breaks."""
    xs: list[str | None] = []
    ys: list[float | None] = []
    for price in held:
        ends = min(price.valid_to or today, today) if (price.valid_to or today) > price.valid_from else today
        xs += [price.valid_from.isoformat(), ends.isoformat(), None]
        ys += [float(price.usd_per_hour), float(price.usd_per_hour), None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": xs,
        "y": ys,
        "line": {"color": f"token:{colour}", "width": 2},
        "marker": {"size": 5, "color": f"token:{colour}"},
    }


def _band(days: Sequence[SpotDay]) -> list[dict[str, Any]]:
    if not days:
        return []
    xs = [day.day.isoformat() for day in days]
    plain = {"type": "scatter", "mode": "lines", "x": xs}
    return [
        plain
        | {
            "name": "Spot, dearest zone",
            "y": [day.usd_high for day in days],
            "line": {"width": 0},
            "showlegend": False,
        },
        plain
        | {
            "name": "Spot, all zones",
            "y": [day.usd_low for day in days],
            "line": {"width": 0},
            "fill": "tonexty",
            "fillcolor": "token:band",
        },
        plain
        | {
            "name": "Spot, median of zones",
            "y": [day.usd_median for day in days],
            "line": {"color": "token:c-green", "width": 2},
        },
    ]


def _finding(prices: Sequence[Price], days: Sequence[SpotDay]) -> str:
    listed = [price for price in prices if price.purchase == "on_demand"]
    words = []
    if len(listed) > 1:
        before, now = float(listed[-2].usd_per_hour), float(listed[-1].usd_per_hour)
        words.append(
            f"On demand went from {formats.dollars(before).text} to {formats.dollars(now).text} on "
            f"{listed[-1].valid_from.isoformat()} ({(now / before - 1) * 100:+.0f} %)."
        )
    elif listed:
        words.append(
            f"On demand {formats.dollars(float(listed[-1].usd_per_hour)).text} since at least "
            f"{listed[-1].valid_from.isoformat()}."
        )
    if days:
        low, high = min(day.usd_low for day in days), max(day.usd_high for day in days)
        words.append(
            f"Spot between {formats.dollars(low).text} and {formats.dollars(high).text} in {len(days)} days."
        )
    return " ".join(words) or "No on-demand price is known."
