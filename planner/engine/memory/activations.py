"""Activations that the forward pass keeps for the backward pass, on one rank.

Counted tensor by tensor as in Korthikanti et al. 2022, section 4, with what later kernels changed: flash
attention keeps no scores, RMSNorm has no bias, gated MLPs have a third matrix, experts a dispatch. Bytes are
of one micro-batch; ``in_flight`` says how many micro-batches a pipeline stage holds at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.grid.expert_split import expert_tensor_parallel
from planner.engine.grid.plan_grid import (
    FSDP,
    FULL_RECOMPUTE,
    NO_RECOMPUTE,
    SELECTIVE_RECOMPUTE,
    Array,
    PlanGrid,
)
from planner.engine.grid.scalars import larger, smaller, where
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.states import Stages
from planner.engine.memory.traits import FP32_BYTES, Traits

#: fp32 log-sum-exp that flash attention keeps per token and head (Dao et al. 2022, algorithm 2).
LOG_SUM_EXP_BYTES = 4.0
#: Plain RMSNorm keeps its input as an fp32 copy (transformers' LlamaRMSNorm, torchtune's, litgpt's).
WIDE_NORM_BYTES = 4.0
#: Eager attention of decoders in 16 bits keeps its softmax in fp32 as well (transformers'
#: eager_attention_forward), and so does every model's under autocast; encoders of text and images take the
#: softmax in their own width (transformers' BertSelfAttention, ViTSelfAttention).
WIDE_SCORE_BYTES = 4.0
#: One byte per element (Korthikanti et al. 2022, section 4.1).
DROPOUT_MASK_BYTES = 1.0
#: What enters a non-linearity, kept in 8 bits.
FP8_BYTES = 1.0
#: Query, key and value as linear layers of their own.
SEPARATE_PROJECTIONS = 3.0
#: fp32 logits and probabilities of the router, per token and expert.
ROUTER_BYTES = 8.0
#: Share of the blocks that "selective" checkpoints whole in block-wise stacks: every second one.
SELECTIVE_BLOCK_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class TokenBytes:
    """Bytes kept per token of one block on one rank, shape (plans,).

    block_input: the residual stream.  norms: both norms.  matmul_inputs: inputs of the projections and of the
    MLP.
    query_side: query and attention output, per query token.  key_side: key and value, per token attended to.
    score: per pair of query and key, all heads.  ffn, experts: the MLP of a dense and of a routed block,
    without its norm.  masks: dropout.  widened_inputs: copies of the inputs of quantised matrices, kept where
    nothing is recomputed.  states: of scans and convolutions.
    """

    block_input: Array
    norms: Array
    matmul_inputs: Array
    query_side: Array
    key_side: Array
    score: Array
    ffn: Array
    experts: Array
    masks: Array
    states: Array
    widened_inputs: Array


def token_bytes(grid: PlanGrid, traits: Traits, constants: MemoryConstants) -> TokenBytes:
    """Bytes that one token leaves in one block; equations 1 to 4 of Korthikanti et al. 2022 are their sums.

    With s the sequence length, b the micro-batch, h the hidden size, a the heads and t the tensor-parallel
    degree, a GPT block without recompute, with dropout and unfused attention sums to s b h (34 + 5 a s / h)
    bytes at t = 1 and two bytes an element; to s b h (10 + 24/t + 5 a s / (h t)) with tensor parallelism
    alone; and to s b h (34/t + 5 a s / (h t)) with sequence parallelism.
    Source: Korthikanti et al. 2022, section 4; Dao et al. 2022, algorithm 2 (flash attention).
    """
    tensor = grid.tensor_parallel
    # Norms in fp32 hand fp32 to whatever follows them, and the residual stream stays fp32.
    element = where(traits.widened > 0, 4.0, grid.element_bytes)
    token_share = where(grid.sequence_parallel > 0, 1.0 / tensor, 1.0)
    hidden = grid.hidden_size * token_share
    # Megatron keeps its own part of a matmul's input and gathers it again; plain modules keep it gathered.
    gathered = grid.hidden_size * where(traits.plain > 0, 1.0, token_share)
    # Adapters keep copies of their own, so that the base's input is free.
    apart = adapter_copy_bytes(grid, traits)
    matmul = element - grid.fp8 * traits["fp8_copies"] + grid.adapter_dropout * DROPOUT_MASK_BYTES
    matmul = where(apart > 0, 0.0, matmul)
    # autocast narrows the input of each linear layer anew: it caches weights, not activations.
    narrowed = traits.modules * grid.autocast * (1.0 - grid.frozen)
    ffn_inputs = 1.0 + narrowed * grid.gated
    qkv_inputs = 1.0 + (SEPARATE_PROJECTIONS - 1.0) * narrowed
    wide_norm = traits.eager * (1.0 - grid.layernorm)
    # Under autocast the residual stream is fp32, which norms keep and matmuls narrow to a copy of their own.
    stream = larger(element, grid.residual_bytes)
    norm = stream + wide_norm * (WIDE_NORM_BYTES - grid.frozen * element)
    heads = grid.attention_heads / tensor
    kept_heads = larger(grid.kv_heads / tensor, 1.0)
    kept_heads = kept_heads + traits.repeated_heads * larger(heads - kept_heads, 0.0)
    latent = grid.kv_lora_rank * (2.0 * element)
    own_width = larger(grid.encoder, grid.vision) * (1.0 - grid.autocast)
    wide = traits.eager * (1.0 - grid.full_precision) * (1.0 - own_width)
    # Latent attention's keys and values are made again from the latent.
    from_latent = grid.modules_named * grid.recompute_latent * (grid.recompute == SELECTIVE_RECOMPUTE)
    kept_heads = kept_heads * (1.0 - from_latent * (grid.kv_lora_rank > 0))
    # The kernel's output is the projection's input: one tensor serves both.
    output = larger(element, matmul * grid.output_input_kept)
    named = grid.modules_named * (grid.recompute == SELECTIVE_RECOMPUTE)
    kept_ffn = 1.0 - named * grid.recompute_mlp
    kept_experts = 1.0 - named * grid.recompute_experts
    return TokenBytes(
        block_input=hidden * stream,
        norms=hidden * (2.0 * norm) * (1.0 - named * grid.recompute_norms),
        matmul_inputs=gathered
        * (matmul * (qkv_inputs * grid.qkv_input_kept + ffn_inputs * grid.ffn_input_kept))
        + apart * adapted_elements(grid, heads),
        query_side=grid.attending_share
        * heads
        * (grid.head_dim * element + grid.flash * LOG_SUM_EXP_BYTES + grid.value_head_dim * output),
        key_side=grid.attending_share * kept_heads * ((grid.head_dim + grid.value_head_dim) * element)
        + latent,
        score=heads
        * (
            (1.0 - grid.flash)
            * (
                element
                + WIDE_SCORE_BYTES * wide
                + grid.dropout * (DROPOUT_MASK_BYTES + element * (1.0 - wide))
            )
        ),
        ffn=kept_ffn * mlp_bytes(grid, traits, grid.ffn_size / tensor, matmul, element),
        experts=kept_experts * expert_bytes(grid, traits, matmul, element, expert_load(grid, constants)),
        masks=hidden * (2.0 * DROPOUT_MASK_BYTES * grid.dropout),
        states=grid.state_elements * grid.element_bytes / tensor,
        widened_inputs=grid.quantized
        * constants.quantized_input_bytes
        * (2.0 * grid.hidden_size + heads * grid.value_head_dim + inner_width(grid)),
    )


def adapter_copy_bytes(grid: PlanGrid, traits: Traits) -> Array:
    """Bytes per element of the copy of its input that each adapter keeps, with its dropout mask, shape
    (plans,); 0 where adapters read the base's input itself: in fused and compiled code, and in adapters as
    wide as the base without dropout, as FSDP's mixed precision makes them.

    Source: PEFT tuners/lora/layer.py: the input is cast to the adapter's width, then dropped out; measured
    with saved_tensors_hooks on peft 0.21 (tests/engine/memory/saved_adapters.py).
    """
    wider = (grid.weight_bytes >= FP32_BYTES) & (grid.framework != FSDP)
    copied = traits.eager * grid.frozen * larger(grid.adapter_dropout, wider)
    kept: Array = copied * (grid.adapter_input_bytes + grid.adapter_dropout * DROPOUT_MASK_BYTES)
    return kept


def adapted_elements(grid: PlanGrid, heads: Array) -> Array:
    """Elements per token of the inputs of a block's adapters on one rank, a count, shape (plans,).

    heads: on the rank.  Source: our own count; experts' inputs come once for each expert visited.
    """
    visits = where(grid.moe_blocks > 0, larger(grid.experts_per_token, 1.0), 1.0)
    return (
        grid.hidden_size * (grid.qkv_adapters + visits * grid.ffn_adapters)
        + heads * grid.value_head_dim * grid.output_adapters
        + inner_width(grid) * grid.down_adapters
    )


def inner_width(grid: PlanGrid) -> Array:
    """Input width of a block's last MLP matrices on one rank, elements, shape (plans,).

    Summed over all experts that a token visits where the block is routed. Source: our own count.
    """
    routed = grid.experts_per_token * grid.expert_ffn_size + grid.shared_expert_ffn_size
    return where(grid.moe_blocks > 0, routed, grid.ffn_size) / grid.tensor_parallel


def mlp_bytes(
    grid: PlanGrid, traits: Traits, width: Array, matmul_bytes: Array, element_bytes: Array
) -> Array:
    """Bytes per token of an MLP's inner tensors, shape (plans,): those before the non-linearity (gate and up)
    and the input of the last matrix. A gated MLP of plain PyTorch modules also keeps the activated gate.
    Megatron can keep what enters the non-linearity in fp8.

    width: inner width on this rank, elements.  matmul_bytes: bytes per element of a kept matmul input;
    element_bytes: of any other tensor.
    Source: Korthikanti et al. 2022, section 4.1, for a plain MLP; the gated one is our own count;
    Megatron-Core, activation_func_fp8_input_store (core/fusions/fused_bias_swiglu.py).
    """
    stored = where(grid.fp8_activation_input > 0, FP8_BYTES, element_bytes)
    inner = stored * (1.0 + grid.gated) + element_bytes * (grid.gated * traits.plain)
    # A recomputed non-linearity leaves its own input alone.
    recomputed = grid.modules_named * grid.recompute_activation * (grid.recompute == SELECTIVE_RECOMPUTE)
    down_input = matmul_bytes * grid.down_input_kept * (1.0 - recomputed)
    kept: Array = width * (inner + down_input)
    return kept


def expert_load(grid: PlanGrid, constants: MemoryConstants) -> Array:
    """Tokens of the fullest rank's experts over an even share, a ratio, shape (plans,): 1 where each rank
    holds all experts, as asked for where balance is forced or capacity limited, else the fitted one.

    Source: ``learned_expert_load`` of MemoryConstants.
    """
    asked = where(grid.expert_load > 0, grid.expert_load, constants.learned_expert_load)
    load: Array = where(grid.expert_parallel > 1, asked, 1.0)
    return load


def expert_bytes(
    grid: PlanGrid, traits: Traits, matmul_bytes: Array, element_bytes: Array, load: Array
) -> Array:
    """Bytes per token of a routed MLP, shape (plans,): dispatched inputs, inner tensors and outputs of the
    experts it visits, the shared experts, and the router's fp32 logits and probabilities.

    matmul_bytes: bytes per element of a kept matmul input; element_bytes: of any other tensor.

    Where each expert is whole on its rank (``expert_tensor_parallel``), a rank's experts receive as many
    tokens as one sequence shard sends out on average, times the load of the fullest rank (``expert_load``).
    Plain modules weigh the experts' outputs and keep them for it; Megatron weighs inside the activation.
    Source: Megatron-Core's MoE dispatcher and experts.py (probabilities are applied before the last matrix);
    transformers' sparse blocks.
    """
    tensor, visits = grid.tensor_parallel, grid.experts_per_token * load
    tokens_split = tensor / expert_tensor_parallel(grid)
    ends = visits / tokens_split * grid.hidden_size
    # Whole experts on a share of the tokens, or a share of each expert on all of them: the same inner bytes.
    width = (visits * grid.expert_ffn_size + grid.shared_expert_ffn_size) / tensor
    return (
        ends * (matmul_bytes * grid.ffn_input_kept + element_bytes * traits.modules)
        + mlp_bytes(grid, traits, width, matmul_bytes, element_bytes)
        + ROUTER_BYTES * grid.experts
    )


@dataclass(frozen=True, slots=True)
class Activations:
    """Bytes of one micro-batch on one rank, shape (plans,).

    model_*: summed over all blocks of the model, by kind of tensor (model_experts: MLPs of routed blocks).
    kept: their sum after recompute.
    block_kept: the largest block's own part of ``kept``.  recomputed: tensors of the largest block that its
    backward pass computes again and holds at once.  gradients: gradients of that block's tensors, alive at
    once.
    """

    model_inputs: Array
    model_attention: Array
    model_scores: Array
    model_ffn: Array
    model_experts: Array
    kept: Array
    block_kept: Array
    recomputed: Array
    gradients: Array


def activations(grid: PlanGrid, traits: Traits, constants: MemoryConstants) -> Activations:
    """Sum the blocks of each kind, in bytes, and apply recompute.

    Full recompute keeps nothing but the block inputs; selective keeps all but the attention scores (see
    TRAITS for the stacks where it means something else); none keeps everything.
    Source: Korthikanti et al. 2022, section 5; Chen et al. 2016 (checkpointing).
    """
    per = token_bytes(grid, traits, constants)
    tokens = grid.tokens_per_rank
    targets = grid.micro_batch_size * grid.decoder_sequence_length / grid.context_parallel
    scores = grid.scoring_share * per.score * tokens * grid.sequence_length
    target_scores = per.score * targets * (grid.decoder_sequence_length + grid.sequence_length)
    around = per.norms + per.matmul_inputs + per.masks + per.states
    attention = tokens * (around + per.query_side + per.key_side)
    crossed = (1.5 * around + 2.0 * per.query_side + per.key_side) * targets + per.key_side * tokens
    dense_ffn, target_ffn, expert_ffn = tokens * per.ffn, targets * per.ffn, tokens * per.experts
    input_bytes, target_input = tokens * per.block_input, targets * per.block_input
    dense, moe, cross = grid.dense_blocks, grid.moe_blocks, grid.decoder_blocks

    routes = recompute_shares(grid, traits)
    # Every second matmul's output: query, value, the MLP's first and last, and the attention output.
    operator_bytes = tokens * (
        per.block_input
        + per.query_side
        + 0.5 * per.key_side
        + operator_ffn(grid)
        + grid.hidden_size * grid.element_bytes
    )
    blocks = dense + moe
    widened = (grid.recompute == NO_RECOMPUTE) * (tokens * per.widened_inputs)
    model_inputs = routes.inputs * (blocks * input_bytes + cross * target_input) + routes.operators * (
        blocks * operator_bytes
    )
    model_attention = blocks * widened + routes.inner * (blocks * attention + cross * crossed)
    model_scores = routes.scores * (blocks * scores + cross * target_scores)
    model_ffn = routes.inner * (dense * dense_ffn + cross * target_ffn)
    model_experts = routes.inner * (moe * expert_ffn)

    largest_scores = larger(scores, target_scores)
    one_block = attention + where(moe > 0, expert_ffn, dense_ffn)
    largest = larger(one_block, (cross > 0) * (crossed + target_ffn))
    one_input = larger(input_bytes, target_input)
    block_kept = (
        routes.inputs * one_input
        + routes.operators * operator_bytes
        + routes.inner * largest
        + routes.scores * largest_scores
    )
    # A block that is recomputed whole holds all its tensors again, whatever its neighbours keep.
    kept_by_recomputed = where(routes.blockwise > 0, one_input, block_kept)
    return Activations(
        model_inputs=model_inputs,
        model_attention=model_attention,
        model_scores=model_scores,
        model_ffn=model_ffn,
        model_experts=model_experts,
        kept=model_inputs + model_attention + model_scores + model_ffn + model_experts,
        block_kept=block_kept,
        recomputed=larger(largest + largest_scores - kept_by_recomputed, 0.0),
        gradients=gradient_bytes(grid, tokens, targets, scores, expert_ffn),
    )


@dataclass(frozen=True, slots=True)
class RecomputeShares:
    """Share of the blocks' tensors that is kept, by kind, shape (plans,).

    inputs: block inputs.  scores: attention scores.  inner: everything else inside a block.  operators:
    outputs of single operators.  blockwise: 1.0 where selective recompute means whole blocks.
    """

    inputs: Array
    scores: Array
    inner: Array
    operators: Array
    blockwise: Array


def recompute_shares(grid: PlanGrid, traits: Traits) -> RecomputeShares:
    """Share of each kind of tensor that full, selective or no recompute keeps.

    Source: what each stack documents (``TRAITS``); SELECTIVE_BLOCK_SHARE where whole blocks are recomputed.
    """
    full, selective = 1.0 * (grid.recompute == FULL_RECOMPUTE), 1.0 * (grid.recompute == SELECTIVE_RECOMPUTE)
    full = full * grid.recompute_blocks
    own = selective * (1.0 - grid.modules_named)
    operators, blockwise = own * traits["selective_operators"], own * traits["selective_blocks"]
    inner = 1.0 - full - operators - SELECTIVE_BLOCK_SHARE * blockwise
    core_only = own - operators - blockwise + selective * grid.modules_named * grid.recompute_core
    return RecomputeShares(
        inputs=full + SELECTIVE_BLOCK_SHARE * blockwise,
        scores=inner - core_only,
        inner=inner,
        operators=operators,
        blockwise=blockwise,
    )


def operator_ffn(grid: PlanGrid) -> Array:
    """Bytes per token of the MLP's first matmul output (the gate's), shape (plans,).

    Where the block is routed: of all experts that a token visits. Source: our own count of the tensors that
    torchtitan's per-operator checkpointing keeps.
    """
    routed = grid.experts_per_token * (grid.expert_ffn_size + grid.hidden_size) + grid.shared_expert_ffn_size
    width = where(grid.moe_blocks > 0, routed, grid.ffn_size)
    return width * (grid.element_bytes / grid.tensor_parallel)


def gradient_bytes(grid: PlanGrid, tokens: Array, targets: Array, scores: Array, expert_ffn: Array) -> Array:
    """Bytes of the gradients alive at once in one block's backward pass, shape (plans,).

    The residual stream's, the branch's, and the inner ones of the MLP (or of the scores, where these are kept
    and larger).  tokens, targets: per micro-batch and rank, of the encoder (or only) stack and of the
    decoder.
    scores, expert_ffn: bytes of one block.  Source: our own count.
    """
    per_width = larger(tokens, targets) * grid.element_bytes
    inner = per_width * grid.ffn_size * ((1.0 + grid.gated) / grid.tensor_parallel)
    inner = where(grid.moe_blocks > 0, 0.5 * expert_ffn, inner)
    return 2.0 * per_width * grid.hidden_size + larger(inner, 0.5 * scores)


def in_flight(grid: PlanGrid, stage: Stages) -> Array:
    """Micro-batches whose activations a stage holds at once, a count of whole stages' worth, shape (3,
    plans).

    1F1B: min(stages - stage, micro-batches). Interleaved with v chunks on each of p stages: the warm-up holds
    2 (p - stage - 1) + (v - 1) p + 1 chunks of 1/v of the stage, which is p (1 + (p - 1)/(p v)) on the first.
    Source: Narayanan et al. 2021, section 2.2; Korthikanti et al. 2022, appendix B.
    """
    pipeline, chunks = grid.pipeline_parallel, grid.interleaved_stages
    plain = smaller(pipeline - stage.number, grid.gradient_accumulation)
    warm_up = 2.0 * (pipeline - stage.number - 1.0) + (chunks - 1.0) * pipeline + 1.0
    interleaved = smaller(warm_up / chunks, grid.gradient_accumulation)
    return where(chunks > 1, interleaved, plain)


#: Blocks whose activations are on the accelerator while the others' wait on the host: the one that computes
#: and the one that is on its way.
BLOCKS_IN_TRANSIT = 2.0


def kept_on_accelerator(grid: PlanGrid, stage: Stages) -> Array:
    """Share of the kept activations that is on the accelerator, shape (3, plans): all, or where activations
    are offloaded those of two blocks.

    Source: axolotl, torchtune and Unsloth offload block by block and fetch one ahead (their offloading
    streams); BLOCKS_IN_TRANSIT.
    """
    blocks = larger((grid.layers + grid.decoder_layers) * stage.blocks_share, 1.0)
    return where(grid.offload_activations > 0, smaller(BLOCKS_IN_TRANSIT / blocks, 1.0), 1.0)


def stage_outputs(grid: PlanGrid, traits: Traits) -> Array:
    """Bytes per micro-batch of a stage's output that is kept until its backward pass, shape (plans,).

    DeepSpeed's pipeline keeps it; Megatron frees its data once it is sent.
    Source: DeepSpeed runtime/pipe/engine.py (pipe_buffers); Megatron-LM deallocate_output_tensor.
    """
    kept = traits["buckets"] * (grid.pipeline_parallel > 1)
    return kept * grid.tokens_per_rank * grid.hidden_size * grid.element_bytes


def retained_inputs(grid: PlanGrid, traits: Traits, model_inputs: Array) -> Array:
    """Bytes of second copies of recomputed blocks' inputs that some stacks hold at the end of backward,
    (plans,).

    model_inputs: bytes of all block inputs of the model. FSDP2, which wraps adapters apart from the base,
    does not.  Source: measured; see ``retained_inputs`` in ``TRAITS``.
    """
    return (
        grid.frozen
        * grid.adapters_with_base
        * traits["retained_inputs"]
        * (1.0 - grid.compiled)
        * model_inputs
    )
