"""The shape of a model in Megatron-LM's flags, for the families whose blocks it builds from flags alone."""

from __future__ import annotations

from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, flag, said

#: Blocks of RMSNorm, rotary positions, gated SiLU and no biases (but for qwen2's of query, key and value).
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "mixtral", "qwen3_moe")
NORMED_QUERIES = ("qwen3", "qwen3_moe")


def cannot(plan: LaunchPlan) -> list[str]:
    model = plan.model
    if model.family not in FAMILIES:
        return ["The model's blocks are not written in its flags here."]
    odd = (
        model.sliding_window
        or model.kv_lora_rank
        or model.shared_experts
        or model.dense_layers
        or model.value_head_dim != model.head_dim
    )
    return ["Windowed, latent or partly dense blocks are not written in its flags here."] if odd else []


def settings(plan: LaunchPlan) -> list[Setting]:
    model = plan.model
    positions = max(model.max_positions, plan.workload.sequence_length)
    found = [
        said("--num-layers", model.layers, "blocks"),
        said("--hidden-size", model.hidden_size, "hidden size"),
        said("--ffn-hidden-size", model.ffn_size, "MLP width"),
        said("--num-attention-heads", model.attention_heads, "attention heads"),
        said("--kv-channels", model.head_dim, "width of a head"),
    ]
    if model.kv_heads != model.attention_heads:
        found += [
            flag("--group-query-attention", "grouped queries"),
            said("--num-query-groups", model.kv_heads, "key and value heads"),
        ]
    found += [
        said("--max-position-embeddings", positions, "longest sequence, tokens"),
        said("--position-embedding-type", "rope", "rotary positions"),
        said("--normalization", "RMSNorm", "norm"),
        flag("--swiglu", "gated MLP with SiLU"),
        flag("--disable-bias-linear", "no biases"),
    ]
    if model.qkv_bias:
        found.append(flag("--add-qkv-bias", "biases of query, key and value"))
    if model.family in NORMED_QUERIES:
        found.append(flag("--qk-layernorm", "norms of query and key"))
    if not model.tied_embeddings:
        found.append(flag("--untie-embeddings-and-output-weights", "output head of its own"))
    found += [
        said("--hidden-dropout", "0.0", "dropout of the residual stream"),
        said("--attention-dropout", "0.0", "dropout of attention"),
    ]
    return [*found, *_experts(plan)]


def _experts(plan: LaunchPlan) -> list[Setting]:
    model = plan.model
    if not model.experts:
        return []
    return [
        said("--num-experts", model.experts, "experts a block"),
        said("--moe-ffn-hidden-size", model.expert_ffn_size, "width of an expert"),
        said("--moe-router-topk", model.experts_per_token, "experts a token"),
        flag("--moe-grouped-gemm", "matmuls of local experts in one kernel"),
        said("--moe-token-dispatcher-type", "alltoall", "how tokens reach their experts"),
    ]
