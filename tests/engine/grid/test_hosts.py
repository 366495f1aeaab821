"""The machine around the chips: servers by generation, and the desktop that a GeForce card is in."""

from dataclasses import replace

import pytest

from planner.engine.grid import hosts
from planner.engine.question.request import Cluster
from tests.engine.questions import question


def cluster(slug: str, **changes: object) -> Cluster:
    machines = {"accelerators_per_node": 1, "nodes": 1, "internode_gbps_per_node": 100}
    return replace(question(cluster={"accelerator": slug, **machines}).cluster, **changes)


@pytest.mark.parametrize(
    ("slug", "bandwidth"),
    [("h100-sxm", 614e9), ("l40s", 410e9), ("rtx-4090", 154e9), ("rtx-pro-6000", 717e9)],
)
def test_memory_of_the_host_by_the_chip_that_it_is_sold_with(slug: str, bandwidth: float) -> None:
    assert hosts.host_numbers(cluster(slug))["host_bandwidth_bytes_per_s"] == bandwidth


def test_eight_geforce_cards_are_in_a_server() -> None:
    rented = cluster("rtx-4090", accelerators_per_node=8)
    assert hosts.host_numbers(rented)["host_bandwidth_bytes_per_s"] == 410e9


def test_what_the_question_says_of_the_host_counts() -> None:
    said = cluster("rtx-4090", host_memory_bandwidth_bytes_per_s=5e10)
    assert hosts.host_numbers(said)["host_bandwidth_bytes_per_s"] == 5e10
