"""FLOPs counted by hand: 2 blocks of width 8, sequences of 8 tokens, unless a test says otherwise."""

import pytest

from planner.engine.time import flops
from tests.engine.bare import bare_grid, number


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        # Half of the T x T square (Dao et al. 2022, section 3.1); all of it unfused, or without a mask.
        ({}, 4.0),
        ({"flash": 0}, 8.0),
        ({"causal": 0}, 8.0),
        # Half of the blocks look back over 2 tokens: the mean of 4 and 2.
        ({"window": 2, "windowed_share": 0.5}, 3.0),
        ({"window": 100, "windowed_share": 1}, 4.0),
        ({"window": 2, "windowed_share": 1, "flash": 0}, 8.0),
    ],
)
def test_a_query_meets_the_keys_that_its_mask_leaves(changes: dict[str, float], keys: float) -> None:
    grid = bare_grid(**changes)
    assert number(flops.attended_tokens(grid, grid.sequence_length)) == keys


def test_an_attention_core_is_two_products_over_its_heads() -> None:
    # 2 x 6 queries x 5 keys x 2 heads x (4 + 3), on two ranks.
    grid = bare_grid(tensor_parallel=2, value_head_dim=3)
    assert number(flops.attention_core_flops(grid, grid.layers * 3, grid.layers * 2.5)) == 420.0


def test_a_matmul_is_two_flops_a_weight_and_token_split_over_ranks() -> None:
    grid = bare_grid(tensor_parallel=2)
    assert number(flops.linear_flops(grid.layers, grid.hidden_size, grid.tensor_parallel)) == 2 * 2 * 8 / 2


def test_model_flops_are_six_n_and_twelve_l_h_q_t() -> None:
    """Chowdhery et al. 2022, appendix B, by hand: N = 2 x 512 + 256, L = 2, H = 2, Q = 4, T = 8."""
    by_hand = 8 * (6 * (2 * 512 + 256) + 12 * 2 * 2 * 4 * 8)
    assert number(flops.model_flops_per_sequence(bare_grid())) == by_hand


def test_a_frozen_matmul_needs_no_weight_gradient_but_its_adapters_do() -> None:
    """4 N for the base, 6 for each of the 10 adapter weights, attention as ever."""
    grid = bare_grid(frozen=1, lora_parameters=10)
    by_hand = 8 * (4 * 1280 + 6 * 10 + 12 * 2 * 2 * 4 * 8)
    assert number(flops.model_flops_per_sequence(grid)) == by_hand


def test_a_token_meets_its_experts_the_shared_ones_and_the_router() -> None:
    grid = bare_grid(
        dense_blocks=0,
        moe_blocks=2,
        experts_per_token=2,
        expert_matmul=100,
        shared_expert_matmul=30,
        router_matmul=7,
    )
    assert number(flops.expert_weights_met(grid)) == 237.0
    by_hand = 8 * (6 * (2 * (256 + 237) + 256) + 12 * 2 * 2 * 4 * 8)
    assert number(flops.model_flops_per_sequence(grid)) == by_hand


def test_an_encoder_decoder_counts_targets_and_cross_attention() -> None:
    """2 encoder blocks on 8 source tokens, 1 decoder block on 4 targets, whose cross-attention (128 weights)
    projects queries and outputs from the targets, keys and values from the source: half on each."""
    grid = bare_grid(
        decoder_blocks=1, decoder_layers=1, decoder_sequence_length=4, cross_attention_matmul=128
    )
    weights = 8 * 2 * 512 + 4 * 512 + (4 + 8) / 2 * 128 + 4 * 256
    scores = 12 * 2 * 4 * (2 * 8 * 8 + 1 * (4 * 4 + 4 * 8))
    assert number(flops.model_flops_per_sequence(grid)) == 6 * weights + scores


@pytest.mark.parametrize(
    ("recompute", "flash", "again"),
    [
        (0, 0, 0.0),
        # The scores of both blocks: 2 x 2 heads x 8 wide x 64 pairs x 2 blocks; flash repeats them anyway.
        (1, 0, 2 * 2 * 8 * 64 * 2),
        (1, 1, 0.0),
        # One forward pass of the blocks: 2 N without the head, and 4 L H Q T (Korthikanti et al. 2022).
        (2, 0, 8 * (2 * 1024 + 4 * 2 * 2 * 4 * 8)),
    ],
)
def test_recomputation_repeats_the_blocks_or_their_scores(recompute: int, flash: int, again: float) -> None:
    grid = bare_grid(recompute=recompute, flash=flash)
    assert number(flops.recomputed_flops_per_sequence(grid)) == again
