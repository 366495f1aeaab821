"""Node counts: those that a batch can use, by hand, and the bound below which a deadline is hopeless."""

from __future__ import annotations

import pytest

from planner.engine.choose.nodes import BEST_UTILIZATION, least_nodes, usable_node_counts
from tests.engine.questions import question


def test_a_batch_of_eight_uses_replicas_and_splits_of_its_model() -> None:
    """GPT-2 on nodes of 8: 1, 2 or 4 ways tensor parallel, stages of at most 12, 8 replicas or a divisor."""
    counts = usable_node_counts(question(model="gpt2", sequence_length=1024, global_batch_size=8)).tolist()
    assert counts == sorted(set(counts))
    assert {1, 2, 3, 4} <= set(counts)
    # 8 sequences fill 4 x p x d ranks with d x p of at most 8 (as many micro-batches as stages): 4 nodes.
    assert max(counts) == 4


def test_no_deadline_is_met_above_nine_tenths_of_the_peak() -> None:
    """6 N D FLOPs (Kaplan et al. 2020) and attention's, over twice the best that 8 A100 do in the time."""
    request = question(model="llama-2-7b", tokens=1e12, sequence_length=2048, global_batch_size=1000)
    day = 86_400.0
    parameters = 32 * (4 * 4096**2 + 3 * 4096 * 11008) + 4096 * 32000
    per_token = 6 * parameters + 12 * 32 * 4096 * 2048
    steps = -(-1e12 // (1000 * 2048))
    by_hand = steps * 1000 * 2048 * per_token / (8 * 312e12 * BEST_UTILIZATION * 2 * 10 * day)
    assert least_nodes(request, 10 * day) == pytest.approx(by_hand, rel=1e-3)
