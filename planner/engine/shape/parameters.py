"""How many parameters a transformer has, part by part, exactly as Hugging Face transformers builds it.

Decoders count with their language-model head, encoders and vision models as the base model (with its
pooler where the family has one), T5 for conditional generation; a tied tensor counts once. Buffers (rotary
tables, DeepSeek-V3's expert-balancing bias) and multi-token-prediction heads are not parameters of the
model that is built, and do not count.

Knows shapes only: bytes, FLOPs and placement are asked of other rooms.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from planner.engine.question.errors import PlanError
from planner.engine.question.specs import LinearModule, ModelSpec, ParameterCount
from planner.engine.shape.composed import composed_modules, count_composition
from planner.engine.shape.layers import BlockKind, BlockLinear, Part, block_counts, block_linears
from planner.engine.shape.names import linear_names

# What ``ModelSpec.extras`` may hold. A missing name means the default that stands in brackets.
EXTRAS: dict[str, str] = {
    "norms_per_block": "normalisations of the hidden width in one block [2; 3 in a cross-attending block]",
    "norm_weight": "1 where a normalisation has a learned scale [1]",
    "norm_bias": "1 where a normalisation has a learned shift [1 for layernorm, 0 for rmsnorm]",
    "final_norms": "normalisations after the last block [1; encoder 0; encoder-decoder 2]",
    "embedding_norm": "1 where the embeddings are normalised before the first block [0]",
    "qk_norm_parameters": "parameters of the query and key normalisations of one block [0]",
    "attention_sinks": "learned attention sinks of one block [0]",
    "distance_parameters": "relative-distance embeddings of one block (BERT's relative_key) [0]",
    "token_types": "rows of the token-type table [0]",
    "position_offset": "rows of the position table beyond max_positions [0]",
    "embedding_size": "width of the token table, where it is not the hidden width [hidden_size]",
    "embedding_projections": "linear layers between token width and hidden width, in and out [0]",
    "embedding_projection_bias": "1 where those have a bias [0]",
    "pooler_size": "output width of the pooler [0: none]",
    "head_bias": "1 where the output projection has a bias [0]",
    "relative_buckets": "T5's relative-position buckets, one number a head each [0]",
    "relative_every_block": "1 where every block of self-attention has such a table, not just the first [0]",
    "class_tokens": "learned tokens put before the patches [0]",
    "shared_expert_gate": "1 where the shared experts are gated by a linear layer of width 1 [0]",
    "router_bias": "1 where the router has a bias [0]",
    "headless": "1 where the model is an embedding model, without output projection [0]",
    "classifier_parameters": "parameters of a classifier in place of the language-model head [0]",
    "expert_bias": "1 where the routed experts' layers have biases [0]",
}


#: PEFT's word for every linear layer but the output projection (tuners/tuners_utils.py,
#: INCLUDE_LINEAR_LAYERS_SHORTHAND).
ALL_LINEAR = "all-linear"


@lru_cache(maxsize=4096)
def count_parameters(model: ModelSpec) -> ParameterCount:
    """Exact counts of one model's parameters by the part that holds them.

    total: embedding + head + all blocks with all routed experts.  active: total without the routed experts
    that a token does not visit; both the token table and the output projection count as active (so
    DeepSeek-V3 is 37.55B of 671.03B). Publications differ there: OpenAI leaves the token table of
    gpt-oss-120b out and says 5.13B where this says 5.71B.
    """
    if model.towers:
        return _with_towers(model)
    if model.parts is not None:
        return count_composition(model.parts)
    parts = {kind: _matmul_weights(model, kind) for kind in ("dense", "moe", "decoder")}
    blocks = dict(block_counts(model))
    routed = sum(
        linear.copies * (linear.weights + linear.biases)
        for linear in block_linears(model, "moe")
        if linear.part == "expert"
    ) * bool(model.experts)
    dense_block = _block_parameters(model, "dense")
    moe_block = _block_parameters(model, "moe") if model.experts else 0
    decoder_block = _block_parameters(model, "decoder") if model.decoder_layers else 0
    embedding, head = _embedding_parameters(model), _head_parameters(model)
    total = (
        embedding
        + head
        + blocks["dense"] * dense_block
        + blocks["moe"] * (moe_block + routed)
        + blocks["decoder"] * decoder_block
    )
    idle_share = model.experts - model.experts_per_token
    idle = blocks["moe"] * (routed // model.experts) * idle_share if model.experts else 0
    has_dense_ffn = bool(blocks["dense"] or blocks["decoder"])
    return ParameterCount(
        embedding=embedding,
        head=head,
        tied_head=_head_weights(model) if model.tied_embeddings else 0,
        dense_block=dense_block,
        moe_block=moe_block,
        routed_experts=routed,
        decoder_block=decoder_block,
        dense_blocks=blocks["dense"],
        moe_blocks=blocks["moe"],
        decoder_blocks=blocks["decoder"],
        total=total,
        active=total - idle,
        attention_matmul=parts["dense"]["attention"],
        cross_attention_matmul=parts["decoder"]["cross_attention"] if model.decoder_layers else 0,
        ffn_matmul=parts["dense"]["ffn"] if has_dense_ffn else 0,
        expert_matmul=parts["moe"]["expert"] if model.experts else 0,
        shared_expert_matmul=parts["moe"]["shared_expert"] if model.experts else 0,
        router_matmul=parts["moe"]["router"] if model.experts else 0,
        head_matmul=_head_weights(model),
    )


def _with_towers(model: ModelSpec) -> ParameterCount:
    """A model of several parts: the encoders stand on the first stage, beside the token table."""
    text = count_parameters(replace(model, towers=()))
    beside = sum(tower.parameters for tower in model.towers)
    return replace(
        text, embedding=text.embedding + beside, total=text.total + beside, active=text.active + beside
    )


def linear_modules(model: ModelSpec) -> tuple[LinearModule, ...]:
    """Every linear layer that an adapter can wrap, by its Hugging Face name; same-shaped ones once, counted.

    The blocks' come first; the output projection and poolers follow with ``in_blocks`` False. Experts that
    a family keeps as bare parameters (gpt-oss) are not modules and are left out.
    """
    if model.parts is not None:
        return composed_modules(model.parts)
    found: dict[tuple[str, int, int], LinearModule] = {}
    for kind, blocks in block_counts(model):
        for linear in block_linears(model, kind) if blocks else ():
            if linear.adaptable:
                key = (linear.path, linear.in_features, linear.out_features)
                earlier = found[key].copies if key in found else 0
                found[key] = _as_module(linear, copies=earlier + blocks * linear.copies)
    return (*found.values(), *_modules_outside_blocks(model))


def targeted_modules(model: ModelSpec, targets: tuple[str, ...] | None) -> tuple[LinearModule, ...]:
    """The linear layers that LoRA adapts: all of the blocks, or those that ``targets`` name as PEFT matches.

    A target matches a layer's whole path or its last parts (``q_proj``, ``self_attn.q_proj``); ALL_LINEAR is
    PEFT's word for every linear layer but the output projection.
    Raises PlanError ``workload.lora_targets`` where a target names no layer of this model.
    """
    modules = linear_modules(model)
    if targets is None:
        return tuple(module for module in modules if module.in_blocks)
    if targets == (ALL_LINEAR,):
        head = linear_names(model.family, model.gated_ffn).head
        return tuple(module for module in modules if module.path != head)
    for target in targets:
        if not any(targets_module(module, target) for module in modules):
            names = ", ".join(dict.fromkeys(module.name for module in modules))
            raise PlanError(
                "workload.lora_targets",
                target,
                f"{model.name} has no linear layer of this name.",
                f"Choose from: {names}.",
            )
    return tuple(module for module in modules if any(targets_module(module, target) for target in targets))


def lora_parameters(model: ModelSpec, rank: int, targets: tuple[str, ...] | None = None) -> int:
    """Trainable parameters of LoRA: rank x (in_features + out_features) for every adapted layer.

    As PEFT counts them, without biases. targets: see ``targeted_modules``.
    Source: Hu et al. 2021, section 4.1.
    """
    return sum(
        module.copies * rank * (module.in_features + module.out_features)
        for module in targeted_modules(model, targets)
    )


def targets_module(module: LinearModule, target: str) -> bool:
    """A layer is meant by its whole path, or by its last parts."""
    return module.path == target or module.path.endswith(f".{target}")


def _as_module(linear: BlockLinear, *, copies: int) -> LinearModule:
    return LinearModule(
        name=linear.path.rpartition(".")[2],
        in_features=linear.in_features,
        out_features=linear.out_features,
        copies=copies,
        bias=linear.bias,
        routed_expert=linear.part == "expert",
        path=linear.path,
    )


def _modules_outside_blocks(model: ModelSpec) -> tuple[LinearModule, ...]:
    extras = dict(model.extras)
    hidden, token_width = model.hidden_size, _token_width(model)
    modules: list[tuple[str, int, int, bool]] = []
    if extras.get("embedding_projections", 0) == 1:
        modules.append(("embeddings_project", token_width, hidden, True))
    if extras.get("embedding_projections", 0) == 2:
        modules.append(("project_in", token_width, hidden, False))
        modules.append(("project_out", hidden, token_width, False))
    if extras.get("pooler_size", 0):
        modules.append(("pooler.dense", hidden, extras["pooler_size"], True))
    if _head_weights(model):
        head = linear_names(model.family, model.gated_ffn).head
        modules.append((head, token_width, model.vocab_size, bool(extras.get("head_bias", 0))))
    return tuple(
        LinearModule(
            name=path.rpartition(".")[2],
            in_features=inner,
            out_features=outer,
            copies=1,
            bias=bias,
            path=path,
            in_blocks=False,
        )
        for path, inner, outer, bias in modules
    )


def _matmul_weights(model: ModelSpec, kind: BlockKind) -> dict[Part, int]:
    """Weights of one block's matmuls by part; of one expert, not of all, for the routed ones."""
    weights: dict[Part, int] = dict.fromkeys(
        ("attention", "cross_attention", "ffn", "expert", "shared_expert", "router"), 0
    )
    if kind == "decoder" and not model.decoder_layers:
        return weights
    for linear in block_linears(model, kind):
        weights[linear.part] += linear.weights
    return weights


