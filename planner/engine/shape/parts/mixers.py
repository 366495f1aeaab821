"""Token mixers: attention in its kinds, state-space scans, gated linear recurrences, short convolutions.

Each function builds one ``Mixer`` from its sizes; docstrings give the scan's FLOPs per token with the
equation they come from. A multiply-add is two FLOPs; conv: a depthwise convolution of width k costs 2 k per
channel and token.
"""

from __future__ import annotations

from planner.engine.question.parts import Matrix, Mixer, MixerKind


def attention(
    *,
    hidden: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    value_dim: int | None = None,
    bias: bool = False,
    output_bias: bool = False,
    key_bias: bool | None = None,
    names: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj"),
    prefix: str = "self_attn.",
    query_factor: int = 1,
    shares_key_value: bool = False,
    reads_key_value: bool = False,
    other_parameters: int = 0,
    window: int = 0,
) -> Mixer:
    """Softmax attention with grouped keys and values (Ainslie et al. 2023).

    names: query, key, value and output; two names: one fused layer and the output.  query_factor: 2 where
    the query layer also makes the output's gate.  shares_key_value: values are the keys.  reads_key_value:
    keys and values come from an earlier block, so that this one has neither layer.
    """
    value = head_dim if value_dim is None else value_dim
    query_width, key_width, value_width = (
        heads * head_dim * query_factor,
        kv_heads * head_dim,
        kv_heads * value,
    )
    widths = [query_width, key_width, value_width]
    biases = [bias, bias if key_bias is None else key_bias, bias]
    if shares_key_value:
        widths, biases, names = widths[:2], biases[:2], (*names[:2], names[-1])
    if reads_key_value:
        widths, biases, names = widths[:1], biases[:1], (names[0], names[-1])
    elif len(names) == 2:
        widths, biases = [sum(widths)], biases[:1]
    matrices = [
        Matrix(path=f"{prefix}{name}", inputs=hidden, outputs=width, bias=biased)
        for name, width, biased in zip(names, widths, biases, strict=False)
    ]
    matrices.append(
        Matrix(
            path=f"{prefix}{names[-1]}",
            inputs=heads * value,
            outputs=hidden,
            bias=output_bias,
            reads="output_input_kept",
        )
    )
    return Mixer(
        kind="windowed_attention" if window else "attention",
        matrices=tuple(matrices),
        other_parameters=other_parameters,
        score_width=heads * (head_dim + value),
        window=window,
    )


def latent_attention(
    *,
    hidden: int,
    heads: int,
    query_rank: int,
    kv_rank: int,
    content_dim: int,
    rope_dim: int,
    value_dim: int,
    bias: bool = False,
    query_norm: bool = True,
    indexer: tuple[int, int, int] = (0, 0, 0),
    prefix: str = "self_attn.",
) -> Mixer:
    """Multi-head latent attention (DeepSeek-V2 2024, section 2.1), with V3.2's indexer where it has one.

    indexer: its heads, its head width, and how many keys it chooses for each query (DeepSeek-V3.2 2025,
    section 2.1: lightning indexer); its scores are counted as part of the score width while the chosen
    keys bound the attention like a window.  No heads but chosen keys: the choice of the block before.
    """
    query = heads * (content_dim + rope_dim)
    sizes: list[tuple[str, int, int, bool]] = []
    if query_rank:
        sizes += [("q_a_proj", hidden, query_rank, bias), ("q_b_proj", query_rank, query, False)]
    else:
        sizes.append(("q_proj", hidden, query, False))
    sizes.append(("kv_a_proj_with_mqa", hidden, kv_rank + rope_dim, bias))
    sizes.append(("kv_b_proj", kv_rank, heads * (content_dim + value_dim), False))
    index_heads, index_dim, chosen = indexer
    norms = (query_rank if query_norm else 0) + kv_rank
    if index_heads:
        sizes.append(("indexer.wq_b", query_rank or hidden, index_heads * index_dim, False))
        sizes.append(("indexer.wk", hidden, index_dim, False))
        sizes.append(("indexer.weights_proj", hidden, index_heads, False))
        norms += 2 * index_dim
    matrices = [
        Matrix(path=prefix + name, inputs=inner, outputs=outer, bias=biased)
        for name, inner, outer, biased in sizes
    ]
    matrices.append(
        Matrix(
            path=f"{prefix}o_proj",
            inputs=heads * value_dim,
            outputs=hidden,
            bias=bias,
            reads="output_input_kept",
        )
    )
    return Mixer(
        kind="sparse_attention" if chosen else "latent_attention",
        matrices=tuple(matrices),
        other_parameters=norms,
        score_width=heads * (content_dim + rope_dim + value_dim),
        window=chosen,
    )


