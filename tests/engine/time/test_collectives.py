"""Collectives from their closed forms: Thakur et al. 2005 for rings and pairwise exchange.

Links move 100 bytes a second inside a node of 4 ranks, the network 40 a node, unless a test says otherwise.
"""

import numpy as np
import pytest

from planner.engine.time import collectives
from planner.engine.time.collectives import Group
from tests.engine.bare import LINK, NETWORK, bare_constants, bare_grid, number

LATENCIES = bare_constants(link_latency_s=0.5, network_latency_s=3.0)


def group(size: int, stride: int = 1, **changes: float) -> Group:
    whole = np.float64(size), np.float64(stride)
    return collectives.group(bare_grid(**changes), LATENCIES, *whole)


BYTES = np.float64(1200.0)
NOTHING = np.float64(0.0)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_ring_inside_a_node_moves_n_minus_one_nths_in_n_minus_one_rounds(size: int) -> None:
    seconds = number(collectives.reduce_scatter_s(group(size), BYTES))
    assert seconds == pytest.approx((size - 1) / size * 1200 / LINK + (size - 1) * 0.5)


def test_one_rank_has_nobody_to_talk_to() -> None:
    assert number(collectives.reduce_scatter_s(group(1), BYTES)) == 0.0
    assert number(collectives.all_to_all_s(group(1), BYTES, BYTES)) == 0.0


def test_each_message_pays_the_latency_once_more() -> None:
    once = number(collectives.reduce_scatter_s(group(4), BYTES))
    thrice = number(collectives.reduce_scatter_s(group(4), BYTES, 3.0))
    assert thrice == pytest.approx(once + 2 * 3 * 0.5)


def test_across_nodes_the_slower_of_link_and_network_sets_the_pace() -> None:
    """8 ranks on 2 nodes of 4: the ring's 7/8 of the bytes over a whole node's network."""
    seconds = number(collectives.reduce_scatter_s(group(8), BYTES))
    assert seconds == pytest.approx(7 / 8 * 1200 / NETWORK + 6 * 0.5 + 1 * 3.0)
    wide = group(8, internode_bytes_per_s=1e6)
    assert number(collectives.reduce_scatter_s(wide, BYTES)) == pytest.approx(
        7 / 8 * 1200 / LINK + 6 * 0.5 + 1 * 3.0
    )


def test_groups_that_cross_from_one_node_share_its_network() -> None:
    """Stride 4: one rank of each in a node, so that 4 groups share the node's 40 bytes a second."""
    found = group(3, stride=4)
    assert number(found.inside) == 1
    assert number(found.machines) == 3
    assert number(found.internode_bytes_per_s) == NETWORK / 4
    assert number(collectives.reduce_scatter_s(found, BYTES)) == pytest.approx(
        2 / 3 * 1200 / (NETWORK / 4) + 2 * 3.0
    )


@pytest.mark.parametrize(
    ("size", "stride", "inside"), [(2, 1, 2), (8, 1, 4), (8, 2, 2), (8, 3, 1), (2, 2, 2), (2, 8, 1)]
)
def test_a_node_holds_what_the_stride_leaves_room_for(size: int, stride: int, inside: int) -> None:
    assert number(group(size, stride).inside) == inside


def test_links_and_network_reach_their_share_of_peak() -> None:
    constants = bare_constants(link_efficiency=0.8, pcie_efficiency=0.6, network_efficiency=0.9)
    ones = np.float64(4.0), np.float64(1.0)
    nvlink = collectives.group(bare_grid(), constants, *ones)
    pcie = collectives.group(bare_grid(pcie=1), constants, *ones)
    assert (number(nvlink.bytes_per_s), number(pcie.bytes_per_s)) == pytest.approx((80.0, 60.0))
    assert number(nvlink.internode_bytes_per_s) == pytest.approx(36.0)


