"""Seconds that the blocks of a model compute for one micro-batch, forward and backward, on one rank.

Dense, mixture-of-experts and decoder (cross-attention) blocks, and the output head. Communication, pipeline
and optimizer are counted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import (
    FSDP,
    FULL_RECOMPUTE,
    SELECTIVE_RECOMPUTE,
    TORCHTITAN,
    TRANSFORMER_ENGINE,
    Array,
    PlanGrid,
)
from planner.engine.grid.scalars import NONE, anywhere, entries, larger, where
from planner.engine.time import flops, kernels
from planner.engine.time.block import BlockTime, all_blocks, decoder_block, dense_block
from planner.engine.time.constants import TimingConstants
from planner.engine.time.experts import moe_block

#: Bytes that the loss moves per logit beside reading it once, forward (the backward pass is counted as twice
#: the forward): fp32 copy written (4), shifted copy read and written (8), softmax read and written (8).
LOSS_BYTES = {"whole": 20.0, "chunked": 12.0, "compiled": 6.0, "fused": 2.0}
#: Host time of routing (router, top-k, sort, permute and back, counts fetched by the host) in that of one
#: expert's kernels: some forty kernels and a synchronisation against ten. Our judgement.
ROUTING_LAUNCHES = 4.0
#: Share of latent attention's weights that its up-projections hold (DeepSeek-V3: 53 of 187 million a block).
LATENT_SHARE = 0.28
#: Rows that token tables are padded to (Megatron-LM, make-vocab-size-divisible-by).
VOCABULARY_MULTIPLE = 128.0


@dataclass(frozen=True, slots=True)
class StageCompute:
    """Seconds of one micro-batch over all blocks of the model on one rank, shape (plans,).

    head: forward seconds of the output head.  blocks: count of blocks.  terms: seconds of one block by kind
    of kernel, for the explanation.
    """

    forward: Array
    backward: Array
    recompute: Array
    head: Array
    blocks: Array
    terms: dict[str, Array]


def target_tokens(grid: PlanGrid) -> Array:
    """Tokens of one micro-batch on one rank that the output head and the decoder see, a count, shape
    (plans,).

    Source: definition.
    """
    own = grid.micro_batch_size * grid.decoder_sequence_length / grid.context_parallel
    return where(grid.decoder_blocks > 0, own, grid.tokens_per_rank)


def kinds_of_blocks(grid: PlanGrid, constants: TimingConstants) -> list[tuple[Array, BlockTime]]:
    """(count of blocks, seconds of one block) for each kind of block that any plan of the grid has."""
    tokens = grid.tokens_per_rank
    kinds = []
    if anywhere(grid.moe_blocks > 0):
        kinds.append((grid.moe_blocks, moe_block(grid, constants, tokens)))
    if anywhere(grid.dense_blocks > 0) or not kinds:
        kinds.append((grid.dense_blocks, dense_block(grid, constants, tokens, grid.sequence_length)))
    if anywhere(grid.decoder_blocks > 0):
        targets = larger(target_tokens(grid), 1.0)
        kinds.append((grid.decoder_blocks, decoder_block(grid, constants, tokens, targets)))
    return kinds


def blocks_compute(grid: PlanGrid, constants: TimingConstants) -> StageCompute:
    """Seconds of all blocks of the model for one micro-batch on one tensor- and context-parallel rank.

    Backward: two matmuls for each of the forward (one where the weight is frozen), five for two in flash
    attention, and ELEMENTWISE_BACKWARD times the memory passes. Per block, device work and kernel launches
    run side by side, so that mostly the slower one counts.
    Source: Dao et al. 2022, algorithms 1 and 4; our own count of the passes.
    """
    kinds = kinds_of_blocks(grid, constants)
    launch = block_launch_s(grid, constants)
    matmuls = flops.BACKWARD_MATMULS - grid.frozen
    forward: Array = NONE
    backward: Array = NONE
    core: Array = NONE
    matmul: Array = NONE
    between: Array = NONE
    for count, block in kinds:
        beside = block.elementwise + block.casts
        device = block.linear + block.attention.forward + beside + block.adapters + block.dequantisation
        device_backward = (
            matmuls * block.linear
            + block.attention.backward
            + flops.ELEMENTWISE_BACKWARD * block.elementwise
            + 2.0 * (block.casts + block.adapters)
            + block.dequantisation
        )
        forward = forward + count * kernels.root_of_squares(device, launch)
        backward = backward + count * kernels.root_of_squares(device_backward, 2.0 * launch)
        core = core + count * block.attention.forward
        matmul = matmul + count * (block.linear + block.casts)
        between = between + count * block.elementwise
    main = kinds[0][1]
    return StageCompute(
        forward=forward,
        backward=backward,
        recompute=recompute_s(grid, forward, core, matmul, between),
        head=head_s(grid, constants),
        blocks=all_blocks(grid),
        terms={
            "matmul_rate_flops_per_s": kernels.matmul_rate(grid, constants),
            "block_matmul_s": main.linear,
            "block_attention_s": main.attention.forward,
            "block_elementwise_s": main.elementwise,
            "block_cast_s": main.casts,
            "block_adapter_s": main.adapters,
            "block_dequantisation_s": main.dequantisation,
            "block_launch_s": launch,
        },
    )


def block_launch_s(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Host seconds to launch one block's forward kernels, shape (plans,).

    Adapted layers launch several small kernels each (casts, dropout, two products, a scale, an addition),
    quantised weights their unpacking; routing, sorting and permuting tokens launch as much as some experts,
    and experts that are not one grouped kernel launch their own. Replayed graphs leave GRAPH_SHARE of what is
    not an expert's.
    Source: kernels counted; ``launch_s``, ``adapter_launch`` (for seven adapted layers) and
    ``expert_launch_s`` are fitted.
    """
    plain = constants.launch_s * entries(kernels.LAUNCH_SHARES, grid.kernels)
    adapters = constants.adapter_launch * (grid.adapted_modules / 7.0 + grid.quantized)
    # Grouped products in fp8 still cast each expert's operands apart: half of what an expert launches.
    apart = where(grid.grouped_matmul > 0, 0.5 * grid.fp8, 1.0)
    own = where(grid.moe_blocks > 0, constants.expert_launch_s, 0.0)
    captured = plain * (1.0 + adapters) + ROUTING_LAUNCHES * own
    # How many tokens an expert has is known too late for a graph, so its products are launched one by one.
    experts = apart * grid.experts / grid.expert_parallel * own
    launch: Array = where(grid.graphs > 0, kernels.GRAPH_SHARE, 1.0) * captured + experts
    return launch


