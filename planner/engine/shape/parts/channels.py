"""Channel mixers: a dense MLP, gated or not, and the mixture of experts with what every token meets."""

from __future__ import annotations

from planner.engine.question.parts import Channel, Matrix

GATED_NAMES = ("gate_proj", "up_proj", "down_proj")


def mlp_matrices(
    *,
    hidden: int,
    inner: int,
    gated: bool = True,
    bias: bool = False,
    names: tuple[str, ...] = GATED_NAMES,
    prefix: str = "mlp.",
    adaptable: bool = True,
) -> tuple[Matrix, ...]:
    """Gate, up and down (three names), a fused gate and up with down, or ungated up and down (two names)."""
    firsts = names[:-1] if gated else (names[-2],)
    width = 2 * inner if gated and len(firsts) == 1 else inner
    matrices = [
        Matrix(
            path=prefix + name,
            inputs=hidden,
            outputs=width,
            bias=bias,
            adaptable=adaptable,
            reads="ffn_input_kept",
        )
        for name in firsts
    ]
    matrices.append(
        Matrix(
            path=prefix + names[-1],
            inputs=inner,
            outputs=hidden,
            bias=bias,
            adaptable=adaptable,
            reads="down_input_kept",
        )
    )
    return tuple(matrices)


def dense_mlp(
    *,
    hidden: int,
    inner: int,
    gated: bool = True,
    bias: bool = False,
    names: tuple[str, ...] = GATED_NAMES,
    prefix: str = "mlp.",
    other_parameters: int = 0,
) -> Channel:
    """An MLP that every token passes."""
    matrices = mlp_matrices(hidden=hidden, inner=inner, gated=gated, bias=bias, names=names, prefix=prefix)
    return Channel(kind="dense", matrices=matrices, inner=inner, other_parameters=other_parameters)


def mixture(
    *,
    hidden: int,
    inner: int,
    experts: int,
    per_token: int,
    shared_inner: int = 0,
    shared_gate: bool = False,
    gated: bool = True,
    bias: bool = False,
    shared_bias: bool = False,
    router_bias: bool = False,
    latent: int = 0,
    always: tuple[Matrix, ...] = (),
    other_parameters: int = 0,
    prefix: str = "mlp.",
    router: str = "gate",
    shared: str = "shared_experts.",
    names: tuple[str, ...] = GATED_NAMES,
    modular: bool = False,
) -> Channel:
    """Routed experts, with shared ones as one MLP of their widths together (DeepSeekMoE 2024, section 3.2).

    latent: width that routed tokens are projected to and back from (Nemotron 3), 0 for the hidden width.
    always: further matrices that every token meets, such as a dense MLP beside the experts.
    modular: whether each expert is a module of its own; the class in transformers 5 keeps all in one tensor.
    """
    width = latent or hidden
    expert = mlp_matrices(
        hidden=width,
        inner=inner,
        gated=gated,
        bias=bias,
        names=names,
        prefix=f"{prefix}experts.",
        adaptable=modular,
    )
    met = list(always)
    if shared_inner:
        met += mlp_matrices(
            hidden=hidden,
            inner=shared_inner,
            gated=gated,
            bias=shared_bias,
            names=names,
            prefix=prefix + shared,
        )
    if shared_gate:
        met.append(Matrix(path=f"{prefix}shared_expert_gate", inputs=hidden, outputs=1))
    if latent:
        met.append(
            Matrix(path=f"{prefix}fc1_latent_proj", inputs=hidden, outputs=latent, reads="ffn_input_kept")
        )
        met.append(
            Matrix(path=f"{prefix}fc2_latent_proj", inputs=latent, outputs=hidden, reads="down_input_kept")
        )
    return Channel(
        kind="mixture",
        matrices=tuple(met),
        router=(
            Matrix(
                path=prefix + router,
                inputs=hidden,
                outputs=experts,
                bias=router_bias,
                adaptable=False,
                reads="ffn_input_kept",
            ),
        ),
        expert=expert,
        experts=experts,
        experts_per_token=per_token,
        other_parameters=other_parameters,
        inner=shared_inner,
        expert_inner=inner,
    )


NO_CHANNEL = Channel(kind="none")
