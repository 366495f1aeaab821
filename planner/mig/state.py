"""The state of the partitions page: what an address says, and the question that it stands for.

An address lists GPUs (``chip``, ``n``, ``on``, ``at``) and demands (``want``, ``count``) row by row, so that
a plain form, a link and a fleet page write the same. ``on`` is a layout: ``3g.20gb@0!,1g.5gb@4`` (``!``: in
use; ``odd/2@4``: an instance of an unknown profile of two memory slices; ``#5``: the driver's number). ``at``
is a host with the indices of its GPUs: ``node-1/0-3,5``. ``usd`` is a GPU's price by the hour where the
list's does not hold. A chip written ``?NVIDIA Z900`` is one that the catalog lacks: such a row is shown and
kept, and not planned with.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

INSTANCE = re.compile(
    r"^(?P<profile>[^@!/#]+)(?:/(?P<size>\d+))?@(?P<start>\d+)(?P<busy>!?)(?:#(?P<number>\d+))?$"
)
LEAST = re.compile(
    r"^(?:(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>GB|GiB))?\s*(?:,|\+|and\b)?\s*"
    r"(?:(?P<slices>\d+)\s*(?:/\s*\d+|(?:compute\s*)?slices?))?$",
    re.I,
)
BYTES_OF = {"gb": 1e9, "gib": 2.0**30}
AMOUNT = re.compile(r"^\d{1,9}(?:\.\d{1,6})?$")
PLAN = "plan?"
UNLISTED = "?"
"""Before the name of a chip that the catalog lacks."""
OFF = "off"
"""In the place of a layout: MIG mode is off."""
DEFAULTS: Mapping[str, Sequence[str]] = {
    "chip": ("a100-sxm-40gb",),
    "n": ("4",),
    "on": ("3g.20gb@0!,1g.5gb@5",),
    "at": ("",),
    "want": ("2g.10gb", "18 GB, 2 slices", "1g.5gb"),
    "count": ("2", "1", "3"),
    "label": ("notebooks", "fine-tuning", "inference"),
}
"""The example that an empty address shows."""
ROWS, DEMANDS = ("chip", "n", "on", "at", "usd"), ("want", "count", "label")
LONGER_S = 30
"""What a search may be given where its usual time did not prove it."""
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
    usd: str = ""

    @property
    def unlisted(self) -> bool:
        """Whether the catalog lacks the chip."""
        return self.chip.startswith(UNLISTED)

    @property
    def layout(self) -> str:
        """The layout as an address writes it."""
        return ",".join([*map(str, self.instances), *self.unread])


@dataclass(frozen=True, slots=True)
class Wanted:
    """One demand, as texts."""

    want: str
    count: str
    label: str = ""

    @property
    def plan_query(self) -> str:
        """The address of the planned run that is to be sized; "" where it is none."""
        return self.want.removeprefix(PLAN) if self.want.startswith(PLAN) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that the page is about.

    seen: when the fleet last reported these GPUs.  left: GPUs of it that could not be put into the address.
    longer: whether the search is given more time.  example: nothing was asked, so that an example is shown.
    """

    rows: tuple[Row, ...]
    demands: tuple[Wanted, ...]
    objective: str = "fewest_gpus"
    profiles: str = "standard"
    beside: bool = True
    destroys: bool = False
    longer: bool = False
    seen: str = ""
    left: str = ""
    example: bool = field(default=False, compare=False)

    @property
    def planned(self) -> list[int]:
        """Numbers of the rows that are planned with, in the order in which the question lists them."""
        return [index for index, row in enumerate(self.rows) if not row.unlisted]

    @property
    def asked(self) -> list[int]:
        """Numbers of the demands that say what they need; an empty one waits to be filled in."""
        return [index for index, demand in enumerate(self.demands) if demand.want]

    def query(self, **changes: Any) -> str:
        """The address of this state, or of one that differs in something."""
        state = replace(self, **changes) if changes else self
        pairs: list[tuple[str, str]] = []
        for row in state.rows:
            pairs += [("chip", row.chip), ("n", row.count), ("on", row.layout), ("at", row.at)]
        if any(row.usd for row in state.rows):
            pairs += [("usd", row.usd) for row in state.rows]
        for demand in state.demands:
            pairs += [("want", demand.want), ("count", demand.count)]
        if any(demand.label for demand in state.demands):
            pairs += [("label", demand.label) for demand in state.demands]
        pairs += [("objective", state.objective), ("profiles", state.profiles)]
        pairs += [("jobs", "beside" if state.beside else "among")]
        if state.destroys:
            pairs.append(("destroy", "1"))
        if state.longer:
            pairs.append(("longer", "1"))
        pairs += [(name, text) for name, text in (("seen", state.seen), ("left", state.left)) if text]
        return urlencode(pairs)

    def request(self, job_of: Any, machines: Container[str] = ()) -> dict[str, Any]:
        """The contract's question.

        job_of: from a plan's address to the job that it is of.  machines: names of instance types, which a
        row may have in the place of a chip.
        """
        more_time = {"time_limit_s": LONGER_S} if self.longer else {}
        return more_time | {
            "gpus": [_gpus(self.rows[index], machines) for index in self.planned],
            "demands": [_demand(self.demands[index], job_of) for index in self.asked],
            "objective": self.objective,
            "profiles": self.profiles,
            "in_use_serves_demands": not self.beside,
            "may_destroy_in_use": self.destroys,
        }


