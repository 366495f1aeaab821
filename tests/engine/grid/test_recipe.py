"""Bytes per parameter that stacks publish for their recipes."""

from __future__ import annotations

from typing import Any

import pytest

from planner.engine.grid.recipe import (
    FROZEN_BYTES,
    MemoryRecipe,
    dequantized,
    memory_recipe,
    state_elements,
)
from tests.engine.questions import question


def recipe(**workload: Any) -> MemoryRecipe:
    return memory_recipe(question(**workload).workload)


@pytest.mark.parametrize(
    ("workload", "weight", "master", "gradient", "state"),
    [
        # Megatron-LM, distributed optimizer's table: 2 + 4 fp32 gradients + 4 + 8, 18 bytes in all.
        ({"framework": "megatron"}, 2, 4, 4, 8),
        # ZeRO paper, section 3.1: 2 + 2 + 12.
        ({"framework": "deepspeed", "precision": "fp16"}, 2, 4, 2, 8),
        # FSDP mixed precision keeps the fp32 master alone: 16 bytes.
        ({"framework": "fsdp"}, 4, 0, 4, 8),
        ({"framework": "torchtitan"}, 4, 0, 4, 8),
        ({"precision": "fp32"}, 4, 0, 4, 8),
        # torchtune's bf16 recipes: everything in two bytes.
        ({"task": "full_finetuning"}, 2, 0, 2, 4),
        # NeMo's fp8 recipes reduce gradients in 16 bits.
        (
            {"framework": "megatron", "precision": "fp8", "cluster": {"instance_type": "p5.48xlarge"}},
            2,
            4,
            2,
            8,
        ),
        ({"task": "lora"}, 4, 0, 4, 8),
        ({"optimizer": "adamw_8bit", "framework": "megatron"}, 2, 4, 4, 2),
        ({"optimizer": "lion", "framework": "megatron"}, 2, 4, 4, 4),
    ],
)
def test_published_recipes(
    workload: dict[str, Any], weight: int, master: int, gradient: int, state: int
) -> None:
    found = recipe(**workload)
    assert (found.weight_bytes, found.master_bytes, found.gradient_bytes, found.state_bytes) == (
        weight, master, gradient, state,
    )  # fmt: skip


def test_muon_leaves_tables_to_adam() -> None:
    """Jordan et al. 2024: one moment for matrices, two for the quarter that Adam steps."""
    assert state_elements("muon", 0.25) == 0.75 * 1 + 0.25 * 2
    assert state_elements("adamw", 0.25) == 2
    assert state_elements("adafactor", 0.25) == 0


def test_foreach_kernels_copy_where_there_are_moments() -> None:
    assert recipe(framework="fsdp").temporary_bytes == 4
    assert recipe(framework="megatron").temporary_bytes == 0
    assert recipe(task="full_finetuning", optimizer="adafactor").temporary_bytes == 0


def test_deepspeed_s_copies_of_gradients() -> None:
    bf16, fp16 = recipe(framework="deepspeed"), recipe(framework="deepspeed", precision="fp16")
    assert (bf16.gradient_copy_bytes, bf16.gradient_partition_bytes) == (6, 4)
    assert (fp16.gradient_copy_bytes, fp16.gradient_partition_bytes) == (0, 6)
    tuned = recipe(framework="deepspeed", task="full_finetuning")
    assert (tuned.gradient_copy_bytes, tuned.gradient_partition_bytes) == (0, 4)


def test_frozen_weights_are_as_wide_as_their_precision() -> None:
    """Dettmers et al. 2023: 4 bits and 0.127 of block constants."""
    assert FROZEN_BYTES["nf4"] == pytest.approx((4 + 0.127) / 8)
    qlora, lora = recipe(task="qlora"), recipe(task="lora")
    assert (qlora.frozen_bytes, qlora.frozen_head_bytes) == (FROZEN_BYTES["nf4"], 2)
    assert (lora.frozen_bytes, lora.frozen_head_bytes) == (2, 2)
    assert recipe(task="qlora", quantized_head=True).frozen_head_bytes == FROZEN_BYTES["nf4"]
    assert recipe().frozen_bytes == 0


def test_fsdp_leaves_gradients_unsynchronised_without_a_master() -> None:
    assert recipe(framework="fsdp", master_weights="none").unsynced_gradients
    assert not recipe(framework="fsdp").unsynced_gradients


@pytest.mark.parametrize(
    ("workload", "widened"),
    [
        ({"task": "qlora"}, True),
        ({"task": "lora"}, False),
        # What counts is how the base is kept, not what the task is called.
        ({"task": "lora", "frozen_precision": "nf4"}, True),
        ({"task": "qlora", "frozen_precision": "bf16"}, False),
        ({"task": "lora", "frozen_precision": "fp8"}, True),
        ({"task": "full_finetuning"}, False),
    ],
    ids=str,
)
def test_a_narrow_base_is_widened_before_its_matmuls(workload: dict[str, Any], widened: bool) -> None:
    assert dequantized(question(**workload).workload) is widened


def test_eight_bit_floats_are_multiplied_as_they_are_where_the_run_is_in_fp8() -> None:
    asked = question(
        task="lora", frozen_precision="fp8", precision="fp8", cluster={"instance_type": "p5.48xlarge"}
    )
    assert not dequantized(asked.workload)
