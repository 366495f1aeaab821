"""History ages: raw, five minutes, hourly, gone; nothing counts twice and late comers find their place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from inventory.store import services
from inventory.store.models import Event, Gpu, Host, Probe, Sample
from inventory.wire import policy
from inventory.wire.snapshot import Missing, Utilization
from tests.inventory.builders import GIB, at, gpu, taken

pytestmark = pytest.mark.django_db


@pytest.fixture
def host() -> Host:
    return Host.objects.create(name="node-1")


def record(host: Host, minute: int, **more: object) -> None:
    one = taken(host, gpu(0, **more), minutes=minute)  # type: ignore[arg-type]
    services.record_snapshot(one, now=at(10**5))


def later(seconds: float):  # type: ignore[no-untyped-def]
    return at(0) + timedelta(seconds=seconds)


def test_raw_becomes_five_minutes(host: Host) -> None:
    for minute in range(10):
        record(host, minute, busy=minute * 10, used_gib=minute)
    thinned = services.thin_history(now=later(policy.KEEP_S[policy.RAW] + 600))
    rows = list(Sample.objects.order_by("at_s"))
    assert thinned.samples == 10
    assert [(row.resolution_s, row.weight, row.utilization_percent) for row in rows] == [
        (300, 5, 20.0),
        (300, 5, 70.0),
    ]
    assert [row.utilization_max_percent for row in rows] == [40.0, 90.0]
    assert [row.memory_used_bytes for row in rows] == [2 * GIB, 7 * GIB]
    assert rows[0].at_s % 300 == 0


def test_young_samples_and_periods_not_yet_over_stay(host: Host) -> None:
    for minute in range(4):
        record(host, minute)
    services.thin_history(now=later(policy.KEEP_S[policy.RAW] + 150))
    assert set(Sample.objects.values_list("resolution_s", flat=True)) == {0}


def test_hourly_means_keep_the_weight_of_every_raw_sample(host: Host) -> None:
    for minute in range(60):
        record(host, minute, busy=100 if minute < 15 else 0)
    services.thin_history(now=later(policy.KEEP_S[policy.RAW] + 3600))
    services.thin_history(now=later(policy.KEEP_S[policy.FIVE_MINUTES] + 3600))
    row = Sample.objects.get()
    assert (row.resolution_s, row.weight, row.utilization_percent, row.utilization_max_percent) == (
        3600,
        60,
        25.0,
        100,
    )


def test_a_second_run_changes_nothing(host: Host) -> None:
    for minute in range(10):
        record(host, minute, busy=50)
    now = later(policy.KEEP_S[policy.RAW] + 600)
    services.thin_history(now=now)
    before = list(Sample.objects.order_by("at_s").values())
    services.thin_history(now=now)
    assert list(Sample.objects.order_by("at_s").values()) == before


def test_a_late_sample_joins_the_period_it_belongs_to(host: Host) -> None:
    for minute in (0, 1, 3, 9):
        record(host, minute, busy=10)
    now = later(policy.KEEP_S[policy.RAW] + 600)
    services.thin_history(now=now)
    record(host, 2, busy=90)
    services.thin_history(now=now)
    row = Sample.objects.order_by("at_s").first()
    assert row is not None
    assert (row.weight, row.utilization_percent, row.utilization_max_percent) == (4, 30.0, 90.0)


def test_unknown_readings_do_not_pull_a_mean_to_zero(host: Host) -> None:
    for minute in range(5):
        known = minute < 2
        record(host, minute, utilization=Utilization(80 if known else Missing("not_supported")))
    services.thin_history(now=later(policy.KEEP_S[policy.RAW] + 600))
    row = Sample.objects.get()
    assert (row.weight, row.utilization_percent) == (5, 80.0)


def test_history_is_bounded(host: Host) -> None:
    record(host, 0)
    services.thin_history(now=later(policy.KEEP_S[policy.RAW] + 600))
    services.thin_history(now=later(policy.KEEP_S[policy.FIVE_MINUTES] + 3600))
    services.thin_history(now=later(policy.KEEP_S[policy.HOURLY] + 7200))
    assert not Sample.objects.exists()


def test_failed_probes_outlive_good_ones(host: Host) -> None:
    services.record_snapshot(taken(host, gpu(0)), now=at(0))
    services.record_snapshot(taken(host, minutes=1, status="timeout"), now=at(1))
    services.thin_history(now=later(policy.KEEP_GOOD_PROBES_S + 600))
    assert [probe.status for probe in Probe.objects.all()] == ["timeout"]
    services.thin_history(now=later(policy.KEEP_FAILED_PROBES_S + 600))
    assert not Probe.objects.exists()


def test_ids_of_deliveries_outlive_the_time_in_which_they_may_come_again(host: Host) -> None:
    one = replace(taken(host, gpu(0)), source="agent")
    services.record_snapshot(one, now=at(0))
    services.thin_history(now=later(policy.OLDEST_SNAPSHOT_S))
    assert services.record_snapshot(one, now=later(policy.OLDEST_SNAPSHOT_S)) is services.Outcome.DUPLICATE
    services.thin_history(now=later(policy.KEEP_DELIVERED_PROBES_S + 60))
    assert not Probe.objects.exists()


def test_a_gpu_idle_for_days_is_told_once_a_spell(host: Host) -> None:
    idle = policy.IDLE_EVENT_AFTER_S // 60
    for minute in (0, idle + 1):
        record(host, minute, busy=0)
    assert services.report_idle_gpus(now=at(idle + 2)) == 1
    assert services.report_idle_gpus(now=at(idle + 3)) == 0
    record(host, idle + 4, busy=30)
    assert Gpu.objects.get().idle_since is None
    record(host, idle + 5, busy=0)
    record(host, 2 * idle + 10, busy=0)
    assert services.report_idle_gpus(now=at(2 * idle + 11)) == 1
    assert Event.objects.filter(kind="idle").count() == 2