def _block_parameters(model: ModelSpec, kind: BlockKind) -> int:
    """One block of a kind: its linear layers (routed experts apart), norms, and the family's oddities."""
    extras = dict(model.extras)
    linears = sum(
        linear.weights + linear.biases for linear in block_linears(model, kind) if linear.part != "expert"
    )
    norms = extras.get("norms_per_block", 2) + (1 if kind == "decoder" else 0)
    latent_norms = (model.q_lora_rank + model.kv_lora_rank) if model.kv_lora_rank else 0
    oddities = (
        extras.get("qk_norm_parameters", 0)
        + extras.get("attention_sinks", 0)
        + extras.get("distance_parameters", 0)
    )
    relative = _relative_table(model) if extras.get("relative_every_block", 0) else 0
    return linears + norms * _norm_parameters(model) + latent_norms + oddities + relative


def _norm_parameters(model: ModelSpec) -> int:
    extras = dict(model.extras)
    scale = extras.get("norm_weight", 1)
    shift = extras.get("norm_bias", 1 if model.norm == "layernorm" else 0)
    return model.hidden_size * (scale + shift)


def _relative_table(model: ModelSpec) -> int:
    return dict(model.extras).get("relative_buckets", 0) * model.attention_heads


def _token_width(model: ModelSpec) -> int:
    return dict(model.extras).get("embedding_size", model.hidden_size)


