"""A clock that ran ahead: the host is heard of again, and never looks fresh for longer than it is."""

from __future__ import annotations

import pytest

from inventory.store import selectors, services
from inventory.store.models import Gpu, Host, Sample
from inventory.store.services import Outcome
from tests.inventory.builders import at, gpu, taken

pytestmark = pytest.mark.django_db
YEAR = 365 * 24 * 60


@pytest.fixture
def host() -> Host:
    return Host.objects.create(name="node-1")


def from_the_future(host: Host) -> None:
    """As a worker leaves it whose own clock is a year ahead: snapshot and recording alike."""
    services.record_snapshots([taken(host, gpu(0), minutes=YEAR)], now=at(YEAR))


def test_a_snapshot_of_the_future_counts_as_taken_now(host: Host) -> None:
    services.record_snapshots([taken(host, gpu(0), minutes=YEAR)], now=at(0))
    host.refresh_from_db()
    assert host.last_taken_at == host.last_good_probe_at == at(0)


def test_the_next_probe_is_the_present_again(host: Host) -> None:
    from_the_future(host)
    assert services.record_snapshots([taken(host, gpu(0), minutes=1)], now=at(1)) == [Outcome.RECORDED]
    host.refresh_from_db()
    assert host.last_good_probe_at == at(1)
    assert at(1) < host.stale_at <= at(10)  # type: ignore[operator]
    assert Gpu.objects.get().last_seen_at == at(1)
    assert not Sample.objects.filter(at_s__gt=at(1).timestamp()).exists()


def test_without_another_probe_it_becomes_stale_and_is_asked_at_once(host: Host) -> None:
    from_the_future(host)
    assert [probe.host_id for probe in services.request_due_probes(now=at(1))] == [host.pk]
    assert selectors.fleet_summary(now=at(1)).stale_hosts == 1


def test_hosts_whose_clocks_are_right_are_left_alone(host: Host) -> None:
    services.record_snapshots([taken(host, gpu(0), minutes=0)], now=at(0))
    before = Host.objects.values().get()
    services.clocks.forget_the_future(now=at(0))
    assert Host.objects.values().get() == before


def test_a_host_that_is_probed_once_a_month_waits_its_month() -> None:
    host = Host.objects.create(name="rare", probe_interval_s=30 * 24 * 3600, next_probe_at=at(29 * 24 * 60))
    assert services.request_due_probes(now=at(0)) == []
    host.refresh_from_db()
    assert host.next_probe_at == at(29 * 24 * 60)
