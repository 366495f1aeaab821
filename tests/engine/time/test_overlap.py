"""Exposed communication from closed forms; links move 100 bytes a second, the network 40 a node of 4."""

import numpy as np
import pytest

from planner.engine.grid.plan_grid import DISPATCHERS, PlanGrid
from planner.engine.time.compute import blocks_compute
from planner.engine.time.constants import TimingConstants
from planner.engine.time.overlap import (
    adapter_messages,
    buckets,
    context_communication_s,
    data_communication_s,
    expert_communication_s,
    exposed_s,
    fused_dispatch,
    local_parameters,
    machines_per_token,
    tensor_communication_s,
    trained_parameters,
)
from tests.engine.bare import HOPPER, LINK, NETWORK, bare_constants, bare_grid, framework, number

#: 8 tokens x 8 wide x 2 bytes.
STREAM = 8 * 8 * 2.0


def tensor_s(constants: object = None, **changes: float) -> float:
    grid = bare_grid(tensor_parallel=4, **changes)
    used = constants or bare_constants()
    return number(tensor_communication_s(grid, used, blocks_compute(grid, used)))


def test_tensor_parallel_reduces_twice_a_block_and_direction() -> None:
    """Shoeybi et al. 2019, section 3: four all-reduces a block, each 2 (n - 1)/n of the stream."""
    all_reduce = 2 * 3 / 4 * STREAM / LINK
    assert tensor_s() == pytest.approx(2 * 4 * all_reduce)
    assert tensor_s(recompute=2) == pytest.approx(2 * 6 * all_reduce)
    assert tensor_s(fp8=1) == pytest.approx(0.75 * 2 * 4 * all_reduce)


def test_megatron_hides_the_backward_reductions() -> None:
    constants = bare_constants(tensor_exposed=0.8, engine_tensor_exposed=0.5, tensor_backward_exposed=0.25)
    all_reduce = 2 * 3 / 4 * STREAM / LINK
    megatron = framework("megatron")
    assert tensor_s(constants) == pytest.approx(2 * 0.8 * 4 * all_reduce)
    assert tensor_s(constants, framework=megatron) == pytest.approx(2 * 0.8 * 2.5 * all_reduce)
    assert tensor_s(constants, framework=megatron, architecture=HOPPER) == pytest.approx(
        2 * 0.5 * 2.5 * all_reduce
    )


MIXTURE = {"dense_blocks": 0, "moe_blocks": 2, "experts": 4, "experts_per_token": 3}


def test_each_routed_copy_of_a_token_is_reduced_in_its_mlp() -> None:
    """Three copies instead of one: half of a block's reductions thrice, so two blocks are worth four."""
    assert tensor_s(**MIXTURE) == pytest.approx(2 * tensor_s())


def test_routed_copies_travel_in_16_bits_and_wait() -> None:
    """Transformer Engine overlaps the products of attention, in fp8 with half of a gather's bytes; Megatron's
    dispatcher does neither."""
    constants = bare_constants(tensor_exposed=0.8, engine_tensor_exposed=0.5, tensor_backward_exposed=0.25)
    tuned = {"framework": framework("megatron"), "architecture": HOPPER, "fp8": 1}
    all_reduce = 2 * 3 / 4 * STREAM / LINK
    attention, experts = 0.5 * 2.5 * 0.75 * all_reduce, 0.8 * 4 * 3 * all_reduce
    assert tensor_s(constants, **MIXTURE, **tuned) == pytest.approx(2 * 0.5 * (attention + experts))


def test_whole_experts_need_no_tensor_parallel_reduction() -> None:
    """Experts over more ranks than there are replicas are whole: what is left is attention's half."""
    whole = MIXTURE | {"expert_parallel": 4, "data_parallel": 1}
    assert tensor_s(**whole) == pytest.approx(0.5 * tensor_s())


