"""Short-lived memory: logits and their loss, gathered and dequantised weights, communicators.

These bytes are alive at some moments of a step only, or are held by the driver and NCCL rather than by
tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.grid.expert_split import expert_tensor_parallel
from planner.engine.grid.plan_grid import MEGATRON, TRANSFORMER_ENGINE, ZERO_1, ZERO_3, Array, PlanGrid
from planner.engine.grid.scalars import larger, smaller, where
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.states import ParametersHere, Stages
from planner.engine.memory.traits import Traits

#: Vocabulary-parallel cross-entropy in place: the 16-bit logits and one fp32 copy that the softmax and its
#: gradient reuse (Megatron-LM, core/tensor_parallel/cross_entropy.py).
IN_PLACE_EXTRA_BYTES = 4.0
#: transformers' causal models before 4.46 copy the shifted fp32 logits, and have freed the 16-bit ones.
SHIFT_EXTRA_BYTES = 2.0
#: A compiled cross-entropy keeps the logits as they were handed over and a few numbers a row, and writes
#: their gradient as wide (what AOTAutograd's partitioner saves of F.cross_entropy(logits.float()): logits,
#: row maximum and log-sum; read off its graphs with torch 2.13).
COMPILED_COPIES = 2.0
#: Without autocast: logits, their shifted copy, log-probabilities and gradient, all in 16 bits.
NARROW_COPIES = 4.0
#: DeepSpeed's defaults, in elements: stage3_max_live_parameters; reduce and all-gather buckets.
LIVE_PARAMETERS = 1e9
BUCKET_ELEMENTS = 5e8


def logits_on_rank(grid: PlanGrid, traits: Traits) -> Array:
    """How many output logits one micro-batch has on a rank of the last stage, a count, shape (plans,).

    tokens x vocabulary. The vocabulary is split over tensor-parallel ranks where the loss is
    vocabulary-parallel; masked-language models compute the masked positions only. Source: our own count.
    """
    tokens = where(grid.decoder_blocks > 0, grid.decoder_sequence_length, grid.sequence_length) * (
        grid.micro_batch_size / grid.context_parallel
    )
    split = where(traits["vocabulary_parallel"] > 0, grid.tensor_parallel, 1.0)
    return tokens * grid.head_share * (grid.vocab_size / split)


def bytes_per_logit(grid: PlanGrid, traits: Traits, constants: MemoryConstants) -> Array:
    """Bytes per output logit at the peak of the loss, shape (plans,): the logits, fp32 copies, softmax,
    gradient.

    Source: PyTorch cross_entropy; Megatron-LM core/tensor_parallel/cross_entropy.py; Liger Kernel
    ops/fused_linear_cross_entropy.py (chunks of tokens x hidden / vocabulary); the bytes of unfused, chunked
    and fused losses are fitted (``MemoryConstants``). What a loop's variables hold beside them was counted
    with torch (tests/engine/memory/loss_peak.py).
    """
    element = grid.element_bytes
    # Causal models of the fine-tuning stacks first shift the fp32 logits by one token: two fp32 copies.
    in_place = element + IN_PLACE_EXTRA_BYTES + SHIFT_EXTRA_BYTES * grid.finetuning * traits.modules
    # Transformer Engine's writes the gradient over logits of 16 bits; modules of PyTorch copy them.
    narrow = element * where(traits.plain > 0, NARROW_COPIES, 1.0)
    # What the loop's own variables hold comes on top, unless the loss works on these very logits.
    plain = constants.whole_logit_bytes + grid.kept_logit_bytes
    whole = where(
        traits.compiled_loss > 0,
        COMPILED_COPIES * element,
        where(traits.narrow_loss > 0, narrow, where(traits.in_place_loss > 0, in_place, plain)),
    )
    # Chunks save short-lived copies only: each keeps its log-probabilities, unless compilation fuses them.
    chunks = where(grid.compiled > 0, constants.compiled_chunk_logit_bytes, constants.whole_logit_bytes)
    # A chunked loss never holds more than a loss on whole logits.
    fused = constants.fused_hidden_bytes * grid.hidden_size / larger(grid.vocab_size, 1.0)
    chunked = where(grid.loss_chunked > 0, smaller(chunks, whole), fused)
    return where(grid.loss_whole > 0, whole, chunked)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Bytes of sharded weights that are made whole for a while, shape (3, plans).

    root: the root unit (token table and head).  blocks: whole blocks.  gradients: one block's whole
    gradients.
    dequantized: the largest quantised matrix in full width.  tied: a tied table's second gradient.
    """

    root: Array
    blocks: Array
    gradients: Array
    dequantized: Array
    tied: Array


