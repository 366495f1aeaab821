"""From the fleet to the partitions page: present layouts, unknown instances, and free ones for a run."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from inventory.wire.snapshot import Mig, MigInstance, Missing, Process
from planner.mig.state import State, read_state
from tests.inventory.builders import gpu, mig_instance
from tests.inventory.visiting import add, page

pytestmark = pytest.mark.django_db
CUT = Mig(True, True, (mig_instance(1, "3g.20gb", 4, 4), mig_instance(9, "1g.5gb", 0, 1)))
BUSY = (Process(1, "compute", gpu_instance_id=1),)


def state_at(client: Client, path: str) -> tuple[State, str]:
    answer = client.get(path)
    assert answer.status_code == 302, answer.content[:300]
    query = urlsplit(answer["Location"]).query
    assert client.get(answer["Location"]).status_code == 200
    return read_state(parse_qs(query, keep_blank_values=True)), query


def test_one_click_from_a_gpu_to_its_partitions(client: Client) -> None:
    add("node-1", gpu(0, "GPU-c", mig=CUT, processes=BUSY))
    assert "/fleet/mig?gpu=GPU-c" in page(client, "/fleet/gpus/GPU-c")
    assert "/fleet/mig?host=node-1" in page(client, "/fleet/hosts/node-1")
    state, _ = state_at(client, "/fleet/mig?gpu=GPU-c")
    (row,) = state.rows
    assert row.layout == "1g.5gb@0#9,3g.20gb@4!#1"
    assert (row.chip, row.count, row.at) == ("a100-sxm-40gb", "1", "node-1/0")
    assert (
        "3g.20gb, memory slices 4 to 7: in use, stays"
        in client.get("/fleet/mig?gpu=GPU-c", follow=True).content.decode()
    )


def test_gpus_that_are_alike_are_one_row(client: Client) -> None:
    add("node-1", gpu(0, "a", mig=CUT), gpu(1, "b", mig=CUT), gpu(2, "c"))
    state, _ = state_at(client, "/fleet/mig?host=node-1")
    assert sorted((row.count, row.layout, row.at) for row in state.rows) == [
        ("1", "off", "node-1/2"),
        ("2", "1g.5gb@0,3g.20gb@4", "node-1/0,1"),
    ]


def test_instances_that_the_catalog_does_not_know_are_kept(client: Client) -> None:
    strange = Mig(True, True, (mig_instance(1, "2g.12gb", 4, 2), mig_instance(2, "1g.5gb", 7, 1)))
    add("node-1", gpu(0, "a", mig=strange))
    state, _ = state_at(client, "/fleet/mig?gpu=a")
    assert state.rows[0].layout == "2g.12gb/2@4#1,1g.5gb-here/1@7#2"
    text = client.get("/fleet/mig?gpu=a", follow=True).content.decode()
    assert text.count("unknown to the catalog, stays") >= 2


def test_processes_that_cannot_be_read_count_as_running(client: Client) -> None:
    add("node-1", gpu(0, "a", mig=CUT, processes=Missing("no_permission")))
    state, _ = state_at(client, "/fleet/mig?gpu=a")
    assert all(instance.in_use for instance in state.rows[0].instances)


def test_gpus_whose_placements_are_not_shown_are_named(client: Client) -> None:
    hidden = Missing("no_permission")
    veiled = MigInstance("MIG-1", "3g.20gb", 1, 0, hidden, hidden, 1, 0, 3)
    add("node-1", gpu(0, "a", mig=Mig(True, True, (veiled,))), gpu(1, "b", mig=CUT))
    _, query = state_at(client, "/fleet/mig?host=node-1")
    assert "left=1+GPU" in query
    assert "Left out: 1 GPU (node-1/0)." in client.get("/fleet/mig?host=node-1", follow=True).content.decode()


def test_gpus_that_mig_does_not_divide_have_no_partitions(client: Client) -> None:
    add("node-1", gpu(0, "a", name="Tesla T4"))
    assert client.get("/fleet/mig?gpu=a").status_code == 404
    assert client.get("/fleet/mig?gpu=nowhere").status_code == 404
    assert "Plan this GPU" not in page(client, "/fleet/gpus/a")
    none = client.get("/fleet/mig", follow=True)
    assert "No GPU of the fleet is one that MIG divides" in none.content.decode()


def test_a_gpu_that_could_be_divided_leads_to_its_partitions_too(client: Client) -> None:
    add("node-1", gpu(0, "a"), gpu(1, "b", mig=Mig(True, True, ())))
    assert "/fleet/mig?gpu=a" in page(client, "/fleet/gpus/a")
    assert "/fleet/mig?gpu=b" in page(client, "/fleet/gpus/b")
    assert "/fleet/mig?host=node-1" in page(client, "/fleet/hosts/node-1")
    state, _ = state_at(client, "/fleet/mig?gpu=a")
    assert state.rows[0].layout == "off"


def test_without_a_gpu_in_mig_mode_all_that_could_be_are_taken(client: Client) -> None:
    add("node-1", gpu(0, "a"), gpu(1, "b"))
    state, _ = state_at(client, "/fleet/mig")
    assert [(row.layout, row.at) for row in state.rows] == [("off", "node-1/0,1")]


def test_a_gpu_that_the_catalog_lacks_is_shown_with_its_instances(client: Client) -> None:
    add("node-1", gpu(0, "z", name="NVIDIA Z900", mig=CUT, processes=BUSY), gpu(1, "a", mig=CUT))
    assert "a profile that the catalog does not have" in page(client, "/fleet/hosts/node-1")
    state, _ = state_at(client, "/fleet/mig?host=node-1")
    assert [row.chip for row in state.rows] == ["?NVIDIA Z900", "a100-sxm-40gb"]
    assert state.rows[0].layout == "1g.5gb/1@0#9,3g.20gb/4@4!#1"
    text = client.get("/fleet/mig?gpu=z", follow=True).content.decode()
    assert "The catalog has no MIG profiles of this GPU" in text
    assert "3g.20gb, memory slices 4 to 7, in use" in text
    kept = client.get("/fleet/mig?host=node-1&run=model%3Dgpt2", follow=True).content.decode()
    assert "NVIDIA Z900" in kept
    assert "gpt2, full" in kept or "gpt2, pretraining" in kept


def test_the_page_says_when_the_fleet_was_seen_and_invents_no_demand(client: Client) -> None:
    add("node-1", gpu(0, "a", mig=CUT))
    state, _ = state_at(client, "/fleet/mig?gpu=a")
    assert state.demands == ()
    text = client.get("/fleet/mig?gpu=a", follow=True).content.decode()
    assert "as the fleet reported them at 20" in text
    assert "Nothing is demanded yet" in text


def test_a_large_fleet_costs_a_fixed_number_of_queries(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    for host in range(12):
        add(f"node-{host}", *(gpu(index, f"g{host}-{index}", mig=CUT) for index in range(8)))
    client.get("/fleet/mig")  # the catalog is read once
    with django_assert_max_num_queries(10):
        assert client.get("/fleet/mig").status_code == 302


def test_a_run_is_offered_free_instances_alone(client: Client) -> None:
    add("node-1", gpu(0, "GPU-c", mig=CUT, processes=BUSY))
    run = "model=gpt2&task=full_finetuning&seq=128&batch=1&tokens=1M&nodes=1"
    text = page(client, f"/fleet/run?{run}")
    assert "Free MIG instances that hold it" in text
    assert "node-1 GPU 0 at 0" in text
    assert "node-1 GPU 0 at 4" not in text
