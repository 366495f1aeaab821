"""Generation by hand: 1536 parameters in 2 bytes, sequences of 8, on ranks of RATE FLOP/s."""

from __future__ import annotations

import numpy as np
import pytest

from planner.engine.rl.generation import (
    Generation,
    cache_bytes_per_token,
    generating_share,
    generation_phase,
    inference_ranks,
    sequences_at_once,
)
from tests.engine.bare import RATE, bare_constants, bare_grid, framework, number


@pytest.mark.parametrize(
    ("memory", "ranks_per_node", "ranks", "together"),
    [
        # 3072 bytes of weights on ranks that serve a fourth of their memory: the next power of two.
        (3072 * 4, 8, 8, 1),
        (3072 * 4 - 4, 8, 8, 2),
        (3072, 8, 8, 4),
        (3000, 8, 8, 8),
        # Within a node, and within the ranks there are.
        (3000, 4, 8, 4),
        (3000, 8, 2, 2),
    ],
)
def test_weights_are_served_on_as_few_ranks_as_hold_them(
    memory: float, ranks_per_node: int, ranks: int, together: int
) -> None:
    grid = bare_grid(memory_bytes=memory, ranks_per_node=ranks_per_node, data_parallel=ranks)
    assert number(inference_ranks(grid)) == together


def test_the_plan_s_own_tensor_parallel_is_the_least() -> None:
    assert number(inference_ranks(bare_grid(tensor_parallel=4, ranks_per_node=2))) == 4


@pytest.mark.parametrize(
    ("stack", "waiting", "room", "taken"),
    [
        ("generic", 100, 40.7, 40),
        ("generic", 100, 400, 100),
        ("generic", 100, 3, 16),
        ("generic", 10, 3, 10),
        ("megatron", 100, 40, 8),
        ("megatron", 5, 40, 5),
    ],
)
def test_sequences_decoded_together(stack: str, waiting: float, room: float, taken: float) -> None:
    grid = bare_grid(framework=framework(stack))
    assert number(sequences_at_once(grid, np.float64(waiting), np.float64(room))) == taken


def test_a_token_leaves_a_key_and_a_value_in_each_block() -> None:
    """Kwon et al. 2023: 2 x layers x key heads x head width x bytes; latent attention its vector alone."""
    assert number(cache_bytes_per_token(bare_grid())) == 2 * 2 * 2 * 4 * 2
    assert number(cache_bytes_per_token(bare_grid(kv_lora_rank=5))) == 2 * 5 * 2


def phase(*, launch_s: float = 0.0, rollout: float = 6.0, **changes: float) -> Generation:
    grid = bare_grid(**changes)
    return generation_phase(
        grid,
        bare_constants(decode_launch_s=launch_s, decode_bandwidth=0.5),
        rollout_tokens=rollout,
        states_bytes=np.float64(0.0),
        share=np.float64(1.0),
    )


PROMPT = 2 * 1536 * 4 * 2 / RATE


def test_fast_memory_leaves_arithmetic_and_launches() -> None:
    """4 sequences of 2 prompt and 6 new tokens: 2 FLOPs a parameter, one launch a block, for each token."""
    found = phase(launch_s=0.25)
    assert number(found.sequences) == 4
    assert number(found.seconds) == pytest.approx(PROMPT + 6 * (2 * 1536 * 4 / RATE + 2 * 0.25))
    assert number(found.cache_bytes) == 4 * 8 * 64


def test_slow_memory_reads_every_weight_and_the_cache_once_a_token() -> None:
    """Pope et al. 2022, section 2.1: 3072 bytes and 4 caches of 2 + 6 / 2 tokens, at half of 10 bytes/s."""
    found = phase(memory_bandwidth_bytes_per_s=10.0)
    assert number(found.seconds) == pytest.approx(PROMPT + 6 * (3072 + 4 * 5 * 64) / 5)


def test_two_ranks_share_a_token_and_replicas_share_the_batch() -> None:
    split = phase(tensor_parallel=2, launch_s=0.0)
    assert number(split.seconds) == pytest.approx((PROMPT + 6 * 2 * 1536 * 4 / RATE) / 2)
    replicated = phase(data_parallel=2)
    assert number(replicated.sequences) == 2
    assert number(replicated.seconds) == pytest.approx((PROMPT + 6 * 2 * 1536 * 4 / RATE) / 2)


def test_small_batches_take_rounds() -> None:
    """NeMo-Aligner decodes 8 at once: 20 sequences take three rounds of 8."""
    found = phase(framework=framework("megatron"), global_batch_size=20)
    one_round = 2 * 1536 * 8 * 2 / RATE + 6 * 2 * 1536 * 8 / RATE
    assert number(found.seconds) == pytest.approx(3 * one_round)


def test_aligner_generates_on_half_of_the_ranks_beside_a_critic() -> None:
    aligner = bare_grid(framework=framework("megatron"))
    assert number(generating_share(aligner, critic=True)) == 0.5
    assert number(generating_share(aligner, critic=False)) == 1.0
    assert number(generating_share(bare_grid(), critic=True)) == 1.0
