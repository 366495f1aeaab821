"""Decoders not of Llama's plan: the GPTs, OPT, BLOOM, MPT, Falcon, Phi and StarCoder2.

Defaults are those of the family's configuration class in Hugging Face transformers 4.57.
"""

from __future__ import annotations

from typing import Any, Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.hf.llama_like import read_head_dim
from planner.engine.shape.hf.shapes import head_width, kv_head_count, layer_count, model_spec, windowed_layers
from planner.engine.shape.reading import SpecReader


def read_gpt2(reader: SpecReader, family: str, name: str) -> ModelSpec:
    _refuse_cross_attention(reader)
    layers, hidden, heads = _gpt_sizes(reader)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.optional_size("n_inner") or 4 * hidden,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size(reader.first_present(("n_positions", "max_position_embeddings")), 1024),
        position_embedding="learned",
        tied=reader.flag("tie_word_embeddings", True),
        bias=True,
        norm="layernorm",
    )


def read_gpt_bigcode(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """GPT-2 with one key-value head (StarCoder, SantaCoder)."""
    _refuse_cross_attention(reader)
    layers, hidden, heads = _gpt_sizes(reader)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=1 if reader.flag("multi_query", True) else heads,
        ffn=reader.optional_size("n_inner") or 4 * hidden,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size(reader.first_present(("n_positions", "max_position_embeddings")), 1024),
        position_embedding="learned",
        tied=reader.flag("tie_word_embeddings", True),
        bias=True,
        norm="layernorm",
    )


def read_gptj(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """Attention and MLP side by side behind one norm; a biased output projection."""
    layers, hidden, heads = _gpt_sizes(reader)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.optional_size("n_inner") or 4 * hidden,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size(reader.first_present(("n_positions", "max_position_embeddings")), 2048),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        bias=False,
        ffn_bias=True,
        norm="layernorm",
        extras={"norms_per_block": 1, "head_bias": 1},
    )


def read_gpt_neo(reader: SpecReader, family: str, name: str) -> ModelSpec:
    layers = layer_count(reader, "num_layers", "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_heads", "num_attention_heads")
    head_width(reader, hidden, heads, "hidden_size", "num_heads")
    window = reader.size("window_size", 256)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.optional_size("intermediate_size") or 4 * hidden,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 2048),
        position_embedding="learned",
        tied=reader.flag("tie_word_embeddings", True),
        qkv_bias=False,
        output_bias=True,
        ffn_bias=True,
        norm="layernorm",
        windows=windowed_layers(reader, layers, window, _local_layers(reader, layers)),
    )


def read_gpt_neox(reader: SpecReader, family: str, name: str) -> ModelSpec:
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_width(reader, hidden, heads, "hidden_size", "num_attention_heads")
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.size("intermediate_size", 24576),
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 2048),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        bias=reader.flag("attention_bias", True),
        ffn_bias=True,
        norm="layernorm",
    )


def read_opt(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """Positions start two rows in; OPT-350M narrows its token table and norms after each block."""
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_width(reader, hidden, heads, "hidden_size", "num_attention_heads")
    token_width = reader.optional_size("word_embed_proj_dim") or hidden
    final_norm = reader.flag("do_layer_norm_before", True) and not reader.flag(
        "_remove_final_layer_norm", False
    )
    affine = reader.flag("layer_norm_elementwise_affine", True)
    extras = {"position_offset": 2, "final_norms": int(final_norm)}
    if token_width != hidden:
        extras |= {"embedding_size": token_width, "embedding_projections": 2}
    if not affine:
        extras |= {"norm_weight": 0, "norm_bias": 0}
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.size("ffn_dim", 3072),
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 2048),
        position_embedding="learned",
        tied=reader.flag("tie_word_embeddings", True),
        bias=reader.flag("enable_bias", True),
        norm="layernorm",
        extras=extras,
    )


def read_bloom(reader: SpecReader, family: str, name: str) -> ModelSpec:
    hidden_key = reader.first_present(("n_embed", "hidden_size"))
    layers = layer_count(reader, "n_layer", "num_hidden_layers")
    hidden = reader.required_size(hidden_key)
    heads = reader.required_size("n_head", "num_attention_heads")
    head_width(reader, hidden, heads, hidden_key, "n_head")
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=4 * hidden,
        vocab=reader.required_size("vocab_size"),
        positions=0,
        position_embedding="alibi",
        tied=reader.flag("tie_word_embeddings", True),
        bias=True,
        norm="layernorm",
        extras={"embedding_norm": 1},
    )


def read_mpt(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """No biases, not even in norms; transformers builds an MLP of 4 x d_model whatever the config says."""
    layers = layer_count(reader, "n_layers", "num_hidden_layers")
    hidden = reader.required_size("d_model", "hidden_size")
    heads = reader.required_size("n_heads", "num_attention_heads")
    head_width(reader, hidden, heads, "d_model", "n_heads")
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=4 * hidden,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_seq_len", 2048),
        position_embedding="alibi",
        tied=reader.flag("tie_word_embeddings", True),
        norm="layernorm",
        extras={"norm_bias": 0},
    )


