"""Charts of cells: the plan by region and purchase, and by tensor and pipeline degree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.engine.question.result import PlanResult
from planner.engine.question.words import PURCHASES
from planner.tradeoffs.neighbours import Offer, Split
from planner.web import formats
from planner.web.figure import MINE, Cell, Chart, Table

#: Regions drawn in the matrix; the table has all.
MOST_REGIONS = 24


def matrix_chart(offers: Sequence[Offer]) -> Chart | None:
    """The plan in every region and way to pay: a mark a cell, the cheapest ringed."""
    priced = [(offer, offer.usd) for offer in offers if offer.usd is not None and not offer.unavailable]
    if not priced:
        return None
    cheapest, least = min(priced, key=lambda each: each[1])
    best_of: dict[str, float] = {}
    for offer, usd in priced:
        best_of[offer.region] = min(usd, best_of.get(offer.region, usd))
    regions = sorted(best_of, key=lambda region: best_of[region])
    ways = [way for way in PURCHASES if any(offer.purchase == way for offer, _ in priced)]
    drawn = [(offer, usd) for offer, usd in priced if offer.region in regions[:MOST_REGIONS]]
    most = max(usd for _, usd in drawn)
    spread = max(most / least - 1.0, 1e-9)
    mine = [offer for offer, _ in drawn if offer.mine]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": "offers",
            "x": [PURCHASES[offer.purchase].label for offer, _ in drawn],
            "y": [offer.region for offer, _ in drawn],
            "text": [formats.dollars(usd).text for _, usd in drawn],
            "textposition": "middle center",
            "textfont": {"size": 11, "color": "#101517"},
            "marker": {
                "symbol": "square",
                "size": 26,
                "color": [_shade((usd / least - 1.0) / spread) for _, usd in drawn],
                "line": {
                    "color": "token:text",
                    "width": [3 if offer is cheapest else 0 for offer, _ in drawn],
                },
            },
            "hovertext": [f"{_offer_told(offer)}: {formats.dollars(usd)}" for offer, usd in drawn],
            "hovertemplate": "%{hovertext}<extra></extra>",
            "cliponaxis": False,
        }
    ]
    if mine:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "your plan",
                "x": [PURCHASES[mine[0].purchase].label],
                "y": [mine[0].region],
                "marker": MINE | {"size": 34},
                "hoverinfo": "skip",
                "cliponaxis": False,
            }
        )
    shown = regions[:MOST_REGIONS]
    rows: list[tuple[Cell, ...]] = [
        (
            offer.region,
            PURCHASES[offer.purchase].label,
            "no price" if offer.usd is None else formats.dollars(offer.usd),
            "" if offer.total_s is None else formats.duration(offer.total_s),
            offer.commitment,
            offer.unavailable or offer.rule,
        )
        for offer in sorted(offers, key=lambda each: (each.usd is None, each.usd or 0.0))
    ]
    finding = f"Cheapest: {_offer_told(cheapest)}, {formats.dollars(least)}."
    if mine and mine[0].usd and mine[0] is not cheapest:
        finding += f" That is {formats.percent(1.0 - least / mine[0].usd)} less than as you planned it."
    return Chart(
        slug="chart-matrix",
        title="The plan by region and purchase, dollars of the run",
        finding=finding,
        css="wide",
        figure={
            "data": data,
            "layout": {
                "height": 90 + 34 * len(shown),
                "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
                "showlegend": False,
                "hovermode": "closest",
                "xaxis": {
                    "title": {"text": "purchase"},
                    "type": "category",
                    "categoryorder": "array",
                    "categoryarray": [PURCHASES[way].label for way in ways],
                    "range": [-0.5, len(ways) - 0.5],
                },
                "yaxis": {
                    "type": "category",
                    "categoryorder": "array",
                    "categoryarray": shown[::-1],
                    "range": [-0.6, len(shown) - 0.4],
                },
            },
        },
        table=Table(columns=("Region", "Purchase", "Cost", "Time", "Commitment", "Rules"), rows=rows),
        legend=(
            *((("your plan", "mark-mine"),) if mine else ()),
            ("cheap", "c-green"),
            ("dear", "c-orange"),
        ),
    )


def split_chart(splits: Sequence[Split], plan: PlanResult) -> Chart | None:
    """Time by tensor and pipeline degree, the rest of the layout chosen for each pair."""
    fits = [(split, split.total_s) for split in splits if split.total_s is not None]
    if len(fits) < 2:
        return None
    best, quickest = min(fits, key=lambda each: each[1])
    slowest = max(total_s for _, total_s in fits)
    spread = max(slowest / quickest - 1.0, 1e-9)
    tensors = sorted({split.tensor for split in splits})
    pipelines = sorted({split.pipeline for split in splits})
    lacking = [split for split in splits if split.total_s is None]
    own = (plan.layout.tensor_parallel, plan.layout.pipeline_parallel)
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": "fits",
            "x": [str(split.tensor) for split, _ in fits],
            "y": [str(split.pipeline) for split, _ in fits],
            "text": [formats.duration(total_s).text for _, total_s in fits],
            "textposition": "middle center",
            "textfont": {"size": 11, "color": "#101517"},
            "marker": {
                "symbol": "square",
                "size": 38,
                "color": [_shade((total_s / quickest - 1.0) / spread) for _, total_s in fits],
                "line": {"color": "token:text", "width": [3 if split is best else 0 for split, _ in fits]},
            },
            "hovertext": [
                f"tensor {split.tensor}, pipeline {split.pipeline}: {split.told}" for split, _ in fits
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
            "cliponaxis": False,
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "does not fit",
            "x": [str(split.tensor) for split in lacking],
            "y": [str(split.pipeline) for split in lacking],
            "marker": {"symbol": "x-thin-open", "size": 12, "color": "token:bad", "line": {"width": 2}},
            "hovertext": [
                f"tensor {split.tensor}, pipeline {split.pipeline}: {split.told}" for split in lacking
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        },
    ]
    if own[0] in tensors and own[1] in pipelines:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "your plan",
                "x": [str(own[0])],
                "y": [str(own[1])],
                "marker": MINE | {"size": 46},
                "hoverinfo": "skip",
                "cliponaxis": False,
            }
        )
    finding = f"Quickest: tensor {best.tensor}, pipeline {best.pipeline}, {formats.duration(quickest)}"
    if (best.tensor, best.pipeline) == own or plan.time.total_s <= quickest * 1.001:
        finding += "; your plan is as quick."
    elif plan.fits:
        finding += f", {formats.percent(1.0 - quickest / plan.time.total_s)} less than your plan."
    else:
        finding += "."
    return Chart(
        slug="chart-split",
        title="Time by tensor and pipeline degree",
        finding=finding,
        figure={
            "data": data,
            "layout": {
                "height": 110 + 46 * len(pipelines),
                "margin": {"l": 8, "r": 8, "t": 16, "b": 8},
                "showlegend": False,
                "hovermode": "closest",
                "xaxis": _categories("tensor-parallel degree", tensors),
                "yaxis": _categories("pipeline stages", pipelines),
            },
        },
        table=Table(
            columns=("Tensor", "Pipeline", "Time", "Rest of the layout"),
            rows=[
                (
                    str(split.tensor),
                    str(split.pipeline),
                    "does not run" if split.total_s is None else formats.duration(split.total_s),
                    split.told,
                )
                for split in splits
            ],
        ),
        legend=(("your plan", "mark-mine"), ("quick", "c-green"), ("slow", "c-orange")),
    )


def _categories(title: str, degrees: Sequence[int]) -> dict[str, Any]:
    return {
        "title": {"text": title},
        "type": "category",
        "categoryorder": "array",
        "categoryarray": [str(degree) for degree in degrees],
        "range": [-0.6, len(degrees) - 0.4],
    }


def _offer_told(offer: Offer) -> str:
    return f"{PURCHASES[offer.purchase].in_sentence()} in {offer.region}"


def _shade(share: float) -> str:
    """From green (0) over yellow to orange (1), light enough for dark letters in both themes."""
    ends = ((126, 200, 172), (244, 236, 150), (236, 168, 88))
    at = min(max(share, 0.0), 1.0) * 2.0
    low = ends[0] if at < 1.0 else ends[1]
    high = ends[1] if at < 1.0 else ends[2]
    part = at if at < 1.0 else at - 1.0
    red, green, blue = (round(one + (other - one) * part) for one, other in zip(low, high, strict=True))
    return f"rgb({red},{green},{blue})"
