"""Weights, gradients and optimizer states by hand: 1536 parameters, 2 + 4 + 4 + 8 bytes each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.memory.states import StateBytes, parameters_here, places_of, stages, state_bytes
from planner.engine.memory.traits import traits_of
from tests.engine.bare import bare_grid, framework, number


def states_of(grid: PlanGrid) -> StateBytes:
    traits = traits_of(grid)
    return state_bytes(grid, parameters_here(grid, stages(grid), traits), traits)


def on_first(values: object) -> float:
    return number(np.asarray(values)[0])


@pytest.mark.parametrize(
    ("layers", "pipeline", "blocks"),
    [
        (8, 1, [8, 0, 8]),
        (8, 2, [4, 4, 4]),
        (8, 4, [2, 2, 2]),
        # BLOOM's 70 layers on 12 stages: 5, 6 x 10, 5 (BigScience chronicles, 2022).
        (70, 12, [5, 6, 5]),
        # Two stages of five blocks: one of them takes the odd one.
        (5, 2, [3, 3, 3]),
    ],
)
def test_blocks_are_dealt_out_with_the_odd_ones_in_the_middle(
    layers: int, pipeline: int, blocks: list[int]
) -> None:
    found = stages(bare_grid(layers=layers, pipeline_parallel=pipeline))
    counted = np.broadcast_to(found.blocks_share * layers, (3, 1))[:, 0]
    assert counted[0] == pytest.approx(blocks[0])
    assert counted[2] == pytest.approx(blocks[2])
    if pipeline > 2:
        assert counted[1] == pytest.approx(blocks[1])


def test_stages_know_their_place() -> None:
    four = stages(bare_grid(pipeline_parallel=4))
    assert four.number.ravel().tolist() == [0.0, 1.0, 3.0]
    assert four.first.ravel().tolist() == [1.0, 0.0, 0.0]
    assert four.last.ravel().tolist() == [0.0, 0.0, 1.0]
    alone = stages(bare_grid())
    assert alone.first[0] == alone.last[0] == 1.0


def test_plans_with_as_many_stages_count_each_by_itself() -> None:
    """Those that they have, as they stand among the three."""
    for pipeline, numbers in ((1.0, [0.0]), (2.0, [0.0, 1.0]), (6.0, [0.0, 1.0, 5.0])):
        grid = replace(bare_grid(), pipeline_parallel=np.float64(pipeline))
        apart = [stages(grid, place) for place in places_of(grid)]
        assert [number(each.number) for each in apart] == numbers
        together = stages(bare_grid(pipeline_parallel=pipeline))
        for name in ("first", "last", "blocks_share", "dense_share", "routed_share"):
            every = np.broadcast_to(getattr(together, name), (3, 1))[[0, 2][: len(apart)], 0]
            ends = [number(getattr(apart[index], name)) for index in ([0, -1][: len(apart)])]
            assert ends == every.tolist()


def test_leading_dense_blocks_lie_on_the_first_stage() -> None:
    """One dense and three routed blocks on two stages: one of each, then two routed; spread where as many
    are dense as routed."""
    led = stages(bare_grid(layers=4, dense_blocks=1, moe_blocks=3, pipeline_parallel=2))
    assert led.dense_share.ravel()[[0, 2]].tolist() == [1.0, 0.0]
    assert led.routed_share.ravel()[[0, 2]].tolist() == pytest.approx([1 / 3, 2 / 3])
    mixed = stages(bare_grid(layers=4, dense_blocks=2, moe_blocks=2, pipeline_parallel=2))
    assert mixed.routed_share.ravel()[[0, 2]].tolist() == [0.5, 0.5]
    alone = stages(bare_grid(layers=4, dense_blocks=1, moe_blocks=3))
    assert number(alone.dense_share[0]) == number(alone.routed_share[0]) == 1.0


def test_every_matrix_is_split_over_tensor_parallel_ranks() -> None:
    grid = bare_grid(tensor_parallel=2)
    here = parameters_here(grid, stages(grid), traits_of(grid))
    found = [on_first(each) for each in (here.blocks, here.embedding, here.head, here.trained_dense)]
    assert found == [512, 128, 128, 768]


def test_a_head_that_is_not_vocabulary_parallel_is_whole_on_each_rank() -> None:
    grid = bare_grid(tensor_parallel=2, framework=framework("fsdp"))
    assert on_first(parameters_here(grid, stages(grid), traits_of(grid)).head) == 256


def test_a_tied_table_lies_again_on_the_last_stage_and_only_there() -> None:
    grid = bare_grid(pipeline_parallel=2, head_parameters=0, tied_head_parameters=256)
    head = parameters_here(grid, stages(grid), traits_of(grid)).head.ravel()
    assert head[0] == 0
    assert head[2] == 256
    alone = bare_grid(head_parameters=0, tied_head_parameters=256)
    assert on_first(parameters_here(alone, stages(alone), traits_of(alone)).head) == 0


@pytest.mark.parametrize(("expert", "tensor", "held"), [(1, 1, 1600), (1, 2, 800), (4, 2, 400)])
def test_experts_are_whole_on_their_rank_or_split_like_any_matrix(
    expert: int, tensor: int, held: int
) -> None:
    grid = bare_grid(
        moe_blocks=2, routed_expert_parameters=800, expert_parallel=expert, tensor_parallel=tensor
    )
    assert on_first(parameters_here(grid, stages(grid), traits_of(grid)).experts) == held
    split = grid.with_fields(split_experts=1)
    held_split = 1600 / expert / tensor
    assert on_first(parameters_here(split, stages(split), traits_of(split)).experts) == held_split


def test_adapters_alone_are_trained_where_the_base_is_frozen() -> None:
    grid = bare_grid(frozen=1, lora_parameters=40, tensor_parallel=2)
    assert on_first(parameters_here(grid, stages(grid), traits_of(grid)).trained_dense) == 20


@pytest.mark.parametrize(
    ("sharding", "split"), [(0, (1, 1, 1)), (1, (1, 1, 4)), (2, (1, 4, 4)), (3, (4, 4, 4))]
)
def test_zero_shards_states_then_gradients_then_weights(sharding: int, split: tuple[int, int, int]) -> None:
    """Rajbhandari et al. 2020, figure 1: P_os, P_os+g, P_os+g+p."""
    found = states_of(bare_grid(sharding=sharding, sharding_group=4, data_parallel=4))
    weights, gradients, moments = split
    assert on_first(found.weights) == 1536 * 2 / weights
    assert on_first(found.gradients) == 1536 * 4 / gradients
    assert on_first(found.master) == 1536 * 4 / moments
    assert on_first(found.moments) == 1536 * 8 / moments
    assert (number(found.weight_shards), number(found.gradient_shards), number(found.state_shards)) == split


def test_experts_are_sharded_over_their_fewer_replicas() -> None:
    """8 ranks share, experts over 4: two replicas of each, on one tensor-parallel rank."""
    changes = {"moe_blocks": 1, "routed_expert_parameters": 1600, "sharding": 3, "sharding_group": 8}
    grid = bare_grid(**changes, expert_parallel=4, data_parallel=8)
    dense = bare_grid(sharding=3, sharding_group=8, data_parallel=8)
    more = on_first(states_of(grid).weights) - on_first(states_of(dense).weights)
    # The layers of the bare model stay 2; all expert blocks lie on the only stage.
    assert more == pytest.approx(2 * 1600 / 4 / 2)


def test_offloaded_states_leave_the_accelerator_and_paged_moments_alone() -> None:
    offloaded, paged = states_of(bare_grid(offload=1)), states_of(bare_grid(paged=1))
    assert on_first(offloaded.master) == on_first(offloaded.moments) == 0
    assert on_first(paged.master) == 1536 * 4
    assert on_first(paged.moments) == 0


def test_gradients_stay_whole_where_they_are_not_synchronised() -> None:
    plan = {"sharding": 3, "sharding_group": 4, "data_parallel": 4, "unsynced_gradients": 1}
    assert on_first(states_of(bare_grid(**plan)).gradients) == 1536
    assert on_first(states_of(bare_grid(**plan, gradient_accumulation=2)).gradients) == 4 * 1536


def test_replicas_of_plain_pytorch_keep_buckets_beside_their_gradients() -> None:
    assert on_first(states_of(bare_grid(data_parallel=2)).gradient_copies) == 1536 * 4
    assert (
        on_first(states_of(bare_grid(data_parallel=2, framework=framework("megatron"))).gradient_copies) == 0
    )
    assert on_first(states_of(bare_grid(data_parallel=1)).gradient_copies) == 0


def test_a_frozen_base_is_packed_and_its_tables_are_not() -> None:
    grid = bare_grid(frozen=1, frozen_bytes=0.5, frozen_head_bytes=2, lora_parameters=40)
    found = states_of(grid)
    assert on_first(found.frozen_weights) == 1024 * 0.5 + 256 * 2 + 256 * 2
    assert on_first(found.weights) == 40 * 2


def test_wider_weights_are_cast_for_use() -> None:
    """fp32 weights are cast to 2 bytes for the matmuls, which ZeRO-3 does block by block instead."""
    assert on_first(states_of(bare_grid(weight_bytes=4)).cast_weights) == 1536 * 2
    assert on_first(states_of(bare_grid(weight_bytes=4, sharding=3)).cast_weights) == 0
    assert on_first(states_of(bare_grid()).cast_weights) == 0


def test_deepspeed_steps_a_sub_group_at_a_time() -> None:
    plan = {"dense_block_parameters": 2e9, "temporary_bytes": 4, "sharding": 3}
    whole = on_first(states_of(bare_grid(**plan)).step_temporary)
    parts = on_first(states_of(bare_grid(**plan, framework=framework("deepspeed"))).step_temporary)
    assert whole == (4e9 + 512) * 4
    assert parts == 1e9 * 4
