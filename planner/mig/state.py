"""The state of the partitions page: what an address says, and the question that it stands for.

An address lists GPUs (``chip``, ``n``, ``on``, ``at``) and demands (``want``, ``count``) row by row, so that
a plain form, a link and a fleet page write the same. ``on`` is a layout: ``3g.20gb@0!,1g.5gb@4`` (``!``: in
use; ``odd/2@4``: an instance of an unknown profile of two memory slices; ``#5``: the driver's number). ``at``
is a host with the indices of its GPUs: ``node-1/0-3,5``.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

INSTANCE = re.compile(
    r"^(?P<profile>[^@!/#]+)(?:/(?P<size>\d+))?@(?P<start>\d+)(?P<busy>!?)(?:#(?P<number>\d+))?$"
)
LEAST = re.compile(
    r"^(?:(?P<gb>\d+(?:\.\d+)?)\s*GB)?\s*,?\s*(?:(?P<slices>\d+)\s*(?:compute\s*)?slices?)?$", re.I
)
PLAN = "plan?"
OFF = "off"
"""In the place of a layout: MIG mode is off."""
DEFAULTS: Mapping[str, Sequence[str]] = {
    "chip": ("a100-sxm-40gb",),
    "n": ("4",),
    "on": ("3g.20gb@0!,1g.5gb@5",),
    "at": ("",),
    "want": ("2g.10gb", "18 GB, 2 slices", "1g.5gb"),
    "count": ("2", "1", "3"),
}
"""The example that an empty address shows."""
ROWS, DEMANDS = ("chip", "n", "on", "at"), ("want", "count")
MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as an address writes it. size: None where the catalog's profile says."""

    profile: str
    start: int
    in_use: bool = False
    size: int | None = None
    number: int | None = None

    def __str__(self) -> str:
        size = "" if self.size is None else f"/{self.size}"
        number = "" if self.number is None else f"#{self.number}"
        return f"{self.profile}{size}@{self.start}{'!' if self.in_use else ''}{number}"


@dataclass(frozen=True, slots=True)
class Row:
    """GPUs of one kind in one state, as texts. unread: parts of the layout that are not of the form."""

    chip: str
    count: str
    instances: tuple[Instance, ...]
    at: str
    unread: tuple[str, ...] = ()

    @property
    def layout(self) -> str:
        """The layout as an address writes it."""
        return ",".join([*map(str, self.instances), *self.unread])


@dataclass(frozen=True, slots=True)
class Wanted:
    """One demand, as texts."""

    want: str
    count: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that the page is about."""

    rows: tuple[Row, ...]
    demands: tuple[Wanted, ...]
    objective: str = "fewest_gpus"
    profiles: str = "standard"
    beside: bool = True
    destroys: bool = False

    def query(self, **changes: Any) -> str:
        """The address of this state, or of one that differs in something."""
        state = replace(self, **changes) if changes else self
        pairs: list[tuple[str, str]] = []
        for row in state.rows:
            pairs += [("chip", row.chip), ("n", row.count), ("on", row.layout), ("at", row.at)]
        for demand in state.demands:
            pairs += [("want", demand.want), ("count", demand.count)]
        pairs += [("objective", state.objective), ("profiles", state.profiles)]
        pairs += [("jobs", "beside" if state.beside else "among")]
        if state.destroys:
            pairs.append(("destroy", "1"))
        return urlencode(pairs)

    def request(self, job_of: Any, machines: Container[str] = ()) -> dict[str, Any]:
        """The contract's question.

        job_of: from a plan's address to the job that it is of.  machines: names of instance types, which a
        row may have in the place of a chip.
        """
        return {
            "gpus": [_gpus(row, machines) for row in self.rows],
            "demands": [_demand(demand, job_of) for demand in self.demands],
            "objective": self.objective,
            "profiles": self.profiles,
            "in_use_serves_demands": not self.beside,
            "may_destroy_in_use": self.destroys,
        }


def read_state(given: Mapping[str, Sequence[str]]) -> State:
    """The state in an address's lists of values; the example where it names no GPUs and no demands."""
    lists = {name: list(given.get(name, ())) for name in (*ROWS, *DEMANDS)}
    if not any(lists.values()):
        lists = {name: list(values) for name, values in DEFAULTS.items()}
    rows = [_row(*each) for each in _aligned(lists, ROWS)][:MAX_ROWS]
    demands = [Wanted(want.strip(), count.strip() or "1") for want, count in _aligned(lists, DEMANDS)][
        :MAX_ROWS
    ]

    def one(name: str, default: str) -> str:
        values = given.get(name, ())
        return values[-1] if values else default

    return State(
        rows=tuple(rows),
        demands=tuple(demands),
        objective=one("objective", "fewest_gpus"),
        profiles=one("profiles", "standard"),
        beside=one("jobs", "beside") != "among",
        destroys=one("destroy", "") == "1",
    )


