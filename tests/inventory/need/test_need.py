"""A plan held against the hosts one has: counted in whole hosts, and only those that are free."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from inventory.wire.snapshot import Mig, Process, RemappedRows
from tests.inventory.builders import gpu
from tests.inventory.visiting import add, page

pytestmark = pytest.mark.django_db


class TestNeed:
    PLAN = "model=llama-3.1-8b&task=full_finetuning&tokens=1B&seq=2048&batch=64&instance=p5.48xlarge&nodes=1"

    def h100s(self, prefix: str, busy: int = 0) -> list[Any]:
        processes = () if not busy else (Process(1, "compute"),)
        return [
            gpu(i, f"{prefix}-{i}", busy=busy, name="NVIDIA H100 80GB HBM3", processes=processes)
            for i in range(8)
        ]

    def test_free_hosts_can_start_now(self, client: Client) -> None:
        add("free-1", *self.h100s("a"))
        add("busy-1", *self.h100s("b", busy=90))
        text = page(client, f"/fleet/run?{self.PLAN}")
        assert "You can start now on 1 host of 8 × h100-sxm." in text
        assert "1 of 2" in text
        assert "free-1" in text
        assert "busy-1" not in text

    def test_busy_hosts_must_come_free(self, client: Client) -> None:
        add("busy-1", *self.h100s("b", busy=90))
        assert "1 host must become free first" in page(client, f"/fleet/run?{self.PLAN}")

    def test_two_halves_are_not_a_whole(self, client: Client) -> None:
        for name in ("half-1", "half-2"):
            gpus = self.h100s(name)
            busy = self.h100s(name, busy=90)
            add(name, *gpus[:4], *busy[4:])
        text = page(client, f"/fleet/run?{self.PLAN}")
        assert "0 of 2" in text
        assert "You can start now" not in text

    @pytest.mark.parametrize("kind", ["stale", "faulty", "mig"])
    def test_hosts_in_doubt_are_not_free(self, client: Client, kind: str) -> None:
        gpus = self.h100s("a")
        if kind == "faulty":
            gpus[3] = gpu(3, "a-3", busy=0, name=gpus[3].name, remapped_rows=RemappedRows(0, 0, True, False))
        if kind == "mig":
            gpus[3] = gpu(3, "a-3", busy=0, name=gpus[3].name, mig=Mig(True, True, ()))
        add("node-1", *gpus, minutes_ago=60 if kind == "stale" else 0.5)
        assert "0 of 1" in page(client, f"/fleet/run?{self.PLAN}")

    def test_old_chips_are_planned_as_everywhere_else(self, client: Client) -> None:
        """Without a precision named, chips that lack bf16 are planned in fp16, and the page says so."""
        add("volta-1", *(gpu(i, f"v-{i}", busy=0, name="Tesla V100-SXM2-32GB") for i in range(8)))
        plan = "model=gpt2&tokens=1B&seq=1024&batch=64&instance=p5.48xlarge&nodes=1"
        text = page(client, f"/fleet/run?{plan}")
        assert "fp16 is planned in its place" in text
        assert "has no fp8 unit" in page(client, f"/fleet/run?{plan}&precision=fp8")

    def test_a_run_too_large_for_all_of_them(self, client: Client) -> None:
        add("small", gpu(0, busy=0, name="Tesla T4"))
        text = page(client, f"/fleet/run?{self.PLAN.replace('8b', '405b')}")
        assert "None of the hosts you have can run it" in text
        assert "does not fit" in text

    def test_unknown_kinds_are_left_out_and_counted(self, client: Client) -> None:
        add("odd", gpu(0, name="Mystery 9000"))
        add("none", status="no_nvml", reason="no driver")
        assert "2 hosts left out" in page(client, f"/fleet/run?{self.PLAN}")

    def test_an_empty_fleet(self, client: Client) -> None:
        assert "There are no hosts in the fleet yet." in page(client, f"/fleet/run?{self.PLAN}")

    def test_a_plan_that_makes_no_sense(self, client: Client) -> None:
        text = page(client, "/fleet/run?model=nothing-7b", status=422)
        assert "Correct it on the plan page" in text
