"""How long collectives take: bytes, latency and which link they cross. What overlaps is counted in
``overlap``.

A collective's time is latency x rounds + bytes / bandwidth, the bandwidth being that of the narrowest link on
its ring (Thakur et al. 2005; NCCL's ring and tree algorithms). Ranks are placed as Megatron-LM and PyTorch's
device meshes do: tensor parallel innermost, then context, then data, pipeline outermost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import anywhere, where, within
from planner.engine.time.constants import TimingConstants
from planner.engine.time.experts import expert_tensor_parallel

#: Rounds per doubling of the machines where a tree or PAT takes the ring's place: up and down.
TREE_DEPTHS = 2.0


@dataclass(frozen=True, slots=True)
class Group:
    """A communicator and its place on the machines, shape (plans,).

    size: count of ranks.  inside: count of its ranks in each node that it touches.
    bytes_per_s: achievable bandwidth of one rank's ring inside a node.
    internode_bytes_per_s: achievable bandwidth of this group's share of the node's network.
    latency_s, internode_latency_s: seconds per round on each kind of link.
    rounds_s: seconds of latency of one reduction or gather over all of the group.
    """

    size: Array
    inside: Array
    bytes_per_s: Array
    internode_bytes_per_s: Array
    latency_s: float
    internode_latency_s: float
    rounds_s: Array

    @property
    def machines(self) -> Array:
        """Count of nodes that the group touches. Source: definition."""
        return np.maximum(self.size / self.inside, 1.0)


def group(grid: PlanGrid, constants: TimingConstants, size: Array, stride: Array) -> Group:
    """The communicator of ``size`` ranks that stand ``stride`` apart in rank order.

    size, stride: counts of ranks, shape (plans,).
    """
    per_node = grid.ranks_per_node
    inside = within(np.floor(grid.link_domain_ranks / stride), 1.0, size)
    links = where(grid.pcie > 0, constants.pcie_efficiency, constants.link_efficiency)
    # All the groups that cross the network from one node share it: there are ranks_per_node / inside of them.
    share = np.minimum(inside / per_node, grid.link_domain_ranks / per_node)
    return Group(
        size=size,
        inside=inside,
        bytes_per_s=grid.link_bytes_per_s * links,
        internode_bytes_per_s=grid.internode_bytes_per_s
        * constants.network_efficiency
        * grid.fabric_share
        * share,
        latency_s=constants.link_latency_s,
        internode_latency_s=constants.network_latency_s,
        rounds_s=latency_of_rounds_s(constants, inside, np.maximum(size / inside, 1.0)),
    )


def latency_of_rounds_s(constants: TimingConstants, inside: Array, machines: Array) -> Array:
    """Seconds of latency of one reduction or gather, shape (plans,): a round for each rank of a node but one,
    and across machines one for each but one, or those of a tree where that has fewer.

    inside, machines: counts of ranks in a node and of nodes.
    Source: Thakur et al. 2005; NCCL's tree (2.4) and PAT (2.23) algorithms.
    """
    hops = machines - 1.0
    if anywhere(hops > TREE_DEPTHS):
        hops = np.minimum(hops, TREE_DEPTHS * np.log2(machines))
    rounds: Array = (inside - 1.0) * constants.link_latency_s + hops * constants.network_latency_s
    return rounds


def reduce_scatter_s(group: Group, nbytes: Array, messages: Array | float = 1.0) -> Array:
    """Seconds to reduce-scatter (or all-gather) ``nbytes`` bytes in all; an all-reduce is two of these.

    group: the ranks that take part.  nbytes: whole buffer, bytes, shape (plans,).
    messages: count of collectives that the bytes are split over; each pays the latency of all rounds of the
    ring.

    A ring moves (size - 1)/size of the buffer over each of its links. NCCL lays one ring per network card,
    so that a node's rings share its network. The slowest link sets the pace; latency counts per round of
    the ring or, over many machines, per level of a tree, up and down. Source: Thakur et al. 2005; NCCL's
    ring, tree (2.4) and PAT (2.23) algorithms.
    """
    inside, machines = group.inside, group.machines
    moved = (group.size - 1.0) / group.size * nbytes
    local = where(inside > 1.0, moved / group.bytes_per_s, 0.0)
    remote = where(machines > 1.0, moved / group.internode_bytes_per_s, 0.0)
    return np.maximum(local, remote) + messages * group.rounds_s


def all_to_all_s(group: Group, local_bytes: Array, remote_bytes: Array) -> Array:
    """Seconds for each rank to send its bytes to the ranks of the group, shape (plans,).

    group: the ranks that take part.  local_bytes, remote_bytes: per rank, to other ranks of its machines and
    to other machines. Source: Thakur et al. 2005.
    """
    inside, machines, size = group.inside, group.machines, group.size
    local = local_bytes / group.bytes_per_s
    # Each rank has its own share of the node's network, whatever the other ranks of its group do.
    remote = remote_bytes * inside / group.internode_bytes_per_s
    latency = group.latency_s * (inside - 1.0) + group.internode_latency_s * (machines > 1.0)
    return where(size > 1, np.maximum(local, remote) + latency, 0.0)


def places_met(places: Array, draws: Array) -> Array:
    """Expected count of distinct places among ``draws`` even draws from ``places``, shape (plans,).

    Source: the coupon collector's expectation, places x (1 - (1 - 1/places)^draws).
    """
    return places * (1.0 - (1.0 - 1.0 / np.maximum(places, 1.0)) ** draws)


def point_to_point_s(group: Group, nbytes: Array) -> Array:
    """Seconds to send ``nbytes`` bytes from one pipeline stage to the next, shape (plans,).

    group: the pipeline's ranks.  Source: latency + bytes / bandwidth of the link.
    """
    crosses = group.machines > 1.0
    bandwidth = where(crosses, group.internode_bytes_per_s / group.inside, group.bytes_per_s)
    return nbytes / bandwidth + where(crosses, group.internode_latency_s, group.latency_s)


def tensor_group(grid: PlanGrid, constants: TimingConstants) -> Group:
    """The tensor-parallel communicator: neighbouring ranks."""
    return group(grid, constants, grid.tensor_parallel, np.asarray(1.0))


def context_group(grid: PlanGrid, constants: TimingConstants) -> Group:
    """The context-parallel communicator: ranks one tensor-parallel group apart."""
    return group(grid, constants, grid.context_parallel, grid.tensor_parallel)


def data_group(grid: PlanGrid, constants: TimingConstants, size: Array) -> Group:
    """The data-parallel communicator of ``size`` ranks (a count, shape (plans,)).

    Gradients are reduced over data- and context-parallel ranks together.
    """
    return group(grid, constants, size, grid.tensor_parallel)


def expert_group(grid: PlanGrid, constants: TimingConstants) -> Group:
    """The expert-parallel communicator: ranks one tensor-parallel group apart, or neighbours where experts
    are not split.
    """
    return group(grid, constants, grid.expert_parallel, expert_tensor_parallel(grid))


def pipeline_group(grid: PlanGrid, constants: TimingConstants) -> Group:
    """The pipeline's communicator: ranks one whole stage apart."""
    stride = grid.tensor_parallel * grid.context_parallel * grid.data_parallel
    return group(grid, constants, grid.pipeline_parallel, stride)
