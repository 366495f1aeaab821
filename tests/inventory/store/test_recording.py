"""Snapshots become history: once each, in any order, with every change told."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from inventory.store import services
from inventory.store.models import Event, Gpu, GpuPlacement, Host, MigInstance, Probe, Sample
from inventory.store.services import Outcome
from inventory.wire.snapshot import Ecc, Mig, Missing, Process, RemappedRows, Utilization, XidError
from tests.inventory.builders import GIB, at, gpu, lost, mig_instance, taken

pytestmark = pytest.mark.django_db


@pytest.fixture
def host() -> Host:
    return Host.objects.create(name="node-1")


@pytest.fixture
def other() -> Host:
    return Host.objects.create(name="node-2")


def record(*batch: services.Taken, minutes: float | None = None) -> list[Outcome]:
    now = at(minutes) if minutes is not None else max(t.taken_at for t in batch)
    return services.record_snapshots(batch, now=now)


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


class TestOnceEach:
    def test_first_snapshot(self, host: Host) -> None:
        assert record(taken(host, gpu(0), gpu(1))) == [Outcome.RECORDED]
        host.refresh_from_db()
        assert (host.status, host.gpu_count, host.driver_version) == ("ok", 2, "550.1")
        assert host.last_good_probe_at == at(0)
        row = Gpu.objects.get(uuid="GPU-1")
        assert (row.host, row.index, row.state) == (host, 1, Gpu.State.PRESENT)
        assert (row.memory_total_bytes, row.memory_used_bytes) == (40 * GIB, 10 * GIB)
        assert kinds() == ["gpu_added", "gpu_added"]
        assert Sample.objects.count() == 2

    def test_same_id_twice_changes_nothing(self, host: Host) -> None:
        first = taken(host, gpu(0))
        record(first)
        assert record(first) == [Outcome.DUPLICATE]
        assert record(first, first) == [Outcome.DUPLICATE, Outcome.DUPLICATE]
        assert (Probe.objects.count(), Sample.objects.count(), Event.objects.count()) == (1, 1, 1)

    def test_twice_within_one_batch(self, host: Host) -> None:
        first = taken(host, gpu(0))
        assert record(first, first) == [Outcome.RECORDED, Outcome.DUPLICATE]
        assert Sample.objects.count() == 1

    def test_an_older_snapshot_adds_samples_and_leaves_the_present_alone(self, host: Host) -> None:
        record(taken(host, gpu(0, busy=90), minutes=2))
        assert record(taken(host, gpu(0, busy=10), minutes=1), minutes=3) == [Outcome.LATE]
        row = Gpu.objects.get()
        assert (row.utilization_percent, row.last_seen_at) == (90, at(2))
        assert Sample.objects.count() == 2
        # It was there already a minute before.
        assert GpuPlacement.objects.get().since == at(1)

    def test_any_order_and_repetition_ends_the_same(self, host: Host) -> None:
        story = [taken(host, gpu(0, busy=i), minutes=i) for i in range(12)]
        told = story + random.Random(7).sample(story, 6)
        random.Random(3).shuffle(told)
        for start in range(0, len(told), 5):
            record(*told[start : start + 5], minutes=20)
        assert Sample.objects.count() == 12
        assert Probe.objects.count() == 12
        assert Gpu.objects.get().utilization_percent == 11
        place = GpuPlacement.objects.get()
        assert (place.since, place.until) == (at(0), None)

    def test_several_snapshots_of_one_host_in_a_batch(self, host: Host) -> None:
        record(taken(host, gpu(0), minutes=1), taken(host, gpu(0), gpu(1), minutes=2), taken(host, minutes=3))
        host.refresh_from_db()
        assert host.gpu_count == 0
        assert kinds() == ["gpu_added", "gpu_added", "gpu_lost", "gpu_lost"]

    def test_unknown_host(self, host: Host) -> None:
        stray = services.Taken(uuid4(), host.pk + 1, taken(host).snapshot, at(0), "worker")
        with pytest.raises(Host.DoesNotExist):
            record(stray)


class TestIdentity:
    def test_a_gpu_that_moves_keeps_its_history(self, host: Host, other: Host) -> None:
        record(taken(host, gpu(0, "GPU-x"), minutes=0))
        record(taken(other, gpu(3, "GPU-x"), minutes=5))
        row = Gpu.objects.get()
        assert (row.host, row.index) == (other, 3)
        assert kinds() == ["gpu_added", "gpu_moved"]
        assert Event.objects.get(kind="gpu_moved").detail == {"from": "node-1", "to": "node-2"}
        assert list(row.placements.order_by("since").values_list("host__name", "until")) == [
            ("node-1", at(5)),
            ("node-2", None),
        ]
        # The old host no longer lists it, which is no loss.
        record(taken(host, minutes=6))
        assert kinds() == ["gpu_added", "gpu_moved"]

    def test_a_late_word_from_the_old_host_does_not_move_it_back(self, host: Host, other: Host) -> None:
        record(taken(host, gpu(0, "GPU-x"), minutes=0))
        record(taken(other, gpu(0, "GPU-x"), minutes=5))
        record(taken(host, gpu(0, "GPU-x"), minutes=4), minutes=6)
        assert Gpu.objects.get().host == other

    def test_a_gpu_without_uuid_is_the_one_in_its_slot(self, host: Host) -> None:
        record(taken(host, gpu(0), gpu(1), minutes=0))
        record(taken(host, gpu(0), lost(1), minutes=1))
        row = Gpu.objects.get(uuid="GPU-1")
        assert (row.state, row.memory_used_bytes, row.memory_total_bytes) == (Gpu.State.LOST, None, 40 * GIB)
        assert kinds()[2:] == ["gpu_lost"]
        record(taken(host, gpu(0), gpu(1), minutes=2))
        assert Gpu.objects.get(uuid="GPU-1").state == Gpu.State.PRESENT
        assert kinds()[2:] == ["gpu_lost", "gpu_back"]

    def test_a_gpu_no_longer_listed(self, host: Host) -> None:
        record(taken(host, gpu(0), gpu(1), minutes=0))
        record(taken(host, gpu(0), minutes=1))
        row = Gpu.objects.get(uuid="GPU-1")
        assert (row.host, row.state) == (None, Gpu.State.GONE)
        assert kinds()[2:] == ["gpu_lost"]
        record(taken(host, gpu(0), gpu(1), minutes=2))
        assert kinds()[2:] == ["gpu_lost", "gpu_back"]

    def test_a_failed_probe_removes_no_gpu(self, host: Host) -> None:
        record(taken(host, gpu(0), minutes=0))
        record(taken(host, minutes=1, status="timeout", reason="no answer"))
        host.refresh_from_db()
        assert (host.gpu_count, host.failures, host.last_good_probe_at) == (1, 1, at(0))
        assert Gpu.objects.get().host == host
        record(taken(host, minutes=2, status="no_nvml", reason="driver gone"))
        host.refresh_from_db()
        assert host.failures == 2
        record(taken(host, gpu(0), minutes=3))
        assert kinds() == ["gpu_added", "probe_failed", "probe_back"]

    def test_a_host_without_gpus_and_driver_is_well(self, host: Host) -> None:
        record(taken(host, status="no_nvml", reason="no driver"))
        host.refresh_from_db()
        assert (host.failures, host.last_good_probe_at) == (0, at(0))

    def test_neuron_devices_are_known_by_host_and_address(self, host: Host) -> None:
        device = gpu(0, kind="neuron", name="AWS Trainium1")
        device = type(device)(
            **{f: getattr(device, f) for f in device.__slots__} | {"uuid": Missing("not_supported")}
        )
        record(taken(host, device, minutes=0))
        record(taken(host, device, minutes=1))
        assert Gpu.objects.get().uuid == "NEURON-node-1-00000000:07:00.0"


class TestChanges:
    def test_driver(self, host: Host) -> None:
        record(taken(host, gpu(0), minutes=0))
        record(taken(host, gpu(0), minutes=1, driver="560.2"))
        assert Event.objects.get(kind="driver_changed").detail == {"from": "550.1", "to": "560.2"}

    def test_memory_errors_that_grow(self, host: Host) -> None:
        for minute, (corrected, uncorrected) in enumerate([(5, 0), (5, 0), (9, 1)]):
            record(taken(host, gpu(0, ecc=Ecc(True, True, 0, 0, corrected, uncorrected)), minutes=minute))
        assert [e.detail for e in Event.objects.filter(kind="ecc_errors").order_by("id")] == [
            {"type": "corrected", "from": 5, "to": 9},
            {"type": "uncorrected", "from": 0, "to": 1},
        ]

    def test_a_count_that_could_not_be_read_in_between_is_no_change(self, host: Host) -> None:
        unread = Ecc(True, True, 0, 0, Missing("no_permission"), 0)
        for minute, ecc in enumerate([Ecc(True, True, 0, 0, 5, 0), unread, Ecc(True, True, 0, 0, 5, 0)]):
            record(taken(host, gpu(0, ecc=ecc), minutes=minute))
        assert not Event.objects.filter(kind="ecc_errors").exists()

    def test_mig(self, host: Host) -> None:
        big, small = mig_instance(1, "3g.20gb", 4, 4), mig_instance(9, "1g.5gb", 0, 1)
        record(taken(host, gpu(0), minutes=0))
        record(taken(host, gpu(0, mig=Mig(True, True, (big, small))), minutes=1))
        record(taken(host, gpu(0, mig=Mig(True, True, (big, small))), minutes=2))
        record(taken(host, gpu(0, mig=Mig(True, True, (big,))), minutes=3))
        told = Event.objects.filter(kind="mig_reconfigured").order_by("id")
        assert [event.detail for event in told] == [
            {"from": "", "to": "1g.5gb@0 + 3g.20gb@4", "mode": True},
            {"from": "1g.5gb@0 + 3g.20gb@4", "to": "3g.20gb@4", "mode": True},
        ]
        assert list(MigInstance.objects.order_by("id").values_list("profile", "since", "until")) == [
            ("3g.20gb", at(1), None),
            ("1g.5gb", at(1), at(3)),
        ]

    def test_mig_that_cannot_be_read_is_no_change(self, host: Host) -> None:
        record(taken(host, gpu(0, mig=Mig(True, True, (mig_instance(1, "7g.40gb", 0, 8),))), minutes=0))
        record(taken(host, gpu(0, mig=Mig(True, True, Missing("no_permission"))), minutes=1))
        assert MigInstance.objects.get().until is None
        assert not Event.objects.filter(kind="mig_reconfigured").exists()

    def test_throttling_is_told_once_a_spell(self, host: Host) -> None:
        hot, cool, capped = ("hw_thermal_slowdown",), (), ("sw_power_cap",)
        for minute, reasons in enumerate([cool, hot, hot, cool, capped, hot]):
            record(taken(host, gpu(0, throttle_reasons=reasons), minutes=minute))
        assert kinds().count("throttled") == 2

    def test_faults(self, host: Host) -> None:
        record(taken(host, gpu(0), minutes=0))
        record(taken(host, gpu(0, remapped_rows=RemappedRows(1, 0, False, True)), minutes=1))
        assert Event.objects.get(kind="fault").detail == {"fault": "row_remap_failure"}
        assert Gpu.objects.get().faults == "row_remap_failure"

    def test_xid_errors_are_told_once(self, host: Host) -> None:
        old, new = XidError(63, "2026-11-01T11:00:00Z"), XidError(79, "2026-11-01T12:00:30Z")
        record(taken(host, gpu(0, xid_errors=(old,)), minutes=0))
        record(taken(host, gpu(0, xid_errors=(old, new)), minutes=1))
        record(taken(host, gpu(0, xid_errors=(old, new)), minutes=2))
        assert Event.objects.get(kind="xid").detail["xid"] == 79

    def test_idleness_starts_and_ends(self, host: Host) -> None:
        busy = (Process(1, "compute"),)
        for minute, processes in enumerate([busy, (), (), busy]):
            record(taken(host, gpu(0, busy=0, processes=processes), minutes=minute))
            since = Gpu.objects.get().idle_since
            assert since == (at(1) if minute in (1, 2) else None)

    def test_unknown_utilisation_is_never_idle_nor_zero(self, host: Host) -> None:
        unknown = Utilization(Missing("not_supported"))
        record(taken(host, gpu(0, utilization=unknown, processes=Missing("no_permission"))))
        row = Gpu.objects.get()
        assert (row.utilization_percent, row.idle_since) == (None, None)
        assert Sample.objects.get().utilization_percent is None


class TestTheDatabaseRefuses:
    def test_a_gpu_in_two_places(self, host: Host, other: Host) -> None:
        record(taken(host, gpu(0)))
        with pytest.raises(IntegrityError), transaction.atomic():
            GpuPlacement.objects.create(gpu=Gpu.objects.get(), host=other, index=0, since=at(1))

    def test_a_placement_that_ends_before_it_began(self, host: Host) -> None:
        record(taken(host, gpu(0), minutes=5))
        with pytest.raises(IntegrityError), transaction.atomic():
            GpuPlacement.objects.update(until=at(1))

    def test_two_open_probes_of_a_host(self, host: Host) -> None:
        Probe.objects.create(host=host, requested_at=at(0))
        with pytest.raises(IntegrityError), transaction.atomic():
            Probe.objects.create(host=host, requested_at=at(0))

    def test_the_same_mig_instance_twice(self, host: Host) -> None:
        record(taken(host, gpu(0)))
        same = {"gpu": Gpu.objects.get(), "gpu_instance_id": 1, "compute_instance_id": None, "since": at(0)}
        MigInstance.objects.create(**same)
        with pytest.raises(IntegrityError), transaction.atomic():
            MigInstance.objects.create(**same)

    def test_a_utilisation_over_all(self, host: Host) -> None:
        record(taken(host, gpu(0)))
        with pytest.raises(IntegrityError), transaction.atomic():
            Gpu.objects.update(utilization_percent=101)


def test_query_count_does_not_grow_with_gpus(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    hosts = [Host.objects.create(name=f"node-{i}") for i in range(20)]
    batch = [taken(h, *(gpu(i, f"GPU-{h.pk}-{i}") for i in range(8))) for h in hosts]
    record(*batch)
    again = [taken(h, *(gpu(i, f"GPU-{h.pk}-{i}") for i in range(8)), minutes=1) for h in hosts]
    with django_assert_max_num_queries(18):
        record(*again)


def test_late_snapshots_cost_queries_by_host_and_not_by_gpu(
    host: Host, django_assert_max_num_queries
) -> None:  # type: ignore[no-untyped-def]
    record(taken(host, *(gpu(i) for i in range(16)), minutes=0))
    record(taken(host, *(gpu(i) for i in range(16)), minutes=10))
    with django_assert_max_num_queries(12):
        record(*(taken(host, *(gpu(i) for i in range(16)), minutes=m) for m in range(1, 6)), minutes=11)


def test_a_gpu_that_moves_and_comes_back_within_one_batch(host: Host, other: Host) -> None:
    record(
        taken(host, gpu(0, "GPU-x"), minutes=1),
        taken(other, gpu(2, "GPU-x"), minutes=2),
        taken(host, gpu(0, "GPU-x"), minutes=3),
    )
    stays = list(GpuPlacement.objects.order_by("since").values_list("host__name", "index", "since", "until"))
    assert stays == [
        ("node-1", 0, at(1), at(2)),
        ("node-2", 2, at(2), at(3)),
        ("node-1", 0, at(3), None),
    ]
    assert kinds() == ["gpu_added", "gpu_moved", "gpu_moved"]
    assert Gpu.objects.get().host == host
