"""Probes are asked for in time, one at a time, and none stays open for ever."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask
from kombu.exceptions import OperationalError

from inventory.store import services, tasks
from inventory.store.models import Event, Gpu, Host, HostGroup, Probe
from inventory.store.services import Outcome, schedule
from inventory.store.services.pacing import next_probe_at
from inventory.wire import policy
from tests.fakes.nvml import states
from tests.inventory.builders import at, gpu, snapshot
from tests.inventory.conftest import SetState

pytestmark = pytest.mark.django_db


@pytest.fixture
def host() -> Host:
    return Host.objects.create(name="gpu-host-1")


class TestAsking:
    def test_a_new_host_is_due_at_once_and_not_again_before_its_interval(self, host: Host) -> None:
        (probe,) = services.request_due_probes(now=at(0))
        assert probe.host == host
        assert services.request_due_probes(now=at(0.1)) == []

    def test_overlapping_probes_are_refused(self, host: Host) -> None:
        assert services.probe_now(host, now=at(0)) is not None
        assert services.probe_now(host, now=at(0.1)) is None
        assert services.request_due_probes(now=at(0.1)) == []

    def test_switched_off_by_host_or_by_group(self, host: Host) -> None:
        host.probing_enabled = False
        host.save()
        Host.objects.create(name="b", group=HostGroup.objects.create(name="off", probing_enabled=False))
        assert services.request_due_probes(now=at(0)) == []

    def test_hosts_with_an_agent_are_not_asked(self, host: Host) -> None:
        Host.objects.update(feed=Host.Feed.AGENT)
        assert services.request_due_probes(now=at(0)) == []

    def test_interval_of_host_before_group_before_default(self, host: Host) -> None:
        assert host.interval_s == policy.DEFAULT_INTERVAL_S
        host.group = HostGroup(name="slow", probe_interval_s=600)
        assert host.interval_s == 600
        host.probe_interval_s = 30
        assert host.interval_s == 30

    def test_query_count_does_not_grow_with_hosts(self, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
        Host.objects.bulk_create(Host(name=f"node-{i}") for i in range(200))
        with django_assert_max_num_queries(8):
            assert len(services.request_due_probes(now=at(0))) == 200


class TestPace:
    def test_jitter_keeps_a_fleet_out_of_step(self, host: Host) -> None:
        dice = random.Random(1)
        waits = {(next_probe_at(host, at(0), dice=dice) - at(0)).total_seconds() for _ in range(50)}
        assert len(waits) == 50
        assert all(54 <= wait <= 66 for wait in waits)

    def test_failures_are_retried_sooner_then_less_and_less_soon(self, host: Host) -> None:
        class Fair(random.Random):
            def uniform(self, a: float, b: float) -> float:
                return (a + b) / 2

        waits = []
        for failures in range(6):
            host.failures = failures
            waits.append((next_probe_at(host, at(0), dice=Fair()) - at(0)).total_seconds())
        assert waits == [60, 15, 30, 60, 60, 60]


class TestEnding:
    def test_from_request_to_result(self, host: Host) -> None:
        (probe,) = services.request_due_probes(now=at(0))
        assert services.start_probe(probe.pk, now=at(0.1))
        assert (
            services.finish_probe(probe.pk, snapshot(gpu(0), when=at(0.2)), now=at(0.2)) is Outcome.RECORDED
        )
        probe.refresh_from_db()
        assert (probe.state, probe.status, probe.gpu_count) == ("ended", "ok", 1)
        assert (probe.started_at, probe.ended_at) == (at(0.1), at(0.2))

    def test_taken_once(self, host: Host) -> None:
        (probe,) = services.request_due_probes(now=at(0))
        assert services.start_probe(probe.pk, now=at(0.1))
        assert not services.start_probe(probe.pk, now=at(0.1))

    def test_an_expired_or_unknown_probe_is_not_taken(self, host: Host) -> None:
        (probe,) = services.request_due_probes(now=at(0))
        assert not services.start_probe(probe.pk, now=at(5))
        assert not services.start_probe(uuid4(), now=at(0))

    def test_a_dead_host_has_one_probe_open_at_most(self, host: Host) -> None:
        open_at_once = []
        for minute in range(30):
            services.close_overdue_probes(now=at(minute))
            services.request_due_probes(now=at(minute))
            open_at_once.append(Probe.objects.filter(state__in=Probe.OPEN).count())
        assert max(open_at_once) == 1
        host.refresh_from_db()
        assert host.status == "unanswered"
        assert host.last_good_probe_at is None
        assert Event.objects.filter(kind="probe_failed").count() == 1

    def test_a_probe_whose_worker_died_is_closed_and_followed_by_another(self, host: Host) -> None:
        (probe,) = services.request_due_probes(now=at(0))
        services.start_probe(probe.pk, now=at(0.1))
        services.close_overdue_probes(now=at(0.5))
        probe.refresh_from_db()
        assert probe.state == "running"
        services.close_overdue_probes(now=at(2))
        probe.refresh_from_db()
        assert (probe.state, probe.status) == ("ended", "stuck")
        assert len(services.request_due_probes(now=at(3))) == 1

    def test_a_result_that_comes_after_all_is_recorded_once(self, host: Host) -> None:
        (probe,) = services.request_due_probes(now=at(0))
        services.start_probe(probe.pk, now=at(0.1))
        services.close_overdue_probes(now=at(2))
        late = snapshot(gpu(0), when=at(2.1))
        assert services.finish_probe(probe.pk, late, now=at(2.2)) is Outcome.RECORDED
        assert services.finish_probe(probe.pk, late, now=at(2.3)) is Outcome.DUPLICATE
        host.refresh_from_db()
        assert (host.status, host.failures) == ("ok", 0)


class TestTasks:
    def test_a_round_ends_in_a_recorded_snapshot(
        self, fake_driver: SetState, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_driver(states.a100(2))
        sent: list[tuple[str, float]] = []
        original = tasks.probe_host.apply_async

        def apply_async(args: tuple[str], *, queue: str, expires: float) -> None:
            sent.append((queue, expires))
            original(args)

        monkeypatch.setattr(tasks.probe_host, "apply_async", apply_async)
        assert tasks.request_probes() == 1
        assert sent == [("probe.gpu-host-1", 60)]
        assert Gpu.objects.filter(host=host).count() == 2

    def test_a_round_that_meets_no_broker_leaves_no_probe_of_any_host(
        self, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Host.objects.create(name="gpu-host-2")

        def apply_async(args: tuple[str], **_: object) -> None:
            raise OperationalError("nobody listens")

        monkeypatch.setattr(tasks.probe_host, "apply_async", apply_async)
        with pytest.raises(OperationalError):
            tasks.request_probes()
        assert not Probe.objects.exists()

    def test_a_crashing_driver_is_a_recorded_failure(self, fake_driver: SetState, host: Host) -> None:
        fake_driver(states.a100(1) | {"gpu.0.vbios_version": "!segv"})
        probe = services.probe_now(host, now=at(0))
        assert probe is not None
        Probe.objects.update(expires_at=at(10**6))
        assert tasks.probe_host(str(probe.pk)) == "recorded"
        host.refresh_from_db()
        assert (host.status, host.failures) == ("crashed", 1)
        assert "SIGSEGV" in host.reason

    def test_a_message_read_twice_probes_once(self, host: Host) -> None:
        assert tasks.probe_host(str(uuid4())) == "refused"

    def test_every_worker_reads_the_queue_of_its_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from config.celery import app

        monkeypatch.setenv("HEADROOM_HOSTNAME", "node-9")

        class Instance:
            pass

        instance = Instance()
        instance.app = app  # type: ignore[attr-defined]
        tasks.read_own_queue(instance=instance)
        assert "probe.node-9" in app.amqp.queues

    def test_messages_that_nobody_read_are_removed(self) -> None:
        from config.celery import app

        with app.connection_for_write() as connection:
            queue = connection.SimpleQueue("probe.dead")
            queue.put({"some": "message"})
            assert tasks.discard_waiting("probe.dead") == 1
            queue.close()


class TestSchedule:
    def test_rows_come_with_the_migrations(self) -> None:
        assert set(
            PeriodicTask.objects.filter(name__startswith="Fleet").values_list("name", flat=True)
        ) == set(schedule.PERIODIC)

    def test_an_edited_row_stays(self) -> None:
        PeriodicTask.objects.filter(name="Fleet: thin history").update(enabled=False)
        schedule.ensure_periodic_tasks()
        assert not PeriodicTask.objects.get(name="Fleet: thin history").enabled

    def test_tasks_exist(self) -> None:
        from config.celery import app

        assert {task for task, _, _ in schedule.PERIODIC.values()} <= set(app.tasks)


class TestCommand:
    def test_json_without_saving(self, fake_driver: SetState, capsys: pytest.CaptureFixture[str]) -> None:
        import json

        fake_driver(states.h100(2))
        call_command("probe", "--json", "--no-save")
        found = json.loads(capsys.readouterr().out)
        assert (found["schema"], found["status"], len(found["gpus"])) == (1, "ok", 2)
        assert not Host.objects.exists()

    def test_adds_the_host_to_the_fleet(
        self, fake_driver: SetState, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fake_driver(states.h200(2))
        call_command("probe")
        assert "GPU 1  NVIDIA H200" in capsys.readouterr().out
        host = Host.objects.get(name="gpu-host-1")
        assert host.gpu_count == 2
        assert Event.objects.filter(kind="host_added").count() == 1
        assert host.last_good_probe_at is not None
        assert host.next_probe_at - host.last_good_probe_at < timedelta(minutes=2)

    def test_a_host_without_gpus(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("HEADROOM_NVML_LIBRARY", f"{tmp_path}/nowhere.so")
        call_command("probe", "--json")
        assert '"status": "no_nvml"' in capsys.readouterr().out
        assert Host.objects.get().status == "no_nvml"