@pytest.mark.parametrize("ring", [2, 4])
def test_ring_attention_passes_keys_and_values_round_thrice(ring: int) -> None:
    """Liu et al. 2023: in n - 1 rounds each rank hands on the keys and values of its own tokens, once forward
    and, with their gradients, twice backward. 8 / n tokens x 2 heads x (4 + 4) x 2 bytes."""
    grid = bare_grid(context_parallel=ring)
    constants = bare_constants(link_latency_s=0.5)
    own = 8 / ring * 2 * 8 * 2
    rounds = (ring - 1) * (own / LINK + 0.5)
    found = context_communication_s(grid, constants, blocks_compute(grid, constants))
    assert number(found) == pytest.approx(2 * 3 * rounds)


def test_grouped_keys_make_the_ring_lighter_and_exposure_scales_it() -> None:
    constants = bare_constants(context_exposed=0.5)
    grid = bare_grid(context_parallel=2, kv_heads=1)
    found = context_communication_s(grid, constants, blocks_compute(grid, constants))
    assert number(found) == pytest.approx(0.5 * 2 * 3 * 4 * 8 * 2 / LINK)
    assert number(context_communication_s(bare_grid(), constants, blocks_compute(grid, constants))) == 0.0


def expert_s(grid: PlanGrid, constants: TimingConstants | None = None) -> float:
    used = constants or bare_constants()
    return number(expert_communication_s(grid, used, blocks_compute(grid, used)))


def test_experts_are_dispatched_and_combined_forward_and_backward() -> None:
    mixture = {"dense_blocks": 0, "moe_blocks": 2, "experts": 4, "experts_per_token": 2, "expert_parallel": 4}
    all_to_all = 3 / 4 * 2 * STREAM / LINK
    assert expert_s(bare_grid(**mixture)) == pytest.approx(2 * 4 * all_to_all)
    again = expert_s(bare_grid(**mixture, recompute=2), bare_constants(expert_exposed=0.5))
    assert again == pytest.approx(0.5 * 2 * 6 * all_to_all)
    split = bare_grid(**mixture, tensor_parallel=2, sequence_parallel=1, ranks_per_node=8, data_parallel=4)
    assert expert_s(split) == pytest.approx(2 * 4 * all_to_all / 2)


def exposed(communication: float, cover: float, *, stack: str = "generic", overlap: float = 1.0) -> float:
    constants = bare_constants(overlap_reach=0.5, prefetched_contention=0.1, hooked_contention=0.2)
    seconds = np.float64(communication), np.float64(cover)
    return number(exposed_s(bare_grid(overlap=overlap, framework=framework(stack)), constants, *seconds))


def test_what_compute_cannot_cover_is_exposed() -> None:
    # Reach 4 of 8 seconds; sqrt(3 x 3 + 4 x 4) - 4 = 1 stays, and a fifth (a tenth where it is prefetched) of
    # two hidden seconds.
    assert exposed(3.0, 8.0) == pytest.approx(1.0 + 0.2 * 2.0)
    for stack in ("megatron", "fsdp", "torchtitan"):
        assert exposed(3.0, 8.0, stack=stack) == pytest.approx(1.0 + 0.1 * 2.0)
    assert exposed(3.0, 0.0) == pytest.approx(3.0)
    assert exposed(3.0, 8.0, overlap=0.0) == 3.0


#: Eight ranks on two nodes of four share eight experts, of which a token visits two.
SPREAD = {
    "dense_blocks": 0, "moe_blocks": 1, "experts": 8, "experts_per_token": 2,
    "expert_parallel": 8, "data_parallel": 8,
}  # fmt: skip


def dispatch_s(dispatcher: str, **changes: float) -> float:
    grid = bare_grid(**SPREAD, dispatcher=float(DISPATCHERS.index(dispatcher)), **changes)
    return expert_s(grid)


def test_a_fused_dispatcher_sends_a_token_once_to_each_machine() -> None:
    """Half of two copies leave the node plainly; fused, a token meets 2 (1 - 1/4) machines, half of them
    other ones: three quarters of the bytes. A rank has a fourth of the node's network."""
    each = 4 * STREAM / (NETWORK / 4)
    assert dispatch_s("all_to_all") == pytest.approx(each * 2 / 2)
    assert dispatch_s("deepep") == dispatch_s("hybridep") == pytest.approx(each * 1.5 / 2)


