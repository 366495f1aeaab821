"""A catalog with shipped machines and three models, and a request that makes sense, to be bent."""

import copy
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.facts.records import ModelRecord, Provenance
from planner.engine.question.errors import PlanError, PlanErrors

SOURCE = Provenance(source="made for tests", as_of=date(2026, 1, 1))
LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
}
GPT2 = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
}
T5 = {
    "model_type": "t5",
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_decoder_layers": 6,
    "num_heads": 8,
    "vocab_size": 32128,
}


def record(slug: str, family: str, config: dict[str, Any]) -> ModelRecord:
    return ModelRecord(
        slug=slug, name=slug, family=family, publisher="tests", provenance=SOURCE, hf_config=config
    )


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    shipped = load_shipped_catalog()
    return Catalog(
        accelerators=shipped.accelerators(),
        instances=shipped.instances(),
        prices=shipped.prices(),
        availability=shipped.availability(),
        mig_profiles=shipped.mig_profiles(),
        models=[
            record("llama-3.1-8b", "llama", LLAMA),
            record("gpt2", "gpt2", GPT2),
            record("t5-small", "t5", T5),
        ],
    )


BASE: dict[str, Any] = {
    "id": "first",
    "model": "llama-3.1-8b",
    "workload": {
        "task": "pretraining",
        "tokens": 1e12,
        "sequence_length": 8192,
        "global_batch_size": 1024,
        "precision": "bf16",
    },
    "cluster": {"instance_type": "p5.48xlarge", "region": "us-east-1", "purchase": "on_demand", "nodes": 16},
    "layout": {"tensor_parallel": 8, "pipeline_parallel": 1, "sharding": "zero1", "micro_batch_size": 1},
}

Bend = Callable[[dict[str, Any]], dict[str, Any]]
ABSENT = object()


def bent(changes: dict[str, Any]) -> dict[str, Any]:
    """BASE with values at dotted paths replaced, or removed where they are ABSENT."""
    data = copy.deepcopy(BASE)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = data
        for name in parents:
            if not isinstance(place.get(name), dict):
                place[name] = {}
            place = place[name]
        if value is ABSENT:
            place.pop(last, None)
        else:
            place[last] = value
    return data


def problems_of(read: Callable[[], Any]) -> list[PlanError]:
    """The problems that reading raises; fails where it raises none."""
    with pytest.raises(PlanErrors) as caught:
        read()
    return caught.value.errors
