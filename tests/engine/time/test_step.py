"""A step from its closed forms: pipeline bubbles, uneven stages, hand-overs, optimizer passes, jitter."""

import dataclasses

import numpy as np
import pytest

from planner.engine.time.compute import blocks_compute
from planner.engine.time.overlap import trained_parameters
from planner.engine.time.step import (
    StepTime,
    accumulation_s,
    host_updates,
    nodes_in_use,
    optimizer_s,
    pipeline_communication_s,
    stage_time,
    step_time,
)
from tests.engine.bare import LINK, RATE, bare_constants, bare_grid, framework, number

#: One of the two blocks and the head, forward, on the ideal machine.
LINEAR, CORE, HEAD = 2 * 8 * 512 / RATE, 2 * 8 * 4 * 2 * 8 / RATE, 2 * 8 * 256 / RATE


def step_of(**changes: float) -> StepTime:
    return step_time(bare_grid(**changes), bare_constants())


def test_micro_batches_follow_each_other() -> None:
    found = step_of(gradient_accumulation=3)
    assert number(found.forward) == pytest.approx(3 * (2 * (LINEAR + CORE) + HEAD))
    assert number(found.backward) == pytest.approx(3 * (2 * (2 * LINEAR + 2.5 * CORE) + 2 * HEAD))
    assert number(found.pipeline_bubble) == 0.0


@pytest.mark.parametrize(("stages", "chunks", "micro_batches"), [(2, 1, 4), (4, 1, 8), (4, 2, 8), (2, 4, 8)])
def test_the_bubble_is_p_minus_one_over_m_v(stages: int, chunks: int, micro_batches: int) -> None:
    """Narayanan et al. 2021, sections 2.2.1 and 2.2.2: (p - 1)/(v m) of the time that stages work."""
    grid = {
        "layers": 16,
        "dense_blocks": 16,
        "pipeline_parallel": stages,
        "interleaved_stages": chunks,
        "gradient_accumulation": micro_batches,
        "head_matmul": 0,
    }
    found = step_of(**grid)
    working = number(found.forward) + number(found.backward)
    assert working == pytest.approx(micro_batches * 16 / stages * (3 * LINEAR + 3.5 * CORE))
    assert number(found.pipeline_bubble) / working == pytest.approx((stages - 1) / (chunks * micro_batches))


def test_the_fullest_stage_sets_the_pace_and_the_head_s_stage_is_relieved() -> None:
    """5 blocks on 2 stages: 3 and 2; the head's stage has one fewer, so the head costs what is left."""
    grid = bare_grid(dense_blocks=5, pipeline_parallel=2)
    stage = stage_time(grid, bare_constants(), blocks_compute(grid, bare_constants()))
    assert number(stage.forward) == pytest.approx(3 * (LINEAR + CORE))
    assert number(stage.head_forward) == pytest.approx(max(HEAD - (LINEAR + CORE), 0.0))
    large = grid.with_fields(head_matmul=3072)
    stage = stage_time(large, bare_constants(), blocks_compute(large, bare_constants()))
    assert number(stage.head_forward) == pytest.approx(12 * HEAD - (LINEAR + CORE))
    assert number(stage.head_backward) == pytest.approx(24 * HEAD - (2 * LINEAR + 2.5 * CORE))


def test_a_frozen_head_has_no_weight_gradient() -> None:
    grid = bare_grid(frozen=1)
    stage = stage_time(grid, bare_constants(), blocks_compute(grid, bare_constants()))
    assert number(stage.head_backward) == pytest.approx(HEAD)


def test_every_micro_batch_is_handed_over_forward_and_backward_by_each_chunk() -> None:
    grid = bare_grid(pipeline_parallel=2, interleaved_stages=2, gradient_accumulation=3)
    seconds, each = pipeline_communication_s(grid, bare_constants(pipeline_exposed=0.5))
    assert number(each) == pytest.approx(8 * 8 * 2 / LINK)
    assert number(seconds) == pytest.approx(0.5 * 2 * 2 * 3 * 8 * 8 * 2 / LINK)
    assert number(pipeline_communication_s(bare_grid(), bare_constants())[0]) == 0.0


