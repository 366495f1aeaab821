"""What one GPU may become: for each choice of idle instances to destroy, the fullest sets that could be made.

A pattern is a column of the optimisation: how many instances of each profile it keeps for use and makes, and
how many it destroys. Only sets to which nothing can be added are needed: what no demand takes is not made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations

import numpy as np

from planner.mig.placement.chip import Chip
from planner.mig.placement.enumeration import Configuration, Multiset, maximal, multiset
from planner.mig.placement.question import Standing


@dataclass(frozen=True)
class Pattern:
    """One way to use a GPU.

    stays: instances that remain, in use or not.  kept: those of them that can serve, by profile.
    made: instances that could be made beside them, by profile.  destroyed: how many go; stopped: those of
    them in which something runs.
    """

    stays: tuple[Standing, ...]
    kept: Multiset
    made: Multiset
    destroyed: int
    stopped: int = 0

    @cached_property
    def capacity(self) -> Counter[str]:
        """Instances by profile, kept and made."""
        return Counter(dict(self.kept)) + Counter(dict(self.made))


@lru_cache(maxsize=4096)
def patterns(
    chip: Chip,
    standing: tuple[Standing, ...],
    useful: tuple[str, ...],
    *,
    in_use_serves: bool = True,
    may_destroy_in_use: bool = False,
) -> tuple[Pattern, ...]:
    """Every way to use a GPU that no other way makes superfluous; useful: profiles that a demand accepts."""
    fixed = tuple(s for s in standing if s.foreign or (s.in_use and not may_destroy_in_use))
    movable = tuple(s for s in standing if s not in fixed)
    found: dict[tuple[Multiset, Multiset, int, int], Pattern] = {}
    for count in range(len(movable) + 1):
        for gone in combinations(movable, count):
            stays = tuple(s for s in standing if s not in gone)
            kept = multiset(
                tuple(
                    s.place
                    for s in stays
                    if not s.foreign and s.place.profile in useful and (in_use_serves or not s.in_use)
                )
            )
            stopped = sum(s.in_use for s in gone)
            beside: Configuration = tuple(sorted(s.place for s in stays))
            for made in maximal(chip, useful, beside):
                pattern = Pattern(stays, kept, multiset(made), count, stopped)
                found.setdefault((pattern.kept, pattern.made, count, stopped), pattern)
    return tuple(_undominated(list(found.values())))


def _undominated(found: list[Pattern]) -> Iterable[Pattern]:
    """Patterns than which none keeps as much, holds as much, and destroys and stops as little."""
    found.sort(key=lambda pattern: (pattern.destroyed, -sum(pattern.capacity.values())))
    names = sorted({name for pattern in found for name in pattern.capacity})
    kept, held = (
        np.array([[counts.get(name, 0) for name in names] for counts in each]).reshape(len(found), -1)
        for each in ([dict(p.kept) for p in found], [p.capacity for p in found])
    )
    destroyed, stopped = (
        np.array(each) for each in zip(*((p.destroyed, p.stopped) for p in found), strict=True)
    )
    better = (destroyed <= destroyed[:, None]) & (stopped <= stopped[:, None])
    for column in range(len(names)):
        better &= (kept[:, column] >= kept[:, column, None]) & (held[:, column] >= held[:, column, None])
    np.fill_diagonal(
        better, val=False
    )  # no two are alike, so that none of a pair makes the other superfluous
    return [found[row] for row in np.flatnonzero(~better.any(axis=1))]
