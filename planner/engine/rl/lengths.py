"""How long the answers of a round are: a distribution cut at the longest allowed, as survival over tokens.

A batch waits for its longest answer, so the tail counts. Lengths are log-normal, which measured response
lengths resemble (Zhong et al. 2024, RLHFuse, figure 2: the longest are many times the median), and what would
be longer than the limit is cut there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt
from statistics import NormalDist

import numpy as np

from planner.engine.grid.plan_grid import Array

#: Shares of the answers that are still being written at the ends of the segments: fine where most end, and
#: ten times rarer step by step in the tail, where only large batches have any.
SURVIVORS = np.array(
    [*np.linspace(0.95, 0.1, 18), 0.05, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7]
)
#: The same as standard scores of a normal distribution.
SCORES = np.array([NormalDist().inv_cdf(1.0 - share) for share in SURVIVORS])
#: Halvings of the interval in which the log-normal's location is looked for.
HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Lengths:
    """Answers in segments of tokens, shape (segments,).

    tokens: length of each segment.  start: tokens before it.  alive: share of the answers written in it.
    mean: tokens of an answer, the sum of tokens x alive.
    """

    tokens: Array
    start: Array
    alive: Array
    mean: float


@lru_cache(maxsize=1024)
def response_lengths(mean: float, deviation: float, longest: float | None) -> Lengths:
    """The distribution of answers of ``mean`` tokens, none longer than ``longest`` (None: no limit).

    deviation: standard deviation in tokens before they are cut; 0: all are equally long. The location is
    chosen so that the mean of what is left after the cut is ``mean``.
    Source: log-normal with variance ratio exp(s^2) - 1 (Johnson, Kotz and Balakrishnan 1994, chapter 14).
    """
    if deviation <= 0.0 or (longest is not None and longest <= mean):
        one = np.ones(1)
        return Lengths(mean * one, 0.0 * one, one, mean)
    shape = sqrt(log(1.0 + (deviation / mean) ** 2))
    limit = np.inf if longest is None else longest
    low, high = log(mean) - 12.0, log(mean) + 12.0
    ends = np.empty(0)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        ends = np.minimum(np.exp(np.minimum(middle + shape * SCORES, 700.0)), limit)
        low, high = (middle, high) if mean_of(ends) < mean else (low, middle)
    starts = np.concatenate([[0.0], ends[:-1]])
    alive = np.concatenate([[1.0], SURVIVORS[:-1]])
    middles = 0.5 * (alive + SURVIVORS)
    # Where the limit is so near that no location reaches the mean, all answers are nearly as long as it.
    scale = mean / float(np.sum((ends - starts) * middles))
    return Lengths((ends - starts) * scale, starts * scale, middles, mean)


def mean_of(ends: Array) -> float:
    """Mean tokens of a distribution whose SURVIVORS reach ``ends``, tokens, shape (segments,).

    Source: the mean of a positive variable is the integral of its survival (David and Nagaraja 2003).
    """
    alive = np.concatenate([[1.0], SURVIVORS[:-1]])
    return float(np.sum(np.diff(ends, prepend=0.0) * 0.5 * (alive + SURVIVORS)))


def any_alive(share: Array, sequences: Array) -> Array:
    """Chance, a ratio, that at least one of ``sequences`` (count) is still written where each is with chance
    ``share``: 1 - (1 - share)^sequences.  Its sum over segments is the expected longest answer.

    Source: order statistics (David and Nagaraja 2003, section 2.1).
    """
    return -np.expm1(sequences * np.log1p(-np.minimum(share, 1.0 - 1e-12)))


def usual_deviation(mean: float, longest: float | None, variation: float) -> float:
    """Standard deviation in tokens where none was given: ``variation`` times the mean.

    mean, longest: tokens of an answer.  variation: a ratio.
    Source: our own choice; the fitted constant ``response_variation``.
    """
    return 0.0 if longest is not None and longest <= mean else variation * mean
