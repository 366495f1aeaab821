"""What was recognised, in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.engine.shape.explicit import model_from_explicit
from planner.engine.shape.hf_config import model_from_hf_config
from planner.engine.shape.read_as import plain_name, read_as

GOLDEN = Path(__file__).parents[1] / "golden" / "parts_counts.json"
ROWS = {row["name"]: row["config"] for row in json.loads(GOLDEN.read_text(encoding="utf-8"))["counts"]}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "qwen3_next_80b_a3b",
            "Qwen3-Next: 48 blocks, 36 of them gated delta rule, 512 experts, 10 active, 79.7B, "
            "3.87B a token",
        ),
        ("mamba-2.8b", "Mamba: 64 blocks, all Mamba, 2.77B"),
        ("bart-large", "Bart: 12 encoder and 12 decoder blocks, 406M"),
        ("gemma3_4b", "Gemma3: 34 blocks, 29 of them windowed attention, with image encoder 417M, 4.3B"),
    ],
)
def test_what_was_recognised(name: str, said: str) -> None:
    assert read_as(model_from_hf_config(ROWS[name])) == said


def test_an_own_architecture_says_so() -> None:
    shape = {
        "architecture": "decoder",
        "layers": 2,
        "hidden_size": 64,
        "attention_heads": 2,
        "vocab_size": 99,
    }
    assert read_as(model_from_explicit(shape)).startswith("an own architecture: 2 blocks, ")


def test_a_model_without_a_name_is_called_by_family_and_size() -> None:
    llama = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
    llama |= {"num_attention_heads": 32, "vocab_size": 32000}
    assert plain_name(model_from_hf_config(llama)) == "Llama 6.74B"
