"""Getting over a clock that ran ahead: what was recorded in what is now the future is put back to now.

A host that probes by a wrong clock, or a server whose own clock was wrong for a while, would otherwise look
fresh until that future comes, and its later snapshots would count as late.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from inventory.store.models import Gpu, Host, Sample
from inventory.wire import policy

TOLERANCE = timedelta(seconds=policy.CLOCK_TOLERANCE_S)
#: Hosts that wait longer than this for their next probe are looked at: few have such an interval.
LONG_WAIT = timedelta(days=1)
MOMENTS = ("last_probe_at", "last_good_probe_at", "last_taken_at")


def forget_the_future(*, now: datetime, hosts: Iterable[int] | None = None) -> int:
    """Put hosts and GPUs that were heard of after ``now`` back: stale until heard of again, due at once.

    hosts: look at these alone (None: all). Returns how many hosts were put back. Readings of the future are
    deleted, since no average of the past may hold them.
    """
    ahead = now + TOLERANCE
    late = Q(next_probe_at__gt=now + LONG_WAIT)
    for name in MOMENTS:
        late |= Q(**{f"{name}__gt": ahead})
    if hosts is not None:
        late &= Q(pk__in=list(hosts))
    if not Host.objects.filter(late).exists():
        return 0
    with transaction.atomic():
        locked = Host.objects.select_for_update(of=("self",)).select_related("group").filter(late)
        found = [host for host in locked.order_by("pk") if _ahead(host, now)]
        for host in found:
            for name in MOMENTS:
                seen = getattr(host, name)
                if seen is not None and seen > ahead:
                    setattr(host, name, None if name == "last_taken_at" else now)
            host.stale_at = now
            host.next_probe_at = now
        Host.objects.bulk_update(found, [*MOMENTS, "stale_at", "next_probe_at"], batch_size=500)
        gpus = Gpu.objects.filter(host__in=found)
        Sample.objects.filter(gpu__in=gpus, at_s__gt=int(ahead.timestamp())).delete()
        for name in ("first_seen_at", "last_seen_at", "idle_since"):
            gpus.filter(**{f"{name}__gt": ahead}).update(**{name: now})
    return len(found)


def _ahead(host: Host, now: datetime) -> bool:
    """Whether the host was heard of after now, or waits longer than its interval can be the reason for."""
    wait = TOLERANCE + timedelta(seconds=host.interval_s * (1 + policy.JITTER))
    heard = any((seen := getattr(host, name)) is not None and seen > now + TOLERANCE for name in MOMENTS)
    return heard or (host.next_probe_at is not None and host.next_probe_at > now + wait)
