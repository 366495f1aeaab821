"""The fleet in words: records that templates print unchanged. Units are formatted by `planner.web.formats`.

Templates compute nothing. An unknown value is a dash or its reason, never a zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from inventory.pages.badges import Badge, Cell, cell, host_badges
from inventory.pages.prices import IdleCost
from inventory.pages.words import UNKNOWN, ago, gpus_words, hosts_words, memory
from inventory.store.models import Event, Host
from inventory.store.selectors import FleetThen, Summary
from planner.catalog.facts.records import is_stale
from planner.web import formats

GOOD_EVENTS = frozenset(
    {Event.Kind.GPU_BACK, Event.Kind.PROBE_BACK, Event.Kind.HOST_ADDED, Event.Kind.GPU_ADDED}
)
BAD_EVENTS = frozenset(
    {Event.Kind.GPU_LOST, Event.Kind.FAULT, Event.Kind.XID, Event.Kind.ECC_ERRORS, Event.Kind.PROBE_FAILED}
)


# --- fleet page ---


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host in the list."""

    name: str
    badges: tuple[Badge, ...]
    reason: str
    model: str
    cells: tuple[Cell, ...]
    memory: str
    driver: str
    heard: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the figures at the top. `old`: it is based on a price last seen too long ago."""

    label: str
    value: formats.Quantity | str
    note: str
    old: bool = False


def host_row(host: Host, now: datetime) -> HostRow:
    """One host in the list. now: for ages."""
    gpus = list(host.gpus.all())
    names = sorted({gpu.name for gpu in gpus if gpu.name})
    used = [gpu.memory_used_bytes for gpu in gpus if gpu.memory_used_bytes is not None]
    total = [gpu.memory_total_bytes for gpu in gpus if gpu.memory_total_bytes is not None]
    return HostRow(
        name=host.name,
        badges=host_badges(host, gpus, now),
        reason=host.reason if host.failures else "",
        model=f"{len(gpus)} × {' + '.join(name.removeprefix('NVIDIA ') for name in names)}" if names else "",
        cells=tuple(cell(gpu) for gpu in gpus),
        memory=f"{formats.gib(sum(used))} of {formats.gib(sum(total))}" if used and total else UNKNOWN,
        driver=host.driver_version or UNKNOWN,
        heard=ago(host.last_good_probe_at, now),
    )


def verdict(summary: Summary) -> str:
    """The fleet in one sentence."""
    if not summary.hosts:
        return "No hosts yet."
    trouble = []
    if summary.failing_hosts:
        trouble.append(f"{hosts_words(summary.failing_hosts)} cannot be probed")
    if summary.stale_hosts:
        trouble.append(f"{hosts_words(summary.stale_hosts)} without recent probes")
    if summary.faulty:
        trouble.append(f"{gpus_words(summary.faulty)} with faults")
    rest = "; ".join(trouble) or "nothing needs attention"
    use = f"{summary.busy:,} busy, {summary.idle:,} idle"
    return f"{gpus_words(summary.gpus)} in {hosts_words(summary.hosts)}: {use}; {rest}."


def figures(summary: Summary, cost: IdleCost, now: datetime) -> list[Figure]:
    """The four figures at the top of the fleet page."""
    share = summary.memory_used_bytes / summary.memory_total_bytes if summary.memory_total_bytes else None
    unknown = f", {summary.unknown:,} unknown" if summary.unknown else ""
    return [
        Figure("GPUs", f"{summary.gpus:,}", f"in {hosts_words(summary.hosts)}"),
        Figure("Idle now", f"{summary.idle:,}", f"{summary.busy:,} busy{unknown}"),
        Figure(
            "Memory in use",
            UNKNOWN if share is None else formats.percent(share),
            f"{formats.gib(summary.memory_used_bytes)} of {formats.gib(summary.memory_total_bytes)}; "
            f"{formats.gib(summary.memory_of_idle_bytes)} on idle GPUs",
        ),
        Figure("Idle GPUs cost", _a_day(cost), cost_note(cost), old=_old(cost, now)),
    ]


def _a_day(cost: IdleCost) -> formats.Quantity | str:
    if not cost.priced:
        return UNKNOWN if cost.unpriced else "$0/day"
    amount = formats.dollars(cost.usd_per_day)
    return formats.Quantity(f"{amount.text}/day", f"{cost.usd_per_day!r} USD per day")


def _old(cost: IdleCost, now: datetime) -> bool:
    seen = [price.record.provenance.as_of for price in cost.prices]
    return any(is_stale(day, now.date()) for day in seen)


def cost_note(cost: IdleCost) -> str:
    """Which prices a cost is based on, and of which day."""
    if not cost.priced:
        return "no price in the catalog" if cost.unpriced else "nothing is idle"
    names = ", ".join(
        f"{price.instance_type}{' (assumed)' if price.assumed else ''}" for price in cost.prices[:3]
    )
    more = f" and {len(cost.prices) - 3} more" if len(cost.prices) > 3 else ""
    oldest = min(price.record.provenance.as_of for price in cost.prices)
    unpriced = f"; {cost.unpriced:,} without a price" if cost.unpriced else ""
    return f"on-demand list price of {names}{more}, seen {formats.day(oldest)}{unpriced}"


# --- events ---


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event in the list."""

    id: int
    at: datetime
    ago: str
    badge: Badge
    text: str
    host: str
    gpu: str


def event_row(event: Event, now: datetime) -> EventRow:
    """One event in the list. now: for its age."""
    css = "good" if event.kind in GOOD_EVENTS else "bad" if event.kind in BAD_EVENTS else ""
    return EventRow(
        id=event.pk,
        at=event.at,
        ago=ago(event.at, now),
        badge=Badge(css, Event.Kind(event.kind).label),
        text=event.text,
        host=event.host.name if event.host else "",
        gpu=event.gpu.uuid if event.gpu else "",
    )


# --- the fleet at another time ---


@dataclass(frozen=True, slots=True)
class ThenRow:
    """One GPU of the fleet at another time."""

    host: str
    driver: str
    index: int
    uuid: str
    name: str
    mig: str
    utilization: formats.Quantity | str
    memory: formats.Quantity | str
    since: datetime


def then_rows(then: FleetThen) -> list[ThenRow]:
    """The fleet at a moment, one row per GPU; the driver is shown with the first GPU of its host."""
    rows: list[ThenRow] = []
    for gpu in then.gpus:
        first = not rows or rows[-1].host != gpu.host
        used = gpu.sample.utilization_percent if gpu.sample else None
        held = gpu.sample.memory_used_bytes if gpu.sample else None
        rows.append(
            ThenRow(
                host=gpu.host,
                driver=then.drivers.get(gpu.host, "") if first else "",
                index=gpu.index,
                uuid=gpu.uuid,
                name=gpu.name,
                mig=" + ".join(gpu.mig) or UNKNOWN,
                utilization=UNKNOWN if used is None else formats.percent(used / 100),
                memory=memory(held),
                since=gpu.since,
            )
        )
    return rows
