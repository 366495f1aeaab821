"""What a source says, and what went wrong while it was asked: the small interface that every source fills.

Nothing here knows Django, boto3 or the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

Table = Literal["price", "instancetype", "availability"]
#: (parts read, parts expected, what is being read)
Progress = Callable[[int, int | None, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One row as a source has it, in the units and names of the catalog's tables.

    key: what tells the row.  values: its facts; only those that the source gives.
    confidence: 0 to 1, a judgement of the source: 1 the seller's own list, less where we derived it.
    flags: what is odd about it in words; such a row is never accepted unseen.
    """

    table: Table
    key: Mapping[str, Any]
    values: Mapping[str, Any]
    source: str
    as_of: date
    confidence: float
    note: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedSpotDay:
    """A day of one spot market over its zones, in USD for an instance-hour."""

    instance: str
    region: str
    day: date
    zones: int
    usd_low: float
    usd_q25: float
    usd_median: float
    usd_q75: float
    usd_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRate:
    """Units of a currency that a US dollar bought on a day."""

    currency: str
    day: date
    per_usd: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A part that could not be read. remedy: what to do, as the IAM action to allow."""

    part: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownField:
    """A field of an answer that we have never met, by its path; kept so that somebody looks at it."""

    path: str
    example: str


Item = Observed | ObservedSpotDay | ObservedRate | Fault | UnknownField


class NotSetUpError(Exception):
    """The source needs credentials or a key that this installation has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMachine:
    """What the catalog has of a machine, for sources that price by parts or must map a name."""

    slug: str
    provider: str
    family: str
    accelerator: str
    accelerators: int
    vcpus: int | None = None
    host_memory_gib: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAccelerator:
    """A chip of the catalog, to map the providers' names to."""

    slug: str
    name: str
    memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a source: for which machines and regions, when, and whom to tell how far it is."""

    machines: tuple[KnownMachine, ...]
    regions: Mapping[str, tuple[str, ...]]
    now: datetime
    accelerators: tuple[KnownAccelerator, ...] = ()
    progress: Progress = field(default=lambda done, expected, words: None)

    def of(self, provider: str) -> tuple[KnownMachine, ...]:
        """The machines of one provider."""
        return tuple(machine for machine in self.machines if machine.provider == provider)

    def regions_of(self, provider: str) -> tuple[str, ...]:
        """The regions to be read of one provider."""
        return tuple(self.regions.get(provider, ()))


class Source(Protocol):
    """One place where prices or facts are published.

    covers: the tables and purchases that it may speak of, so that it withdraws nobody else's rows.
    actions: what its credentials must be allowed, for the documentation and the messages.
    """

    slug: str
    title: str
    provider: str
    every_hours: int
    actions: tuple[str, ...]

    def read(self, asked: Asked) -> Iterator[Item]:
        """Everything the source says; faults beside it.  Raises NotSetUpError before the first item."""
        ...


def unknown_fields(answer: Mapping[str, Any], known: Iterable[str], path: str) -> list[UnknownField]:
    """Fields of an answer beside the known ones."""
    return [
        UnknownField(path=f"{path}.{name}", example=str(answer[name])[:80])
        for name in sorted(set(answer) - set(known))
    ]
