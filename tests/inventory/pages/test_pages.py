"""The fleet's pages and exports: what they say, what they cost, and what odd addresses do."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from inventory.store.models import Gpu, Host, HostGroup
from inventory.wire.snapshot import Missing, RemappedRows, Utilization
from tests.fakes.nvml import states
from tests.inventory.builders import gpu, lost
from tests.inventory.conftest import SetState
from tests.inventory.visiting import add, page

pytestmark = pytest.mark.django_db


class TestFleet:
    def test_empty_fleet_shows_the_one_command(self, client: Client) -> None:
        text = page(client, "/fleet/")
        assert "manage.py probe" in text
        assert "manage.py add_host" in text

    def test_the_command_it_shows_works(self, client: Client, fake_driver: SetState) -> None:
        fake_driver(states.a100(2))
        call_command("probe")
        assert "2 GPUs in 1 host: 2 busy, 0 idle; nothing needs attention." in page(client, "/fleet/")

    def test_counts_and_what_needs_attention(self, client: Client) -> None:
        add("well", gpu(0, "GPU-a", busy=80), gpu(1, "GPU-b", busy=0, used_gib=0))
        add("old", gpu(0, "GPU-c"), minutes_ago=60)
        add("broken", status="driver_mismatch", reason="reboot it")
        add("faulty", gpu(0, "GPU-d", remapped_rows=RemappedRows(0, 1, False, True)))
        text = page(client, "/fleet/")
        assert "4 GPUs in 4 hosts: 2 busy, 1 idle" in text
        assert "1 host cannot be probed; 2 hosts without recent probes; 1 GPU with faults" in text
        order = [text.index(f">{name}</a>") for name in ("broken", "old", "faulty", "well")]
        assert order == sorted(order)
        assert "driver mismatch" in text
        assert "reboot it" in text

    def test_unknown_is_not_zero(self, client: Client) -> None:
        unknown = gpu(
            0, utilization=Utilization(Missing("not_supported")), processes=Missing("no_permission")
        )
        add("node-1", unknown)
        text = page(client, "/fleet/")
        assert "utilisation not measurable" in text
        assert 'class="unknown"' in text

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("q=alp", {"alpha"}),
            ("q=GPU-b", {"beta"}),
            ("show=idle", {"beta"}),
            ("show=busy", {"alpha"}),
            ("show=stale", {"gamma"}),
            ("show=attention", {"gamma"}),
            ("show=faulty", set()),
            ("gpu=NVIDIA+H100", {"gamma"}),
            ("group=lab", {"beta"}),
            ("show=nonsense", {"alpha", "beta", "gamma"}),
            ("page=99", {"alpha", "beta", "gamma"}),
            ("page=x", {"alpha", "beta", "gamma"}),
        ],
    )
    def test_filters_are_in_the_address(self, client: Client, query: str, names: set[str]) -> None:
        add("alpha", gpu(0, "GPU-a", busy=80))
        beta = add("beta", gpu(0, "GPU-b", busy=0))
        add("gamma", gpu(0, "GPU-c", name="NVIDIA H100"), minutes_ago=60)
        beta.refresh_from_db()
        beta.group = HostGroup.objects.create(name="lab")
        beta.save()
        found = json.loads(page(client, f"/fleet/fleet.json?{query}"))
        assert {host["name"] for host in found["hosts"]} == names
        text = page(client, f"/fleet/?{query}")
        assert all(f"/fleet/hosts/{name}" in text.split("What changed")[0] for name in names)

    def test_live_update_swaps_the_figures_alone(self, client: Client) -> None:
        add("node-1", gpu(0))
        text = page(client, "/fleet/?show=busy", **{"HX-Request": "true"})
        assert text.strip().startswith('<section id="fleet-live"')
        assert "/fleet/?show=busy" in text
        assert "<html" not in text

    def test_idle_gpus_cost_what_the_catalog_says(self, client: Client) -> None:
        idle = [gpu(i, f"GPU-{i}", busy=0, name="NVIDIA H100 80GB HBM3") for i in range(8)]
        host = add("node-1", *idle)
        Host.objects.filter(pk=host.pk).update(instance_type="p5.48xlarge", region="us-east-1")
        text = page(client, "/fleet/")
        # 55.04 USD an hour for 8 GPUs, since June 2025.
        assert "$1,320/day" in text
        assert "on-demand list price of p5.48xlarge, seen" in text

    def test_a_kind_without_a_price_says_so(self, client: Client) -> None:
        add("node-1", gpu(0, busy=0, name="Mystery 9000"))
        assert "no price in the catalog" in page(client, "/fleet/")

    @pytest.mark.parametrize("hosts", [5, 38])
    def test_query_count_does_not_grow(
        self, client: Client, hosts: int, django_assert_max_num_queries: Any
    ) -> None:
        for i in range(hosts):
            add(f"node-{i}", *(gpu(k, f"GPU-{i}-{k}") for k in range(8)))
        page(client, "/fleet/")
        with django_assert_max_num_queries(14):
            page(client, "/fleet/")

    def test_csv(self, client: Client) -> None:
        add("node-1", gpu(0, "GPU-a"), gpu(1, "GPU-b", utilization=Utilization(Missing("not_supported"))))
        rows = list(csv.DictReader(io.StringIO(page(client, "/fleet/fleet.csv"))))
        assert [row["uuid"] for row in rows] == ["GPU-a", "GPU-b"]
        assert [row["utilization_percent"] for row in rows] == ["50", ""]

    def test_csv_cells_are_no_formulas(self, client: Client) -> None:
        add("node-1", gpu(0, name="=cmd()"))
        assert "'=cmd()" in page(client, "/fleet/fleet.csv")

    def test_names_from_drivers_are_text_not_markup(self, client: Client) -> None:
        add("node-1", gpu(0, name="<script>alert(1)</script>"))
        for path in ("/fleet/", "/fleet/hosts/node-1", "/fleet/gpus/GPU-0", "/fleet/events"):
            assert "<script>alert" not in page(client, path)

    def test_a_uuid_that_is_no_name_makes_no_gpu_and_no_error(self, client: Client) -> None:
        add("node-1", gpu(0, "../../etc"), gpu(1, "a/b c"))
        assert not Gpu.objects.exists()
        page(client, "/fleet/")


class TestHost:
    def test_everything_of_a_real_snapshot(self, client: Client, fake_driver: SetState) -> None:
        fake_driver(states.a100_with_mig())
        call_command("probe")
        text = page(client, "/fleet/hosts/gpu-host-1")
        assert "driver 550.54.15, CUDA 12.4" in text
        assert "GPU 0: 2g.10gb, memory slices 0 to 1" in text
        assert "GPU 1: no instances." in text
        assert '<abbr title="several PCIe switches">PXB</abbr>' in text
        assert "12 of 12 links up at 25.8 GB/s each way to switch" in text
        assert "/usr/bin/python3.11" in text
        assert "GPU instance 1" in text

    def test_mig_is_drawn_to_scale(self, client: Client, fake_driver: SetState) -> None:
        fake_driver(states.a100_with_mig())
        call_command("probe")
        text = page(client, "/fleet/hosts/gpu-host-1")
        # Eight memory slices: 3g.20gb takes the second half, and what is free is drawn too.
        assert 'class="slices of-8"' in text
        assert 'class="slice made at-5 span-4" title="3g.20gb' in text
        assert 'class="slice empty at-3 span-1"' in text
        assert 'class="slice free at-4 span-1" title="memory slice 3: free"' in text

    def test_processes_that_cannot_be_listed_are_not_none(self, client: Client) -> None:
        add("node-1", gpu(0, processes=Missing("no_permission")))
        text = page(client, "/fleet/hosts/node-1")
        assert "Not readable: GPU 0: no permission." in text
        assert "No process uses a GPU" not in text

    def test_a_host_never_heard_of(self, client: Client) -> None:
        Host.objects.create(name="new")
        assert "No probe of this host has arrived yet" in page(client, "/fleet/hosts/new")
        page(client, "/fleet/hosts/new/snapshot.json", status=404)

    def test_snapshot_is_the_probe_contract(self, client: Client, fake_driver: SetState) -> None:
        fake_driver(states.a100(1))
        call_command("probe")
        found = json.loads(page(client, "/fleet/hosts/gpu-host-1/snapshot.json"))
        assert (found["schema"], found["gpus"][0]["memory"]["total_bytes"]) == (1, 40960 * 2**20)

    @pytest.mark.parametrize("path", ["hosts/nobody", "gpus/GPU-nobody", "hosts/nobody/trainable"])
    def test_unknown(self, client: Client, path: str) -> None:
        page(client, f"/fleet/{path}", status=404)

    def test_what_could_be_trained_here(self, client: Client, fake_driver: SetState) -> None:
        fake_driver(states.a100(8))
        call_command("probe")
        text = page(client, "/fleet/hosts/gpu-host-1/trainable")
        assert "llama-3.1-405b" in text
        assert "✓" in text
        assert "of usable memory" in text

    def test_query_count(self, client: Client, django_assert_max_num_queries: Any) -> None:
        add("node-1", *(gpu(k, f"GPU-{k}") for k in range(16)))
        page(client, "/fleet/hosts/node-1")
        with django_assert_max_num_queries(8):
            page(client, "/fleet/hosts/node-1")


class TestGpu:
    def test_series_readings_and_history(self, client: Client) -> None:
        for minutes in (30, 20, 10):
            add("node-1", gpu(0, busy=minutes), minutes_ago=minutes)
        add("node-2", gpu(3, "GPU-0", busy=5), minutes_ago=1)
        text = page(client, "/fleet/gpus/GPU-0")
        assert "Busy in node-2, number 3, 5 %; last seen" in text
        assert "moved from node-1 to node-2" in text
        assert "Mean 16.2 %, between 5.00 and 30.0." in text
        assert "4 samples" in text
        assert text.count('data-chart="chart-') == 4

    def test_a_quantity_never_readable_has_no_chart(self, client: Client) -> None:
        add("node-1", gpu(0, utilization=Utilization(Missing("not_supported"))))
        text = page(client, "/fleet/gpus/GPU-0")
        assert "chart-utilization" not in text
        assert "chart-memory" in text
        assert "not supported" in text

    def test_silence_is_a_gap_and_not_a_line(self, client: Client) -> None:
        add("node-1", gpu(0), minutes_ago=60)
        add("node-1", gpu(0), minutes_ago=1)
        text = page(client, "/fleet/gpus/GPU-0")
        data = text.split('id="chart-utilization-data" type="application/json">')[1].split("</script>")[0]
        assert json.loads(data)["data"][0]["y"] == [50.0, None, 50.0]

    def test_range_is_in_the_address(self, client: Client) -> None:
        add("node-1", gpu(0), minutes_ago=120)
        assert "No readings in the last hour" in page(client, "/fleet/gpus/GPU-0?range=1h")
        assert "1 samples" in page(client, "/fleet/gpus/GPU-0?range=nonsense")
        rows = list(csv.DictReader(io.StringIO(page(client, "/fleet/gpus/GPU-0/samples.csv?range=24h"))))
        assert [row["utilization_percent"] for row in rows] == ["50.0"]

    def test_a_lost_gpu_says_what_to_do(self, client: Client) -> None:
        add("node-1", gpu(0), minutes_ago=2)
        add("node-1", lost(0))
        text = page(client, "/fleet/gpus/GPU-0")
        assert "Lost by the driver in node-1" in text
        assert "it needs a reset or a reboot" in text


class TestEvents:
    def test_feed_filters_and_pages(self, client: Client) -> None:
        for i in range(30):
            add("node-1", *(gpu(k, f"GPU-{i}-{k}") for k in range(2)), minutes_ago=60 - i)
        text = page(client, "/fleet/events")
        assert text.count("<li><span") == 50
        older = text.split("before=")[1].split('"')[0]
        assert 0 < page(client, f"/fleet/events?before={older}").count("<li><span") <= 50
        assert page(client, "/fleet/events?kind=gpu_moved").count("<li><span") == 0
        assert page(client, "/fleet/events?host=nobody").count("<li><span") == 0
        assert page(client, "/fleet/events?host=node-1&kind=gpu_lost").count("<li><span") == 50
        page(client, "/fleet/events?before=999999999999999")
        page(client, "/fleet/events?before=x&kind=%27")


class TestThen:
    def test_the_fleet_at_any_time(self, client: Client) -> None:
        add("node-1", gpu(0, "GPU-a", busy=11), minutes_ago=100, driver="550.1")
        add("node-1", gpu(0, "GPU-a", busy=22), gpu(1, "GPU-b"), minutes_ago=60, driver="560.2")
        add("node-2", gpu(0, "GPU-a", busy=33), minutes_ago=20)
        add("node-1", gpu(1, "GPU-b"), minutes_ago=10, driver="570.3")

        def then(minutes_ago: float) -> Any:
            at = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
            return json.loads(page(client, f"/fleet/fleet.json?at={at}"))

        assert then(200)["gpus"] == []
        (only,) = then(95)["gpus"]
        assert (only["host"], only["sample"]["utilization_percent"]) == ("node-1", 11.0)
        assert then(95)["drivers"] == {"node-1": "550.1"}
        assert [(g["uuid"], g["host"]) for g in then(55)["gpus"]] == [
            ("GPU-a", "node-1"),
            ("GPU-b", "node-1"),
        ]
        assert then(55)["drivers"] == {"node-1": "560.2"}
        assert [(g["uuid"], g["host"]) for g in then(15)["gpus"]] == [
            ("GPU-b", "node-1"),
            ("GPU-a", "node-2"),
        ]
        assert then(0)["drivers"] == {"node-1": "570.3", "node-2": "550.1"}

    def test_page(self, client: Client) -> None:
        add("node-1", gpu(0))
        assert "1 GPU in 1 host" in page(client, "/fleet/then")
        assert "Nothing is known" in page(client, "/fleet/then?at=2020-01-01T00:00")
        for odd in ("x", "2026-99-99T00:00", ""):
            page(client, f"/fleet/then?at={odd}")
        page(client, "/fleet/then?at=%00", status=400)
