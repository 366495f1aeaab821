"""Chips of the shipped catalog, and short ways to ask for a layout."""

from __future__ import annotations

from functools import cache

from planner.catalog.facts.loader import load_shipped_catalog
from planner.mig.chips import chip_of
from planner.mig.placement.chip import Chip, Placed
from planner.mig.placement.question import Demand, Gpus, Question, Standing


@cache
def chip(slug: str = "a100-sxm-40gb", driver: str = "") -> Chip:
    found = chip_of(load_shipped_catalog(), slug, driver)
    assert found is not None
    return found


def placed(of: Chip, name: str, start: int) -> Placed:
    return Placed(start, of.by_name[name].size, name)


def standing(of: Chip, name: str, start: int, *, in_use: bool = False, number: int | None = None) -> Standing:
    return Standing(placed(of, name, start), in_use, number)


def wanted(of: Chip, name: str, count: int = 1) -> Demand:
    return Demand(count=count, accepts={of.slug: (name,)}, label=name)


def asked(gpus: list[Gpus], demands: list[Demand], **rest: object) -> Question:
    """A question of these groups, whose GPUs are numbered one after the other."""
    numbered, first = [], 0
    for group in gpus:
        numbered.append(
            Gpus(
                chip=group.chip,
                count=group.count,
                first=first,
                standing=group.standing,
                mig_mode=group.mig_mode,
                hosts=group.hosts,
                usd_per_gpu_hour=group.usd_per_gpu_hour,
                per_node=group.per_node,
            )
        )
        first += group.count
    return Question(gpus=numbered, demands=demands, **rest)  # type: ignore[arg-type]