def read_state(given: Mapping[str, Sequence[str]]) -> State:
    """The state in an address's lists of values; the example where it names no GPUs and no demands."""
    lists = {name: list(given.get(name, ())) for name in (*ROWS, *DEMANDS)}
    example = not any(lists.values())
    if example:
        lists = {name: list(DEFAULTS.get(name, ())) for name in (*ROWS, *DEMANDS)}
    rows = [_row(*each) for each in _aligned(lists, ROWS)][:MAX_ROWS]
    demands = [
        Wanted(want.strip(), count.strip() or "1", label.strip())
        for want, count, label in _aligned(lists, DEMANDS)
    ][:MAX_ROWS]

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
        longer=one("longer", "") == "1",
        seen=one("seen", "")[:40],
        left=one("left", "")[:400],
        example=example,
    )


def _aligned(lists: Mapping[str, list[str]], names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Rows of fields that stand beside each other; a field that is left out is empty."""
    length = max(len(lists[name]) for name in names)
    for index in range(length):
        yield tuple(lists[name][index] if index < len(lists[name]) else "" for name in names)


def _row(chip: str, count: str, layout: str, at: str, usd: str) -> Row:
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
    return Row(chip.strip(), count.strip() or "1", tuple(instances), at.strip(), tuple(unread), usd.strip())


def _number(text: str) -> Any:
    """A whole number, or the text itself, which the contract then names as wrong."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text


def _amount(text: str) -> Any:
    """A number of dollars, or the text itself, which the contract then names as wrong."""
    plain = text.removeprefix("$").strip()
    return float(plain) if AMOUNT.match(plain) else text


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
    if row.usd:
        asked["usd_per_gpu_hour"] = _amount(row.usd)
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
    if demand.label:
        asked["label"] = demand.label
    if demand.plan_query:
        job = job_of(demand.plan_query)
        return {"label": words_of_job(job)} | asked | {"job": job}
    least = LEAST.match(demand.want)
    if demand.want and least and (least["amount"] or least["slices"]):
        if least["amount"]:
            asked["min_memory_bytes"] = float(least["amount"]) * BYTES_OF[least["unit"].lower()]
        if least["slices"]:
            asked["min_compute_slices"] = _number(least["slices"])
        return asked
    return asked | {"profile": demand.want}


def words_of_job(job: Mapping[str, Any]) -> str:
    """A run in a few words: its model and its task."""
    workload = job.get("workload")
    model, task = job.get("model"), workload.get("task") if isinstance(workload, Mapping) else None
    named = [part for part in (model, task) if isinstance(part, str)]
    return ", ".join(part.replace("_", " ") if part == task else part for part in named) or "the planned run"
