"""The JSON contract's explicit architecture, read into a ``ModelSpec``.

Knows the contract's field names and the defaults that are usual for each architecture; knows no family.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from planner.engine.question.errors import PlanError
from planner.engine.question.specs import Architecture, ModelSpec, Norm, PositionEmbedding
from planner.engine.shape.own_hybrid import MIXER_FIELDS, with_own_mixer
from planner.engine.shape.parameters import count_parameters
from planner.engine.shape.reading import LARGEST_SIZE, MOST_LAYERS, SpecReader

ARCHITECTURES: Final = ("decoder", "encoder", "encoder_decoder", "vision_encoder")
POSITION_EMBEDDINGS: Final = ("learned", "rope", "alibi", "relative", "none")
NORMS: Final = ("layernorm", "rmsnorm")

EXPLICIT_FIELDS: Final = (
    "name",
    "architecture",
    "layers",
    "decoder_layers",
    "hidden_size",
    "attention_heads",
    "kv_heads",
    "head_dim",
    "ffn_size",
    "gated_ffn",
    "vocab_size",
    "max_positions",
    "position_embedding",
    "tied_embeddings",
    "bias",
    "norm",
    "experts",
    "experts_per_token",
    "shared_experts",
    "expert_ffn_size",
    "dense_layers",
    "window",
    "windowed_share",
    *MIXER_FIELDS,
    "patch_size",
    "image_size",
    "params_total",
)

MOST_PARAMETERS: Final = 10**16  # ten thousand trillion: beyond it, the question is a slip of the keyboard
CROSS_CHECK_TOLERANCE: Final = 0.02  # the JSON contract: "a difference over 2 % is a warning"

# Llama rounds the gated MLP's inner width up to a multiple of this (Touvron et al. 2023, reference code).
GATED_FFN_MULTIPLE: Final = 256
# Raffel et al. 2020 (T5), section 2.1: 32 relative-position embeddings.
RELATIVE_BUCKETS: Final = 32
# Devlin et al. 2019 (BERT), section 3: two segments.
BERT_TOKEN_TYPES: Final = 2


def model_from_explicit(spec: Mapping[str, Any], name: str = "custom", field: str = "model") -> ModelSpec:
    """The model that an explicit architecture describes.

    Absent fields take the usual: kv_heads = attention_heads; head_dim = hidden_size / attention_heads;
    ffn_size = 4 x hidden_size, or 8/3 of it rounded up to a multiple of 256 where gated; learned positions
    where max_positions is given, else rope (decoder), relative (encoder_decoder) or none; rmsnorm where the
    MLP is gated or positions are relative, else layernorm; biases with layernorm; untied embeddings.
    Encoders are built as BERT (embedding norm, two token types, pooler), vision encoders as ViT.
    Raises PlanError or PlanErrors whose fields begin with ``field``.
    """
    if not isinstance(spec, Mapping):
        raise PlanError(
            field, repr(spec)[:200], "This must be an object.", "Write the architecture as an object."
        )
    reader = SpecReader(spec, field)
    reader.unknown_keys(EXPLICIT_FIELDS)
    if not reader.has("architecture"):
        reader.problem("architecture", "This key is missing.", f"Choose from: {', '.join(ARCHITECTURES)}.")
    architecture = cast(Architecture, reader.choice("architecture", "decoder", ARCHITECTURES))
    reader.text("name", "")
    model = with_own_mixer(reader, _read(reader, name, architecture))
    reader.optional_size("params_total", largest=MOST_PARAMETERS)
    reader.finish()
    check_size(model, field)
    return model


def check_size(model: ModelSpec, field: str) -> None:
    """Raises PlanError where each field is possible but the whole has absurdly many parameters."""
    total = count_parameters(model).total
    if total > MOST_PARAMETERS:
        raise PlanError(
            field,
            total,
            f"These sizes make {total:.3g} parameters, more than {MOST_PARAMETERS:.0e}.",
            "Check the sizes: one of them probably has too many digits.",
        )


def cross_check_parameters(model: ModelSpec, params_total: int) -> tuple[str, str] | None:
    """The warning (code, message) where a stated total is over 2 % from the counted one, else None."""
    counted = count_parameters(model).total
    if abs(counted - params_total) <= CROSS_CHECK_TOLERANCE * params_total:
        return None
    return (
        "parameter_count_differs",
        f"The shape of {model.name} has {counted:,} parameters, but params_total says {params_total:,} "
        f"({(counted / params_total - 1) * 100:+.1f} %). The estimate uses the shape.",
    )


def _read(reader: SpecReader, name: str, architecture: Architecture) -> ModelSpec:
    layers = reader.required_size("layers", largest=MOST_LAYERS)
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("attention_heads")
    kv_heads = reader.size("kv_heads", heads)
    reader.must_divide("attention_heads", heads, "kv_heads", kv_heads)
    if not reader.has("head_dim"):
        reader.must_divide("hidden_size", hidden, "attention_heads", heads)
    head_dim = reader.size("head_dim", max(hidden // heads, 1))
    positions = _positions(reader, architecture)
    gated = reader.flag("gated_ffn", False)
    usual_norm = "rmsnorm" if gated or positions == "relative" else "layernorm"
    norm = cast(Norm, reader.choice("norm", usual_norm, NORMS))
    bias = reader.flag("bias", norm == "layernorm")
    ffn_size = reader.size("ffn_size", gated_ffn_size(hidden) if gated else 4 * hidden)
    experts = _read_experts(reader, layers, ffn_size, gated)
    vision = architecture == "vision_encoder"
    return ModelSpec(
        name=name,
        family="explicit",
        architecture=architecture,
        layers=layers,
        hidden_size=hidden,
        attention_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        value_head_dim=head_dim,
        ffn_size=ffn_size,
        gated_ffn=gated,
        vocab_size=0 if vision else reader.required_size("vocab_size"),
        position_embedding=positions,
        tied_embeddings=reader.flag("tied_embeddings", False),
        qkv_bias=bias,
        attention_output_bias=bias,
        ffn_bias=bias,
        norm=norm,
        decoder_layers=_decoder_layers(reader, architecture, layers),
        extras=_extras(architecture, hidden, positions, bias),
        **_read_image(reader, architecture),
        **_read_window(reader, layers),
        **experts,
    )


def _read_window(reader: SpecReader, layers: int) -> dict[str, Any]:
    """Tokens that windowed blocks see, and how many blocks are such (all unless a share is given)."""
    if not reader.has("window"):
        if reader.has("windowed_share"):
            reader.problem("windowed_share", "It needs window.", "Add window, or leave windowed_share out.")
        return {}
    share = reader.values.get("windowed_share") if reader.has("windowed_share") else 1.0
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
        reader.problem("windowed_share", "A share of the blocks is wanted.", "Give a number from 0 to 1.")
        share = 1.0
    return {"sliding_window": reader.size("window", 1), "windowed_layers": round(share * layers)}


def gated_ffn_size(hidden_size: int) -> int:
    """Inner width of a gated MLP with about the weights of an ungated one of 4 x hidden_size.

    Two thirds of it, rounded up to a multiple of 256: 11,008 for 4,096 (Llama 2 7B).
    Source: Touvron et al. 2023, section 2.2; Shazeer 2020, section 2.
    """
    return -(-(8 * hidden_size // 3) // GATED_FFN_MULTIPLE) * GATED_FFN_MULTIPLE


def _positions(reader: SpecReader, architecture: Architecture) -> PositionEmbedding:
    usual = {"decoder": "rope", "encoder": "none", "encoder_decoder": "relative", "vision_encoder": "learned"}
    default = "learned" if reader.has("max_positions") else usual[architecture]
    positions = cast(PositionEmbedding, reader.choice("position_embedding", default, POSITION_EMBEDDINGS))
    if positions == "learned" and architecture != "vision_encoder" and not reader.has("max_positions"):
        reader.problem(
            "max_positions",
            "Learned positions need max_positions, the length of their table.",
            "Add max_positions, or choose another position_embedding.",
        )
    return positions


def _decoder_layers(reader: SpecReader, architecture: Architecture, layers: int) -> int:
    if architecture == "encoder_decoder":
        return reader.size("decoder_layers", layers, largest=MOST_LAYERS)
    if reader.has("decoder_layers"):
        reader.problem(
            "decoder_layers",
            "Only an encoder_decoder has decoder_layers.",
            "Leave it out, or set architecture to encoder_decoder.",
        )
    return 0


def _read_experts(reader: SpecReader, layers: int, ffn_size: int, gated: bool) -> dict[str, Any]:
    experts = reader.size("experts", 0, smallest=0, largest=1_000_000)
    dependants = ("experts_per_token", "shared_experts", "expert_ffn_size", "dense_layers")
    if not experts:
        for key in dependants:
            if reader.values.get(key):
                reader.problem(key, f"{key} needs experts.", f"Add experts, or leave {key} out.")
        return {}
    if not reader.has("experts_per_token"):
        reader.problem(
            "experts_per_token",
            "A mixture of experts needs the number of experts that each token visits.",
            "Add experts_per_token.",
        )
    per_token = reader.size("experts_per_token", 1)
    reader.must_not_exceed(
        "experts_per_token",
        per_token,
        "experts",
        experts,
        f"A token cannot visit {per_token} of {experts} experts.",
    )
    dense_layers = reader.size("dense_layers", 0, smallest=0)
    reader.must_not_exceed("dense_layers", dense_layers, "layers", layers, f"There are only {layers} layers.")
    return {
        "experts": experts,
        "experts_per_token": per_token,
        "shared_experts": reader.size("shared_experts", 0, smallest=0, largest=1_000_000),
        "expert_ffn_size": reader.size("expert_ffn_size", ffn_size),
        "dense_layers": dense_layers,
    }


def _read_image(reader: SpecReader, architecture: Architecture) -> dict[str, Any]:
    if architecture != "vision_encoder":
        for key in ("patch_size", "image_size"):
            if reader.has(key):
                reader.problem(
                    key, f"Only a vision_encoder has {key}.", "Leave it out, or change the architecture."
                )
        return {"max_positions": reader.size("max_positions", 0, largest=LARGEST_SIZE)}
    if reader.has("vocab_size"):
        reader.problem("vocab_size", "A vision_encoder has no vocabulary.", "Leave vocab_size out.")
    patch = reader.required_size("patch_size", largest=100_000)
    image = reader.required_size("image_size", largest=1_000_000)
    reader.must_not_exceed("patch_size", patch, "image_size", image, "A patch is larger than the image.")
    tokens = (image // patch) ** 2 + 1
    return {"max_positions": tokens, "patch_size": patch, "image_size": image}


def _extras(
    architecture: Architecture, hidden: int, positions: PositionEmbedding, bias: bool
) -> tuple[tuple[str, int], ...]:
    extras: dict[str, int] = {}
    if architecture == "encoder":
        extras |= {"embedding_norm": 1, "token_types": BERT_TOKEN_TYPES, "pooler_size": hidden}
    if architecture == "vision_encoder":
        extras |= {"class_tokens": 1, "pooler_size": hidden}
    if positions == "relative":
        extras["relative_buckets"] = RELATIVE_BUCKETS
    if not bias:
        extras["norm_bias"] = 0
    return tuple(extras.items())
