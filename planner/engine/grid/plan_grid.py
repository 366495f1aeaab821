"""A grid of plans: every quantity that a formula needs, as numpy arrays that broadcast over plans.

A single estimate is a grid of one; calibration puts all measured runs into one grid of different models; a
search keeps model and workload as scalars and varies the layout. Words (precision, framework, sharding) are
turned into numbers here once, so that no formula ever branches on a string. This room knows nothing of what
the numbers are used for.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from planner.engine.question import words
from planner.engine.question.request import (
    AttentionKernel,
    Dispatcher,
    Framework,
    Kernels,
    Recompute,
    Sharding,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Architectures that share one set of achievable-rate constants, in the order of the calibration's arrays.
#: ``other`` is every kind of chip of which no run was measured: it has the mean constants of those that were.
ARCHITECTURES = (
    "volta",
    "turing",
    "ampere",
    "ada",
    "hopper",
    "blackwell",
    "trainium",
    "other",
    "cdna3",
    "cdna4",
    "blackwell_rtx",
)
FRAMEWORKS: tuple[Framework, ...] = cast(tuple[Framework, ...], tuple(words.FRAMEWORKS))
#: The stacks whose behaviour formulas tell apart, as ``PlanGrid.framework`` numbers them.
GENERIC, MEGATRON, FSDP, DEEPSPEED, TORCHTITAN, NEURON = (
    float(FRAMEWORKS.index(name))
    for name in ("generic", "megatron", "fsdp", "deepspeed", "torchtitan", "neuron")
)
ATTENTION_KERNELS: tuple[AttentionKernel, ...] = cast(
    tuple[AttentionKernel, ...], tuple(words.ATTENTION_KERNELS)
)
MEMORY_EFFICIENT = float(ATTENTION_KERNELS.index("memory_efficient"))
#: As ``PlanGrid.kernels`` numbers them.
KERNELS: tuple[Kernels, ...] = cast(tuple[Kernels, ...], tuple(words.KERNELS))
PLAIN, COMPILED, FUSED, TRANSFORMER_ENGINE = map(float, range(len(KERNELS)))
#: As ``PlanGrid.dispatcher`` numbers them.
DISPATCHERS: tuple[Dispatcher, ...] = cast(tuple[Dispatcher, ...], tuple(words.DISPATCHERS))
ALL_TO_ALL, ALL_GATHER, DEEPEP, HYBRIDEP = map(float, range(len(DISPATCHERS)))
SHARDINGS: tuple[Sharding, ...] = cast(tuple[Sharding, ...], tuple(words.SHARDINGS))
RECOMPUTES: tuple[Recompute, ...] = cast(tuple[Recompute, ...], tuple(words.RECOMPUTES))
#: As ``PlanGrid.sharding`` and ``PlanGrid.recompute`` number them: each does all that the ones before it do.
NO_SHARDING, ZERO_1, ZERO_2, ZERO_3 = map(float, range(len(SHARDINGS)))
NO_RECOMPUTE, SELECTIVE_RECOMPUTE, FULL_RECOMPUTE = map(float, range(len(RECOMPUTES)))


@dataclass(frozen=True, slots=True)
class PlanGrid:
    """Each quantity with its meaning, [unit, shape] beside it.

    Shape (plans,): varies with the plan.  (): the same for all layouts of one question, a numpy scalar; in a
    grid of several questions (calibration) such quantities too are arrays of shape (plans,), and in a single
    estimate all are scalars.  Flags are 0.0 or 1.0. Everything per chip (FLOPs, bandwidth, memory) is per
    *rank* here. ``*_matmul`` are weights of matrices that each token of a block meets.
    """

    # model
    layers: Array  #: transformer blocks; the encoder's alone where there is a decoder too [block, ()]
    decoder_layers: Array  #: blocks with cross-attention, of an encoder-decoder [block, ()]
    hidden_size: Array  #: width of the residual stream [element, ()]
    attention_heads: Array  #: query heads of a block [head, ()]
    kv_heads: Array  #: key and value heads of a block [head, ()]
    head_dim: Array  #: width of a query and key head [element, ()]
    value_head_dim: Array  #: width of a value head [element, ()]
    ffn_size: Array  #: inner width of a dense MLP [element, ()]
    gated: Array  #: the MLP has a gate [flag, ()]
    vocab_size: Array  #: rows of the token table [token, ()]
    experts: Array  #: routed experts of a block, 0 where none are [expert, ()]
    experts_per_token: Array  #: routed experts that a token visits [expert, ()]
    expert_groups: Array  #: groups that the experts fall into, 0 for none [group, ()]
    groups_per_token: Array  #: groups that a token's experts come from at most [group, ()]
    expert_ffn_size: Array  #: inner width of one routed expert [element, ()]
    shared_expert_ffn_size: Array  #: inner width of a block's shared experts [element, ()]
    kv_lora_rank: Array  #: width of the latent that is cached for keys and values, else 0 [element, ()]
    dense_blocks: Array  #: blocks with a dense MLP, without cross-attention [block, ()]
    moe_blocks: Array  #: blocks whose MLP is routed [block, ()]
    decoder_blocks: Array  #: blocks with cross-attention [block, ()]
    causal: Array  #: a token attends to earlier ones alone [flag, ()]
    encoder: Array  #: an encoder of text [flag, ()]
    vision: Array  #: an encoder of image patches [flag, ()]
    layernorm: Array  #: LayerNorm rather than RMSNorm [flag, ()]
    rotary_width: Array  #: queries and keys that rotary embedding turns, 0 without it [element, ()]
    normed_width: Array  #: queries and keys that are normalised before they meet, else 0 [element, ()]
    dropout: Array  #: trained with dropout [flag, ()]
    tied: Array  #: the output projection is the token table [flag, ()]
    window: Array  #: keys that a windowed block attends to, 0: all [token, ()]
    windowed_share: Array  #: share of the blocks that are windowed [ratio, ()]
    scoring_share: Array  #: mean score width of the blocks over a plain block's [ratio, ()]
    attending_share: Array  #: share of the blocks whose queries meet keys [ratio, ()]
    state_flops: Array  #: forward FLOPs per token of the mean block's scan or convolution [FLOP, ()]
    state_elements: Array  #: numbers such a scan keeps per token for the backward pass [element, ()]
    embedding_parameters: Array  #: input tables and the norm after them [parameter, ()]
    head_parameters: Array  #: output side, what is not tied [parameter, ()]
    tied_head_parameters: Array  #: output projection that is the token table, else 0 [parameter, ()]
    dense_block_parameters: Array  #: one block with a dense MLP [parameter, ()]
    moe_block_parameters: Array  #: one routed block without its routed experts [parameter, ()]
    routed_expert_parameters: Array  #: all routed experts of one block [parameter, ()]
    decoder_block_parameters: Array  #: one block with cross-attention [parameter, ()]
    total_parameters: Array  #: the whole model [parameter, ()]
    active_parameters: Array  #: without the routed experts that a token does not visit [parameter, ()]
    attention_matmul: Array  #: a block's query, key, value and output matrices [weight, ()]
    cross_attention_matmul: Array  #: the same of a block's cross-attention [weight, ()]
    ffn_matmul: Array  #: a dense MLP's matrices [weight, ()]
    expert_matmul: Array  #: one routed expert's matrices [weight, ()]
    shared_expert_matmul: Array  #: a block's shared experts' matrices [weight, ()]
    router_matmul: Array  #: a block's router [weight, ()]
    head_matmul: Array  #: the output projection, 0 where there is none [weight, ()]
    # workload
    sequence_length: Array  #: tokens of one sequence; patches of an image and its class token [token, ()]
    decoder_sequence_length: Array  #: target tokens of one sequence of an encoder-decoder, else 0 [token, ()]
    global_batch_size: Array  #: sequences of one step, over all replicas [sequence, ()]
    head_share: Array  #: share of the tokens that meet the output head [ratio, ()]
    element_bytes: Array  #: one element of an activation [byte, ()]
    fp8: Array  #: matmuls in fp8 [flag, ()]
    fp16: Array  #: computed in fp16 [flag, ()]
    full_precision: Array  #: computed in fp32 or tf32 [flag, ()]
    tf32: Array  #: matmuls in tf32 [flag, ()]
    flash: Array  #: flash attention, which keeps no scores [flag, ()]
    overlap: Array  #: communication runs beside compute [flag, ()]
    compiled: Array  #: the model is compiled to fused kernels [flag, ()]
    frozen: Array  #: adapters are trained and the base is frozen [flag, ()]
    quantized: Array  #: the frozen base is quantised [flag, ()]
    integer_quantized: Array  #: quantised to int4, not to nf4 [flag, ()]
    lora_parameters: Array  #: all adapters, 0 without them [parameter, ()]
    lora_width: Array  #: inputs plus outputs of the adapted layers that a token meets [element, ()]
    offload: Array  #: the optimizer's states and step are the host's [flag, ()]
    offload_parameters: Array  #: weights are gathered from the host's memory [flag, ()]
    offload_activations: Array  #: what is kept for backward waits in the host's memory [flag, ()]
    residual_bytes: Array  #: one element of the residual stream and of a norm's input [byte, ()]
    kernels_named: Array  #: the question says which kernels run between the matmuls [flag, ()]
    kernels_fused: Array  #: and they are fused by hand or Transformer Engine's [flag, ()]
    fp8_activation_input: Array  #: what enters the MLP's non-linearity is kept in fp8 [flag, ()]
    kept_logit_bytes: Array  #: of each logit, by the loop's own variables, during backward [byte, ()]
    expandable: Array  #: PyTorch's allocator with expandable segments [flag, ()]
    varying_lengths: Array  #: how far micro-batches differ in size, from 0 on [ratio, ()]
    optimizer_in_backward: Array  #: each parameter is stepped as its gradient is there [flag, ()]
    saved_embedding_parameters: Array  #: of the token table, trained whole beside adapters [parameter, ()]
    saved_head_parameters: Array  #: of the output side, trained whole beside adapters [parameter, ()]
    saved_block_parameters: Array  #: of all blocks, trained whole beside adapters [parameter, ()]
    adapters_with_base: Array  #: adapters share FSDP's flat parameters with the base [flag, ()]
    k_bit: Array  #: norms, tables and head of a quantised base in fp32, hence the residual stream [flag, ()]
    adapter_dropout: Array  #: the adapters' inputs pass through dropout [flag, ()]
    recompute_blocks: Array  #: share of the blocks that full recompute recomputes [ratio, ()]
    modules_named: Array  #: selective recompute means the modules below, not the stack's own [flag, ()]
    recompute_core: Array  #: with them: the attention core is recomputed [flag, ()]
    recompute_norms: Array  #: with them: the norms [flag, ()]
    recompute_activation: Array  #: with them: the MLP's non-linearity [flag, ()]
    recompute_mlp: Array  #: with them: dense MLPs whole [flag, ()]
    recompute_experts: Array  #: with them: routed experts whole [flag, ()]
    recompute_latent: Array  #: with them: latent attention's up-projection [flag, ()]
    answers_per_sample: Array  #: sequences that one sample of the batch runs as [ratio, ()]
    reference_forwards: Array  #: forward passes without gradient beside each trained one [ratio, ()]
    reference_held: Array  #: a frozen copy of the model is held for them [flag, ()]
    paged: Array  #: the optimizer's moments lie in pages that may move to the host [flag, ()]
    finetuning: Array  #: fine-tuned rather than pretrained [flag, ()]
    lamb: Array  #: the optimizer is LAMB [flag, ()]
    muon: Array  #: the optimizer is Muon [flag, ()]
    graphs: Array  #: kernels are replayed from captured graphs [flag, ()]
    attention_kernel: Array  #: by its place in ATTENTION_KERNELS [index, ()]
    wide_attention: Array  #: attention is computed in fp32, without tensor cores [flag, ()]
    kernels: Array  #: what runs between the matrix products, by its place in KERNELS [index, ()]
    autocast: Array  #: weights, residuals and norms stay fp32, cast for matrix products [flag, ()]
    row_tokens: Array  #: tokens of a row that are computed, its padding included [token, ()]
    sample_tokens: Array  #: tokens that attend to each other, met by the mean token [token, ()]
    dispatcher: Array  #: how tokens reach their experts, by its place in DISPATCHERS [index, ()]
    dispatcher_usual: Array  #: that was left to a stack that has fused ones too [flag, ()]
    expert_load: Array  #: tokens of the fullest expert rank over an even share, 0: as fitted [ratio, ()]
    grouped_matmul: Array  #: all experts of a rank are one kernel [flag, ()]
    split_experts: Array  #: tensor parallelism splits experts that ranks share too [flag, ()]
    expert_overlap: Array  #: the exchange of experts runs beside other compute [flag, ()]
    expert_overlap_usual: Array  #: it does where the stack's recipes would have it so [flag, ()]
    nodes_per_token: Array  #: machines that a token is sent to at most, 0 for any number [node, ()]
    adapted_modules: Array  #: linear layers of one block that have adapters [module, ()]
    unsaid_inputs: Array  #: inputs of model and run that matter and were left to defaults [input, ()]
    unsaid_of_machine: Array  #: ... and of the machines [input, ()]
    framework: Array  #: the stack, by its place in FRAMEWORKS [index, ()]
    # memory recipe: see MemoryRecipe
    weight_bytes: Array  #: working copy of a trained weight [byte/parameter, ()]
    gathered_bytes: Array  #: a trained weight while it is gathered and computed with [byte/parameter, ()]
    saved_bytes: Array  #: all that a weight kept in ``modules_to_save`` takes [byte/parameter, ()]
    master_bytes: Array  #: fp32 copy beside it, 0 without [byte/parameter, ()]
    gradient_bytes: Array  #: a gradient [byte/parameter, ()]
    state_bytes: Array  #: the optimizer's moments [byte/parameter, ()]
    temporary_bytes: Array  #: copy made for the optimizer's step [byte/parameter, ()]
    frozen_bytes: Array  #: a frozen weight of the blocks [byte/parameter, ()]
    frozen_head_bytes: Array  #: a frozen weight of the output head [byte/parameter, ()]
    gradient_copy_bytes: Array  #: second, flat copy of a gradient [byte/parameter, ()]
    gradient_partition_bytes: Array  #: fp32 gradient of the partition that a rank steps [byte/parameter, ()]
    unsynced_gradients: Array  #: gradients are not reduced between accumulation steps [flag, ()]
    qkv_input_kept: Array  #: the input of query, key and value is kept for backward [flag, ()]
    output_input_kept: Array  #: the input of attention's output matrix is kept [flag, ()]
    ffn_input_kept: Array  #: the input of the MLP is kept [flag, ()]
    down_input_kept: Array  #: the input of the MLP's last matrix is kept [flag, ()]
    qkv_adapters: Array  #: adapters of a block that read the input of query, key and value [module, ()]
    output_adapters: Array  #: ... of attention's output matrix [module, ()]
    ffn_adapters: Array  #: ... of the MLP [module, ()]
    down_adapters: Array  #: ... of the MLP's last matrix [module, ()]
    adapter_input_bytes: Array  #: one element of an adapter's own copy of its input [byte, ()]
    loss_whole: Array  #: the loss is computed on all logits at once [flag, ()]
    loss_compiled: Array  #: on whole logits, by a cross-entropy that torch.compile fuses [flag, ()]
    loss_bytes: Array  #: one logit as the cross-entropy computes it, 0: as its code does [byte, ()]
    loss_chunked: Array  #: the loss is computed on logits in chunks [flag, ()]
    # cluster
    peak_flops_per_s: Array  #: dense peak of a rank in the plan's precision [FLOP/s, ()]
    bf16_flops_per_s: Array  #: dense peak of a rank in 16 bits [FLOP/s, ()]
    memory_bytes: Array  #: memory of a rank as the driver reports it [byte, ()]
    memory_bandwidth_bytes_per_s: Array  #: peak of a rank's memory [byte/s, ()]
    link_bytes_per_s: Array  #: a rank's link within the node, one direction [byte/s, ()]
    pcie: Array  #: that link is PCIe [flag, ()]
    link_domain_ranks: Array  #: ranks that the link joins, across machines where it reaches [rank, ()]
    fabric_share: Array  #: what its network keeps of an InfiniBand's efficiency [ratio, ()]
    sustained_share: Array  #: matrix products under its power limit, over the kind's card [ratio, ()]
    measured_share: Array  #: of the 16-bit peak, as measured on the machine; 0 where it was not [ratio, ()]
    fp32_flops_per_s: Array  #: peak of a rank on fp32 without tensor cores [FLOP/s, ()]
    internode_bytes_per_s: Array  #: a node's network, one direction [byte/s, ()]
    ranks_per_node: Array  #: ranks of one node [rank, ()]
    ranks_per_accelerator: Array  #: ranks of one chip [rank, ()]
    host_memory_bytes: Array  #: memory of a node's CPUs, nan where it is not known [byte, ()]
    host_bandwidth_bytes_per_s: Array  #: of that memory, all sockets together [byte/s, ()]
    host_link_bytes_per_s: Array  #: between a rank and its host, one direction [byte/s, ()]
    power_share: Array  #: power limit over the accelerator's own, at most 1 [ratio, ()]
    nodes: Array  #: machines [node, (plans,)]
    architecture: Array  #: the chip's, by its place in ARCHITECTURES [index, ()]
    own_chip: Array  #: the chip is described by the question, not one of the catalog [flag, ()]
    usd_per_node_hour: Array  #: price of a node, nan where none is known [USD/h, ()]
    # layout
    tensor_parallel: Array  #: ranks that split each matrix [rank, (plans,)]
    sequence_parallel: Array  #: they split the tokens between matrices too [flag, (plans,)]
    pipeline_parallel: Array  #: stages that the blocks are dealt out to [stage, (plans,)]
    interleaved_stages: Array  #: chunks of blocks on one stage [chunk, (plans,)]
    context_parallel: Array  #: ranks that split each sequence [rank, (plans,)]
    expert_parallel: Array  #: ranks that share the routed experts of a block [rank, (plans,)]
    data_parallel: Array  #: replicas that split the global batch [rank, (plans,)]
    sharding: Array  #: ZeRO stage, by its place in SHARDINGS: NO_SHARDING to ZERO_3 [index, (plans,)]
    sharding_group: Array  #: ranks over which it shards [rank, (plans,)]
    micro_batch_size: Array  #: sequences that a replica computes at once [sequence, (plans,)]
    gradient_accumulation: Array  #: micro-batches of a replica in one step [micro-batch, (plans,)]
    recompute: Array  #: by its place in RECOMPUTES: NO_RECOMPUTE to FULL_RECOMPUTE [index, (plans,)]

    @property
    def ranks(self) -> Array:
        return self.tensor_parallel * self.pipeline_parallel * self.context_parallel * self.data_parallel

    @property
    def tokens_per_rank(self) -> Array:
        """Tokens of one micro-batch on one rank of the context-parallel group."""
        return self.micro_batch_size * self.sequence_length / self.context_parallel

    @property
    def trainable_parameters(self) -> Array:
        """Parameters that are trained: where the base is frozen the adapters, and layers trained whole."""
        saved = self.saved_embedding_parameters + self.saved_head_parameters + self.saved_block_parameters
        return np.where(self.frozen > 0, self.lora_parameters + saved, self.total_parameters)

    def with_fields(self, **arrays: Any) -> PlanGrid:
        return replace(self, **{name: np.asarray(value, dtype=float) for name, value in arrays.items()})

    def rows(self, index: Any) -> PlanGrid:
        """The plans at ``index`` (mask, slice or positions); scalars stay as they are."""
        return PlanGrid(*[value[index] if value.ndim else value for value in _all_fields(self)])


FIELD_NAMES = tuple(item.name for item in fields(PlanGrid))
_all_fields = attrgetter(*FIELD_NAMES)
