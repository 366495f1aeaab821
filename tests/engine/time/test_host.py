"""Transfers between accelerator and host: bytes over links, beside the compute that hides them."""

from __future__ import annotations

import numpy as np
import pytest

from planner.engine.time.host import (
    HOST_BANDWIDTH_SHARE,
    activations_s,
    exchange_s,
    update_s,
    waiting_s,
    weights_s,
)
from tests.engine.bare import bare_grid, framework, number

#: bytes/s of the bare machine's host link that copies reach.
LINK = 80.0


def test_nothing_waits_where_nothing_is_offloaded() -> None:
    grid = bare_grid()
    assert number(waiting_s(grid, 1.0, 0.0)) == number(exchange_s(grid, 1536.0, 1.0)) == 0.0


def test_gradients_go_down_unhidden_where_nothing_overlaps() -> None:
    hidden, shown = (number(exchange_s(bare_grid(offload=1, overlap=on), 1536.0, 8.0)) for on in (1, 0))
    assert shown - hidden == pytest.approx(192 * 4 / LINK)


def test_weights_come_twice_a_micro_batch() -> None:
    grid = bare_grid(offload_parameters=1, sharding=3, sharding_group=4)
    assert number(weights_s(grid, 4.0)) == pytest.approx(2 * 1536 / 4 * 2 / LINK)


def test_block_inputs_go_and_come_back() -> None:
    """2 blocks of 8 tokens x 8 wide x 2 bytes, both ways."""
    grid = bare_grid(offload_activations=1, recompute=2)
    assert number(activations_s(grid)) == pytest.approx(2 * 2 * 8 * 8 * 2 / LINK)


def test_only_what_compute_does_not_hide_is_waited_for() -> None:
    grid = bare_grid(offload_activations=1, recompute=2, gradient_accumulation=3)
    each = number(activations_s(grid))
    assert number(waiting_s(grid, 1.0, each)) == 0.0
    assert number(waiting_s(grid, 1.0, each - 1.0)) == pytest.approx(3.0)


@pytest.mark.parametrize(("stack", "nbytes"), [("generic", 24 + 4 + 2), ("deepspeed", 24 + 12 + 4 + 2)])
def test_deepspeed_passes_over_its_gradients_before_the_step(stack: str, nbytes: int) -> None:
    """Master weight and moments read and written, fp32 gradient read, 16-bit weight written; DeepSpeed writes
    the gradient in fp32 and unscales it first (runtime/zero, unscale_and_clip_grads)."""
    grid = bare_grid(offload=1, framework=framework(stack), host_bandwidth_bytes_per_s=1.0)
    assert number(update_s(grid, np.float64(10.0))) == pytest.approx(10 * nbytes / HOST_BANDWIDTH_SHARE)
