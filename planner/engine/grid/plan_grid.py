"""A grid of plans: every quantity that a formula needs, as numpy arrays that broadcast over plans.

A single estimate is a grid of one; calibration puts all measured runs into one grid of different models; a
search keeps model and workload as scalars and varies the layout. Words (precision, framework, sharding) are
turned into numbers here once, so that no formula ever branches on a string. This room knows nothing of what
the numbers are used for.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.engine.question.request import Recompute, Sharding

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Architectures that share one set of achievable-rate constants, in the order of the calibration's arrays.
ARCHITECTURES = ("volta", "turing", "ampere", "ada", "hopper", "blackwell", "trainium")
FRAMEWORKS = ("generic", "megatron", "fsdp", "deepspeed", "torchtitan", "neuron")
#: The stacks whose behaviour formulas tell apart, as ``PlanGrid.framework`` numbers them.
GENERIC, MEGATRON, DEEPSPEED, TORCHTITAN, NEURON = (
    float(FRAMEWORKS.index(name)) for name in ("generic", "megatron", "deepspeed", "torchtitan", "neuron")
)
SHARDINGS: tuple[Sharding, ...] = ("none", "zero1", "zero2", "zero3")
RECOMPUTES: tuple[Recompute, ...] = ("none", "selective", "full")


@dataclass(frozen=True, slots=True)
class PlanGrid:
    """Arrays of shape (plans,), or a numpy scalar where a quantity is the same for all plans.

    Flags are 0.0 or 1.0. Everything per chip (FLOPs, bandwidth, memory) is per *rank* here.
    ``*_parameters`` are counts; ``*_matmul`` are weights of matrices that each token of a block meets.
    scoring_share, attending_share: of the blocks whose queries meet keys (1.0 in a plain one), by score
    width and by number; state_flops, state_elements: of scans and convolutions, per token of the mean block.
    """

    # model
    layers: Array
    decoder_layers: Array
    hidden_size: Array
    attention_heads: Array
    kv_heads: Array
    head_dim: Array
    value_head_dim: Array
    ffn_size: Array
    gated: Array
    vocab_size: Array
    experts: Array
    experts_per_token: Array
    expert_ffn_size: Array
    shared_expert_ffn_size: Array
    kv_lora_rank: Array
    dense_blocks: Array
    moe_blocks: Array
    decoder_blocks: Array
    causal: Array
    encoder: Array
    vision: Array
    layernorm: Array
    dropout: Array
    tied: Array
    window: Array
    windowed_share: Array
    scoring_share: Array
    attending_share: Array
    state_flops: Array
    state_elements: Array
    embedding_parameters: Array
    head_parameters: Array
    tied_head_parameters: Array
    dense_block_parameters: Array
    moe_block_parameters: Array
    routed_expert_parameters: Array
    decoder_block_parameters: Array
    total_parameters: Array
    active_parameters: Array
    attention_matmul: Array
    cross_attention_matmul: Array
    ffn_matmul: Array
    expert_matmul: Array
    shared_expert_matmul: Array
    router_matmul: Array
    head_matmul: Array
    # workload
    sequence_length: Array
    decoder_sequence_length: Array
    global_batch_size: Array
    head_share: Array
    element_bytes: Array
    fp8: Array
    fp16: Array
    full_precision: Array
    tf32: Array
    flash: Array
    overlap: Array
    compiled: Array
    frozen: Array
    quantized: Array
    integer_quantized: Array
    lora_parameters: Array
    lora_width: Array
    offload: Array
    paged: Array
    finetuning: Array
    lamb: Array
    framework: Array
    # memory recipe (bytes per parameter and flags; see defaults.MemoryRecipe)
    weight_bytes: Array
    master_bytes: Array
    gradient_bytes: Array
    state_bytes: Array
    temporary_bytes: Array
    frozen_bytes: Array
    frozen_head_bytes: Array
    gradient_copy_bytes: Array
    gradient_partition_bytes: Array
    unsynced_gradients: Array
    qkv_input_kept: Array
    output_input_kept: Array
    ffn_input_kept: Array
    down_input_kept: Array
    loss_whole: Array
    loss_chunked: Array
    # cluster
    peak_flops_per_s: Array
    bf16_flops_per_s: Array
    memory_bytes: Array
    memory_bandwidth_bytes_per_s: Array
    link_bytes_per_s: Array
    pcie: Array
    internode_bytes_per_s: Array
    ranks_per_node: Array
    ranks_per_accelerator: Array
    nodes: Array
    architecture: Array
    usd_per_node_hour: Array
    # layout
    tensor_parallel: Array
    sequence_parallel: Array
    pipeline_parallel: Array
    interleaved_stages: Array
    context_parallel: Array
    expert_parallel: Array
    data_parallel: Array
    sharding: Array
    sharding_group: Array
    micro_batch_size: Array
    gradient_accumulation: Array
    recompute: Array

    @property
    def ranks(self) -> Array:
        return self.tensor_parallel * self.pipeline_parallel * self.context_parallel * self.data_parallel

    @property
    def tokens_per_rank(self) -> Array:
        """Tokens of one micro-batch on one rank of the context-parallel group."""
        return self.micro_batch_size * self.sequence_length / self.context_parallel

    def with_fields(self, **arrays: Any) -> PlanGrid:
        return replace(self, **{name: np.asarray(value, dtype=float) for name, value in arrays.items()})

    def rows(self, index: Any) -> PlanGrid:
        """The plans at ``index`` (mask, slice or positions); scalars stay as they are."""
        values = (getattr(self, name) for name in FIELD_NAMES)
        return PlanGrid(*(value[index] if value.ndim else value for value in values))


FIELD_NAMES = tuple(item.name for item in fields(PlanGrid))


def task_trainable(row: dict[str, Any]) -> float:
    """Parameters that are trained: the adapters alone where the base is frozen. row: PlanGrid fields."""
    return float(row["lora_parameters"] if row["frozen"] else row["total_parameters"])
