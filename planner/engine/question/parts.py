"""What a model is composed of, part by part: token mixers, channel mixers, norms, towers.

Frozen records of plain numbers. A family describes its model as groups of equal blocks; parameter counts,
FLOPs and memory follow from the parts, so that no formula knows a family by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MixerKind = Literal[
    "attention",
    "windowed_attention",
    "latent_attention",
    "sparse_attention",
    "linear_attention",
    "gated_delta",
    "mamba",
    "mamba2",
    "rg_lru",
    "short_convolution",
    "parallel",
    "none",
]
ChannelKind = Literal["dense", "mixture", "none"]
#: Which input of a block a matrix reads, as training with adapters asks: the mixer's input, the mixer's
#: output, the channel mixer's input, or its inner width.
Reads = Literal["qkv_input_kept", "output_input_kept", "ffn_input_kept", "down_input_kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """One linear layer: ``outputs`` x ``inputs`` weights, and as many biases as outputs where it has them.

    path: its Hugging Face name within the block.  copies: how many of it stand there.  adaptable: whether it
    is a module that an adapter can wrap, or a bare parameter.
    """

    path: str
    inputs: int
    outputs: int
    bias: bool = False
    copies: int = 1
    adaptable: bool = True
    reads: Reads = "qkv_input_kept"

    @property
    def weights(self) -> int:
        """Weights of one copy, without biases."""
        return self.inputs * self.outputs

    @property
    def parameters(self) -> int:
        """Weights and biases of all copies."""
        return self.copies * (self.weights + (self.outputs if self.bias else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer:
    """What mixes tokens in one block.

    other_parameters: all that is not in a linear layer: norms of queries and keys, convolutions, state
    decays, sinks.  score_width: heads x (query-key width + value width), what one query-key pair costs in
    multiply-adds; 0 where no scores are computed.  window: tokens that a query meets at most (0: all).
    state_flops: forward FLOPs per token of scan and convolution, beyond the matrices.  state_elements:
    numbers kept per token for the backward pass beyond what attention's formula counts.
    """

    kind: MixerKind
    matrices: tuple[Matrix, ...] = ()
    other_parameters: int = 0
    score_width: int = 0
    window: int = 0
    state_flops: int = 0
    state_elements: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What mixes channels in one block: a dense MLP, or a mixture of experts.

    matrices: of the dense MLP, or of what every token meets in a mixture (shared experts, latent
    projections).  router: of a mixture.  expert: the matrices of one routed expert.
    other_parameters: biases of bare tensors, scales.  inner: width that a dense MLP or all shared experts
    together have; expert_inner: of one routed expert.
    """

    kind: ChannelKind
    matrices: tuple[Matrix, ...] = ()
    router: tuple[Matrix, ...] = ()
    expert: tuple[Matrix, ...] = ()
    experts: int = 0
    experts_per_token: int = 0
    expert_other_parameters: int = 0
    other_parameters: int = 0
    inner: int = 0
    expert_inner: int = 0

    @property
    def routed_parameters(self) -> int:
        """Of all routed experts."""
        return self.experts * (
            sum(matrix.parameters for matrix in self.expert) + self.expert_other_parameters
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockGroup:
    """``blocks`` equal blocks.  other_parameters: of one block, its norms, gates and scales.

    cross: matrices of the attention to an encoder, in the decoder of an encoder-decoder.
    stack: ``decoder`` for the second stack of an encoder-decoder.  counted_once: all of its blocks apply the
    same weights (ALBERT).
    """

    blocks: int
    mixer: Mixer
    channel: Channel
    other_parameters: int = 0
    cross: Mixer | None = None
    stack: Literal["main", "decoder"] = "main"
    counted_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """A further part of a model of several parts: an image or audio encoder, a projector.

    matmul_weights: of its matrices.  blocks: how many it has (0: a projector).
    """

    name: str
    parameters: int
    matmul_weights: int = 0
    blocks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A whole model.  embedding, head: parameters on the first and last stage outside the blocks.

    head does not include a tied output projection; tied_head: weights of the token table that serve as
    output projection (0: untied); head_matmul: the output projection's weights, tied or not.
    outside: linear layers beside the blocks that adapters leave out unless named.
    unbuilt: what the config names and the class in transformers does not build
    (multi-token-prediction blocks), as words for a warning.
    """

    groups: tuple[BlockGroup, ...]
    embedding: int
    head: int
    tied_head: int
    head_matmul: int
    outside: tuple[Matrix, ...] = ()
    unbuilt: tuple[str, ...] = ()
