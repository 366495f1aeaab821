"""The rows of the partitions page that a person edits: GPUs with what could be made in them, and demands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planner.mig.drawing import present, unlisted
from planner.mig.placement.openness import best_start, offers
from planner.mig.placement.question import Gpus
from planner.mig.state import UNLISTED, Row, State
from planner.web.numbers import whole
from planner.web.slices import Picture

DRAWN = 24
"""Layouts that are drawn; of further ones there are only the rows, to be opened."""
OPEN = 3
"""Of more rows than these, one alone is open to be changed, and the others are drawn together by layout."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A place where an instance could be made. value: as an address writes it."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class EditRow:
    """A row of GPUs to edit.

    kind: the GPU's name.  picture: None where the row makes no sense yet.  offers, refused: of an open row.
    wrong: by part of the row (``chip``, ``n``, ``on``, ``at``, ``usd``).
    """

    index: int
    row: Row
    kind: str
    picture: Picture | None
    offers: tuple[Offer, ...]
    refused: tuple[tuple[str, str], ...]
    can_split: bool
    open: bool
    wrong: Mapping[str, str]

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
class Alike:
    """Rows of one kind of GPU in one layout, drawn once. gpus: how many they are together."""

    title: str
    picture: Picture | None
    rows: tuple[EditRow, ...]


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
            is_open=len(state.rows) <= OPEN or index == touched,
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
    is_open: bool,
) -> EditRow:
    can_split = (whole(row.count) or 1) > 1
    is_open = is_open or bool(wrong)
    if row.unlisted:
        name = row.chip.removeprefix(UNLISTED)
        return EditRow(index, row, name, unlisted(name, row.instances), (), (), False, False, wrong)
    if group is None:
        return EditRow(index, row, row.chip, None, (), (), can_split, is_open, wrong)
    able, refused = _places(group, which) if is_open else ((), ())
    return EditRow(index, row, group.chip.name, present(group), able, refused, can_split, is_open, wrong)


def _places(
    group: Gpus, which: str | tuple[str, ...]
) -> tuple[tuple[Offer, ...], tuple[tuple[str, str], ...]]:
    """Where an instance could be made beside what stands, and where none could be and why."""
    chip = group.chip
    standing = tuple(sorted(each.place for each in group.standing))
    names = chip.named(which)
    best = {name: best_start(chip, names, standing, name) for name in names}
    able, refused = [], []
    for place, problem in offers(chip, names, standing):
        if problem is not None:
            refused.append((str(place), problem))
            continue
        several = len(chip.places(place.profile)) > 1
        note = " (leaves most room)" if several and place == best[place.profile] else ""
        able.append(Offer(f"{place.profile}@{place.start}", f"{place}{note}"))
    return tuple(able), tuple(refused)


def alike(rows: Sequence[EditRow]) -> list[Alike]:
    """The rows that are not open, those of one kind of GPU in one layout together."""
    together: dict[tuple[str, str], list[EditRow]] = {}
    for entry in rows:
        if not entry.open:
            layout = ",".join(str(replace(each, number=None)) for each in entry.row.instances)
            together.setdefault((entry.row.chip, f"{layout}{entry.row.unread}"), []).append(entry)
    found = [_alike(members) for members in together.values()]
    return [each if number < DRAWN else replace(each, picture=None) for number, each in enumerate(found)]


def _alike(members: Sequence[EditRow]) -> Alike:
    first = members[0]
    if len(members) == 1 and first.picture is not None and not first.row.unlisted:
        return Alike(first.picture.title, first.picture, tuple(members))
    total = sum(whole(entry.row.count) or 1 for entry in members)
    return Alike(f"{total:,} × {first.kind}", first.picture, tuple(members))


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
