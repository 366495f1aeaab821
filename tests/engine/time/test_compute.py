"""All blocks and the head for one micro-batch, from the blocks' own times and closed forms."""

import numpy as np
import pytest

from planner.engine.grid.plan_grid import COMPILED, FUSED, TRANSFORMER_ENGINE
from planner.engine.time.compute import StageCompute, blocks_compute, head_s, recompute_s, target_tokens
from planner.engine.time.constants import TimingConstants
from tests.engine.bare import RATE, bare_constants, bare_grid, framework, number

#: One block forward on the ideal machine: its weights, and its attention core with half of the square.
LINEAR = 2 * 8 * 512 / RATE
CORE = 2 * 8 * 4 * 2 * 8 / RATE


def compute_of(constants: TimingConstants | None = None, **changes: float) -> StageCompute:
    return blocks_compute(bare_grid(**changes), constants or bare_constants())


def test_forward_and_backward_of_two_blocks() -> None:
    """Backward: two matmuls for each of the forward, five for two in flash attention."""
    found = compute_of()
    assert number(found.forward) == pytest.approx(2 * (LINEAR + CORE))
    assert number(found.backward) == pytest.approx(2 * (2 * LINEAR + 2.5 * CORE))
    assert number(found.blocks) == 2


def test_a_frozen_weight_has_no_gradient_of_its_own() -> None:
    assert number(compute_of(frozen=1).backward) == pytest.approx(2 * (LINEAR + 2.5 * CORE))


def test_memory_passes_are_1_3_times_as_many_backward_and_unpacking_as_many() -> None:
    slow = {"memory_bandwidth_bytes_per_s": 1e-3, "peak_flops_per_s": 1e12, "bf16_flops_per_s": 1e12}
    passes = 8 * (12 * 8 + 2 * 16) * 2 / 1e-3
    # Traffic of the block's four matmuls: 8 x (a + b) + a x b elements of 2 bytes.
    traffic = sum(8 * (a + b) + a * b for a, b in ((8, 24), (8, 8), (8, 16), (16, 8))) * 2 / 1e-3
    found = compute_of(**slow)
    assert number(found.forward) == pytest.approx(2 * (traffic + passes))
    assert number(found.backward) == pytest.approx(2 * (2 * traffic + 1.3 * passes))
    frozen = compute_of(**slow, frozen=1, quantized=1, frozen_bytes=0.5)
    unpacked = 512 * 2.5 / 1e-3
    assert number(frozen.forward) == pytest.approx(2 * (traffic + passes + unpacked))
    assert number(frozen.backward) == pytest.approx(2 * (traffic + 1.3 * passes + unpacked))


@pytest.mark.parametrize(
    ("changes", "launches"),
    [
        ({}, 1.0),
        ({"kernels": COMPILED}, 0.55),
        ({"kernels": FUSED}, 0.7),
        ({"kernels": TRANSFORMER_ENGINE}, 0.8),
        # Seven adapted layers launch twice as much again, two in proportion, and so do quantised weights.
        ({"frozen": 1, "adapted_modules": 7}, 3.0),
        ({"frozen": 1, "adapted_modules": 2}, 1.0 + 2.0 * 2 / 7),
        ({"frozen": 1, "adapted_modules": 7, "quantized": 1}, 5.0),
        # A replayed graph launches a twentieth.
        ({"graphs": 1}, 0.05),
    ],
)
def test_launches_run_beside_the_device_and_twice_backward(
    changes: dict[str, float], launches: float
) -> None:
    device = compute_of(**changes)
    constants = bare_constants(launch_s=40.0, adapter_launch=2.0)
    found = compute_of(constants, **changes)
    assert number(found.forward) == pytest.approx(2 * np.hypot(number(device.forward) / 2, 40.0 * launches))
    assert number(found.backward) == pytest.approx(2 * np.hypot(number(device.backward) / 2, 80.0 * launches))


