"""What was recognised of a model, in one line: its family, blocks by kind, experts, parameters."""

from __future__ import annotations

from typing import Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.parameters import count_parameters

MIXERS: Final = {
    "windowed_attention": "windowed attention",
    "latent_attention": "latent attention",
    "sparse_attention": "sparse attention",
    "linear_attention": "linear attention",
    "gated_delta": "gated delta rule",
    "mamba": "Mamba",
    "mamba2": "Mamba-2",
    "rg_lru": "RG-LRU",
    "short_convolution": "short convolution",
    "parallel": "attention beside Mamba-2",
}
#: Families whose published name is not their model_type with capitals.
NAMES: Final = {
    "qwen3_next": "Qwen3-Next",
    "qwen3_5": "Qwen3.5",
    "qwen3_5_moe": "Qwen3.5",
    "qwen3_vl": "Qwen3-VL",
    "qwen3_vl_moe": "Qwen3-VL",
    "qwen2_5_vl": "Qwen2.5-VL",
    "gpt_oss": "gpt-oss",
    "gpt2": "GPT-2",
    "deepseek_v3": "DeepSeek-V3",
    "deepseek_v32": "DeepSeek-V3.2",
    "deepseek_v4": "DeepSeek-V4",
    "nemotron_h": "Nemotron-H",
    "falcon_h1": "Falcon-H1",
    "xlm-roberta": "XLM-R",
    "gemma3n": "Gemma 3n",
    "kimi_k3": "Kimi-K3",
    "qwen2_5_omni": "Qwen2.5-Omni",
    "qwen3_omni_moe": "Qwen3-Omni",
    "phi-msft": "Phi",
    "rwkv": "RWKV-4",
    "explicit": "an own architecture",
}


def read_as(model: ModelSpec) -> str:
    """Such as "Qwen3-Next: 48 blocks, 36 of them gated delta rule, 512 experts, 10 active, 79.7B".

    Source: the shape that every formula of the plan uses.
    """
    count = count_parameters(model)
    said = [f"{model.layers:,} blocks"]
    if model.decoder_layers:
        said[0] = f"{model.layers:,} encoder and {model.decoder_layers:,} decoder blocks"
    said += _kinds(model)
    if model.experts:
        said.append(f"{model.experts:,} experts")
        said.append(f"{model.experts_per_token:,} active")
    if model.towers:
        named = " and ".join(
            f"{tower.name} {_short(tower.parameters)}" for tower in model.towers if tower.blocks
        )
        said.append(f"with {named}" if named else "of several parts")
    said.append(_short(count.total))
    if count.active != count.total:
        said.append(f"{_short(count.active)} a token")
    return f"{_family(model.family)}: {', '.join(said)}"


def plain_name(model: ModelSpec) -> str:
    """What a model without a name of its own is called: its family and size, such as "Qwen3-Next 79.7B"."""
    family = "Own architecture" if model.family == "explicit" else _family(model.family)
    return f"{family} {_short(count_parameters(model).total)}"


def _kinds(model: ModelSpec) -> list[str]:
    """How many blocks are other than plain attention, most first."""
    if model.parts is None:
        windowed = model.windowed_layers if model.sliding_window else 0
        return [f"{windowed:,} of them windowed attention"] if windowed else []
    found: dict[str, int] = {}
    for group in model.parts.groups:
        kind = MIXERS.get(group.mixer.kind)
        if group.stack == "main" and kind:
            found[kind] = found.get(kind, 0) + group.blocks
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    if len(ordered) == 1 and ordered[0][1] == model.layers:
        return [f"all {ordered[0][0]}"]
    return [f"{count:,} of them {kind}" for kind, count in ordered]


def _family(family: str) -> str:
    return NAMES.get(family, family.replace("_", " ").replace("-", " ").title().replace(" ", "-"))


def _short(parameters: int) -> str:
    """Three digits with K, M, B or T."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if parameters >= size * 0.9995:
            return f"{parameters / size:.3g}{letter}"
    return str(parameters)
