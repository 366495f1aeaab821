"""How long collectives take: bytes, latency and which link they cross. What overlaps is counted in
``overlap``.

A collective's time is latency x rounds + bytes / bandwidth, the bandwidth being that of the narrowest link on
its ring (Thakur et al. 2005; NCCL's ring and tree algorithms). Ranks are placed as Megatron-LM and PyTorch's
device meshes do: tensor parallel innermost, then context, then data, pipeline outermost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.expert_split import expert_tensor_parallel
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import anywhere, larger, smaller, where, within
from planner.engine.time.constants import TimingConstants


@dataclass(frozen=True, slots=True)
class Group:
    """A communicator and its place on the machines, shape (plans,).

    size: count of ranks.  inside: count of its ranks in each node that it touches.
    bytes_per_s: achievable bandwidth of one rank's ring inside a node.
    internode_bytes_per_s: achievable bandwidth of this group's share of the node's network.
    latency_s, internode_latency_s: seconds per round on each kind of link.
    ring_s, tree_s: seconds of latency of one reduce-scatter or all-gather, and of half an all-reduce.
    """

    size: Array
    inside: Array
    bytes_per_s: Array
    internode_bytes_per_s: Array
    latency_s: float
    internode_latency_s: float
    ring_s: Array
    tree_s: Array

    @property
    def machines(self) -> Array:
        """Count of nodes that the group touches. Source: definition."""
        return larger(self.size / self.inside, 1.0)


def group(grid: PlanGrid, constants: TimingConstants, size: Array, stride: Array) -> Group:
    """The communicator of ``size`` ranks that stand ``stride`` apart in rank order.

    size, stride: counts of ranks, shape (plans,).
    """
    per_node = grid.ranks_per_node
    inside = within(np.floor(grid.link_domain_ranks / stride), 1.0, size)
    links = where(grid.pcie > 0, constants.pcie_efficiency, constants.link_efficiency)
    # All the groups that cross the network from one node share it: there are ranks_per_node / inside of them.
    share = smaller(inside / per_node, grid.link_domain_ranks / per_node)
    ring, tree = latency_of_rounds_s(constants, inside, larger(size / inside, 1.0))
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
        ring_s=ring,
        tree_s=tree,
    )


def latency_of_rounds_s(constants: TimingConstants, inside: Array, machines: Array) -> tuple[Array, Array]:
    """Seconds of latency, shape (plans,): (of a reduce-scatter or an all-gather, of half an all-reduce).

    inside, machines: counts of ranks in a node and of nodes. A ring passes every rank, so its latency grows
    with their number. An all-reduce may run along a tree: up and down a chain in each node and the logarithm
    of the nodes. Reduce-scatters and all-gathers have such an algorithm (PAT) only for groups with one rank a
    node. Source: NCCL's cost model (graph/tuning.cc); its maintainers in NVIDIA/nccl issues 1413 and 1473
    (August and October 2024).
    """
    links = (inside - 1.0) * constants.link_latency_s
    if not anywhere(machines > 1.0):
        return links, links
    network = constants.network_latency_s
    ring: Array = machines * links + (machines - 1.0) * network
    tree: Array = smaller(ring, links + np.ceil(np.log2(machines)) * network)
    return where(inside > 1.0, ring, tree), tree


def reduce_scatter_s(
    group: Group, nbytes: Array, messages: Array | float = 1.0, rounds_s: Array | None = None
) -> Array:
    """Seconds to reduce-scatter (or all-gather) ``nbytes`` bytes in all, shape (plans,).

    group: the ranks that take part.  nbytes: whole buffer, bytes, shape (plans,).
    messages: count of collectives that the bytes are split over; each pays the latency of all rounds.
    rounds_s: seconds of that latency, the group's ring where it is not given.

    A ring moves (size - 1)/size of the buffer over each of its links. NCCL lays one ring per network card,
    so that a node's rings share its network. The slowest link sets the pace.
    Source: Thakur et al. 2005; NCCL's ring, tree (2.4) and PAT (2.23) algorithms.
    """
    inside, machines = group.inside, group.machines
    moved = (group.size - 1.0) / group.size * nbytes
    local = where(inside > 1.0, moved / group.bytes_per_s, 0.0)
    remote = where(machines > 1.0, moved / group.internode_bytes_per_s, 0.0)
    return larger(local, remote) + messages * (group.ring_s if rounds_s is None else rounds_s)


def all_reduce_s(group: Group, nbytes: Array, messages: Array | float = 1.0) -> Array:
    """Seconds to all-reduce ``nbytes`` bytes in all, shape (plans,): twice the bytes of a reduce-scatter, and
    the latency of a tree where that has fewer rounds than the ring.

    group, nbytes, messages: as in ``reduce_scatter_s``.  Source: as there.
    """
    return 2.0 * reduce_scatter_s(group, nbytes, messages, group.tree_s)


def all_to_all_s(group: Group, local_bytes: Array, remote_bytes: Array) -> Array:
    """Seconds for each rank to send its bytes to the ranks of the group, shape (plans,).

    group: the ranks that take part.  local_bytes, remote_bytes: per rank, to other ranks of its machines and
    to other machines. Each rank posts a message for every other one, so latency grows with their number.
    Source: Thakur et al. 2005 (pairwise exchange).
    """
    inside, machines, size = group.inside, group.machines, group.size
    local = local_bytes / group.bytes_per_s
    # Each rank has its own share of the node's network, whatever the other ranks of its group do.
    remote = remote_bytes * inside / group.internode_bytes_per_s
    latency = group.latency_s * (size - 1.0) + group.internode_latency_s * (machines > 1.0)
    return where(size > 1, larger(local, remote) + latency, 0.0)


def places_met(places: Array, draws: Array) -> Array:
    """Expected count of distinct places among ``draws`` even draws from ``places``, shape (plans,).

    Source: the coupon collector's expectation, places x (1 - (1 - 1/places)^draws).
    """
    return places * (1.0 - (1.0 - 1.0 / larger(places, 1.0)) ** draws)


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