def recompute_s(grid: PlanGrid, forward: Array, core: Array, matmul: Array, between: Array) -> Array:
    """Seconds of recomputation in the backward pass of all blocks, shape (plans,).

    forward, core, matmul, between: forward seconds of all blocks, and of their attention cores, matmuls and
    memory passes among them. Full recompute repeats the forward of its share of the blocks. Selective means
    the modules that were named, or what the stack does: torchtitan's per-operator policy keeps every second
    matmul and the attention output; Megatron repeats the attention core, which a flash kernel recomputes
    anyway. Source: Korthikanti et al. 2022, section 5; torchtitan's activation checkpointing.
    """
    stack_s = where(
        grid.framework == TORCHTITAN, forward - 0.5 * matmul - core, where(grid.flash > 0, 0.0, core)
    )
    selective = stack_s
    if anywhere(grid.modules_named > 0):
        selective = where(grid.modules_named > 0, modules_s(grid, core, matmul, between), stack_s)
    return where(
        grid.recompute == FULL_RECOMPUTE,
        forward * grid.recompute_blocks,
        where(grid.recompute == SELECTIVE_RECOMPUTE, selective, 0.0),
    )


def modules_s(grid: PlanGrid, core: Array, matmul: Array, between: Array) -> Array:
    """Seconds of repeating the forward pass of the modules that were named for recomputation, shape (plans,).

    core, matmul, between: as in ``recompute_s``. Matmuls are shared out by their weights, memory passes by
    those counted in ``kernels.elementwise_bytes`` (four of the hidden width's are the norms').
    Source: our own count.
    """
    attention = grid.attention_matmul
    mlp = where(grid.moe_blocks > 0, grid.shared_expert_matmul, grid.ffn_matmul)
    routed = where(grid.moe_blocks > 0, grid.experts_per_token * grid.expert_matmul, 0.0)
    weights = larger(attention + mlp + routed, 1.0)
    inner = (2.0 + grid.gated) * larger(grid.ffn_size, grid.expert_ffn_size * grid.experts_per_token)
    passes = 12.0 * grid.hidden_size + inner
    latent = where(grid.kv_lora_rank > 0, LATENT_SHARE * attention, 0.0)
    repeated = grid.recompute_mlp * mlp + grid.recompute_experts * routed + grid.recompute_latent * latent
    experts = grid.recompute_experts * (grid.moe_blocks > 0)
    activation = larger(grid.recompute_activation, larger(grid.recompute_mlp, experts))
    again = (grid.recompute_norms * 4.0 * grid.hidden_size + activation * inner) / passes
    return grid.recompute_core * core + repeated / weights * matmul + again * between


def head_s(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Forward seconds of output projection and cross-entropy of one micro-batch, on the last stage, (plans,).

    Memory passes of the loss over one logit, by implementation: whole logits are copied to fp32 and shifted,
    their softmax is written and read; chunks save the shift; a compiler fuses softmax and loss, where it gets
    to see them; fused kernels
    read each logit and write its gradient in place.
    Source: our own count of the passes (LOSS_BYTES); PyTorch cross_entropy, Liger Kernel.
    """
    rows = larger(target_tokens(grid) * grid.head_share, 1.0)
    columns = larger(grid.head_matmul / grid.hidden_size / grid.tensor_parallel, 1.0)
    padded = np.ceil(columns / VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
    columns = where(kernels.pads_vocabulary(grid) & (columns > VOCABULARY_MULTIPLE), padded, columns)
    projection = kernels.matmul_s(
        grid,
        constants,
        rate=kernels.head_rate(grid, constants),
        rows=rows,
        inner=grid.hidden_size,
        columns=columns,
    )
    fused = (grid.loss_whole + grid.loss_chunked == 0) | (grid.kernels == TRANSFORMER_ENGINE)
    eager = where(grid.loss_whole > 0, LOSS_BYTES["whole"], LOSS_BYTES["chunked"])
    # FSDP2 compiles block by block, and the loss stays outside unless it is compiled by itself.
    compiled = (grid.loss_compiled > 0) | ((grid.compiled > 0) & (grid.framework != FSDP))
    plain = where(compiled, LOSS_BYTES["compiled"], eager)
    moved = grid.element_bytes + where(fused, LOSS_BYTES["fused"], plain)
    loss = constants.loss_traffic * rows * columns * moved / kernels.achievable_bandwidth(grid, constants)
    return where(grid.head_matmul > 0, projection + loss, 0.0)
