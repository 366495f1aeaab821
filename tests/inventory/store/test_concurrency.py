"""Two processes record at once: whoever comes second sees what the first has done. On PostgreSQL only.

SQLite lets one writer in at a time by itself; run this with TEST_DATABASE_URL=postgres://...
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from inventory.store import services
from inventory.store.models import Event, Gpu, GpuPlacement, Host, Probe, Sample
from tests.inventory.builders import at, gpu, taken

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs TEST_DATABASE_URL=postgres://..."),
]


def at_once(*jobs: Callable[[], object]) -> list[BaseException]:
    """Run the jobs in threads that start together; returns what they raised."""
    start = threading.Barrier(len(jobs))
    raised: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        try:
            start.wait(timeout=10)
            job()
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return raised


def test_one_snapshot_delivered_twice_at_the_same_moment() -> None:
    host = Host.objects.create(name="node-1")
    for minute in range(10):
        one = taken(host, gpu(0), gpu(1), minutes=minute)
        assert at_once(*[lambda one=one: services.record_snapshot(one, now=at(100))] * 4) == []
    assert (Probe.objects.count(), Sample.objects.count()) == (10, 20)
    assert Event.objects.count() == 2


def test_overlapping_batches_in_opposite_order_do_not_deadlock() -> None:
    hosts = [Host.objects.create(name=f"node-{i}") for i in range(6)]
    for minute in range(10):
        batch = [taken(h, *(gpu(k, f"GPU-{h.pk}-{k}") for k in range(4)), minutes=minute) for h in hosts]
        forth = lambda batch=batch: services.record_snapshots(batch, now=at(100))  # noqa: E731
        back = lambda batch=batch: services.record_snapshots(batch[::-1], now=at(100))  # noqa: E731
        assert at_once(forth, back, forth, back) == []
    assert Sample.objects.count() == 10 * 24
    assert GpuPlacement.objects.count() == 24


def test_two_hosts_that_claim_one_gpu_at_once() -> None:
    first, second = (Host.objects.create(name=name) for name in ("node-1", "node-2"))
    for minute in range(0, 20, 2):
        claims = [
            taken(first, gpu(0, "GPU-x"), minutes=minute),
            taken(second, gpu(0, "GPU-x"), minutes=minute + 1),
        ]
        jobs = [lambda claim=claim: services.record_snapshot(claim, now=at(100)) for claim in claims]
        assert at_once(*jobs) == []
        assert GpuPlacement.objects.filter(until__isnull=True).count() == 1
    assert Gpu.objects.get().host == GpuPlacement.objects.get(until__isnull=True).host


def test_one_probe_is_opened_and_taken_once() -> None:
    host = Host.objects.create(name="node-1")
    opened: list[object] = []
    assert at_once(*[lambda: opened.append(services.probe_now(host, now=at(0)))] * 6) == []
    assert len([probe for probe in opened if probe is not None]) == 1
    probe = Probe.objects.get()
    started: list[bool] = []
    assert at_once(*[lambda: started.append(services.start_probe(probe.pk, now=at(0.1)))] * 6) == []
    assert sorted(started) == [False] * 5 + [True]
