"""What was measured of a chip, a machine or a model: asked of whoever knows, since runs are not this room's.

Who has measured runs registers one function for each page; the app's start does it. Without one, the pages
say nothing of evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from planner.catalog.facts.records import ModelRecord
from planner.web.figure import Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsAlike:
    """Published runs that one line tells of.

    what: what was done.  machines: how many of what.  share: of the dense peak, as words, empty where no step
    time is published.  query: filters of the validation page that list them.
    """

    model: str
    what: str
    machines: str
    stacks: str
    runs: int
    sources: int
    share: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known. sentence: the finding.  left: lines that are not listed.  query: as above, for all.

    reached: what the lines' share is of.
    """

    sentence: str
    lines: tuple[RunsAlike, ...] = ()
    left: int = 0
    query: str = ""
    reached: str = "Reached of the dense peak"
    chart: Chart | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipAsked:
    """A chip, or a machine that has it. per_node: chips of the machine, None for the chip as such.

    peaks_tflops: dense peak of one chip by precision.
    """

    slug: str
    name: str
    peaks_tflops: Mapping[str, float]
    per_node: int | None = None


OfChip = Callable[[ChipAsked], Evidence]
OfModel = Callable[[ModelRecord], Evidence]
_of_chip: list[OfChip] = []
_of_model: list[OfModel] = []


def register(of_chip: OfChip, of_model: OfModel) -> None:
    """Have the pages say what these know."""
    _of_chip[:], _of_model[:] = [of_chip], [of_model]


def of_chip(asked: ChipAsked) -> Evidence | None:
    """What was measured on a chip; None where nobody knows."""
    return _of_chip[0](asked) if _of_chip else None


def of_model(record: ModelRecord) -> Evidence | None:
    """What was measured of a model; None where nobody knows."""
    return _of_model[0](record) if _of_model else None
