"""The life of a probe: requested, taken by the host's worker, ended; or closed because nobody did so.

At most one probe of a host is open at a time (a database constraint), and it expires: a dead host has one
message in its queue, however long it is dead.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q

from inventory.store.changes import Change
from inventory.store.models import Event, Host, Probe
from inventory.store.services.clocks import forget_the_future
from inventory.store.services.pacing import next_probe_at
from inventory.store.services.recording import Outcome, Taken, record_snapshot
from inventory.store.services.rows import note_result
from inventory.wire import policy
from inventory.wire.moments import read_moment
from inventory.wire.snapshot import HostSnapshot

# Hosts asked in one round; the next round follows in seconds.
MOST_A_ROUND = 2000


def request_due_probes(*, now: datetime) -> list[Probe]:
    """Open a probe for every host that is due and has none open; returns the new ones."""
    forget_the_future(now=now)
    with transaction.atomic():
        due = list(
            Host.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("group")
            .filter(probing_enabled=True, feed=Host.Feed.WORKER)
            .filter(Q(group__isnull=True) | Q(group__probing_enabled=True))
            .filter(Q(next_probe_at__isnull=True) | Q(next_probe_at__lte=now))
            .exclude(probes__state__in=Probe.OPEN)
            .order_by("next_probe_at")[:MOST_A_ROUND]
        )
        for host in due:
            host.next_probe_at = next_probe_at(host, now)
        Host.objects.bulk_update(due, ["next_probe_at"], batch_size=500)
        probes = [_opened(host, now) for host in due]
        Probe.objects.bulk_create(probes)
    return probes


def probe_now(host: Host, *, now: datetime) -> Probe | None:
    """Open a probe of one host at once; None if one is open already (overlapping probes are refused)."""
    try:
        with transaction.atomic():
            probe = _opened(host, now)
            probe.save(force_insert=True)
    except IntegrityError:
        return None
    return probe


def _opened(host: Host, now: datetime) -> Probe:
    expires_at = now + timedelta(seconds=max(host.interval_s, policy.PROBE_DEADLINE_S))
    return Probe(id=uuid4(), host=host, requested_at=now, expires_at=expires_at)


def start_probe(probe_id: UUID, *, now: datetime) -> bool:
    """Take an open probe.

    False if it has expired, was taken, or is unknown: then there is nothing to do.
    """
    taken = Probe.objects.filter(pk=probe_id, state=Probe.State.REQUESTED, expires_at__gt=now)
    return taken.update(state=Probe.State.RUNNING, started_at=now) == 1


def withdraw_probe(probe_id: UUID) -> None:
    """Forget a probe that could not be asked for: nobody will take it."""
    Probe.objects.filter(pk=probe_id, state=Probe.State.REQUESTED).delete()


def finish_probe(probe_id: UUID, snapshot: HostSnapshot, *, now: datetime) -> Outcome:
    """Record what a probe saw, once, even if it was closed as stuck meanwhile."""
    probe = Probe.objects.get(pk=probe_id)
    try:
        taken_at = read_moment(snapshot.host.taken_at)
    except ValueError:
        taken_at = now
    return record_snapshot(
        Taken(probe.pk, probe.host_id, snapshot, min(taken_at, now), probe.source), now=now
    )


def close_overdue_probes(*, now: datetime) -> list[Host]:
    """End probes that were not taken in time or never answered; returns hosts with a message left in the
    queue.
    """
    waiting: list[Host] = []
    events: list[Event] = []

    def tell(found: Iterable[Change], at: datetime, host: Host) -> None:
        events.extend(Event(kind=c.kind, at=at, host=host, text=c.text[:600], detail=c.detail) for c in found)

    stuck_since = now - timedelta(seconds=policy.STUCK_AFTER_S)
    with transaction.atomic():
        overdue = (
            Probe.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("host__group")
            .filter(
                Q(state=Probe.State.REQUESTED, expires_at__lte=now)
                | Q(state=Probe.State.RUNNING, started_at__lte=stuck_since)
            )
        )
        for probe in overdue:
            host = probe.host
            if probe.state == Probe.State.REQUESTED:
                waiting.append(host)
                probe.status = "unanswered"
                probe.reason = f"No worker on {host.name} took the probe; is it running and on the broker?"
            else:
                probe.status = "stuck"
                probe.reason = f"The worker on {host.name} took the probe and never came back with a result."
            probe.state, probe.ended_at = Probe.State.ENDED, now
            probe.save(update_fields=["state", "status", "reason", "ended_at"])
            note_result(host, good=False, status=probe.status, reason=probe.reason, at=now, tell=tell)
            host.next_probe_at = next_probe_at(host, now)
            host.save(update_fields=["status", "reason", "last_probe_at", "failures", "next_probe_at"])
        Event.objects.bulk_create(events)
    return waiting