def _aligned(lists: Mapping[str, list[str]], names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Rows of fields that stand beside each other; a field that is left out is empty."""
    length = max(len(lists[name]) for name in names)
    for index in range(length):
        yield tuple(lists[name][index] if index < len(lists[name]) else "" for name in names)


def _row(chip: str, count: str, layout: str, at: str) -> Row:
    instances, unread = [], []
    for part in filter(None, (part.strip() for part in layout.split(","))):
        found = INSTANCE.match(part)
        if found is None:
            unread.append(part)
            continue
        instances.append(
            Instance(
                found["profile"].strip(),
                int(found["start"][:4]),
                bool(found["busy"]),
                None if found["size"] is None else int(found["size"][:4]),
                None if found["number"] is None else int(found["number"][:6]),
            )
        )
    instances.sort(key=lambda instance: instance.start)
    return Row(chip.strip(), count.strip() or "1", tuple(instances), at.strip(), tuple(unread))


def _number(text: str) -> Any:
    """A whole number, or the text itself, which the contract then names as wrong."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text


def _gpus(row: Row, machines: Container[str]) -> dict[str, Any]:
    kind = "instance_type" if row.chip in machines else "accelerator"
    asked: dict[str, Any] = {kind: row.chip, "count": _number(row.count)}
    existing: list[dict[str, Any]] = []
    for instance in row.instances:
        entry: dict[str, Any] = {
            "profile": instance.profile,
            "start": instance.start,
            "in_use": instance.in_use,
        }
        if instance.size is not None:
            entry["size"] = instance.size
        if instance.number is not None:
            entry["gpu_instance_id"] = instance.number
        existing.append(entry)
    if OFF in row.unread:
        asked["mig_mode"] = False
    existing += [{"profile": part} for part in row.unread if part != OFF]
    if existing:
        asked["existing"] = existing
    if row.at:
        host, _, listed = row.at.partition("/")
        asked["host"] = host
        if listed:
            asked["indices"] = list(_indices(listed))
    return asked


def _indices(text: str) -> Iterator[Any]:
    """``0-3,5`` as numbers; what is no such list stays text, which the contract then names as wrong."""
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = _number(first.strip()), _number((last if dash else first).strip())
        if all(isinstance(end, int) and end < 10_000 for end in ends):
            yield from range(ends[0], ends[1] + 1)
        else:
            yield part


def _demand(demand: Wanted, job_of: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"count": _number(demand.count)}
    if demand.want.startswith(PLAN):
        return asked | {"job": job_of(demand.want.removeprefix(PLAN)), "label": "the planned run"}
    least = LEAST.match(demand.want)
    if demand.want and least and (least["gb"] or least["slices"]):
        if least["gb"]:
            asked["min_memory_bytes"] = float(least["gb"]) * 1e9
        if least["slices"]:
            asked["min_compute_slices"] = _number(least["slices"])
        return asked
    return asked | {"profile": demand.want}
