"""Activations per block against what autograd saves: recorded measurements, and live ones where torch is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.engine.memory.activations import activations
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.traits import traits_of
from tests.engine.memory.plans import plan_grid, plan_layout, plan_request

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "saved_activations.json").read_text(encoding="utf-8")
)
#: What the formulas leave out: means and inverse deviations of the norms, a few bytes a token.
TOLERANCE = 0.015


def counted_bytes(case: dict[str, Any]) -> float:
    """Our count of one block's saved activations, without recompute, on one rank."""
    gated, encoder = case["kind"] == "llama", case["kind"] == "bert"
    model = {
        "architecture": "encoder" if encoder else "decoder",
        "layers": 2,
        "hidden_size": case["hidden_size"],
        "attention_heads": case["heads"],
        "kv_heads": case["kv_heads"],
        "ffn_size": case["ffn_size"],
        "gated_ffn": gated,
        "vocab_size": 1000,
        "norm": "rmsnorm" if gated else "layernorm",
        "position_embedding": "rope" if gated else "learned",
        "max_positions": 512,
    }
    request = plan_request(
        model, sequence_length=case["sequence_length"], attention="flash", framework="generic"
    )
    grid = plan_grid(request, plan_layout(micro_batch_size=case["micro_batch_size"]))
    kept = activations(grid, traits_of(grid), MemoryConstants()).block_kept
    return float(kept[0])


def name(case: dict[str, Any]) -> str:
    return f"{case['kind']}-{case['hidden_size']}-kv{case['kv_heads']}-batch{case['micro_batch_size']}"


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=name)
def test_block_counts_what_autograd_saved(case: dict[str, Any]) -> None:
    assert counted_bytes(case) == pytest.approx(case["saved_bytes"], rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=name)
def test_recorded_bytes_are_what_autograd_saves_today(case: dict[str, Any]) -> None:
    pytest.importorskip("torch", reason="the oracle needs requirements-oracle.txt")
    from tests.engine.memory.saved_tensors import Case, saved_bytes

    measured = {key: value for key, value in case.items() if key != "saved_bytes"}
    assert saved_bytes(Case(**measured)) == case["saved_bytes"]