def test_a_router_s_limit_keeps_a_token_from_further_machines() -> None:
    """Of 1.5 machines a token would visit one, its own half the time; a limit of both changes nothing."""
    each = 4 * STREAM / (NETWORK / 4)
    assert dispatch_s("deepep", nodes_per_token=1) == pytest.approx(each * 1 / 2)
    assert dispatch_s("deepep", nodes_per_token=2) == dispatch_s("deepep")


def test_an_unsaid_dispatcher_is_fused_where_recipes_have_it_so() -> None:
    """Over several machines: with no stack named, and with Megatron for routers that limit groups."""
    grouped, megatron = {"expert_groups": 8, "groups_per_token": 4}, framework("megatron")
    for machines, changes, fused in (
        (2, {}, True),
        (1, {}, False),
        (2, {"framework": megatron}, False),
        (2, {"framework": megatron} | grouped, True),
        (2, {"dispatcher_usual": 0}, False),
        (1, {"dispatcher_usual": 0, "dispatcher": float(DISPATCHERS.index("deepep"))}, True),
    ):
        grid = bare_grid(**{"dispatcher_usual": 1, **changes})
        assert fused_dispatch(grid, np.float64(machines)) == fused


def test_group_limited_routing_keeps_a_token_from_further_machines() -> None:
    """DeepSeek-V3: experts in 8 groups, a token's from 4 of them (n_group, topk_group)."""
    grid = bare_grid(expert_groups=8, groups_per_token=4)
    for machines, most in ((2, 4), (8, 4), (16, 8)):
        assert number(machines_per_token(grid, np.float64(machines))) == most
    assert number(machines_per_token(bare_grid(), np.float64(16))) == 16
    assert number(machines_per_token(grid.with_fields(nodes_per_token=3), np.float64(16))) == 3
    one = {"expert_groups": 2, "groups_per_token": 1}
    assert dispatch_s("deepep", **one) == dispatch_s("deepep", nodes_per_token=1)


def test_an_exchange_beside_compute_costs_what_hidden_communication_does() -> None:
    grid = bare_grid(**SPREAD, expert_overlap=1)
    used = bare_constants(overlap_reach=0.5, hooked_contention=0.2)
    compute = blocks_compute(grid, used)
    alone = expert_s(bare_grid(**SPREAD), used)
    beside = exposed_s(grid, used, np.float64(alone), compute.forward + compute.backward)
    assert expert_s(grid, used) == pytest.approx(number(beside))
    assert expert_s(grid, used) < alone
    assert expert_s(bare_grid(**SPREAD, expert_overlap=1, overlap=0), used) == pytest.approx(alone)


def hides(**changes: float) -> bool:
    """Whether an exchange of which nothing was said is hidden."""
    used = bare_constants(overlap_reach=0.5, hooked_contention=0.2)
    left = SPREAD | changes
    return expert_s(bare_grid(**left, expert_overlap_usual=1), used) < expert_s(bare_grid(**left), used)


def test_an_unsaid_exchange_is_hidden_where_the_stack_s_recipes_hide_it() -> None:
    """Over several machines, beside another micro-batch: in a pipeline Megatron needs chunks for it."""
    megatron = framework("megatron")
    assert hides()
    assert not hides(expert_parallel=4)
    assert not hides(recompute=2)
    assert hides(pipeline_parallel=2)
    assert not hides(pipeline_parallel=2, framework=megatron)
    assert hides(pipeline_parallel=2, interleaved_stages=2, framework=megatron)


def test_a_gather_sends_each_token_to_every_rank() -> None:
    """Seven other ranks' tokens over the links; those of the other node once over its network."""
    assert dispatch_s("all_gather") == pytest.approx(
        4 * max(7 * STREAM / LINK, 4 / 4 * STREAM / (NETWORK / 4))
    )


def test_the_fullest_rank_s_tokens_set_the_pace_of_the_dispatch() -> None:
    assert dispatch_s("all_to_all", expert_load=1.5) == pytest.approx(1.5 * dispatch_s("all_to_all"))


def test_a_compiler_hides_part_of_neuron_s_collectives() -> None:
    constants = bare_constants(neuron_tensor_exposed=0.5)
    assert tensor_s(constants, framework=framework("neuron")) == pytest.approx(0.5 * tensor_s())
    assert tensor_s(constants, framework=framework("neuron"), overlap=0) == pytest.approx(tensor_s())


