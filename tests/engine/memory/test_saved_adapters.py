"""What adapters keep of their inputs, against what autograd saves with PEFT: recorded, and live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.engine.memory.activations import token_bytes
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.traits import traits_of
from tests.engine.bare import number
from tests.engine.memory.plans import plan_grid, plan_layout, plan_request

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "saved_adapters.json").read_text(encoding="utf-8")
)


def counted_bytes(case: dict[str, Any]) -> float:
    """Our count of one block, without the softmax's statistics of 4 bytes a head, which were left out."""
    model = {
        "architecture": "decoder",
        "layers": 2,
        "hidden_size": GOLDEN["width"],
        "attention_heads": GOLDEN["heads"],
        "ffn_size": GOLDEN["inner"],
        "gated_ffn": True,
        "vocab_size": 128,
        "norm": "rmsnorm",
        "position_embedding": "rope",
    }
    request = plan_request(
        model,
        task="lora",
        sequence_length=GOLDEN["tokens"],
        lora_targets=case["targets"],
        autocast=case["autocast"],
        dropout=0,
        framework="trl",
    )
    grid = plan_grid(request, plan_layout(micro_batch_size=1))
    token = token_bytes(grid, traits_of(grid), MemoryConstants())
    kept = token.norms + token.matmul_inputs + token.query_side + token.key_side + token.ffn
    return GOLDEN["tokens"] * (number(kept) - 4 * GOLDEN["heads"])


@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda case: f"{len(case['targets'])}-{case['autocast']}"
)
def test_adapters_keep_what_autograd_saved(case: dict[str, Any]) -> None:
    assert counted_bytes(case) == pytest.approx(case["saved_bytes"], rel=0.001)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda case: f"{len(case['targets'])}-{case['autocast']}"
)
def test_recorded_bytes_are_what_autograd_saves_today(case: dict[str, Any]) -> None:
    pytest.importorskip("peft", reason="the oracle needs requirements-oracle.txt")
    from tests.engine.memory.saved_adapters import block_bytes

    assert block_bytes(case["targets"], autocast=case["autocast"]) == case["saved_bytes"]
