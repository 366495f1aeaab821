"""When a host is to be probed next. Pure, but for the dice."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from inventory.store.models import Host
from inventory.wire import policy


def next_probe_at(host: Host, now: datetime, *, dice: random.Random | None = None) -> datetime:
    """The interval after a good probe; after failures sooner, doubling up to it. Both with jitter."""
    wait_s = float(host.interval_s)
    if host.failures:
        wait_s = min(wait_s, policy.RETRY_FIRST_S * 2.0 ** min(host.failures - 1, 10))
    spread = (dice or random).uniform(-policy.JITTER, policy.JITTER)
    return now + timedelta(seconds=wait_s * (1 + spread))
