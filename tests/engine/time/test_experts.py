"""A mixture-of-experts block by hand: 8 tokens to 2 of 4 experts of 8 x 16 twice."""

import pytest

from planner.engine.time.block import BlockTime
from planner.engine.time.constants import TimingConstants
from planner.engine.time.experts import moe_block, routed_s
from tests.engine.bare import RATE, bare_constants, bare_grid, number

MIXTURE = {
    "dense_blocks": 0,
    "moe_blocks": 2,
    "experts": 4,
    "experts_per_token": 2,
    "expert_ffn_size": 16,
    "expert_matmul": 256,
    "router_matmul": 32,
}
#: Projections and the router, 8 x 4.
PROJECTIONS = 2 * 8 * (256 + 32) / RATE


def block_of(constants: TimingConstants | None = None, **changes: float) -> BlockTime:
    grid = bare_grid(**MIXTURE | changes)
    return moe_block(grid, constants or bare_constants(), grid.tokens_per_rank)


@pytest.mark.parametrize("expert_parallel", [1, 2, 4])
def test_every_copy_of_a_token_meets_one_expert_wherever_that_lives(expert_parallel: int) -> None:
    """8 tokens x 2 copies x 256 weights: fewer experts on a rank receive as many more tokens."""
    linear = number(block_of(expert_parallel=expert_parallel).linear)
    assert linear == pytest.approx(PROJECTIONS + 2 * 8 * 2 * 256 / RATE)


@pytest.mark.parametrize(
    ("changes", "load"),
    [
        ({"expert_parallel": 2}, 1.5),
        # A rank that holds all experts has all tokens, however they spread.
        ({}, 1.0),
        ({"expert_parallel": 2, "expert_load": 1.0}, 1.0),
        ({"expert_load": 1.25}, 1.25),
    ],
)
def test_the_fullest_expert_sets_the_pace(changes: dict[str, float], load: float) -> None:
    linear = number(block_of(bare_constants(expert_imbalance=1.5), **changes).linear)
    assert linear == pytest.approx(PROJECTIONS + load * 2 * 8 * 2 * 256 / RATE)


def test_a_grouped_product_has_its_own_rate_and_fills_its_last_tiles_by_half() -> None:
    """Four experts of 4 rows each: tiles of 128 rows are filled by 4, half of one is lost on average."""
    linear = number(block_of(bare_constants(grouped_efficiency=0.5), grouped_matmul=1).linear)
    assert linear == pytest.approx(PROJECTIONS + (1 + 64 / 4) * 2 * 8 * 2 * 256 / RATE / 0.5)


@pytest.mark.parametrize("split", [0, 1])
def test_the_work_of_a_rank_is_the_same_whether_experts_are_whole_or_split(split: int) -> None:
    grid = bare_grid(**MIXTURE, tensor_parallel=2, expert_parallel=4, data_parallel=4, split_experts=split)
    routed = number(routed_s(grid, bare_constants(), grid.tokens_per_rank))
    assert routed == pytest.approx(2 * 8 * 2 * 256 / RATE / 2)


@pytest.mark.parametrize(("expert_parallel", "rows"), [(1, 4), (2, 8), (4, 16)])
def test_an_expert_s_matmul_has_the_rows_of_its_group(expert_parallel: int, rows: int) -> None:
    """8 x 2 copies over 4 experts on one rank are 4 rows each; over expert-parallel ranks as many times more.
    Shallow sides (16 long) show in the rate: both matrices are 8 x 16."""
    constants = bare_constants(shallow_inner=16.0)
    found = number(block_of(constants, expert_parallel=expert_parallel).linear)
    into_and_out = 1 + 16 / 3 * (1 / 8 + 1 / 24 + 1 / 8), 1 + 16 / 3 * (1 / 8 + 1 / 8 + 1 / 8)
    projections = 2 * 8 * 8 * (24 * into_and_out[0] + 8 * into_and_out[1]) / RATE
    experts = 2 * 16 * 256 / RATE * (1 + 16 / 3 * (1 / rows + 1 / 8 + 1 / 16))
    # The router's 32 weights count as an MLP one wide: 8 x 3 and 1 x 8.
    router = (
        2 * 8 * 8 / RATE * (3 * (1 + 16 / 3 * (1 / 8 + 1 / 8 + 1 / 3)) + (1 + 16 / 3 * (1 / 8 + 1 + 1 / 8)))
    )
    assert found == pytest.approx(projections + experts + router)


def test_shared_experts_and_router_meet_every_token() -> None:
    found = block_of(shared_expert_matmul=256, shared_expert_ffn_size=16)
    assert number(found.linear) == pytest.approx(PROJECTIONS + 2 * 8 * (2 * 256 + 256) / RATE)


def test_tokens_are_permuted_to_experts_and_back() -> None:
    """Each of 2 copies of the hidden width read and written twice, beside the usual passes."""
    found = block_of(memory_bandwidth_bytes_per_s=10.0)
    assert number(found.elementwise) == pytest.approx(8 * (12 * 8 + 2 * 32 + 4 * 2 * 8) * 2 / 10)


def test_casts_take_each_copy_s_input() -> None:
    # Once 8 for attention, 8 for each copy, 8 of the attention output, 2 x 16 of the inner width.
    found = block_of(fp8=1, memory_bandwidth_bytes_per_s=10.0)
    assert number(found.casts) == pytest.approx(8 * (3 * 8 + 8 + 32) * 3 / 10)


def test_the_experts_of_a_rank_are_unpacked() -> None:
    found = block_of(
        quantized=1, frozen=1, frozen_bytes=0.5, expert_parallel=2, memory_bandwidth_bytes_per_s=10.0
    )
    assert number(found.dequantisation) == pytest.approx((256 + 32 + 2 * 256) * 2.5 / 10)
