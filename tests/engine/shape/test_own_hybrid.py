"""Explicit architectures with blocks that do not attend, and with windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.engine.grid.build import model_numbers
from planner.engine.question.errors import HeadroomError
from planner.engine.shape.explicit import model_from_explicit
from planner.engine.shape.parameters import count_parameters

GOLDEN = Path(__file__).parents[1] / "golden" / "parts_counts.json"
PLAIN: dict[str, Any] = {
    "architecture": "decoder",
    "layers": 32,
    "hidden_size": 4096,
    "attention_heads": 32,
    "kv_heads": 8,
    "ffn_size": 14336,
    "gated_ffn": True,
    "vocab_size": 128000,
}
MAMBA2 = {"mixer": "mamba2", "mixer_layers": 29, "mixer_heads": 128, "state_size": 256}


def test_bamba_by_its_sizes_counts_as_transformers_builds_it() -> None:
    rows = json.loads(GOLDEN.read_text(encoding="utf-8"))["counts"]
    total = next(row["total"] for row in rows if row["name"] == "bamba-9b")
    assert count_parameters(model_from_explicit(PLAIN | MAMBA2)).total == total


def test_a_hybrid_attends_in_its_share_and_scans_in_the_rest() -> None:
    numbers = model_numbers(model_from_explicit(PLAIN | MAMBA2))
    assert numbers["attending_share"] == pytest.approx(3 / 32)
    assert numbers["state_flops"] > 0


@pytest.mark.parametrize("mixer", ["mamba", "mamba2", "gated_delta", "linear_attention", "short_convolution"])
def test_every_mixer_can_be_named(mixer: str) -> None:
    whole = model_from_explicit(PLAIN | {"mixer": mixer, "mixer_layers": 32})
    assert model_numbers(whole)["attending_share"] == 0.0
    assert count_parameters(whole).total > 1e9


def test_experts_stand_beside_the_mixer() -> None:
    experts = {"experts": 16, "experts_per_token": 2, "expert_ffn_size": 1024, "dense_layers": 2}
    found = count_parameters(model_from_explicit(PLAIN | MAMBA2 | experts))
    assert (found.dense_blocks, found.moe_blocks) == (2, 30)


def test_a_window_holds_in_its_share_of_the_blocks() -> None:
    model = model_from_explicit(PLAIN | {"window": 1024, "windowed_share": 0.75})
    assert (model.sliding_window, model.windowed_layers) == (1024, 24)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mixer": "mamba2"}, "mixer_layers"),
        ({"mixer_layers": 3}, "mixer_layers"),
        ({"mixer": "mamba2", "mixer_layers": 33}, "mixer_layers"),
        ({"mixer": "mamba9", "mixer_layers": 3}, "mixer"),
        ({**MAMBA2, "mixer_heads": 100}, "mixer_size"),
        ({"windowed_share": 0.5}, "windowed_share"),
        ({"window": 8, "windowed_share": 2}, "windowed_share"),
        ({**MAMBA2, "architecture": "encoder"}, "mixer"),
    ],
)
def test_what_is_wrong_names_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(HeadroomError) as wrong:
        model_from_explicit(PLAIN | changes)
    problems = getattr(wrong.value, "errors", [wrong.value])
    assert [error.field for error in problems] == [f"model.{field}"]
    assert all(error.remedy for error in problems)
