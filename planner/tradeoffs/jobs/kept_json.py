"""What a part of a search keeps, as JSON and back: every number to its last digit."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from planner.contract.render import render_cluster, render_layout
from planner.engine.answer.kept import LAYOUT_FIELDS, Counts, Kept, Rows
from planner.engine.question.search_request import SearchRequest

WHOLE = ("cluster", "variant", "place")
Json = dict[str, Any]


def rows_to_json(rows: Rows) -> Json:
    """The plans as lists by field; a price that is not known is null."""
    return {item.name: _listed(getattr(rows, item.name).tolist()) for item in fields(Rows)}


def rows_from_json(data: Json) -> Rows:
    """As ``rows_to_json`` wrote them."""
    arrays = {
        name: np.array(values, dtype=np.int64 if name in WHOLE else float) for name, values in data.items()
    }
    arrays["layout"] = arrays["layout"].reshape(-1, len(LAYOUT_FIELDS))
    return Rows(**arrays)


def kept_to_json(kept: Kept) -> Json:
    """All that is kept, with its counts."""
    return {
        "front": rows_to_json(kept.front),
        "best": rows_to_json(kept.best),
        "nearest": rows_to_json(kept.nearest),
        "nearest_share": kept.nearest_share if math.isfinite(kept.nearest_share) else None,
        "counts": asdict(kept.counts),
    }


def kept_from_json(data: Json, request: SearchRequest) -> Kept:
    """As ``kept_to_json`` wrote it, for the same question."""
    share = data["nearest_share"]
    return Kept(
        request.objective,
        request.limit,
        front=rows_from_json(data["front"]),
        best=rows_from_json(data["best"]),
        nearest=rows_from_json(data["nearest"]),
        nearest_share=math.inf if share is None else share,
        counts=Counts(**data["counts"]),
    )


def render_rows(rows: Rows, request: SearchRequest) -> list[Json]:
    """Plans in the contract's words: machines, layout, seconds and dollars as the search computed them."""
    several = len(request.workloads) > 1
    found = []
    for row in range(len(rows)):
        workload = request.workloads[int(rows.variant[row])]
        usd = float(rows.usd[row])
        found.append(
            {
                "cluster": render_cluster(request.clusters[int(rows.cluster[row])]),
                "layout": render_layout(rows.layout_at(row)),
                "total_s": float(rows.total_s[row]),
                "usd": None if math.isnan(usd) else usd,
            }
            | ({"framework": workload.framework, "precision": workload.precision} if several else {})
        )
    return found


def _listed(values: list[Any]) -> list[Any]:
    return [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]