def test_an_all_to_all_takes_as_long_as_the_slower_of_links_and_network() -> None:
    inside = number(collectives.all_to_all_s(group(4), BYTES, np.float64(0.0)))
    assert inside == pytest.approx(1200 / LINK + 3 * 0.5)
    # Over two nodes each rank has a fourth of its node's network.
    across = number(collectives.all_to_all_s(group(8), BYTES, BYTES / 2))
    assert across == pytest.approx(600 / (NETWORK / 4) + 7 * 0.5 + 3.0)
    wide = group(8, internode_bytes_per_s=1e6)
    assert number(collectives.all_to_all_s(wide, BYTES, BYTES)) == pytest.approx(1200 / LINK + 7 * 0.5 + 3.0)


def on_p5(nodes: int) -> Group:
    """Eight H100 a machine on AWS, with the priors of the two latencies and 85 % of 400 GB/s."""
    constants = bare_constants(link_latency_s=4e-6, network_latency_s=20e-6)
    machines = {"internode_bytes_per_s": 340e9, "link_bytes_per_s": 390e9}
    grid = bare_grid(ranks_per_node=8, link_domain_ranks=8, **machines)
    return collectives.group(grid, constants, np.float64(8 * nodes), np.float64(1.0))


@pytest.mark.parametrize(("nodes", "published"), [(2, 81.0), (16, 51.0)])
def test_an_all_to_all_is_as_fast_as_the_smol_playbook_measured(nodes: int, published: float) -> None:
    """Hugging Face 2025, AWS P5: 81 GB/s on two machines, 45 to 58 on more; 621 us for 16 with nothing to
    send."""
    group, size, nbytes = on_p5(nodes), 8 * nodes, np.float64(1e9)
    local, remote = nbytes * 7 / size, nbytes * (size - 8) / size
    bus = (size - 1) / size / number(collectives.all_to_all_s(group, local, remote))
    assert bus == pytest.approx(published, rel=0.15)


def test_latencies_of_16_machines_are_those_of_the_smol_playbook() -> None:
    """Hugging Face 2025, AWS P5: 235 us for an all-reduce over a tree, 621 us for an all-to-all."""
    assert number(collectives.all_reduce_s(on_p5(16), NOTHING)) == pytest.approx(235e-6, rel=0.1)
    assert number(collectives.all_to_all_s(on_p5(16), NOTHING, NOTHING)) == pytest.approx(621e-6, rel=0.2)


def test_draws_meet_as_many_places_as_a_coupon_collector() -> None:
    assert number(collectives.places_met(np.float64(4.0), np.float64(1.0))) == 1.0
    assert number(collectives.places_met(np.float64(4.0), np.float64(2.0))) == pytest.approx(1.75)
    assert number(collectives.places_met(np.float64(1.0), np.float64(8.0))) == 1.0


@pytest.mark.parametrize("nodes", [2, 4, 64, 1024])
def test_a_ring_s_latency_grows_with_its_ranks(nodes: int) -> None:
    """Every node's three links and each network hop but one (NCCL has no tree for a reduce-scatter)."""
    seconds = number(collectives.reduce_scatter_s(group(4 * nodes), NOTHING))
    assert seconds == pytest.approx(nodes * 3 * 0.5 + (nodes - 1) * 3.0)


@pytest.mark.parametrize(("nodes", "rounds"), [(2, 1), (4, 2), (8, 3), (1024, 10)])
def test_an_all_reduce_goes_up_and_down_a_tree(nodes: int, rounds: int) -> None:
    """2 x (log2 of the nodes x network + a chain in each node): NCCL's cost of a tree."""
    seconds = number(collectives.all_reduce_s(group(4 * nodes), NOTHING))
    assert seconds == pytest.approx(2 * (3 * 0.5 + rounds * 3.0))


def test_an_all_reduce_moves_twice_a_scatter_s_bytes() -> None:
    ideal = collectives.group(bare_grid(), bare_constants(), np.float64(8.0), np.float64(1.0))
    once = number(collectives.reduce_scatter_s(ideal, BYTES))
    assert number(collectives.all_reduce_s(ideal, BYTES)) == pytest.approx(2 * once)