def mamba(
    *,
    hidden: int,
    inner: int,
    state: int,
    rank: int,
    kernel: int,
    bias: bool = False,
    conv_bias: bool = True,
    inner_norms: bool = False,
    prefix: str = "mixer.",
) -> Mixer:
    """Mamba's selective scan (Gu and Dao 2023, algorithm 2 and section 3.3.2).

    Per channel and state: exp(dt A) h + dt B x, then C h: 9 FLOPs with the discretisation; 2 k for the
    convolution and the skip D x.  inner_norms: Jamba's norms of dt, B and C.
    """
    matrices = (
        Matrix(path=f"{prefix}in_proj", inputs=hidden, outputs=2 * inner, bias=bias),
        Matrix(path=f"{prefix}x_proj", inputs=inner, outputs=rank + 2 * state),
        Matrix(path=f"{prefix}dt_proj", inputs=rank, outputs=inner, bias=True),
        Matrix(path=f"{prefix}out_proj", inputs=inner, outputs=hidden, bias=bias, reads="output_input_kept"),
    )
    other = inner * state + inner + inner * kernel + (inner if conv_bias else 0)
    return Mixer(
        kind="mamba",
        matrices=matrices,
        other_parameters=other + (rank + 2 * state if inner_norms else 0),
        state_flops=9 * inner * state + 2 * inner * (kernel + 1),
        state_elements=5 * inner + rank + 2 * state,
    )


def mamba2(
    *,
    hidden: int,
    inner: int,
    heads: int,
    state: int,
    groups: int,
    kernel: int,
    bias: bool = False,
    conv_bias: bool = True,
    norm: bool = True,
    chunk: int = 256,
    prefix: str = "mamba.",
) -> Mixer:
    """Mamba-2's state-space duality in chunks (Dao and Gu 2024, section 6 and listing 1).

    Per token: within its chunk of q tokens, C B^T and the masked product with x cost q (state x groups +
    inner) (the causal half); building and reading the chunk's state costs 2 x 2 inner x state.
    """
    convolved = inner + 2 * groups * state
    matrices = (
        Matrix(path=f"{prefix}in_proj", inputs=hidden, outputs=inner + convolved + heads, bias=bias),
        Matrix(path=f"{prefix}out_proj", inputs=inner, outputs=hidden, bias=bias, reads="output_input_kept"),
    )
    other = 3 * heads + convolved * kernel + (convolved if conv_bias else 0) + (inner if norm else 0)
    return Mixer(
        kind="mamba2",
        matrices=matrices,
        other_parameters=other,
        state_flops=chunk * (state * groups + inner) + 4 * inner * state + 2 * kernel * convolved,
        state_elements=2 * convolved + 2 * inner + heads,
    )


def gated_delta(
    *,
    hidden: int,
    key_heads: int,
    value_heads: int,
    key_dim: int,
    value_dim: int,
    kernel: int,
    fused: bool,
    chunk: int = 64,
) -> Mixer:
    """Gated DeltaNet (Yang et al. 2024, equation 10 and section 3.3: the chunked WY form).

    Per token and value head: q K^T and the triangular solve within a chunk of q tokens, 2 q (key + value)
    for scores and values and as much for the WY products' causal halves, and 3 x 2 key x value to read,
    erase and write the state.  fused: Qwen3-Next's two input layers, else Qwen3.5's four.
    """
    keys, values = key_heads * key_dim, value_heads * value_dim
    sizes = (
        (("in_proj_qkvz", 2 * keys + 2 * values), ("in_proj_ba", 2 * value_heads))
        if fused
        else (
            ("in_proj_qkv", 2 * keys + values),
            ("in_proj_z", values),
            ("in_proj_b", value_heads),
            ("in_proj_a", value_heads),
        )
    )
    matrices = [Matrix(path=f"linear_attn.{name}", inputs=hidden, outputs=width) for name, width in sizes]
    matrices.append(
        Matrix(path="linear_attn.out_proj", inputs=values, outputs=hidden, reads="output_input_kept")
    )
    convolved = 2 * keys + values
    per_head = 2 * chunk * (key_dim + value_dim) + 6 * key_dim * value_dim
    return Mixer(
        kind="gated_delta",
        matrices=tuple(matrices),
        other_parameters=convolved * kernel + 2 * value_heads + value_dim,
        state_flops=value_heads * per_head + 2 * kernel * convolved,
        state_elements=2 * convolved + 3 * values + 2 * value_heads,
    )


