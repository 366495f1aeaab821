"""The rows of the partitions page that a person edits: GPUs with what could be made in them, and demands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.mig.drawing import present, unlisted
from planner.mig.placement.openness import best_start, offers
from planner.mig.placement.question import Gpus
from planner.mig.state import UNLISTED, Row, State
from planner.web.numbers import whole
from planner.web.slices import Picture

DRAWN = 24
"""Rows of GPUs that are drawn to be edited; the others have their fields alone."""
FOLDED = 3
"""From more rows than these on, each is folded until it is opened."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A place where an instance could be made. value: as an address writes it."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class EditRow:
    """A row of GPUs to edit.

    picture, offers, refused: None and empty where the row makes no sense yet.  wrong: by part of the row
    (``chip``, ``n``, ``on``, ``at``, ``usd``).  name: of a chip that the catalog lacks, else "".
    """

    index: int
    row: Row
    picture: Picture | None
    offers: tuple[Offer, ...]
    refused: tuple[tuple[str, str], ...]
    can_split: bool
    open: bool
    wrong: Mapping[str, str]
    name: str = ""

    @property
    def chip_id(self) -> str:
        """The id of its chip's control."""
        return f"chip-{self.index}"

    @property
    def place_id(self) -> str:
        """The id of the choice of a place in it."""
        return f"place-{self.index}"

    @property
    def on_id(self) -> str:
        """The id of its layout's control."""
        return f"on-{self.index}"


@dataclass(frozen=True, slots=True)
class DemandEntry:
    """A demand to edit. job: the planned run that it is, in words, "" where it is none."""

    index: int
    want: str
    count: str
    label: str
    job: str
    plan_query: str
    wrong: Mapping[str, str]

    @property
    def want_id(self) -> str:
        """The id of the control of what each needs."""
        return f"want-{self.index}"


def edit_rows(
    state: State,
    groups: Sequence[Gpus] | None,
    which: str | tuple[str, ...],
    wrong: Mapping[str, str],
    touched: int | None = None,
) -> list[EditRow]:
    """Every row with what could be made in it next, and what could not and why.

    groups: those of the planned rows, None where they make no sense.  touched: the row that was just changed.
    """
    of_row = dict(zip(state.planned, groups, strict=True)) if groups is not None else {}
    return [
        _edit_row(
            index,
            row,
            of_row.get(index),
            which,
            _at(index, wrong, ("chip", "n", "on", "at", "usd")),
            unfolded=len(state.rows) <= FOLDED or index == touched,
        )
        for index, row in enumerate(state.rows)
    ]


def _edit_row(
    index: int,
    row: Row,
    group: Gpus | None,
    which: str | tuple[str, ...],
    wrong: Mapping[str, str],
    *,
    unfolded: bool,
) -> EditRow:
    can_split = (whole(row.count) or 1) > 1
    if row.unlisted:
        name = row.chip.removeprefix(UNLISTED)
        return EditRow(index, row, unlisted(name, row.instances), (), (), False, unfolded, wrong, name)
    if group is None or index >= DRAWN:
        return EditRow(index, row, None, (), (), can_split, unfolded or bool(wrong), wrong)
    chip = group.chip
    standing = tuple(sorted(each.place for each in group.standing))
    names = chip.named(which)
    best = {name: best_start(chip, names, standing, name) for name in names}
    able, refused = [], []
    for place, problem in offers(chip, names, standing):
        if problem is not None:
            refused.append((str(place), problem))
            continue
        note = (
            " (leaves most room)"
            if place == best[place.profile] and len(chip.places(place.profile)) > 1
            else ""
        )
        able.append(Offer(f"{place.profile}@{place.start}", f"{place.profile} at {place.start}{note}"))
    return EditRow(
        index, row, present(group), tuple(able), tuple(refused), can_split, unfolded or bool(wrong), wrong
    )


def demand_entries(state: State, jobs: Mapping[int, str], wrong: Mapping[str, str]) -> list[DemandEntry]:
    """Every demand. jobs: runs that are to be sized, in words, by their number among the demands."""
    return [
        DemandEntry(
            index,
            demand.want,
            demand.count,
            demand.label,
            jobs.get(index, "the planned run") if demand.plan_query else "",
            demand.plan_query,
            _at(index, wrong, ("want", "count", "label")),
        )
        for index, demand in enumerate(state.demands)
    ]


def _at(index: int, wrong: Mapping[str, str], parts: Sequence[str]) -> dict[str, str]:
    return {part: wrong[f"{part}-{index}"] for part in parts if f"{part}-{index}" in wrong}
