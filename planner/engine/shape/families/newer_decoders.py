"""Decoders of Llama's plan that came with transformers 5, one row a family (see ``decoders``)."""

from __future__ import annotations

from typing import Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.decoders import Experts, Row, from_row
from planner.engine.shape.families.keys import Keys

NEWER_ROWS: Final[dict[str, Row]] = {
    "hyperclovax": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        post_norm_key="use_post_norm",
    ),
    "mellum": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="head",
        window="sliding_window",
        experts=Experts(types="mlp_layer_types"),
    ),
    "jais2": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        gated=False,
        norm="layernorm",
        norm_shift=True,
    ),
}


def read_newer_row(keys: Keys, family: str, name: str) -> ModelSpec:
    """A family of ``NEWER_ROWS``."""
    return from_row(keys, NEWER_ROWS[family], family, name)
