"""Simulated steps: nothing leaks, lengths are as asked, and what varies is what fills the cache."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.accuracy.allocator.caching import CachingAllocator
from planner.accuracy.allocator.study import run
from planner.accuracy.allocator.traces import Setup, Training, row_lengths

SMALL = Setup(layers=3, hidden=512, ffn=2048, heads=8, kv_heads=2, vocab=16384)
SETUPS = {
    "plain": SMALL,
    "kept": replace(SMALL, recompute=False),
    "fused": replace(SMALL, whole_logits=False),
    "sharded": replace(SMALL, shards=4),
    "accumulated": replace(SMALL, accumulation=2),
    "adapters": replace(SMALL, adapters=0.02),
    "quantised": replace(SMALL, adapters=0.02, frozen_bytes=0.5),
}
LENGTHS = {"rows": 24, "at_once": 4, "mean": 800.0, "longest": 8192.0, "padded": True}


@pytest.mark.parametrize("name", SETUPS)
def test_between_steps_the_same_stays(name: str) -> None:
    setup = SETUPS[name]
    allocator = CachingAllocator()
    training = Training(setup, allocator)
    left = []
    for tokens in (1000.0, 3000.0, 2000.0, 500.0):
        training.step([tokens] * setup.accumulation)
        left.append(training.persistent_bytes)
    assert len(set(left)) == 1
    # Weights and two 16-bit states of what is trained, and no gradients.
    kept = (
        sum(training.sizes) + 2 * sum(training.trained) + (setup.adapters is not None) * sum(training.trained)
    )
    assert left[0] == pytest.approx(kept, rel=0.01)


def test_whole_logits_take_twelve_bytes_each_at_their_peak() -> None:
    tokens = np.full(2, 4096.0)
    whole, fused = (run(SETUPS[name], tokens, expandable=False) for name in ("plain", "fused"))
    assert (whole.allocated - fused.allocated) / (4096 * SMALL.vocab) < 12.0
    larger = replace(SMALL, vocab=32768)
    grown = run(larger, tokens, expandable=False).allocated - whole.allocated
    weights = 5 * 2 * 2 * SMALL.hidden * (32768 - 16384)
    assert grown == pytest.approx(12 * 4096 * (32768 - 16384) + weights, rel=0.1)


def test_lengths_have_the_mean_and_spread_that_were_asked_for() -> None:
    rows = row_lengths(rows=4000, at_once=1, mean=500.0, spread=0.5, longest=1e6, padded=False)
    assert np.mean(rows) == pytest.approx(500.0, rel=0.03)
    assert np.std(rows) / np.mean(rows) == pytest.approx(0.5, rel=0.06)
    padded = row_lengths(rows=100, at_once=4, mean=500.0, spread=0.5, longest=600.0, padded=True)
    assert padded.max() == 4 * 600.0
    assert set(row_lengths(rows=9, at_once=4, mean=500.0, spread=0.0, longest=600.0, padded=True)) == {2000.0}


def test_varying_lengths_fill_the_cache_unless_segments_expand() -> None:
    def cache(spread: float, expandable: bool) -> float:
        found = run(SMALL, row_lengths(spread=spread, **LENGTHS), expandable=expandable)  # type: ignore[arg-type]
        return (found.reserved - found.allocated) / (found.allocated - found.persistent)

    assert cache(0.5, expandable=False) > 3 * cache(0.0, expandable=False)
    assert cache(0.5, expandable=False) > 1.5
    assert cache(0.5, expandable=True) < cache(0.0, expandable=True) + 0.1
