"""The peak by hand: four moments, the fullest of three stages, and what the allocator adds."""

from __future__ import annotations

from typing import Any

import pytest

from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.needed import total_per_rank
from planner.engine.memory.peak import MOMENTS, MemoryTerms, memory_per_rank
from tests.engine.bare import bare_grid, framework, number

#: An allocator that keeps nothing for itself, on a driver without a context.
PLAIN: dict[str, Any] = {
    "context_bytes": MemoryConstants().context_bytes * 0.0,
    "communicator_bytes": MemoryConstants().communicator_bytes * 0.0,
    **dict.fromkeys(
        ("reserve_share", "state_reserve_share", "idle_reserve_share", "backward_reserve_share"), 0.0
    ),
}
STATES = 1536 * (2 + 4 + 8)
GRADIENTS = 1536 * 4
#: Megatron's 2 blocks of 8 tokens, and 8 x 32 logits of 6 bytes.
BLOCK = 8 * (32 + 32 + 2 * 20 + 32 + 64)
LOGITS = 8 * 32 * 6


def memory(constants: dict[str, Any] | None = None, **changes: float) -> MemoryTerms:
    grid = bare_grid(framework=changes.pop("framework", framework("megatron")), **changes)
    return memory_per_rank(grid, MemoryConstants(**PLAIN | (constants or {})))


def test_the_loss_stands_on_states_gradients_activations_and_logits() -> None:
    found = memory(vocab_size=32)
    assert MOMENTS[int(number(found.moment))] == "loss"
    assert number(found.allocated) == STATES + GRADIENTS + 2 * BLOCK + LOGITS
    assert number(found.total) == number(found.reserved) == number(found.allocated)


def test_the_backward_pass_starts_without_logits_and_with_a_block_s_gradients() -> None:
    """Two streams of 8 wide and the inner 16, of 8 tokens: 512 bytes, here against no logits at all."""
    found = memory(vocab_size=0)
    assert MOMENTS[int(number(found.moment))] == "backward start"
    assert number(found.allocated) == STATES + GRADIENTS + 2 * BLOCK + 512


def test_gradients_of_plain_stacks_come_as_activations_go() -> None:
    """Without a buffer nor an earlier micro-batch there are none at the loss."""
    first = memory(framework=framework("torchtitan"), vocab_size=1e6)
    later = memory(framework=framework("torchtitan"), vocab_size=1e6, gradient_accumulation=2)
    assert MOMENTS[int(number(first.moment))] == "loss"
    assert number(later.allocated) - number(first.allocated) == GRADIENTS


def test_a_copying_optimizer_can_be_the_peak() -> None:
    found = memory(temporary_bytes=100, vocab_size=0)
    assert MOMENTS[int(number(found.moment))] == "optimizer step"
    assert number(found.allocated) == STATES + GRADIENTS + 1536 * 100


def test_the_first_stage_holds_the_most_micro_batches() -> None:
    """Two stages, one block each: the first keeps two micro-batches of its block, the last one, and the
    logits. Large blocks make the first the fullest, large logits the last."""
    shape = {"pipeline_parallel": 2, "gradient_accumulation": 4, "vocab_size": 0}
    first = memory(**shape)
    assert number(first.worst_stage) == 0
    assert number(first.allocated) == (512 + 256) * 18 + 2 * BLOCK + 512
    last = memory(**shape | {"vocab_size": 1000})
    assert number(last.worst_stage) == 1
    assert number(last.allocated) == (512 + 256) * 18 + BLOCK + 8 * 1000 * 6


def test_what_stays_between_steps_is_states_and_kept_gradients() -> None:
    assert number(memory().resident) == STATES + GRADIENTS
    assert number(memory(framework=framework("torchtitan")).resident) == STATES


def test_context_and_communicators_come_on_top() -> None:
    constants = {
        "context_bytes": MemoryConstants().context_bytes * 0 + 1000.0,
        "communicator_bytes": MemoryConstants().communicator_bytes * 0 + 10.0,
    }
    found = memory(constants, data_parallel=2, tensor_parallel=2)
    assert number(found.total) - number(found.reserved) == 1000 + 2 * 10
    assert number(found.terms["context"]) == 1000


def test_the_allocator_gives_back_what_does_not_fit_down_to_what_it_cannot_share() -> None:
    share = {"reserve_share": 0.5}
    roomy = memory(share)
    wish = number(roomy.reserved) - number(roomy.allocated)
    assert wish == pytest.approx(0.5 * 2 * BLOCK)
    allocated = number(roomy.allocated)
    tight = memory(share, memory_bytes=allocated + wish / 2)
    assert number(tight.total) == pytest.approx(allocated + wish / 2)
    assert number(tight.total) <= allocated + wish / 2
    short = memory(share | {"state_reserve_share": 0.01}, memory_bytes=allocated / 2)
    assert number(short.reserved) == pytest.approx(1.01 * allocated)


def test_the_short_way_to_the_total_is_the_long_one() -> None:
    for changes in ({}, {"pipeline_parallel": 2, "gradient_accumulation": 4}, {"recompute": 2, "flash": 0}):
        grid = bare_grid(**changes)
        assert number(total_per_rank(grid, MemoryConstants())) == number(
            memory_per_rank(grid, MemoryConstants()).total
        )