def read_falcon(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """Falcon 7B (one key-value head), 40B and 180B (new decoder architecture), RW (neither)."""
    hidden_key = reader.first_present(("n_embed", "hidden_size"))
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size(hidden_key)
    heads = reader.required_size("num_attention_heads")
    head_width(reader, hidden, heads, hidden_key, "num_attention_heads")
    newer = reader.flag("new_decoder_architecture", False)
    grouped_heads = reader.optional_size("num_kv_heads") or heads
    multi_query = reader.flag("multi_query", True)
    if newer:
        reader.must_divide("num_attention_heads", heads, "num_kv_heads", grouped_heads)
    parallel = reader.flag("parallel_attn", True)
    norms_in_parallel = reader.optional_size("num_ln_in_parallel_attn", largest=2) or (2 if newer else 1)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=grouped_heads if newer else (1 if multi_query else heads),
        ffn=reader.optional_size("ffn_hidden_size") or 4 * hidden,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 2048),
        position_embedding="alibi" if reader.flag("alibi", False) else "rope",
        tied=reader.flag("tie_word_embeddings", True),
        bias=reader.flag("bias", False),
        norm="layernorm",
        extras={"norms_per_block": norms_in_parallel if parallel else 2},
    )


def read_phi(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """Attention and MLP side by side behind one norm; biases everywhere, the output projection included."""
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_dim = read_head_dim(reader, hidden, heads, None)
    extras = {"norms_per_block": 1, "head_bias": 1}
    if reader.flag("qk_layernorm", False):
        extras["qk_norm_parameters"] = 4 * (hidden // heads)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_head_count(reader, heads, None, "num_attention_heads"),
        head_dim=head_dim,
        ffn=reader.size("intermediate_size", 8192),
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 2048),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        bias=True,
        norm="layernorm",
        extras=extras,
    )


#: Keys of Phi as its authors' own class named them (microsoft/phi-1_5 and phi-2 before December 2023).
PHI_MSFT_KEYS: Final = {
    "num_hidden_layers": "n_layer",
    "hidden_size": "n_embd",
    "num_attention_heads": "n_head",
    "num_key_value_heads": "n_head_kv",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
}


def read_phi_msft(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """Phi before transformers had it: the same blocks under GPT-2's names; the MLP is 4 x the width."""
    renamed = {new: reader.values[old] for new, old in PHI_MSFT_KEYS.items() if reader.has(old)}
    width = renamed.get("hidden_size")
    if isinstance(width, int):
        renamed.setdefault("intermediate_size", 4 * width)
    reader.seen |= set(PHI_MSFT_KEYS.values())
    inside = SpecReader({**reader.values, **renamed}, reader.field)
    inside.errors, inside.assumed, inside.seen = reader.errors, reader.assumed, reader.seen
    return read_phi(inside, family, name)


def read_starcoder2(reader: SpecReader, family: str, name: str) -> ModelSpec:
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    window = reader.optional_size("sliding_window", smallest=0) or 0
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_head_count(reader, heads, 2, "num_attention_heads"),
        head_dim=read_head_dim(reader, hidden, heads, None),
        ffn=reader.size("intermediate_size", 12288),
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 4096),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", True),
        bias=reader.flag("use_bias", True),
        norm="layernorm",
        windows=windowed_layers(reader, layers, window, layers),
    )


def _gpt_sizes(reader: SpecReader) -> tuple[int, int, int]:
    """(layers, hidden, heads) under OpenAI's names, or the usual ones."""
    hidden_key = reader.first_present(("n_embd", "hidden_size"))
    heads_key = reader.first_present(("n_head", "num_attention_heads"))
    layers = layer_count(reader, "n_layer", "num_hidden_layers")
    hidden, heads = reader.required_size(hidden_key), reader.required_size(heads_key)
    head_width(reader, hidden, heads, hidden_key, heads_key)
    return layers, hidden, heads


def _refuse_cross_attention(reader: SpecReader) -> None:
    if reader.flag("add_cross_attention", False):
        reader.problem(
            "add_cross_attention",
            "A decoder with cross-attention beside its own is not modelled.",
            "Describe the pair as an encoder_decoder architecture.",
        )


def _local_layers(reader: SpecReader, layers: int) -> int:
    """GPT-Neo's attention_types, e.g. [[["global", "local"], 12]]: how many layers are local."""
    types = reader.items("attention_types")
    if types is None:
        return layers // 2
    described, local = _count_kinds(types)
    if described != layers:
        reader.problem(
            "attention_types",
            f"It does not describe {layers} layers.",
            'Write pairs of a pattern and a count, e.g. [[["global", "local"], 12]].',
        )
    return local


def _count_kinds(types: list[Any]) -> tuple[int, int]:
    """(layers described, local ones among them) of pattern and repeat pairs; 0 if malformed."""
    described = local = 0
    for pair in types:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return 0, 0
        pattern, repeats = pair
        if not isinstance(pattern, list | tuple) or isinstance(repeats, bool) or not isinstance(repeats, int):
            return 0, 0
        described += len(pattern) * repeats
        local += sum(1 for kind in pattern if kind == "local") * repeats
    return described, local
