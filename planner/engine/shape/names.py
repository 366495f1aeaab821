"""What each model family calls its linear layers, as users of adapters (LoRA) know them.

Names are those of the modules that Hugging Face transformers builds (read off version 4.57, where routed
experts are modules of their own). This room knows names only: widths and counts are ``params_layers``'s.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearNames:
    """Paths within a block of one family's linear layers; an empty string where it has none.

    qkv: one path where query, key and value are one fused layer, else three.  gate_up: a fused gate and up
    projection, in which case gate and up are empty.  experts, shared: what stands before expert_gate,
    expert_up and expert_down.  cross: what stands before q, k, v and o in a decoder's cross-attention.
    modular_experts, modular_router: whether these are modules an adapter can wrap, or bare parameters.
    """

    qkv: tuple[str, ...]
    output: str
    up: str
    down: str
    gate: str = ""
    gate_up: str = ""
    cross_qkv: tuple[str, ...] = ()
    cross_output: str = ""
    router: str = "mlp.gate"
    experts: str = "mlp.experts"
    expert_gate: str = "gate_proj"
    expert_up: str = "up_proj"
    expert_down: str = "down_proj"
    shared: str = "mlp.shared_experts"
    shared_gate: str = "mlp.shared_expert_gate"
    modular_experts: bool = True
    modular_router: bool = True
    head: str = "lm_head"


def _split(prefix: str, query: str, key: str, value: str) -> tuple[str, str, str]:
    return (f"{prefix}.{query}", f"{prefix}.{key}", f"{prefix}.{value}")


_SELF_ATTENTION = _split("self_attn", "q_proj", "k_proj", "v_proj")
_BERT_ATTENTION = _split("attention.self", "query", "key", "value")

_LLAMA = LinearNames(
    qkv=_SELF_ATTENTION,
    output="self_attn.o_proj",
    gate="mlp.gate_proj",
    up="mlp.up_proj",
    down="mlp.down_proj",
    cross_qkv=_split("cross_attn", "q_proj", "k_proj", "v_proj"),
    cross_output="cross_attn.o_proj",
)
_BERT = LinearNames(
    qkv=_BERT_ATTENTION,
    output="attention.output.dense",
    up="intermediate.dense",
    down="output.dense",
)
_VIT = LinearNames(
    qkv=_split("attention.attention", "query", "key", "value"),
    output="attention.output.dense",
    up="intermediate.dense",
    down="output.dense",
)
_T5 = LinearNames(
    qkv=_split("SelfAttention", "q", "k", "v"),
    output="SelfAttention.o",
    cross_qkv=_split("EncDecAttention", "q", "k", "v"),
    cross_output="EncDecAttention.o",
    up="DenseReluDense.wi",
    down="DenseReluDense.wo",
)
_T5_GATED = LinearNames(
    qkv=_T5.qkv,
    output=_T5.output,
    cross_qkv=_T5.cross_qkv,
    cross_output=_T5.cross_output,
    gate="DenseReluDense.wi_0",
    up="DenseReluDense.wi_1",
    down="DenseReluDense.wo",
)
_BLOOM = LinearNames(
    qkv=("self_attention.query_key_value",),
    output="self_attention.dense",
    up="mlp.dense_h_to_4h",
    down="mlp.dense_4h_to_h",
)
_DEEPSEEK = LinearNames(
    qkv=_SELF_ATTENTION,
    output="self_attn.o_proj",
    gate="mlp.gate_proj",
    up="mlp.up_proj",
    down="mlp.down_proj",
    modular_router=False,
)
_QWEN_MOE = LinearNames(
    qkv=_SELF_ATTENTION,
    output="self_attn.o_proj",
    gate="mlp.gate_proj",
    up="mlp.up_proj",
    down="mlp.down_proj",
    shared="mlp.shared_expert",
)

_BY_FAMILY: dict[str, LinearNames] = {
    "gpt2": LinearNames(qkv=("attn.c_attn",), output="attn.c_proj", up="mlp.c_fc", down="mlp.c_proj"),
    "gpt_bigcode": LinearNames(qkv=("attn.c_attn",), output="attn.c_proj", up="mlp.c_fc", down="mlp.c_proj"),
    "gptj": LinearNames(
        qkv=_split("attn", "q_proj", "k_proj", "v_proj"),
        output="attn.out_proj",
        up="mlp.fc_in",
        down="mlp.fc_out",
    ),
    "gpt_neo": LinearNames(
        qkv=_split("attn.attention", "q_proj", "k_proj", "v_proj"),
        output="attn.attention.out_proj",
        up="mlp.c_fc",
        down="mlp.c_proj",
    ),
    "gpt_neox": LinearNames(
        qkv=("attention.query_key_value",),
        output="attention.dense",
        up="mlp.dense_h_to_4h",
        down="mlp.dense_4h_to_h",
        head="embed_out",
    ),
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "modernbert": LinearNames(qkv=("attn.Wqkv",), output="attn.Wo", gate_up="mlp.Wi", up="", down="mlp.Wo"),
    "distilbert": LinearNames(
        qkv=_split("attention", "q_lin", "k_lin", "v_lin"),
        output="attention.out_lin",
        up="ffn.lin1",
        down="ffn.lin2",
    ),
    "t5": _T5,
    "mt5": _T5,
    "umt5": _T5,
    "mixtral": LinearNames(
        qkv=_SELF_ATTENTION,
        output="self_attn.o_proj",
        gate="mlp.gate_proj",
        up="mlp.up_proj",
        down="mlp.down_proj",
        router="block_sparse_moe.gate",
        experts="block_sparse_moe.experts",
        expert_gate="w1",
        expert_up="w3",
        expert_down="w2",
    ),
    "qwen2_moe": _QWEN_MOE,
    "qwen3_moe": _QWEN_MOE,
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "glm4_moe": _DEEPSEEK,
    "gpt_oss": LinearNames(
        qkv=_SELF_ATTENTION,
        output="self_attn.o_proj",
        gate="mlp.gate_proj",
        up="mlp.up_proj",
        down="mlp.down_proj",
        router="mlp.router",
        modular_experts=False,
        modular_router=False,
    ),
    "bloom": _BLOOM,
    "falcon": _BLOOM,
    "opt": LinearNames(qkv=_SELF_ATTENTION, output="self_attn.out_proj", up="fc1", down="fc2"),
    "mpt": LinearNames(qkv=("attn.Wqkv",), output="attn.out_proj", up="ffn.up_proj", down="ffn.down_proj"),
    "phi": LinearNames(qkv=_SELF_ATTENTION, output="self_attn.dense", up="mlp.fc1", down="mlp.fc2"),
    "phi3": LinearNames(
        qkv=("self_attn.qkv_proj",),
        output="self_attn.o_proj",
        gate_up="mlp.gate_up_proj",
        up="",
        down="mlp.down_proj",
    ),
    "starcoder2": LinearNames(
        qkv=_SELF_ATTENTION, output="self_attn.o_proj", up="mlp.c_fc", down="mlp.c_proj"
    ),
    "vit": _VIT,
    "deit": _VIT,
}


def linear_names(family: str, gated_ffn: bool) -> LinearNames:
    """The names of one family; families not listed, and explicit shapes, have Llama's."""
    if family in ("t5", "mt5", "umt5") and gated_ffn:
        return _T5_GATED
    return _BY_FAMILY.get(family, _LLAMA)