def test_adapters_in_the_base_s_flat_parameters_reduce_all_of_it() -> None:
    adapters = {"frozen": 1, "lora_parameters": 64, "sharding": 3, "framework": framework("fsdp")}
    apart, together = data(**adapters)[0], data(**adapters, adapters_with_base=1)[0]
    assert together - apart == pytest.approx(GATHER - 3 / 4 * 64 * 2 / LINK)


def test_parameters_of_a_rank_are_split_over_tensor_pipeline_and_experts() -> None:
    grid = bare_grid(
        moe_blocks=1, moe_block_parameters=100, routed_expert_parameters=800,
        tensor_parallel=2, pipeline_parallel=2, expert_parallel=4, data_parallel=4,
    )  # fmt: skip
    dense, experts = local_parameters(grid)
    split = local_parameters(grid.with_fields(split_experts=1))[1]
    assert number(split) == 800 / 4 / 4  # tensor parallelism splits each expert too, where asked to
    assert (number(dense), number(experts)) == ((2 * 512 + 100 + 256 + 256) / 4, 800 / 4 / 2)
    trained, trained_experts = trained_parameters(grid.with_fields(frozen=1, lora_parameters=40))
    assert (number(trained), number(trained_experts)) == (10, 0)


#: Of 1536 parameters, in 2 bytes, over a ring of 4 on the links.
GATHER = 3 / 4 * 1536 * 2 / LINK


def data(forward: float = 0.0, backward: float = 0.0, **changes: float) -> tuple[float, float]:
    grid = bare_grid(**{"data_parallel": 4, "sharding_group": 4, **changes})
    cover = np.float64(forward), np.float64(backward)
    found = data_communication_s(grid, bare_constants(), *cover)
    return number(found.per_micro_batch), number(found.per_step)


@pytest.mark.parametrize("sharding", [0, 1, 2])
def test_an_all_reduce_a_step_is_a_scatter_and_a_gather(sharding: int) -> None:
    assert data(sharding=sharding) == pytest.approx((0.0, 2 * GATHER))


def test_zero3_gathers_twice_and_scatters_in_each_micro_batch() -> None:
    """Rajbhandari et al. 2020, section 7.2: three times the parameters, 1.5 times an all-reduce."""
    assert data(sharding=3) == pytest.approx((3 * GATHER, 0.0))
    assert data(sharding=3, sharding_group=1) == pytest.approx((0.0, 2 * GATHER))


def test_forward_hides_gathers_and_backward_hides_scatters_as_well() -> None:
    per_micro_batch, _ = data(forward=1e9, backward=0.0, sharding=3)
    assert per_micro_batch == pytest.approx(2 * GATHER, rel=1e-6)
    # ZeRO-1 gathers the new weights behind the next forward pass; DDP's all-reduce is behind the backward.
    assert data(backward=1e9, sharding=1)[1] == pytest.approx(GATHER, rel=1e-6)
    assert data(backward=1e9)[1] == pytest.approx(0.0, abs=1e-5)
    assert data(forward=1e9)[1] == pytest.approx(2 * GATHER, rel=1e-6)


def test_megatron_reduces_in_the_precision_it_accumulates_in() -> None:
    megatron = framework("megatron")
    assert data(framework=megatron, sharding=1)[1] == pytest.approx(2 * GATHER + GATHER)
    # Its fp16 gradients are reduced as they are.
    assert data(framework=megatron, sharding=1, fp16=1)[1] == pytest.approx(2 * GATHER)


def test_megatron_without_its_distributed_optimizer_reduces_after_the_backward_pass() -> None:
    found = data(backward=1e9, framework=framework("megatron"))[1]
    assert found == pytest.approx(2 * 2 * GATHER)


def test_shards_of_a_node_are_summed_over_the_nodes() -> None:
    """ZeRO-1 in groups of 4 on two nodes: scattered and gathered on links, a quarter summed between."""
    _, found = data(data_parallel=8, sharding_group=4, sharding=1)
    assert found == pytest.approx(2 * GATHER + 2 * (1 / 2 * 1536 / 4 * 2) / (NETWORK / 4))


