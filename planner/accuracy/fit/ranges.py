"""Ranges of time that hold on unseen sources: quantiles by class, in units of a scale by trait.

Everything is made from errors with the run's whole source left out of the fit. A source counts once in a
scale and as the root of its rows in a quantile; what few sources say is drawn towards what all say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.sure.intervals import UNSAID, left_unsaid, run_class, traits_of

#: An 80 % range: a tenth on either side.
TAIL = 0.1
#: Sources that what all say weighs as much as: of a scale, and of a class's quantiles. Chosen among 2 to 50
#: by the interval score (Gneiting & Raftery 2007: width, and ten times what lies outside) on sources left out
#: of both: the outer tenths of a class of ten sources tell little, and its scales by chip and kind say
#: most of what is its own. More still scores better and holds less than three encoders in four.
SCALE_PRIOR, CLASS_PRIOR = 8.0, 24.0
#: Tails are drawn in by this many of their own shares over n + 1 sources (split-conformal: 1 / TAIL - 1 for a
#: range that holds on average over draws of the sources; less, since errors within a source are alike).
CORRECTION = 5.0
#: Passes that settle the scales of several traits together.
PASSES = 3


def source_weights(sources: NDArray[np.str_]) -> Array:
    """Weight of each run, shape (runs,): every source weighs 1."""
    _, where, count = np.unique(sources, return_inverse=True, return_counts=True)
    return 1.0 / count[where]


def root_weights(sources: NDArray[np.str_]) -> Array:
    """Weight of each run, shape (runs,): a source weighs the root of its rows."""
    _, where, count = np.unique(sources, return_inverse=True, return_counts=True)
    root: Array = 1.0 / np.sqrt(count[where])
    return root


def weighted_quantile(values: Array, weight: Array, share: float) -> float:
    """The value below which ``share`` of the weight lies, by interpolation.  Source: definition."""
    order = np.argsort(values)
    cumulative = np.cumsum(weight[order]) - 0.5 * weight[order]
    return float(np.interp(share, cumulative / weight.sum(), values[order]))


def class_quantiles(ratios: Array, sources: NDArray[np.str_]) -> Array:
    """Low and high that hold four runs in five of an unseen source, shape (2,).

    ratios: log(measured / predicted) over the run's scale, shape (runs,).  The tails are those of n + 1
    sources, of which n are known (split-conformal, Lei et al. 2018).
    """
    number = len(set(sources))
    tail = max(TAIL - TAIL / (number + 1.0) * CORRECTION, 0.02)
    weight = root_weights(sources)
    return np.array([weighted_quantile(ratios, weight, share) for share in (tail, 1.0 - tail)])


def trait_scales(
    sizes: Array, traits: dict[str, NDArray[np.str_]], sources: NDArray[np.str_]
) -> dict[str, dict[str, float]]:
    """How much larger errors are by trait and value, ratios.

    sizes: |log(measured / predicted)| over the class's mean, shape (runs,).  traits: of each run.  Each
    scale is the mean over sources, drawn towards 1 by SCALE_PRIOR sources.
    """
    scales: dict[str, dict[str, float]] = {
        trait: dict.fromkeys(map(str, np.unique(values)), 1.0) for trait, values in traits.items()
    }
    for _ in range(PASSES):
        for trait, values in traits.items():
            others = scale_of_runs({**scales, trait: {}}, traits)
            for value in scales[trait]:
                own = values == value
                weight = source_weights(sources[own])
                number = weight.sum()
                mean = float(np.sum(weight * sizes[own] / others[own]) / number)
                scales[trait][value] = (number * mean + SCALE_PRIOR) / (number + SCALE_PRIOR)
    return scales


def scale_of_runs(scales: dict[str, dict[str, float]], traits: dict[str, NDArray[np.str_]]) -> Array:
    """The scale of each run, shape (runs,): the product over its traits."""
    columns = [
        np.array([scales.get(trait, {}).get(value, 1.0) for value in values])
        for trait, values in traits.items()
    ]
    product: Array = np.prod(columns, axis=0)
    return product


def tables(grid: PlanGrid, residuals: Array, sources: NDArray[np.str_]) -> dict[str, Any]:
    """``near``, ``far`` and ``scales`` of ``Intervals``, for time.

    residuals: log(predicted / measured) with the run's source left out, shape (runs,).  sources: of each run.
    """
    rows = range(len(residuals))
    residuals = residuals / UNSAID ** np.broadcast_to(left_unsaid(grid), residuals.shape)
    classes = np.array([run_class(grid, row) for row in rows])
    found = [traits_of(grid, row) for row in rows]
    traits = {trait: np.array([each[trait] for each in found]) for trait in found[0]}
    sizes = np.abs(residuals)
    for name in np.unique(classes):
        own = classes == name
        weight = source_weights(sources[own])
        sizes[own] = sizes[own] / (np.sum(weight * sizes[own]) / weight.sum())
    scales = trait_scales(sizes, traits, sources)
    ratios = -residuals / scale_of_runs(scales, traits)
    together = class_quantiles(ratios, sources)
    quantiles = {"time": together}
    for name in np.unique(classes):
        own = classes == name
        number = len(set(sources[own]))
        mine = class_quantiles(ratios[own], sources[own])
        quantiles[f"time/{name}"] = (number * mine + CLASS_PRIOR * together) / (number + CLASS_PRIOR)
    rounded = {name: [round(float(end), 4) for end in ends] for name, ends in quantiles.items()}
    return {
        "near": rounded,
        "far": dict(rounded),
        "scales": {
            trait: {value: round(float(scale), 3) for value, scale in of.items()}
            for trait, of in scales.items()
        },
    }
