"""80 % ranges of memory from errors on sources that the fit had not seen, and whether they hold on others.

By counter: what torch allocated, what it reserved, what nvidia-smi shows; their errors differ more than
those of tasks do. Each source counts by the square root of its groups, since errors within one source are
alike; a counter with few sources borrows from all. The ends are the 8 % and 92 % points: with about two
dozen sources, those of 10 and 90 % would hold 78 % of the figures of a further source, these 81 %
(``coverage``, nested: the ranges of a source left out come from the others alone).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.engine.grid.plan_grid import Array, Flags

if TYPE_CHECKING:
    from planner.accuracy.fit.memory import Figures

#: Low and high point of the distribution of errors on sources left out.
POINTS = (0.08, 0.92)
#: A counter's own sources count as much as all sources together where it has this many of them.
BORROWED_SOURCES = 4.0
#: Factor on a range (in the logarithm) from the first thing on that lies outside what was measured. Our own
#: judgement, as the ranges of time have it.
FAR = 1.25
COUNTERS = ("allocated", "reserved", "nvidia-smi")


@dataclass(frozen=True, slots=True)
class Ranges:
    """Low and high factors of the prediction: of all figures, by counter."""

    overall: list[float]
    by_counter: dict[str, list[float]]


def ranges(figures: Figures, residuals: Array) -> Ranges:
    """residuals: log(predicted / measured) of each figure by a fit that saw nothing of its source."""
    first, kinds = figures.first.astype(bool), counters(figures)
    everything = np.ones(len(first), dtype=bool)
    return Ranges(
        overall=rounded(ends(figures, residuals, first)),
        by_counter={
            kind: rounded(shrunk(figures, residuals, everything, kinds == kind))
            for kind in COUNTERS
            if np.any(kinds == kind)
        },
    )


def counters(figures: Figures) -> Any:
    """The counter of each figure, in words."""
    return np.array(COUNTERS)[figures.kind]


def from_others(figures: Figures, residuals: Array) -> Iterator[tuple[Flags, float, float]]:
    """Of each source and counter: which figures these are, and the ends of the range that all other sources
    give for them, in the logarithm.
    """
    sources, kinds = figures.labels("source"), counters(figures)
    for source in dict.fromkeys(sources):
        for kind in dict.fromkeys(kinds[sources == source]):
            low, high = shrunk(figures, residuals, sources != source, kinds == kind)
            yield (sources == source) & (kinds == kind), float(low), float(high)


#: Chances that the table of reliability asks for.
CHANCES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)


def reliability(figures: Figures, residuals: Array) -> list[dict[str, float]]:
    """Of limits that a plan would stay within with a given chance, how many the measured bytes did stay
    within: a limit for each figure, from the ranges of all other sources. Rows, and the mean over sources.
    """
    first, sources = figures.first.astype(bool), figures.labels("source")
    ranges_of = list(from_others(figures, residuals))
    table = []
    for chance in CHANCES:
        steps = NormalDist().inv_cdf(chance) / NormalDist().inv_cdf(0.9)
        within = np.zeros(len(sources), dtype=bool)
        for chosen, low, high in ranges_of:
            within[chosen] = -residuals[chosen] <= (high * steps if steps >= 0.0 else -low * steps)
        of_each = [np.mean(within[first & (sources == each)]) for each in dict.fromkeys(sources[first])]
        table.append(
            {
                "said": chance,
                "rows": round(float(np.mean(within[first])), 3),
                "by_source": round(float(np.mean(of_each)), 3),
            }
        )
    return table


def coverage(figures: Figures, residuals: Array) -> dict[str, dict[str, float]]:
    """Share of the figures of a source left out that the others' ranges hold, overall, by counter and by
    task: of all rows, and as the mean over sources; and the ranges' median ratio of ends. residuals: as in
    ``ranges``.
    """
    first, tasks, sources = figures.first.astype(bool), figures.tasks(), figures.labels("source")
    kinds = counters(figures)
    held, width = np.zeros(len(first), dtype=bool), np.ones(len(first))
    for chosen, low, high in from_others(figures, residuals):
        held[chosen] = (-residuals[chosen] >= low) & (-residuals[chosen] <= high)
        width[chosen] = np.exp(high - low)

    def shares(chosen: Any) -> dict[str, float]:
        of_each = [np.mean(held[chosen & (sources == each)]) for each in dict.fromkeys(sources[chosen])]
        return {
            "figures": int(np.sum(chosen)),
            "sources": len(of_each),
            "rows": round(float(np.mean(held[chosen])), 3),
            "by_source": round(float(np.mean(of_each)), 3),
            "median_ratio": round(float(np.median(width[chosen])), 3),
        }

    return {
        "all": shares(first),
        **{kind: shares(first & (kinds == kind)) for kind in COUNTERS if np.any(kinds == kind)},
        **{task: shares(first & (tasks == task)) for task in sorted(set(tasks))},
    }


def shrunk(figures: Figures, residuals: Array, among: Flags, own: Flags) -> Array:
    """Ends of the range of a class, in the logarithm, drawn towards those of all figures the fewer sources it
    has.  among, own: flags of each figure."""
    everything = ends(figures, residuals, among)
    sources = len(set(figures.labels("source")[among & own]))
    if not sources:
        return everything
    share = sources / (sources + BORROWED_SOURCES)
    return share * ends(figures, residuals, among & own) + (1.0 - share) * everything


def ends(figures: Figures, residuals: Array, chosen: Flags) -> Array:
    """POINTS of log(measured / predicted) of the chosen figures, each source weighing by its groups' root."""
    values, weights = -residuals[chosen], source_weights(figures)[chosen]
    order = np.argsort(values)
    place = (np.cumsum(weights[order]) - 0.5 * weights[order]) / np.sum(weights)
    return np.asarray(np.interp(POINTS, place, values[order]))


def source_weights(figures: Figures) -> Array:
    """A group of near-duplicates weighs as one figure, a source of n groups as their square root."""
    _, group, sizes = np.unique(figures.labels("group"), return_inverse=True, return_counts=True)
    _, source = np.unique(figures.labels("source"), return_inverse=True)
    weight = 1.0 / sizes[group]
    groups = np.bincount(source, weights=weight)
    return np.asarray(weight / np.sqrt(groups[source]))


def wider(pair: list[float]) -> list[float]:
    """A range of a plan that lies outside what was measured."""
    return rounded(np.log(pair) * FAR)


def rounded(logarithms: Array) -> list[float]:
    """Factors to four digits, from their logarithms."""
    return [round(float(value), 4) for value in np.exp(logarithms)]