def rg_lru(*, hidden: int, width: int, heads: int, kernel: int) -> Mixer:
    """The real-gated linear recurrent unit of Griffin (De et al. 2024, equations 1 to 4).

    Two block-diagonal gates (2 x 2 width^2 / heads), about 10 elementwise FLOPs a channel for the recurrence.
    """
    names = ("linear_y", "linear_x")
    matrices = [
        Matrix(path=f"temporal_block.{name}", inputs=hidden, outputs=width, bias=True) for name in names
    ]
    matrices.append(
        Matrix(
            path="temporal_block.linear_out",
            inputs=width,
            outputs=hidden,
            bias=True,
            reads="output_input_kept",
        )
    )
    gates = 2 * (width * (width // heads) + width)
    return Mixer(
        kind="rg_lru",
        matrices=tuple(matrices),
        other_parameters=width * kernel + width + width + gates,
        state_flops=4 * width * (width // heads) + 10 * width + 2 * kernel * width,
        state_elements=6 * width,
    )


def short_convolution(*, hidden: int, kernel: int, bias: bool) -> Mixer:
    """LFM2's doubly gated short convolution: B, C and x from one layer, y = C * conv(B * x)."""
    matrices = (
        Matrix(path="conv.in_proj", inputs=hidden, outputs=3 * hidden, bias=bias),
        Matrix(path="conv.out_proj", inputs=hidden, outputs=hidden, bias=bias, reads="output_input_kept"),
    )
    return Mixer(
        kind="short_convolution",
        matrices=matrices,
        other_parameters=hidden * kernel + (hidden if bias else 0),
        state_flops=2 * hidden * kernel + 2 * hidden,
        state_elements=4 * hidden,
    )


def lightning_attention(*, hidden: int, heads: int, head_dim: int, chunk: int = 256) -> Mixer:
    """MiniMax-01's linear attention with decay (MiniMax 2025, section 2.2; Qin et al. 2024, algorithm 2).

    Per token: q K^T and its product with V within a chunk of q tokens (causal half), and 2 x 2 head_dim^2 a
    head to build and read the state.
    """
    width = heads * head_dim
    sizes = (("qkv_proj", hidden, 3 * width), ("output_gate", hidden, width))
    matrices = [Matrix(path=f"self_attn.{name}", inputs=inner, outputs=outer) for name, inner, outer in sizes]
    matrices.append(
        Matrix(path="self_attn.out_proj", inputs=width, outputs=hidden, reads="output_input_kept")
    )
    return Mixer(
        kind="linear_attention",
        matrices=tuple(matrices),
        other_parameters=width,
        state_flops=2 * chunk * width + 4 * width * head_dim,
        state_elements=5 * width,
    )


def side_by_side(*mixers: Mixer, kind: MixerKind = "parallel") -> Mixer:
    """Several mixers that read the same input and whose outputs are summed (Falcon-H1)."""
    return Mixer(
        kind=kind,
        matrices=tuple(matrix for mixer in mixers for matrix in mixer.matrices),
        other_parameters=sum(mixer.other_parameters for mixer in mixers),
        score_width=sum(mixer.score_width for mixer in mixers),
        window=max(mixer.window for mixer in mixers),
        state_flops=sum(mixer.state_flops for mixer in mixers),
        state_elements=sum(mixer.state_elements for mixer in mixers),
    )


NO_MIXER = Mixer(kind="none")