def _embedding_parameters(model: ModelSpec) -> int:
    """Token, position and type tables, patch projection, class tokens, and norms before the first block.

    A relative-position table that only first blocks have counts here, once per stack.
    """
    extras = dict(model.extras)
    hidden, token_width = model.hidden_size, _token_width(model)
    stacks = 2 if model.decoder_layers else 1
    tokens = model.vocab_size * token_width
    types = extras.get("token_types", 0) * token_width
    positions = 0
    if model.position_embedding == "learned":
        positions = stacks * (model.max_positions + extras.get("position_offset", 0))
    # A factorised table is normalised at its own width (Electra); positions then have that width too,
    # unless the projection back out shows that only tokens are narrow (OPT-350M).
    projections = extras.get("embedding_projections", 0)
    position_width = token_width if projections == 1 else hidden
    norm = extras.get("embedding_norm", 0) * _norm_parameters(model) // hidden * position_width
    projection = 0
    if projections:
        projection = token_width * hidden + extras.get("embedding_projection_bias", 0) * hidden
    relative = 0 if extras.get("relative_every_block", 0) else stacks * _relative_table(model)
    return (
        tokens
        + types
        + positions * position_width
        + norm
        + projection
        + relative
        + _patch_parameters(model)
        + extras.get("class_tokens", 0) * hidden
    )


def _patch_parameters(model: ModelSpec) -> int:
    if not model.patch_size:
        return 0
    return (model.image_channels * model.patch_size**2 + 1) * model.hidden_size


def _head_weights(model: ModelSpec) -> int:
    headless = dict(model.extras).get("headless", 0)
    if model.architecture in ("decoder", "encoder_decoder") and not headless:
        return model.vocab_size * _token_width(model)
    return 0


def _head_parameters(model: ModelSpec) -> int:
    """What the last stage holds beside blocks: final norms, untied output projection and bias, pooler."""
    extras = dict(model.extras)
    usual_norms = {"decoder": 1, "encoder": 0, "vision_encoder": 1, "encoder_decoder": 2}
    norms = extras.get("final_norms", usual_norms[model.architecture]) * _norm_parameters(model)
    projection = 0 if model.tied_embeddings else _head_weights(model)
    bias = extras.get("head_bias", 0) * model.vocab_size
    project_out = (
        model.hidden_size * _token_width(model) if extras.get("embedding_projections", 0) == 2 else 0
    )
    pooler_size = extras.get("pooler_size", 0)
    bias *= 1 - extras.get("headless", 0)
    classifier = extras.get("classifier_parameters", 0)
    return norms + projection + bias + project_out + pooler_size * (model.hidden_size + 1) + classifier
