"""A block's seconds on an ideal machine: weights, keys and passes counted by hand."""

import numpy as np
import pytest

from planner.engine.time.block import all_blocks, decoder_block, dense_block
from tests.engine.bare import RATE, bare_constants, bare_grid, number


def test_a_dense_block_multiplies_every_token_with_every_weight_of_its_rank() -> None:
    for tensor in (1, 2):
        grid = bare_grid(tensor_parallel=tensor)
        block = dense_block(grid, bare_constants(), grid.tokens_per_rank, grid.sequence_length)
        assert number(block.linear) == pytest.approx(2 * 8 * 512 / tensor / RATE)


def test_self_attention_of_a_context_parallel_rank_has_its_queries_and_all_keys() -> None:
    """4 of 8 queries x half of 8 keys, in each of 3 sequences."""
    grid = bare_grid(context_parallel=2, micro_batch_size=3)
    block = dense_block(grid, bare_constants(), grid.tokens_per_rank, grid.sequence_length)
    assert number(block.attention.forward) == pytest.approx(2 * 3 * 4 * 4 * 2 * 8 / RATE)


def test_passes_and_casts_of_a_dense_block() -> None:
    grid = bare_grid(fp8=1, memory_bandwidth_bytes_per_s=10.0)
    block = dense_block(grid, bare_constants(), grid.tokens_per_rank, grid.sequence_length)
    assert number(block.elementwise) == pytest.approx(8 * (12 * 8 + 2 * 16) * 2 / 10)
    # Inputs of the two into-matmuls (8 wide each), of the output projection (8) and of the last matrix (16).
    assert number(block.casts) == pytest.approx(8 * (2 * 8 + 8 + 16) * 3 / 10)


def test_a_quantised_block_is_unpacked_once_with_all_its_weights() -> None:
    grid = bare_grid(quantized=1, frozen=1, frozen_bytes=0.5, memory_bandwidth_bytes_per_s=10.0)
    block = dense_block(grid, bare_constants(), grid.tokens_per_rank, grid.sequence_length)
    assert number(block.dequantisation) == pytest.approx(512 * 2.5 / 10)


def test_cross_attention_projects_targets_and_source_and_meets_every_source_token() -> None:
    """Vaswani et al. 2017, section 3.2.3: 4 targets, 8 source tokens, 128 weights, half of them on each."""
    grid = bare_grid(decoder_blocks=1, decoder_sequence_length=4, cross_attention_matmul=128)
    targets = np.float64(4.0)
    block = decoder_block(grid, bare_constants(), grid.tokens_per_rank, targets)
    assert number(block.linear) == pytest.approx(2 * (4 * 512 + 6 * 128) / RATE)
    own, crossed = 4 * 2, 4 * 8  # half of the causal square; no mask over the source
    assert number(block.attention.forward) == pytest.approx(2 * (own + crossed) * 2 * 8 / RATE)
    assert number(block.attention.backward) == pytest.approx(2.5 * number(block.attention.forward))


def test_a_decoder_block_has_a_third_norm_and_residual() -> None:
    grid = bare_grid(decoder_blocks=1, decoder_sequence_length=4, memory_bandwidth_bytes_per_s=10.0)
    block = decoder_block(grid, bare_constants(), grid.tokens_per_rank, np.float64(4.0))
    assert number(block.elementwise) == pytest.approx(4 * (18 * 8 + 2 * 16) * 2 / 10)


def test_blocks_of_all_kinds_are_counted() -> None:
    assert number(all_blocks(bare_grid(dense_blocks=1, moe_blocks=2, decoder_blocks=4))) == 7
