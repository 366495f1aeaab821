"""Our counts against models that transformers builds: real shapes, odd ones, linear layers by name."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.engine.shape.hf_config import FAMILIES, model_from_hf_config
from planner.engine.shape.parameters import count_parameters, linear_modules, lora_parameters
from tests.engine.shape.oracle_configs import ODD_FAMILIES, PUBLISHED, odd_config

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch", reason="the oracle needs requirements-oracle.txt")
transformers = pytest.importorskip("transformers", reason="the oracle needs requirements-oracle.txt")

from scripts import parts_counts  # noqa: E402
from tests.engine.shape import oracle  # noqa: E402  (imports torch, which may be absent)


def parts_rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(parts_counts.GOLDEN.read_text(encoding="utf-8"))["counts"]
    return rows


def test_every_family_that_can_be_read_is_drawn() -> None:
    assert set(ODD_FAMILIES) == set(FAMILIES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_shapes_count_as_transformers_builds_them(name: str) -> None:
    config = PUBLISHED[name]
    assert count_parameters(model_from_hf_config(config)).total == oracle.count(oracle.build(config))


@pytest.mark.parametrize("row", parts_rows(), ids=lambda row: row["name"])
def test_configs_by_parts_count_as_transformers_builds_them(row: dict[str, Any]) -> None:
    if row["transformers"] != transformers.__version__:
        pytest.skip(f"recorded with transformers {row['transformers']}")
    try:
        counted = parts_counts.count(row["config"])
    except ImportError as missing:  # Gemma 3n's image encoder comes from timm
        pytest.skip(str(missing)[:100])
    assert counted == row["total"]


@pytest.mark.parametrize("family", ODD_FAMILIES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(min_value=0, max_value=10**6))
def test_odd_shapes_count_as_transformers_builds_them(family: str, seed: int) -> None:
    config = odd_config(family, seed)
    assert count_parameters(model_from_hf_config(config)).total == oracle.count(oracle.build(config)), config


@pytest.mark.parametrize("family", ODD_FAMILIES)
@pytest.mark.parametrize("seed", range(5))
def test_linear_layers_have_the_names_and_shapes_that_transformers_builds(family: str, seed: int) -> None:
    config = odd_config(family, seed)
    ours: Counter[tuple[str, int, int, bool, bool]] = Counter()
    for module in linear_modules(model_from_hf_config(config)):
        key = (module.name, module.in_features, module.out_features, module.bias, module.in_blocks)
        ours[key] += module.copies
    assert ours == _linear_layers(oracle.build(config)), config


@pytest.mark.parametrize(
    ("family", "targets"),
    [
        ("llama", ("q_proj", "v_proj")),
        ("llama", ("lm_head", "down_proj")),
        ("gpt2", ("c_attn",)),
        ("gpt2", ("c_proj",)),
        ("bert", ("query", "value")),
        ("bert", ("dense",)),
        ("mixtral", ("w1", "q_proj")),
        ("t5", ("q", "v")),
        ("bloom", ("query_key_value",)),
        ("deepseek_v2", ("gate_proj",)),
        ("qwen2_moe", ("gate_proj", "shared_expert_gate")),
        ("phi3", ("gate_up_proj",)),
    ],
)
def test_lora_counts_as_peft_does(family: str, targets: tuple[str, ...]) -> None:
    peft = pytest.importorskip("peft", reason="the oracle needs requirements-oracle.txt")
    config = odd_config(family, seed=1)
    adapted = peft.get_peft_model(oracle.build(config), peft.LoraConfig(r=4, target_modules=list(targets)))
    trainable = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    assert lora_parameters(model_from_hf_config(config), 4, targets) == trainable


def _linear_layers(model: Any) -> Counter[tuple[str, int, int, bool, bool]]:
    """(name, in, out, has a bias, stands in a numbered block) of every linear layer of a built model."""
    conv1d = transformers.pytorch_utils.Conv1D
    found: Counter[tuple[str, int, int, bool, bool]] = Counter()
    for path, module in model.named_modules():
        if isinstance(module, conv1d):
            inner, outer = module.weight.shape
        elif isinstance(module, torch.nn.Linear):
            outer, inner = module.weight.shape
        else:
            continue
        in_blocks = re.search(r"\.\d+\.", path) is not None
        found[(path.rpartition(".")[2], inner, outer, module.bias is not None, in_blocks)] += 1
    return found
