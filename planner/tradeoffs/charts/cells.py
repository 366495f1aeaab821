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
    shown = regions[:MOST_REGIONS]
    across = {way: place for place, way in enumerate(ways)}
    up = {region: place for place, region in enumerate(reversed(shown))}
    data: list[dict[str, Any]] = [
        _cells(
            "offers",
            at=[(across[offer.purchase], up[offer.region]) for offer, _ in drawn],
            words=[formats.dollars(usd).text for _, usd in drawn],
            shares=[(usd / least - 1.0) / spread for _, usd in drawn],
            best=[offer is cheapest for offer, _ in drawn],
            told=[f"{_offer_told(offer)}: {formats.dollars(usd)}" for offer, usd in drawn],
        )
    ]
    if mine:
        data.append(_mine(across[mine[0].purchase], up[mine[0].region]))
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
    if len(drawn) < len(shown) * len(ways):
        finding += " An empty cell is not sold so, or has no price."
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
                "xaxis": _steps("purchase", [PURCHASES[way].label for way in ways]),
                "yaxis": _steps("", shown[::-1]),
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
    across = {degree: place for place, degree in enumerate(tensors)}
    up = {degree: place for place, degree in enumerate(pipelines)}
    own = (plan.layout.tensor_parallel, plan.layout.pipeline_parallel)
    data: list[dict[str, Any]] = [
        _cells(
            "fits",
            at=[(across[split.tensor], up[split.pipeline]) for split, _ in fits],
            words=[formats.duration(total_s).text for _, total_s in fits],
            shares=[(total_s / quickest - 1.0) / spread for _, total_s in fits],
            best=[split is best for split, _ in fits],
            told=[f"tensor {split.tensor}, pipeline {split.pipeline}: {split.told}" for split, _ in fits],
        ),
        {
            "type": "scatter",
            "mode": "markers",
            "name": "does not fit",
            "x": [across[split.tensor] for split in lacking],
            "y": [up[split.pipeline] for split in lacking],
            "marker": {"symbol": "x-thin-open", "size": 12, "color": "token:bad", "line": {"width": 2}},
            "hovertext": [
                f"tensor {split.tensor}, pipeline {split.pipeline}: {split.told}" for split in lacking
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        },
    ]
    if own[0] in tensors and own[1] in pipelines:
        data.append(_mine(across[own[0]], up[own[1]]))
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
                "xaxis": _steps("tensor-parallel degree", [str(degree) for degree in tensors]),
                "yaxis": _steps("pipeline stages", [str(degree) for degree in pipelines]),
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


def _cells(
    name: str,
    *,
    at: Sequence[tuple[int, int]],
    words: Sequence[str],
    shares: Sequence[float],
    best: Sequence[bool],
    told: Sequence[str],
) -> dict[str, Any]:
    """Coloured rectangles with words in them, which shrink where the cell is narrow.

    at: column and row of each, counted from 0.  shares: 0 (good) to 1.  best: those with a frame.
    """
    return {
        "type": "bar",
        "name": name,
        "x": [column for column, _ in at],
        "base": [row - 0.46 for _, row in at],
        "y": [0.92] * len(at),
        "width": [0.96] * len(at),
        "text": list(words),
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "constraintext": "inside",
        "insidetextfont": {"size": 12, "color": "#101517"},
        "marker": {
            "color": [_shade(share) for share in shares],
            "line": {"color": "token:text", "width": [3 if each else 0 for each in best]},
        },
        "hovertext": list(told),
        "hovertemplate": "%{hovertext}<extra></extra>",
        "cliponaxis": False,
    }


def _mine(column: int, row: int) -> dict[str, Any]:
    """The reader's plan: a ring at the left of its cell, beside the words."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "your plan",
        "x": [column - 0.36],
        "y": [row],
        "marker": MINE | {"size": 13},
        "hoverinfo": "skip",
        "cliponaxis": False,
    }


def _steps(title: str, labels: Sequence[str]) -> dict[str, Any]:
    """An axis of columns or rows."""
    return {
        "title": {"text": title},
        "tickvals": list(range(len(labels))),
        "ticktext": list(labels),
        "range": [-0.6, len(labels) - 0.4],
        "showgrid": False,
        "zeroline": False,
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
