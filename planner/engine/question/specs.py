"""What a plan is made of: accelerators, the machines that hold them, MIG profiles and models.

Frozen records in SI units with the unit in the name. They do not know where they were read from;
``planner.catalog`` adds source and date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.engine.question.parts import Composition, Tower

Architecture = Literal["decoder", "encoder", "encoder_decoder", "vision_encoder"]
PositionEmbedding = Literal["learned", "rope", "alibi", "relative", "none"]
Norm = Literal["layernorm", "rmsnorm"]
ComputePrecision = Literal["bf16", "fp16", "fp8", "tf32", "fp32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorSpec:
    """One kind of chip. Peak rates are *dense* (no structured sparsity) and per chip.

    memory_bytes: what the driver reports (NVML total), per chip.
    memory_bandwidth_bytes_per_s: HBM or GDDR peak per chip.
    *_flops_per_s: peak per precision, 0.0 where the chip has no such unit.
    link_bytes_per_s: intra-node link, one direction, per chip.
    link: its kind, e.g. ``nvlink3``, ``pcie4``, ``neuronlink2``.
    ranks_per_accelerator: software ranks on one chip (2 NeuronCores on Trainium1); 1 on GPUs.
    own: described by the question, not in the catalog.  like: slug of the card whose efficiencies then stand
    in, None where it is like none.
    """

    slug: str
    name: str
    vendor: str
    architecture: str
    memory_bytes: int
    memory_bandwidth_bytes_per_s: float
    fp32_flops_per_s: float
    tf32_flops_per_s: float
    bf16_flops_per_s: float
    fp16_flops_per_s: float
    fp8_flops_per_s: float
    link: str
    link_bytes_per_s: float
    power_watts: float | None = None
    mig_capable: bool = False
    ranks_per_accelerator: int = 1
    own: bool = False
    like: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """A kind of machine that one can buy (not a machine that one owns).

    internode_bytes_per_s: network of the whole node, one direction.  host_memory_bytes: CPU memory.
    """

    slug: str
    provider: str
    family: str
    accelerator: AcceleratorSpec
    accelerators_per_node: int
    internode_bytes_per_s: float
    vcpus: int | None = None
    host_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigProfileSpec:
    """A kind of GPU instance that can be made on one accelerator. Slices are the hardware's own units.

    gpu_compute_slices, gpu_memory_slices: slices of the whole GPU, of which the instance has its own; the
    catalog fills them in from the accelerator's largest profile.
    """

    accelerator_slug: str
    profile: str
    compute_slices: int
    memory_slices: int
    memory_bytes: int
    max_instances: int
    placement_size: int
    placement_starts: tuple[int, ...]
    gpu_compute_slices: int = 0
    gpu_memory_slices: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """The shape of one transformer; everything that parameter counts, FLOPs and memory depend on.

    layers: blocks of the only stack, or of the encoder for ``encoder_decoder``; the decoder's are
    ``decoder_layers``.  head_dim: query and key width per head; value_head_dim: value width per head.
    ffn_size: inner width of a dense block's MLP; expert_ffn_size: of one routed expert.
    shared_expert_ffn_size: of all shared experts of a block together (0: shared_experts x expert_ffn_size).
    dense_layers: leading blocks with a dense MLP in a mixture-of-experts model (the other blocks route).
    expert_groups, groups_per_token: groups of experts, and of how many a token's experts are (0: no groups).
    q_lora_rank, kv_lora_rank, rope_head_dim: multi-head latent attention (DeepSeek-V2, section 2.1), else 0.
    sliding_window: tokens a windowed block attends to (0: none); windowed_layers: count of such blocks.
    vocab_size: 0 for vision.  patch_size, image_size: pixels, 0 for text.
    extras: peculiarities of the family that only parameter counts need, as (name, value) pairs;
    ``planner.engine.shape.parameters.EXTRAS`` lists their names and meanings.
    parts: the model part by part, for families described so; parameter counts then follow from the parts,
    and the fields above describe its usual block.
    towers: further parts of a model of several, such as an image encoder and what joins it to the text.
    """

    name: str
    family: str
    architecture: Architecture
    layers: int
    hidden_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    value_head_dim: int
    ffn_size: int
    gated_ffn: bool
    vocab_size: int
    max_positions: int
    position_embedding: PositionEmbedding
    tied_embeddings: bool
    qkv_bias: bool
    attention_output_bias: bool
    ffn_bias: bool
    norm: Norm
    decoder_layers: int = 0
    experts: int = 0
    experts_per_token: int = 0
    shared_experts: int = 0
    expert_ffn_size: int = 0
    shared_expert_ffn_size: int = 0
    dense_layers: int = 0
    expert_groups: int = 0
    groups_per_token: int = 0
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    rope_head_dim: int = 0
    sliding_window: int = 0
    windowed_layers: int = 0
    patch_size: int = 0
    image_size: int = 0
    image_channels: int = 3
    extras: tuple[tuple[str, int], ...] = ()
    parts: Composition | None = None
    towers: tuple[Tower, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCount:
    """Exact parameter counts by the part of the model that holds them (all are counts, not bytes).

    embedding: input side, on the first pipeline stage: token, position and type tables, patch projection,
    norms before the first block.  head: output side, on the last stage, without tied weights: language-model
    head, its bias, final norm, pooler.  tied_head: weights of the output projection that are the token
    table itself (0 when untied); where first and last stage differ, the last one holds a copy of them.
    dense_block, moe_block, decoder_block: one block (moe_block without its routed experts);
    routed_experts: all routed experts of one block.  *_blocks: how many of each.
    The matmul weights feed FLOPs: per token and block.  attention_matmul: query, key, value, output;
    cross_attention_matmul: of a decoder block in an encoder-decoder; ffn_matmul: a dense MLP;
    expert_matmul: one routed expert; shared_expert_matmul: all shared ones; router_matmul.
    head_matmul: the output projection (tied or not), 0 where the model has none.
    """

    embedding: int
    head: int
    tied_head: int
    dense_block: int
    moe_block: int
    routed_experts: int
    decoder_block: int
    dense_blocks: int
    moe_blocks: int
    decoder_blocks: int
    total: int
    active: int
    attention_matmul: int
    cross_attention_matmul: int
    ffn_matmul: int
    expert_matmul: int
    shared_expert_matmul: int
    router_matmul: int
    head_matmul: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModule:
    """A linear layer by its Hugging Face name, for adapters.  copies: in the whole model.

    name: the last part of its name, e.g. ``q_proj``; path: within its block, e.g. ``self_attn.q_proj``.
    in_blocks: False for the output projection, poolers and the like, which adapters leave out unless named.
    reads: which kept input it reads, where its model is described by parts.
    """

    name: str
    in_features: int
    out_features: int
    copies: int
    bias: bool = False
    routed_expert: bool = False
    path: str = ""
    in_blocks: bool = True
    reads: str = ""
