"""What the allocator holds beside the bytes handed out, and passing copies that a request can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.engine.memory.peak import MemoryTerms, memory_per_rank
from planner.engine.memory.reserve import SHIFTED_LOSS_BYTES
from tests.engine.memory.plans import GPT, plan_grid, plan_layout, plan_request

CONSTANTS = shipped_calibration().memory
ALONE: dict[str, Any] = {"data_parallel": 1, "gradient_accumulation": 1, "activation_recompute": "full"}
VOCABULARY, TOKENS = 128256, 4096


def memory_of(layout: dict[str, Any] = ALONE, **workload: Any) -> MemoryTerms:
    return memory_per_rank(plan_grid(plan_request(**workload), plan_layout(**layout)), CONSTANTS)


def one(values: Any) -> float:
    return float(np.asarray(values).reshape(-1)[0])


@pytest.mark.parametrize("framework", ["generic", "fsdp"])
def test_a_whole_loss_leaves_room_for_every_copy_that_passes(framework: str) -> None:
    request: dict[str, Any] = {"task": "lora", "lora_rank": 8, "framework": framework}
    whole, fused = memory_of(**request, loss="whole"), memory_of(**request, loss="fused")
    per_logit = (one(whole.reserved) - one(fused.reserved)) / (VOCABULARY * TOKENS)
    # What the backward pass needed is covered by the logits' blocks, so the difference is less than all.
    assert SHIFTED_LOSS_BYTES - 6.0 < per_logit < SHIFTED_LOSS_BYTES + 1.0


def test_a_loss_in_sixteen_bits_has_no_wider_copies() -> None:
    request: dict[str, Any] = {"task": "lora", "lora_rank": 8, "loss": "whole"}
    wide, narrow = memory_of(**request), memory_of(**{**request, "precision": "fp16"})
    assert one(narrow.reserved) < one(wide.reserved) - 4.0 * VOCABULARY * TOKENS


def test_a_fp32_accumulation_holds_the_partition_it_steps() -> None:
    """bf16 pipelines of DeepSpeed: 2 weights, 2 + 6 gradients, 12 states; nothing more, however sharded."""
    layout = {**ALONE, "pipeline_parallel": 8, "sharding": "zero1"}
    memory = memory_of(layout, model=GPT, framework="deepspeed")
    parameters = one(memory.terms["trained_parameters"])
    assert one(memory.gradients) / parameters == pytest.approx(8.0)


def test_deepspeed_without_a_pipeline_accumulates_in_sixteen_bits() -> None:
    layout = {**ALONE, "data_parallel": 8, "sharding": "zero1"}
    memory = memory_of(layout, model=GPT, framework="deepspeed")
    parameters = one(memory.terms["trained_parameters"])
    assert one(memory.gradients) / parameters == pytest.approx(2.0 + 4.0 / 8)


def test_a_quantised_head_is_widened_whole() -> None:
    request: dict[str, Any] = {"task": "qlora", "lora_rank": 8}
    plain, quantised = memory_of(**request), memory_of(**request, quantized_head=True)
    assert one(plain.terms["dequantized_weights"]) == 2.0 * 4096 * 14336
    assert one(quantised.terms["dequantized_weights"]) == pytest.approx(2.0 * 4096 * VOCABULARY, rel=1e-4)


def test_deepspeed_fetches_a_table_on_top_of_its_live_parameters() -> None:
    layout = {**ALONE, "data_parallel": 8, "sharding": "zero3"}
    memory = memory_of(layout, task="full_finetuning", framework="deepspeed", loss="fused")
    assert one(memory.terms["gathered_blocks"]) == pytest.approx(2.0 * (1e9 + 4096 * VOCABULARY), rel=1e-4)


PADDED = {"kind": "padded_to_longest", "mean_tokens": 1000, "std_tokens": 500}


def test_lengths_that_vary_fill_the_card_unless_segments_expand() -> None:
    request: dict[str, Any] = {"task": "lora", "lora_rank": 8, "loss": "whole"}
    layout = {**ALONE, "micro_batch_size": 4}
    equal, varying = memory_of(layout, **request), memory_of(layout, **request, sequences=PADDED)
    usable = one(plan_grid(plan_request(**request), plan_layout(**layout)).memory_bytes)
    assert one(varying.allocated) == one(equal.allocated)
    assert one(varying.total) == pytest.approx(usable)
    grows = {**request, "expandable_segments": True}
    assert one(memory_of(layout, **grows, sequences=PADDED).total) == one(memory_of(layout, **grows).total)


def test_a_small_spread_fills_the_cache_in_part() -> None:
    request: dict[str, Any] = {"task": "lora", "lora_rank": 8, "loss": "fused", "accelerator": "h200-sxm"}
    narrow = {**PADDED, "std_tokens": 25}
    equal, some, full = (
        one(memory_of(**request, sequences=sequences).reserved)
        for sequences in ({**PADDED, "kind": "packed"}, narrow, {**PADDED, "std_tokens": 250})
    )
    assert some - equal == pytest.approx((full - equal) * 0.1)


def test_fp32_logits_that_stay_leave_their_gradients_no_block() -> None:
    """As prime-rl's trainer did: 16 bytes are alive, and the 16-bit logits' block serves nothing larger."""
    request: dict[str, Any] = {"task": "lora", "lora_rank": 8, "framework": "fsdp", "loss": "whole"}
    usual, kept = memory_of(**request), memory_of(**request, logits_kept="fp32")
    for counter in ("allocated", "reserved"):
        per_logit = (one(getattr(kept, counter)) - one(getattr(usual, counter))) / (VOCABULARY * TOKENS)
        assert per_logit == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize("accelerator", ["a100-sxm-40gb", "h100-sxm", "b200"])
@pytest.mark.parametrize("sequences", [None, PADDED])
def test_what_a_plan_needs_is_never_more_than_it_takes(accelerator: str, sequences: Any) -> None:
    for micro_batch in (1, 2, 4, 8):
        request: dict[str, Any] = {"task": "full_finetuning", "accelerator": accelerator}
        layout = {**ALONE, "micro_batch_size": micro_batch}
        request |= {} if sequences is None else {"sequences": sequences}
        memory = memory_of(layout, **request)
        usable = one(plan_grid(plan_request(**request), plan_layout(**layout)).memory_bytes)
        assert one(memory.allocated) < one(memory.needed) <= one(memory.total) * (1 + 1e-12)
        assert (one(memory.needed) > usable) == (one(memory.total) > usable)