def collectives_of(elements: float, ranks: float = 4.0, wire: float = 2.0, **changes: float) -> float:
    grid = bare_grid(**changes)
    return number(buckets(grid, np.float64(elements), np.float64(wire), np.float64(ranks)))


def test_a_reduction_is_split_as_the_stack_splits_it() -> None:
    """Megatron-Core: 40M elements or 1M a rank; DeepSpeed 5e8; DDP 25 MiB; ZeRO-3 and FSDP a block."""
    megatron, deepspeed, fsdp = (framework(name) for name in ("megatron", "deepspeed", "fsdp"))
    assert collectives_of(400e6, framework=megatron, sharding=1) == 10
    assert collectives_of(400e6, ranks=200, framework=megatron, sharding=1) == 2
    assert collectives_of(1e9, framework=deepspeed, sharding=1) == 2
    assert collectives_of(25 * 2**20, wire=4.0) == 4
    assert collectives_of(1.0) == 1
    assert collectives_of(1e9, framework=fsdp, sharding=2) == 2
    assert collectives_of(1e9, framework=deepspeed, sharding=3) == 2
    assert collectives_of(2.0**30, framework=framework("neuron")) == 4


def test_adapters_wrapped_apart_are_gathered_one_by_one() -> None:
    """PEFT's policy for FSDP: two matrices of each of 7 adapted layers in 2 blocks, gathered forward and
    backward, their gradients scattered, each paying the ring's latency of three rounds."""
    adapters = {"frozen": 1, "lora_parameters": 64, "sharding": 3, "adapted_modules": 7}
    grid = bare_grid(data_parallel=4, sharding_group=4, framework=framework("fsdp"), **adapters)
    assert number(adapter_messages(grid)) == 2 * 7 * 2
    slow = bare_constants(link_latency_s=1e-3)

    def waited(**changes: float) -> float:
        found = data_communication_s(grid.with_fields(**changes), slow, np.float64(0.0), np.float64(0.0))
        free = data_communication_s(
            grid.with_fields(**changes), bare_constants(), np.float64(0.0), np.float64(0.0)
        )
        return number(found.per_micro_batch) - number(free.per_micro_batch)

    blocks, rounds = 2, 3
    assert waited() == pytest.approx(3 * (28 + blocks) * rounds * 1e-3)
    assert waited(adapters_with_base=1) == pytest.approx(3 * blocks * rounds * 1e-3)


def test_fp8_weights_are_gathered_in_one_byte() -> None:
    assert data(fp8=1, sharding=3)[0] == pytest.approx(0.5 * 2 * GATHER + GATHER)


def test_experts_are_reduced_over_their_own_replicas() -> None:
    """4 data-parallel ranks, experts over 2 of them: 800 / 2 routed parameters on rings of 2, which stand two
    ranks apart."""
    _, plain = data()
    _, routed = data(moe_blocks=1, routed_expert_parameters=800, expert_parallel=2)
    assert routed - plain == pytest.approx(2 * (1 / 2 * 400 * 2 / LINK))


def test_frozen_weights_are_gathered_but_not_reduced() -> None:
    adapters = {"frozen": 1, "lora_parameters": 64}
    assert data(**adapters)[1] == pytest.approx(2 * 3 / 4 * 64 * 2 / LINK)
    assert data(**adapters, sharding=3)[0] == pytest.approx(2 * GATHER + 3 / 4 * 64 * 2 / LINK)


def test_one_rank_reduces_nothing() -> None:
    assert data(data_parallel=1, sharding_group=1) == (0.0, 0.0)


def test_context_parallel_ranks_reduce_gradients_too() -> None:
    assert data(data_parallel=2, context_parallel=2, sharding_group=4)[1] == pytest.approx(2 * GATHER)


def test_reductions_across_nodes_take_the_network() -> None:
    assert data(data_parallel=8, sharding_group=8)[1] == pytest.approx(2 * 7 / 8 * 1536 * 2 / NETWORK)


def test_shards_are_copied_twice_gathered_and_once_scattered() -> None:
    slow = data(sharding=3, memory_bandwidth_bytes_per_s=10.0)[0]
    assert slow - 3 * GATHER == pytest.approx(3 * 1536 * 2 / 10)