@pytest.mark.parametrize(
    ("changes", "launched"), [({}, 4.0), ({"grouped_matmul": 1}, 0.0), ({"grouped_matmul": 1, "fp8": 1}, 2.0)]
)
def test_each_expert_of_a_rank_is_launched_and_routing(changes: dict[str, float], launched: float) -> None:
    """Four of eight experts; routing counts as four. In fp8 each expert's operands are cast apart."""
    mixture = {
        "dense_blocks": 0,
        "moe_blocks": 1,
        "experts": 8,
        "experts_per_token": 2,
        "expert_matmul": 256,
        "expert_ffn_size": 16,
        "expert_parallel": 2,
    }
    device = number(compute_of(**mixture, **changes).forward)
    found = number(compute_of(bare_constants(expert_launch_s=5.0), **mixture, **changes).forward)
    assert found == pytest.approx(np.hypot(device, 5.0 * (4 + launched)))


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({"recompute": 0}, 0.0),
        ({"recompute": 2}, 100.0),
        ({"recompute": 2, "recompute_blocks": 0.25}, 25.0),
        # Named modules: the core whatever the kernel; half of the weights are the MLP's; 96 + 32 passes.
        ({"recompute": 1, "modules_named": 1, "recompute_core": 1}, 30.0),
        ({"recompute": 1, "modules_named": 1, "recompute_mlp": 1}, 30.0 + 10 * 32 / 128),
        ({"recompute": 1, "modules_named": 1, "recompute_norms": 1}, 10 * 32 / 128),
        ({"recompute": 1, "modules_named": 1}, 0.0),
        # Megatron's selective repeats the core (Korthikanti et al. 2022, section 5), which flash does anyway.
        ({"recompute": 1, "flash": 0}, 30.0),
        ({"recompute": 1, "flash": 1}, 0.0),
        # torchtitan keeps every second matmul (half of 60) and the attention output.
        ({"recompute": 1, "framework": framework("torchtitan")}, 100 - 30 - 30.0),
    ],
)
def test_what_is_recomputed(changes: dict[str, float], again: float) -> None:
    seconds = (np.float64(value) for value in (100.0, 30.0, 60.0, 10.0))
    assert number(recompute_s(bare_grid(**changes), *seconds)) == again


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({}, 22.0),  # read, copied to fp32, shifted, softmax written and read
        ({"loss_whole": 0, "loss_chunked": 1}, 14.0),
        ({"compiled": 1}, 8.0),
        ({"loss_whole": 0}, 4.0),
        ({"kernels": TRANSFORMER_ENGINE}, 4.0),
    ],
)
def test_the_head_is_a_matmul_and_a_loss_over_all_logits(changes: dict[str, float], moved: float) -> None:
    """8 tokens x 256 weights; 8 x 32 logits of 2 bytes, moved as often as the loss's kernel does."""
    assert number(head_s(bare_grid(**changes), bare_constants())) == pytest.approx(2 * 8 * 256 / RATE)
    slow = bare_grid(memory_bandwidth_bytes_per_s=1e-3, bf16_flops_per_s=1e12, **changes)
    operands = (8 * 8 + 8 * 32 + 8 * 32) * 2 / 1e-3
    assert number(head_s(slow, bare_constants())) == pytest.approx(operands + 8 * 32 * moved / 1e-3)


def test_pretraining_pads_the_token_table_and_fine_tuning_does_not() -> None:
    """257 rows become three times 128 where the stack pads."""
    table = {"head_matmul": 8 * 257.0}
    assert number(head_s(bare_grid(**table), bare_constants())) == pytest.approx(2 * 8 * 8 * 384 / RATE)
    tuned = bare_grid(**table, finetuning=1)
    assert number(head_s(tuned, bare_constants())) == pytest.approx(2 * 8 * 8 * 257 / RATE)


def test_the_head_is_split_over_the_vocabulary_and_sees_its_share_of_tokens() -> None:
    grid = bare_grid(tensor_parallel=2, head_share=0.5, micro_batch_size=4)
    assert number(head_s(grid, bare_constants())) == pytest.approx(2 * 16 * 128 / RATE)
    assert number(head_s(bare_grid(head_matmul=0), bare_constants())) == 0.0


def test_a_decoder_s_head_sees_the_targets() -> None:
    grid = bare_grid(decoder_blocks=1, decoder_sequence_length=6, micro_batch_size=2, context_parallel=3)
    assert number(target_tokens(grid)) == 4
    assert number(target_tokens(bare_grid(micro_batch_size=2, context_parallel=4))) == 4
