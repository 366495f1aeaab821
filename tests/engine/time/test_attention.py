"""Attention cores by hand: 3 sequences of 10 queries that meet 5 of 10 keys, 2 heads of 4."""

import numpy as np
import pytest

from planner.engine.time.attention import AttentionTime, attention_core_s
from planner.engine.time.constants import TimingConstants
from tests.engine.bare import HOPPER, RATE, bare_constants, bare_grid, framework, number

#: 2 x 3 x 10 queries x 5 keys x 2 heads x (4 + 4).
OPERATIONS = 2 * 30 * 5 * 2 * 8


def core(constants: TimingConstants | None = None, **changes: float) -> AttentionTime:
    return attention_core_s(
        bare_grid(**changes),
        constants or bare_constants(),
        sequences=np.float64(3.0),
        queries=np.float64(10.0),
        keys=np.float64(10.0),
        keys_met=np.float64(5.0),
    )


def test_flash_attention_runs_at_its_own_rate() -> None:
    found = core(bare_constants(attention_efficiency=0.5))
    assert number(found.forward) == pytest.approx(OPERATIONS / (0.5 * RATE))


def test_flash_backward_is_five_matmuls_for_two() -> None:
    """Dao et al. 2022, algorithms 1 and 4."""
    found = core()
    assert number(found.backward) == pytest.approx(2.5 * number(found.forward))
    slower = core(bare_constants(attention_backward=1.2))
    assert number(slower.backward) == pytest.approx(3.0 * number(slower.forward))


def test_short_sequences_and_narrow_heads_are_slower() -> None:
    short = core(bare_constants(short_attention=5.0))
    narrow = core(bare_constants(narrow_head=2.0))
    assert number(short.forward) == pytest.approx(1.5 * OPERATIONS / RATE)
    assert number(narrow.forward) == pytest.approx(1.5 * OPERATIONS / RATE)


def test_megatron_on_hopper_gains_from_its_engine() -> None:
    gain = bare_constants(engine_attention_gain=2.0)
    assert number(core(gain, framework=framework("megatron"), architecture=HOPPER).forward) == pytest.approx(
        OPERATIONS / RATE / 2
    )
    assert number(core(gain).forward) == pytest.approx(OPERATIONS / RATE)


@pytest.mark.parametrize(
    ("stack", "passes"), [("generic", 6.0), ("megatron", 4.0), ("deepspeed", 4.0), ("fsdp", 6.0)]
)
def test_unfused_scores_are_passed_over_again_and_again(stack: str, passes: float) -> None:
    """Arithmetic, and passes over 3 x 10 x 10 scores of 2 heads, 2 bytes each, at 100 bytes a second."""
    constants = bare_constants(score_passes=6.0, fused_score_passes=4.0)
    found = core(constants, flash=0, memory_bandwidth_bytes_per_s=100.0, framework=framework(stack))
    moved = passes * 600 * 2 / 100
    assert number(found.forward) == pytest.approx(OPERATIONS / RATE + moved)
    assert number(found.backward) == pytest.approx(2 * OPERATIONS / RATE + 1.46 * moved)


def test_heads_are_split_over_tensor_parallel_ranks() -> None:
    for flash in (0, 1):
        changes = {"flash": flash, "memory_bandwidth_bytes_per_s": 100.0}
        whole, half = core(**changes), core(**changes, tensor_parallel=2)
        assert number(half.forward) == pytest.approx(number(whole.forward) / 2)
        assert number(half.backward) == pytest.approx(number(whole.backward) / 2)