def test_one_rank_a_node_scatters_along_a_tree_too() -> None:
    """PAT (NCCL 2.23) is for groups with one rank a node, as of tensor parallelism over whole nodes."""
    alone = number(collectives.reduce_scatter_s(group(64, stride=4), NOTHING))
    assert alone == pytest.approx(6 * 3.0)


def test_a_ring_of_512_gpus_is_slowed_as_the_playbook_measured() -> None:
    """Hugging Face's playbook of 2025: 256 MB gathered over 64 nodes of 8 H100 at 11 GB/s, over 2 at 185.

    With 40 us a rank, which is what the seven published medians come to, the ring gives both within a third.
    """
    constants = bare_constants(link_latency_s=40e-6, network_latency_s=40e-6)
    nbytes, found = np.float64(256e6), {}
    for nodes in (2, 64):
        grid = bare_grid(
            ranks_per_node=8, link_domain_ranks=8, internode_bytes_per_s=360e9, link_bytes_per_s=250e9
        )
        ranks = collectives.group(grid, constants, np.float64(8 * nodes), np.float64(1.0))
        found[nodes] = 256 / 1e3 / number(collectives.reduce_scatter_s(ranks, nbytes))
    assert found[64] == pytest.approx(11.0, rel=0.33)
    assert found[2] == pytest.approx(185.0, rel=0.33)


def test_a_link_that_reaches_across_machines_holds_more_ranks() -> None:
    """Four ranks a node, eight in the link's domain: two nodes' networks serve each domain."""
    found = group(16, link_domain_ranks=8)
    assert (number(found.inside), number(found.machines)) == (8, 2)
    assert number(found.internode_bytes_per_s) == 2 * NETWORK


def test_a_provider_s_fabric_keeps_its_share() -> None:
    assert number(group(8, fabric_share=0.9).internode_bytes_per_s) == pytest.approx(0.9 * NETWORK)


def test_a_hand_over_stays_inside_or_takes_one_rank_s_share_of_the_network() -> None:
    near = number(collectives.point_to_point_s(group(2), BYTES))
    far = number(collectives.point_to_point_s(group(2, stride=4), BYTES))
    assert near == pytest.approx(1200 / LINK + 0.5)
    assert far == pytest.approx(1200 / (NETWORK / 4) + 3.0)
    # Two stages a node in four: a hand-over still has one rank's share.
    half = number(collectives.point_to_point_s(group(4, stride=2), BYTES))
    assert half == pytest.approx(1200 / (NETWORK / 4) + 3.0)


def test_ranks_are_placed_tensor_context_data_pipeline() -> None:
    """Megatron-LM's order on nodes of 8: TP 2 x CP 2 x DP 2 x PP 2."""
    grid = bare_grid(
        ranks_per_node=8,
        tensor_parallel=2,
        context_parallel=2,
        data_parallel=2,
        pipeline_parallel=2,
        expert_parallel=4,
    )
    whole_experts = grid.with_fields(expert_parallel=8)
    groups = {
        "tensor": collectives.tensor_group(grid, LATENCIES),
        "context": collectives.context_group(grid, LATENCIES),
        "data": collectives.data_group(grid, LATENCIES, grid.data_parallel * grid.context_parallel),
        "expert": collectives.expert_group(grid, LATENCIES),
        "pipeline": collectives.pipeline_group(grid, LATENCIES),
    }
    placed = {name: (number(each.size), number(each.inside)) for name, each in groups.items()}
    assert placed == {
        "tensor": (2, 2),
        "context": (2, 2),
        "data": (4, 4),
        "expert": (4, 4),
        "pipeline": (2, 1),
    }
    # Experts over more ranks than replicas are whole and stand side by side.
    assert number(collectives.expert_group(whole_experts, LATENCIES).inside) == 8
    on_fours = grid.with_fields(ranks_per_node=4, link_domain_ranks=4)
    assert number(collectives.context_group(on_fours, LATENCIES).inside) == 2
    assert number(collectives.data_group(on_fours, LATENCIES, grid.data_parallel * 2).inside) == 2