@pytest.mark.parametrize(
    ("changes", "split"),
    [
        ({}, 1),
        ({"framework": framework("megatron")}, 2),
        ({"sequence_parallel": 1}, 2),
        ({"framework": 2}, 1),
    ],
)
def test_some_stacks_scatter_the_hand_over(changes: dict[str, float], split: int) -> None:
    """Narayanan et al. 2021, section 4.1."""
    grid = bare_grid(pipeline_parallel=2, tensor_parallel=2, **changes)
    assert number(pipeline_communication_s(grid, bare_constants())[1]) == pytest.approx(
        8 * 8 * 2 / split / LINK
    )


@pytest.mark.parametrize(
    ("changes", "per_parameter"),
    [
        # Weights 2, master 4 and states 8 read and written; gradients of 4 read twice (mixed-precision Adam).
        ({}, 2 * (2 + 4 + 8) + 2 * 4),
        # LAMB reads weights and updates once more for its norms (You et al. 2020).
        ({"lamb": 1}, 2 * (2 + 4 + 8) + 2 * 4 + 2 * 4),
        ({"state_bytes": 0, "master_bytes": 0}, 2 * 2 + 2 * 4),
        ({"sharding": 1, "sharding_group": 4}, 36 / 4),
        ({"sharding": 0, "sharding_group": 4}, 36),
        ({"tensor_parallel": 2, "pipeline_parallel": 2}, 36 / 4),
    ],
)
def test_an_optimizer_passes_over_its_states(changes: dict[str, float], per_parameter: float) -> None:
    grid = bare_grid(memory_bandwidth_bytes_per_s=10.0, **changes)
    assert number(optimizer_s(grid, bare_constants())) == pytest.approx(1536 * per_parameter / 10)


def test_an_offloaded_optimizer_is_updated_by_the_node_s_processors() -> None:
    """4 ranks of a node, each with its eighth of 1536 parameters: 30 bytes for each at three tenths of 1,000
    bytes/s, then 2 bytes of each rank's weights over four fifths of 100 bytes/s."""
    grid = bare_grid(offload=1, sharding=1, sharding_group=8, data_parallel=8)
    assert number(host_updates(grid)) == 1536 / 8 * 4
    seconds = 1536 / 8 * 4 * 30 / 300 + 1536 / 8 * 2 / 80
    assert number(optimizer_s(grid, bare_constants())) == pytest.approx(seconds)
    assert number(host_updates(grid.with_fields(sharding=0))) == 1536 * 4
    few = bare_grid(offload=1, data_parallel=2, sharding=1, sharding_group=2)
    assert number(host_updates(few)) == 1536
    assert number(host_updates(bare_grid())) == 0.0


def test_parts_add_up_and_slack_and_jitter_come_on_top() -> None:
    constants = bare_constants(step_slack_s=7.0, micro_batch_slack_s=2.0, jitter=0.1)
    grid = bare_grid(gradient_accumulation=3, nodes=8, pipeline_parallel=2, data_parallel=16)
    found = step_time(grid, constants)
    assert number(nodes_in_use(grid)) == 8
    parts = {
        item.name: number(getattr(found, item.name))
        for item in dataclasses.fields(found)
        if item.name not in ("step", "terms", "other")
    }
    busy = sum(parts.values())
    # Slack of a step and of each micro-batch; a tenth of the busy time for each doubling of nodes.
    assert number(found.other) == pytest.approx(7.0 + 3 * 2.0 + 0.1 * np.log2(8) * busy)
    assert number(found.step) == pytest.approx(busy + number(found.other))
    ideal = step_time(grid, bare_constants())
    assert parts["pipeline_bubble"] == pytest.approx(number(ideal.pipeline_bubble) + 2.0)


def test_nobody_waits_for_nodes_without_work() -> None:
    assert number(nodes_in_use(bare_grid(nodes=8))) == 1
    assert number(nodes_in_use(bare_grid(nodes=8, data_parallel=9))) == 3
    alone = bare_constants(jitter=0.1)
    assert number(step_time(bare_grid(nodes=8), alone).step) == number(step_time(bare_grid(), alone).step)


