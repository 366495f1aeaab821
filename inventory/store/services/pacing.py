"""When a host is probed next. Pure, except for the random jitter."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from inventory.store.models import Host
from inventory.wire import policy


def next_probe_at(host: Host, now: datetime, *, dice: random.Random | None = None) -> datetime:
    """After a good probe, one interval later; after failures sooner, doubling up to the interval. With
    jitter.
    """
    wait_s = float(host.interval_s)
    if host.failures:
        wait_s = min(wait_s, policy.RETRY_FIRST_S * 2.0 ** min(host.failures - 1, 10))
    spread = (dice or random).uniform(-policy.JITTER, policy.JITTER)
    return now + timedelta(seconds=wait_s * (1 + spread))
