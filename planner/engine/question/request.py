"""The question: a model, a workload, a cluster and a layout, as the JSON contract names them.

Frozen and validated once by ``planner.contract``; inside the engine it is trusted. ``None`` stands for
"not asked", which ``planner.engine.grid.recipe`` and ``planner.engine.layout.refusals`` fill in and name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from planner.engine.question.sale import Sale
from planner.engine.question.specs import AcceleratorSpec, ComputePrecision, MigProfileSpec, ModelSpec

Task = Literal["pretraining", "full_finetuning", "lora", "qlora", "ppo"]
Optimizer = Literal["adamw", "adamw_8bit", "adafactor", "sgd", "lion", "muon", "lamb"]
Attention = Literal["flash", "standard"]
Fabric = Literal["infiniband", "roce", "efa_v1", "efa_v2", "efa_v3", "tcpx", "tcpxo", "ethernet"]
AttentionKernel = Literal[
    "standard", "sdpa_math", "memory_efficient", "flash_1", "flash_2", "flash_3", "cudnn"
]
Kernels = Literal["plain", "compiled", "fused", "transformer_engine"]
SequenceKind = Literal["full", "packed", "padded_to_max", "padded_to_longest", "unpadded"]
Dispatcher = Literal["all_to_all", "all_gather", "deepep", "hybridep"]
Balance = Literal["forced", "learned"]
Recompute = Literal["none", "selective", "full"]
RecomputeChoice = Literal["auto", "none", "selective", "full"]
Offload = Literal["none", "optimizer", "parameters", "activations"]
Framework = Literal[
    "generic",
    "megatron",
    "fsdp",
    "deepspeed",
    "torchtitan",
    "neuron",
    "trl",
    "axolotl",
    "torchtune",
    "llama_factory",
    "unsloth",
]
MasterWeights = Literal["separate", "only", "none"]
StatePrecision = Literal["fp32", "bf16", "fp16", "int8"]
OptimizerKernel = Literal["fused", "foreach", "paged"]
Loss = Literal["whole", "compiled", "chunked", "fused"]
LossPrecision = Literal["fp32", "bf16", "fp16"]
LogitsKept = Literal["none", "16_bit", "fp32"]
FrozenPrecision = Literal["bf16", "fp16", "fp32", "fp8", "int8", "int4", "nf4", "nvfp4", "mxfp4"]
GradientSync = Literal["every_micro_batch", "last_micro_batch"]
AdapterWrapping = Literal["with_base", "apart"]
PrimaryWeights = Literal["bf16", "fp16", "fp32", "fp8"]
RecomputeModule = Literal["attention_core", "norms", "activation", "mlp", "moe_experts", "mla_up_projection"]
TrainingObjective = Literal["sft", "dpo", "kto", "reward", "mlm"]
Sharding = Literal["none", "zero1", "zero2", "zero3"]
Algorithm = Literal["ppo", "grpo", "rloo", "dapo", "gspo", "gpg", "reinforce"]
Engine = Literal["static", "vllm", "sglang", "tensorrt_llm"]
EnginePrecision = Literal["bf16", "fp16", "fp8"]
Placement = Literal["colocated", "split"]
Purchase = Literal[
    "on_demand", "spot", "reserved_1y", "reserved_3y", "savings_1y", "savings_3y", "capacity_block"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """How the actor generates. None stands for "not asked", which ``planner.engine.rl.rollout`` fills in.

    accelerators: chips that generate.  max_sequences: decoded together by one replica, at most.
    memory_share: share of a rank's memory that the engine may fill, its weights included.
    prefix_cache: answers to one prompt share its keys and values.  eager: kernels are launched one by one
    rather than as captured graphs.
    """

    engine: Engine | None = None
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    expert_parallel: int | None = None
    accelerators: int | None = None
    precision: EnginePrecision | None = None
    max_sequences: int | None = None
    memory_share: float | None = None
    prefix_cache: bool | None = None
    eager: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoWorkload:
    """Reinforcement learning: its models, what is generated, and how the phases share the machines.

    critic and reward are None where the method has none, as in GRPO.
    rollout_tokens: tokens generated per sequence (``sequence_length`` is prompt + response).
    ppo_epochs: passes of training over each rollout.  updates_per_step: optimizer steps of one such pass.
    prompts, responses_per_prompt: of one round.  mean_*, max_*, response_std_tokens: real lengths.
    staleness_steps: rounds that generation may be ahead of training, 0 for synchronous.
    partial_rollouts: unfinished answers go on in the next round.  micro_batch_tokens: of a rank, packed.
    actor_lora_rank: the actor is trained by adapters of this rank.  sleep: the engine's weights and cache
    leave the accelerator while it trains.
    """

    actor: ModelSpec
    critic: ModelSpec | None
    reference: ModelSpec | None
    reward: ModelSpec | None
    rollout_tokens: int
    ppo_epochs: int = 1
    algorithm: Algorithm | None = None
    prompts: int | None = None
    responses_per_prompt: int | None = None
    mean_prompt_tokens: float | None = None
    mean_response_tokens: float | None = None
    max_response_tokens: int | None = None
    response_std_tokens: float | None = None
    generation: GenerationRequest = field(default_factory=GenerationRequest)
    placement: Placement | None = None
    staleness_steps: int = 0
    partial_rollouts: bool = False
    updates_per_step: int = 1
    micro_batch_tokens: int | None = None
    actor_lora_rank: int | None = None
    sleep: bool | None = None

    @property
    def split(self) -> bool:
        """Whether other accelerators generate than train: what working ahead needs, unless said otherwise."""
        return self.placement == "split" if self.placement else self.staleness_steps > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Real lengths of the samples, in tokens; ``Workload.sequence_length`` is the length of a row.

    mean_tokens, max_tokens, std_tokens: of one sample, None where not told.
    """

    kind: SequenceKind
    mean_tokens: float | None = None
    max_tokens: float | None = None
    std_tokens: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """How routed experts are run; None stands for what the stack does.

    capacity_factor: tokens that an expert takes at most, relative to an even share; beyond it they are
    dropped, and below it padded.  overlap: the exchange runs beside another micro-batch's compute.
    nodes_per_token: machines that the router sends a token to at most.  split_experts: tensor parallelism
    splits experts too where expert parallelism spreads them.
    """

    dispatcher: Dispatcher | None = None
    capacity_factor: float | None = None
    balance: Balance | None = None
    grouped_matmul: bool | None = None
    split_experts: bool | None = None
    overlap: bool | None = None
    nodes_per_token: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is to be trained, and how. None stands for "not asked".

    tokens: of the whole run.  samples: sequences of the whole run, set only where the question gave these.
    offload: what is kept in the host's memory, () for nothing.  dropout, recompute_blocks: shares, 0 to 1.
    sequence_length, decoder_sequence_length: tokens per sequence.  global_batch_size: sequences per optimizer
    step.  head_positions: tokens of a sequence that meet the vocabulary's head.
    """

    task: Task
    tokens: float
    sequence_length: int
    global_batch_size: int
    precision: ComputePrecision = "bf16"
    optimizer: Optimizer = "adamw"
    attention: Attention = "flash"
    activation_recompute: RecomputeChoice = "auto"
    samples: float | None = None
    decoder_sequence_length: int = 0
    offload: tuple[Offload, ...] = ()
    compile: bool = False
    overlap_communication: bool = True
    framework: Framework = "generic"
    master_weights: MasterWeights | None = None
    gradient_precision: StatePrecision | None = None
    optimizer_state_precision: StatePrecision | None = None
    optimizer_kernel: OptimizerKernel | None = None
    loss: Loss | None = None
    loss_precision: LossPrecision | None = None
    logits_kept: LogitsKept = "none"
    frozen_precision: FrozenPrecision | None = None
    quantized_head: bool | None = None
    lora_rank: int = 16
    lora_targets: tuple[str, ...] | None = None
    attention_kernel: AttentionKernel | None = None
    kernels: Kernels | None = None
    cuda_graphs: bool | None = None
    autocast: bool | None = None
    sequences: Sequences | None = None
    head_positions: int | None = None
    moe: Experts | None = None
    optimizer_in_backward: bool = False
    gradient_sync: GradientSync | None = None
    primary_weights: PrimaryWeights | None = None
    adapter_wrapping: AdapterWrapping | None = None
    k_bit_preparation: bool | None = None
    modules_to_save: tuple[str, ...] | None = None
    dropout: float | None = None
    recompute_modules: tuple[RecomputeModule, ...] | None = None
    recompute_blocks: float | None = None
    fp8_activation_input: bool = False
    objective: TrainingObjective | None = None
    expandable_segments: bool | None = None
    ppo: PpoWorkload | None = None

    @property
    def answers_per_sample(self) -> int:
        """Sequences that one sample of the batch runs as: a pair of answers for DPO and reward models.

        Source: TRL trainer/dpo_trainer.py (chosen and rejected are concatenated), trainer/reward_trainer.py.
        """
        paired = self.objective in ("dpo", "reward")
        return 2 if paired and self.task in ("full_finetuning", "lora", "qlora") else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The machines. nodes is None for ``"auto"``.

    internode_bytes_per_s: per node and direction.  usd_per_node_hour: None where no price is known.
    price_source, price_as_of: source and date of that price.
    instance_type, region, purchase: None for a cluster described by its accelerators.
    price_asked_as_of: the day whose prices were asked for, None for the latest known.
    sale: what is billed beside the price by the hour, and how sure the price is.
    host_memory_bytes, host_memory_bandwidth_bytes_per_s: of one node's CPUs as given, None where not.
    instance_host_memory_bytes: what the instance type has, None where not known.
    power_limit_watts: of one accelerator, None where it runs at its own.
    matmul_flops_per_s: what large 16-bit matrix products were measured at on one accelerator, None where not.
    fabric: kind of network between machines, None for the provider's own.
    """

    accelerator: AcceleratorSpec
    accelerators_per_node: int
    nodes: int | None
    internode_bytes_per_s: float
    usd_per_node_hour: float | None = None
    instance_type: str | None = None
    provider: str | None = None
    region: str | None = None
    purchase: Purchase | None = None
    price_source: str | None = None
    price_as_of: date | None = None
    price_asked_as_of: date | None = None
    mig_profile: MigProfileSpec | None = None
    sale: Sale = field(default_factory=Sale)
    host_memory_bytes: float | None = None
    host_memory_bandwidth_bytes_per_s: float | None = None
    power_limit_watts: float | None = None
    matmul_flops_per_s: float | None = None
    fabric: Fabric | None = None
    instance_host_memory_bytes: float | None = None

    @property
    def host_bytes(self) -> float | None:
        """Memory of one node's CPUs: as given, else the instance type's, else None."""
        return self.host_memory_bytes or self.instance_host_memory_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutRequest:
    """The part of a layout that was asked for; None where the engine derives or chooses."""

    tensor_parallel: int | None = None
    sequence_parallel: bool | None = None
    pipeline_parallel: int | None = None
    interleaved_stages: int | None = None
    context_parallel: int | None = None
    expert_parallel: int | None = None
    data_parallel: int | None = None
    sharding: Sharding | None = None
    sharding_group: int | None = None
    micro_batch_size: int | None = None
    gradient_accumulation: int | None = None
    activation_recompute: Recompute | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """One question to ``estimate``. A layout of which every field is None is ``"auto"``.

    deadline_days: with ``nodes: "auto"``, the fewest nodes that finish within it.
    budget_usd: what the run may cost.  today: the day of the question, for the age of its price (None: no
    price is called old).
    notes: warnings raised while the question was read (code, message), carried into the result.
    """

    model: ModelSpec
    workload: Workload
    cluster: Cluster
    layout: LayoutRequest = field(default_factory=LayoutRequest)
    id: Any = None
    deadline_days: float | None = None
    budget_usd: float | None = None
    today: date | None = None
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A complete layout: what ``Response.layout`` holds. Degrees multiply to the ranks."""

    tensor_parallel: int
    sequence_parallel: bool
    pipeline_parallel: int
    interleaved_stages: int
    context_parallel: int
    expert_parallel: int
    data_parallel: int
    sharding: Sharding
    sharding_group: int
    micro_batch_size: int
    gradient_accumulation: int
    activation_recompute: Recompute