def test_muon_orthogonalises_each_matrix_in_five_steps() -> None:
    """1,024 of 1,536 parameters are matrices of blocks; 5 x 6 x 8 FLOPs each, shared by two ranks."""
    plain = bare_grid(memory_bandwidth_bytes_per_s=1e30)
    muon = plain.with_fields(muon=1)
    assert number(optimizer_s(plain, bare_constants())) == pytest.approx(0.0, abs=1e-9)
    assert number(optimizer_s(muon, bare_constants())) == pytest.approx(1024 * 240 / RATE)
    shared = muon.with_fields(sharding=1, sharding_group=2)
    assert number(optimizer_s(shared, bare_constants())) == pytest.approx(512 * 240 / RATE)
    # Adapters of rank 2 on 10 inputs and outputs: 20 parameters, 5 x 6 x 2 FLOPs each.
    tuned = muon.with_fields(frozen=1, lora_parameters=20, lora_width=10)
    assert number(optimizer_s(tuned, bare_constants())) == pytest.approx(20 * 60 / RATE)
    # An offloaded optimizer leaves them to the accelerator.
    moved, host = (
        number(optimizer_s(each.with_fields(offload=1), bare_constants())) for each in (muon, plain)
    )
    assert moved - host == pytest.approx(1024 * 240 / RATE)


def test_a_head_trained_beside_adapters_has_a_gradient_and_costs_its_step() -> None:
    kept = step_of(frozen=1, lora_parameters=4)
    saved = step_of(frozen=1, lora_parameters=4, saved_head_parameters=256)
    added = number(saved.backward) - number(kept.backward)
    assert added == pytest.approx(number(kept.terms["head_forward_s"]))
    trained, _ = trained_parameters(bare_grid(frozen=1, lora_parameters=4, saved_head_parameters=256))
    assert number(trained) == 260


def test_communication_is_paid_by_each_micro_batch_and_reduction_once() -> None:
    few, many = (
        step_of(tensor_parallel=2, data_parallel=2, sharding_group=2, gradient_accumulation=count)
        for count in (1, 5)
    )
    assert number(many.tensor_communication) == pytest.approx(5 * number(few.tensor_communication))
    assert number(many.data_communication) == pytest.approx(number(few.data_communication))
    few, many = (
        step_of(data_parallel=2, sharding=3, sharding_group=2, gradient_accumulation=count)
        for count in (1, 5)
    )
    assert number(many.data_communication) == pytest.approx(5 * number(few.data_communication))


@pytest.mark.parametrize(
    ("changes", "bytes_per_parameter"),
    [
        ({"gradient_accumulation": 1}, 0.0),
        ({}, 3 * 4.0),
        ({"sharding": 3, "sharding_group": 4}, 3 * 4.0 / 4),
        ({"gradient_copy_bytes": 6}, 3 * 4.0 + 2 * 4 + 2),
        ({"framework": framework("megatron")}, 0.0),
    ],
)
def test_gradients_are_added_up_once_a_micro_batch(
    changes: dict[str, float], bytes_per_parameter: float
) -> None:
    grid = bare_grid(**{"gradient_accumulation": 2, "memory_bandwidth_bytes_per_s": 10.0, **changes})
    added = number(accumulation_s(grid, bare_constants()))
    assert added == pytest.approx(1536 * bytes_per_parameter / 10)
    updated = number(optimizer_s(grid, bare_constants()))
    micro_batches = number(grid.gradient_accumulation)
    step = step_time(grid, bare_constants())
    assert number(step.optimizer) == pytest.approx(updated + micro_batches * added)


def test_rows_are_as_long_as_what_is_computed_of_them() -> None:
    padded = step_of(sequence_length=16, row_tokens=8, sample_tokens=8)
    assert number(padded.step) == pytest.approx(number(step_of(sequence_length=8).step))


def test_each_reference_forward_is_a_forward_pass_more() -> None:
    plain, compared = step_of(), step_of(reference_forwards=1)
    assert number(compared.forward) == pytest.approx(2 * number(plain.forward))
    assert number(compared.backward) == pytest.approx(number(plain.backward))