def gathered_bytes(grid: PlanGrid, traits: Traits, here: ParametersHere, stage: Stages) -> Gathered:
    """Bytes of weights and gradients that ZeRO-3 makes whole for a while, and DeepSpeed's buckets.

    Under ZeRO-3 one block computes while the next is gathered, and a block's whole gradient waits to be
    reduced. DeepSpeed instead keeps up to a fixed number of live parameters and, from ZeRO-2 on, fixed
    buckets.

    Source: PyTorch FSDP (Zhao et al. 2023, section 3.3: rate limiter of two all-gathers); DeepSpeed
    configuration reference, "ZeRO optimizations".
    """
    tensor, element, buckets = grid.tensor_parallel, grid.element_bytes, traits["buckets"]
    whole = (grid.sharding >= ZERO_3) & (grid.sharding_group > 1)
    by_unit = whole * (1.0 - buckets)
    split = grid.expert_parallel * expert_tensor_parallel(grid)
    dense = where(grid.dense_blocks > 0, grid.dense_block_parameters, 0.0)
    dense = larger(dense, grid.decoder_block_parameters)
    expert_block = grid.moe_block_parameters / tensor + grid.routed_expert_parameters / split
    routed = where(grid.moe_blocks > 0, expert_block, 0.0)
    block = larger(dense / tensor, routed)
    narrow = smaller(grid.frozen_bytes, element)
    gathered = where(
        grid.quantized > 0, grid.frozen_bytes, where(grid.frozen > 0, narrow, grid.gathered_bytes)
    )
    trained = here.trained_dense + here.trained_experts
    # The limit only bounds prefetching; the module that computes comes on top, a token table at most.
    limit = LIVE_PARAMETERS + larger(here.embedding, here.head)
    live = smaller(limit, here.blocks + here.experts + here.embedding + here.head)
    bucket = where(grid.sharding >= ZERO_1, buckets * element, 0.0) * smaller(BUCKET_ELEMENTS, trained)
    # A tied table is the head, so it stays whole with it.
    table_kept = larger(traits["root_embedding"] * (1.0 - grid.compiled), grid.tied * stage.last)
    root = by_unit * element * (table_kept * here.embedding + here.head)
    matrix = grid.hidden_size * larger(grid.ffn_size, grid.attention_heads * grid.head_dim) / tensor
    # A quantised head is dequantised too while its logits are computed.
    matrix = larger(matrix, (grid.frozen_head_bytes < element) * here.head)
    trained_whole = 1.0 - grid.frozen
    # A tied table has two gradients, of the look-up and of the head, which both exist until they are added.
    both = (1.0 - traits["gradient_buffer"]) * trained_whole * grid.gradient_bytes
    # Where each parameter is stepped within the backward pass, one block's gradients are alive, or a table's.
    single = grid.optimizer_in_backward * trained_whole * (grid.gradient_accumulation <= 1)
    largest = larger(block, larger(here.embedding, here.head))
    stepped_at_once = single * largest * grid.gradient_bytes
    at_once: Array = where(buckets > 0, live * element, 2.0 * block * gathered)
    return Gathered(
        root=root,
        blocks=whole * at_once,
        gradients=trained_whole * (by_unit * block * element + root) + bucket + stepped_at_once,
        dequantized=grid.quantized * element * matrix,
        tied=stage.last * stage.first * (both * grid.tied_head_parameters / tensor),
    )


@dataclass(frozen=True, slots=True)
class Placeholders:
    """Bytes of gradients that are written elsewhere, shape (3, plans).

    blocks: one for each matrix of a block, kept.  head: the output head's, with its logits' gradient, for a
    while.
    """

    blocks: Array
    head: Array


def gradient_placeholders(grid: PlanGrid, stage: Stages, logits: Array) -> Placeholders:
    """Bytes of the empty gradients that Transformer Engine hands to autograd where weight gradients are added
    to Megatron's buffer within the matrix product: one a shape of matrix, kept; the head's lives for a while.

    logits: count on the rank, of each stage, shape (3, plans).
    Source: Transformer Engine, get_dummy_wgrad (pytorch/module/base.py, a cache by shape); Megatron-Core,
    tensor_parallel/layers.py (grad_added_to_main_grad).
    """
    apart = (grid.framework == MEGATRON) & (grid.kernels == TRANSFORMER_ENGINE)
    fused = apart * (1.0 - grid.frozen) * grid.element_bytes
    whole = 1.0 / expert_tensor_parallel(grid)
    routed = (stage.routed_share > 0) & (grid.moe_blocks > 0)
    dense = (stage.dense_share > 0) & (grid.dense_blocks + grid.decoder_blocks > 0)
    shared = grid.attention_matmul + dense * grid.ffn_matmul + routed * grid.shared_expert_matmul
    of_block = shared / grid.tensor_parallel + routed * (grid.expert_matmul * whole)
    head = stage.last * (grid.head_matmul / grid.tensor_parallel)
    return Placeholders(blocks=fused * of_block, head=fused * (head + logits))


def communicator_count(grid: PlanGrid) -> Array:
    """Count of communicators with buffers of their own, shape (plans,): one per kind of parallelism above
    degree 1.

    Source: our own count; Megatron-LM and PyTorch's device meshes make one process group per dimension.
    """
    count: Array = (
        where(grid.data_parallel > 1, 1.0, 0.0)
        + (grid.tensor_parallel > 1)
        + (grid.pipeline_parallel > 1)
        + (grid.context_parallel > 1)
        + (grid.expert_parallel > 1)
    )
    return count
