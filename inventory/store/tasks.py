"""Celery's entry points to the services. No rules are kept here.

Every worker reads the queue of the host it runs on (`probe.<host>`) besides its own, so that a host joins by
starting a worker there; which hosts are probed, and how often, is in the database.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any
from uuid import UUID

from celery import Celery, current_app, shared_task
from celery.signals import celeryd_after_setup
from django.utils import timezone
from kombu import Queue
from kombu.exceptions import OperationalError

from inventory.driver.probing import read_snapshot
from inventory.store import services
from inventory.wire import policy

log = logging.getLogger(__name__)


def this_host() -> str:
    """This machine's name: HEADROOM_HOSTNAME, or its hostname."""
    return os.environ.get("HEADROOM_HOSTNAME") or socket.gethostname()


@celeryd_after_setup.connect
def read_own_queue(instance: Any, **_: Any) -> None:
    """Add this host's queue to those the starting worker reads, unless it was told which ones (-Q)."""
    queues = instance.app.amqp.queues
    if instance.app.conf.task_default_queue in queues.consume_from:
        queues.select_add(f"probe.{this_host()}")


@shared_task(name="inventory.request_probes", expires=policy.MINUTE_S, time_limit=60)
def request_probes() -> int:
    """Ask the workers of all hosts that are due for a probe, and clean up after those that never answered."""
    now = timezone.now()
    for host in services.close_overdue_probes(now=now):
        discard_waiting(host.queue)
    probes = services.request_due_probes(now=now)
    for asked, probe in enumerate(probes):
        try:
            send(probe.pk, probe.host.queue, probe.host.interval_s)
        except OperationalError:
            # The broker is away: nobody will take the others either.
            for other in probes[asked + 1 :]:
                services.withdraw_probe(other.pk)
            raise
    return len(probes)


@shared_task(name="inventory.probe_host", time_limit=policy.STUCK_AFTER_S)
def probe_host(probe_id: str) -> str:
    """Probe the machine this runs on and record what was seen."""
    if not services.start_probe(UUID(probe_id), now=timezone.now()):
        return "refused"
    snapshot = read_snapshot(deadline_s=policy.PROBE_DEADLINE_S)
    return services.finish_probe(UUID(probe_id), snapshot, now=timezone.now())


@shared_task(name="inventory.thin_history", expires=policy.HOUR_S)
def thin_history() -> str:
    """Merge and delete old samples and rows; see `policy.KEEP_S`."""
    return str(services.thin_history(now=timezone.now()))


@shared_task(name="inventory.report_idle_gpus", expires=policy.HOUR_S)
def report_idle_gpus() -> int:
    """Record an event for each GPU that nobody has used for days."""
    return services.report_idle_gpus(now=timezone.now())


def send(probe_id: UUID, queue: str, expires_s: float) -> None:
    """Send a probe to its host's worker.

    Raises kombu's OperationalError where the broker cannot be reached; the probe is then withdrawn, so that
    the next one is not refused for its sake.
    """
    try:
        probe_host.apply_async((str(probe_id),), queue=queue, expires=expires_s)
    except OperationalError:
        services.withdraw_probe(probe_id)
        raise


def discard_waiting(queue: str) -> int:
    """Empty a queue that nobody reads, since brokers keep even expired messages until they are read."""
    app: Celery = current_app
    with app.connection_for_write() as connection:
        return int(Queue(queue, channel=connection.default_channel).purge() or 0)
