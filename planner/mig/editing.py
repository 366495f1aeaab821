"""Changes that a person makes on the page, state to state: ``add:0``, ``del:0:4``, ``use:0:4``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from planner.mig.placement.question import Answer, Gpus
from planner.mig.state import OFF, Instance, Row, State, Wanted
from planner.web.numbers import whole


def edited(state: State, action: str, places: Mapping[str, str]) -> State:
    """The state after one action; unknown or impossible ones change nothing.

    places: what is chosen to be made in each row, by ``place<row>`` (``3g.20gb@4``).
    """
    name, *numbers = action.split(":")
    index = [int(number) for number in numbers if (number.isascii() and number.isdigit() and len(number) < 6)]
    if name == "addgpu":
        last = state.rows[-1] if state.rows else Row("a100-sxm-40gb", "1", (), "")
        return replace(
            state, rows=(*state.rows, replace(last, count="1", instances=(), at="", unread=(), usd=""))
        )
    if name == "adddemand":
        return replace(state, demands=(*state.demands, Wanted("", "1")))
    if not index:
        return state
    if name == "deldemand":
        return replace(state, demands=_without(state.demands, index[0]))
    if name == "delgpu" and len(state.rows) > 1:
        return replace(state, rows=_without(state.rows, index[0]))
    if index[0] >= len(state.rows):
        return state
    row = state.rows[index[0]]
    if name == "split":
        return replace(state, rows=_split(state.rows, index[0]))
    if name == "add":
        profile, _, start = places.get(f"place{index[0]}", "").partition("@")
        if not start.isdigit() or len(start) > 3:
            return state
        row = replace(row, instances=_sorted((*row.instances, Instance(profile, int(start)))))
    elif name in ("del", "use") and len(index) > 1:
        row = replace(row, instances=_changed(row, name, index[1]))
    rows = list(state.rows)
    rows[index[0]] = row
    return replace(state, rows=tuple(rows))


_Item = TypeVar("_Item")


def _without(items: tuple[_Item, ...], index: int) -> tuple[_Item, ...]:
    return items[:index] + items[index + 1 :]


def _sorted(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    return tuple(sorted(instances, key=lambda instance: instance.start))


def _changed(row: Row, name: str, start: int) -> tuple[Instance, ...]:
    if name == "del":
        return tuple(each for each in row.instances if each.start != start)
    return tuple(
        replace(each, in_use=not each.in_use) if each.start == start else each for each in row.instances
    )


def _split(rows: tuple[Row, ...], index: int) -> tuple[Row, ...]:
    """The last GPU of a row as a row of its own, so that it can be changed alone."""
    row = rows[index]
    count = whole(row.count) or 1
    if count < 2:
        return rows
    host, _, listed = row.at.partition("/")
    first_at = last_at = ""
    if host:
        ends = listed.split(",") if "-" not in listed and listed else [str(each) for each in range(count)]
        first_at, last_at = f"{host}/{','.join(ends[:-1])}", f"{host}/{ends[-1]}"
    return (
        *rows[:index],
        replace(row, count=str(count - 1), at=first_at),
        replace(row, count="1", at=last_at),
        *rows[index + 1 :],
    )


def adopted(state: State, groups: tuple[Gpus, ...], answer: Answer) -> State:
    """The state in which the planned layout is the present one and what serves in it is in use.

    No demand is left: what has been served would otherwise be asked for once more.
    """
    held: dict[int, list[Instance]] = {}
    for placement in (*answer.placements, *answer.staying):
        foreign = placement.place.profile
        group = next(group for group in groups if placement.gpu in group.numbers)
        size = None if foreign in group.chip.by_name else placement.place.size
        busy = placement.in_use or placement.demand is not None
        held.setdefault(placement.gpu, []).append(
            Instance(placement.place.profile, placement.place.start, busy, size)
        )
    rows: list[Row] = []
    for index, group in zip(state.planned, groups, strict=True):
        layouts: dict[tuple[Instance, ...], list[int]] = {}
        for number in group.numbers:
            layouts.setdefault(_sorted(tuple(held.get(number, ()))), []).append(number)
        for instances, numbers in layouts.items():
            hosts = [group.host_of(number) for number in numbers]
            at = f"{hosts[0][0]}/{','.join(str(place) for _, place in hosts)}" if hosts[0][0] else ""
            off = () if group.mig_mode or instances else (OFF,)
            rows.append(Row(group.chip.slug, str(len(numbers)), instances, at, off, state.rows[index].usd))
    kept = [row for row in state.rows if row.unlisted]
    return replace(state, rows=(*rows, *kept), demands=(), seen="")
