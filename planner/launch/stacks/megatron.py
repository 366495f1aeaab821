"""Megatron-LM: ``pretrain_gpt.py`` and its flags, for pretraining of decoders.

Flags of dataclass fields follow Megatron's own rule (underscores become hyphens, a true default is switched
off by another flag), or the name that the field's metadata gives.
"""

from __future__ import annotations

from planner.launch import reasons
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, Stack, flag, said
from planner.launch.stacks import megatron_model
from planner.launch.torchrun import rendezvous, torchrun

OPTIMIZERS = {"adamw": "adam", "sgd": "sgd"}


def cannot(plan: LaunchPlan) -> list[str]:
    found = [
        *reasons.of_machine(plan, neuron=False),
        *reasons.of_task(plan, does=("pretraining",), by="pretrain_gpt.py"),
    ]
    if found:
        return found
    return [
        *megatron_model.cannot(plan),
        *reasons.of_sharding(plan, does=("none", "zero1"), groups=True),
        *reasons.of_recompute(plan, selective=("megatron", "generic")),
        *reasons.of_precision(plan, does=("fp32", "bf16", "fp16", "fp8")),
        *reasons.of_masters(plan, does=("separate",)),
        *reasons.of_optimizer(plan, does=OPTIMIZERS, kernels=("fused",)),
        *reasons.of_loss(plan, does=("whole",)),
        *_of_layout(plan),
        *_of_states(plan),
    ]


def _of_layout(plan: LaunchPlan) -> list[str]:
    layout, found = plan.layout, reasons.of_pipeline(plan)
    if layout.context_parallel > 1 and plan.workload.sequence_length % (2 * layout.context_parallel):
        found.append("Its context parallelism halves each rank's share of the sequence once more.")
    if plan.model.experts and layout.tensor_parallel > 1 and not layout.sequence_parallel:
        found.append("It trains experts with tensor parallelism only with sequence parallelism.")
    if layout.sharding != "none" and layout.sharding_group % layout.context_parallel:
        found.append("Its optimizer instances hold whole replicas.")
    if plan.workload.compile:
        found.append("It has no flag for torch.compile.")
    return found


def _of_states(plan: LaunchPlan) -> list[str]:
    sharded, found = plan.layout.sharding != "none", []
    if plan.workload.precision != "fp32" and plan.states == "int8":
        found.append("It keeps no 8-bit optimizer states here.")
    if plan.workload.precision == "fp32" and (plan.states != "fp32" or not plan.gradients_fp32):
        found.append("Its fp32 training keeps gradients and states in fp32.")
    if _aware(plan) and (not sharded or plan.workload.optimizer != "adamw"):
        found.append("It offloads or narrows Adam's states only where they are sharded.")
    return found


def _aware(plan: LaunchPlan) -> bool:
    """Whether states are kept in other ways than in fp32 on the GPU."""
    return plan.states != "fp32" or "optimizer" in plan.workload.offload


def settings(plan: LaunchPlan) -> list[Setting]:
    return [
        *torchrun(plan),
        *_layout(plan),
        *_batch(plan),
        *megatron_model.settings(plan),
        *_precision(plan),
        *_states(plan),
        *_activations(plan),
    ]


def _layout(plan: LaunchPlan) -> list[Setting]:
    layout = plan.layout
    found = [
        said("--tensor-model-parallel-size", layout.tensor_parallel, "tensor parallel degree"),
        said("--pipeline-model-parallel-size", layout.pipeline_parallel, "pipeline stages"),
        said("--context-parallel-size", layout.context_parallel, "context parallel degree"),
    ]
    if layout.sequence_parallel and layout.tensor_parallel > 1:
        found.append(flag("--sequence-parallel", "sequence parallel, on the tensor parallel ranks"))
    if layout.interleaved_stages > 1:
        found.append(
            said(
                "--num-virtual-stages-per-pipeline-rank",
                layout.interleaved_stages,
                "chunks interleaved on a pipeline stage",
            )
        )
    if layout.expert_parallel > 1:
        found += [
            said("--expert-model-parallel-size", layout.expert_parallel, "expert parallel degree"),
            said(
                "--expert-tensor-parallel-size",
                plan.expert_tensor_parallel,
                "tensor parallel degree of each expert",
            ),
        ]
    return found


def _batch(plan: LaunchPlan) -> list[Setting]:
    workload = plan.workload
    return [
        said("--seq-length", workload.sequence_length, "sequence length, tokens"),
        said("--micro-batch-size", plan.layout.micro_batch_size, "micro-batch, sequences"),
        said("--global-batch-size", workload.global_batch_size, "global batch, sequences"),
        said("--train-iters", plan.steps, "optimizer steps"),
    ]


def _precision(plan: LaunchPlan) -> list[Setting]:
    precision = plan.workload.precision
    if precision == "fp32":
        return []
    if precision == "fp16":
        found = [flag("--fp16", "fp16 weights with fp32 master weights")]
    else:
        found = [flag("--bf16", "bf16 weights with fp32 master weights")]
    if precision == "fp8":
        found.append(said("--fp8-format", "hybrid", "fp8 matmuls: e4m3, gradients e5m2"))
    if plan.gradients_fp32:
        found.append(flag("--accumulate-allreduce-grads-in-fp32", "gradients in fp32"))
    elif precision != "fp16":
        found.append(flag("--grad-reduce-in-bf16", "gradients in bf16"))
    return found


def _states(plan: LaunchPlan) -> list[Setting]:
    layout, workload = plan.layout, plan.workload
    found = [said("--optimizer", OPTIMIZERS[workload.optimizer], "optimizer, with decoupled weight decay")]
    if layout.sharding == "zero1":
        found.append(flag("--use-distributed-optimizer", "ZeRO-1: optimizer states sharded"))
        copies = plan.sharing_ranks // layout.sharding_group
        if copies > 1:
            found.append(
                said("--num-distributed-optimizer-instances", copies, "groups that each hold all states")
            )
    if _aware(plan):
        found.append(flag("--use-precision-aware-optimizer", "states in other precisions or places"))
    if plan.states in ("bf16", "fp16"):
        found += [
            said("--exp-avg-dtype", plan.states, "Adam's first moment"),
            said("--exp-avg-sq-dtype", plan.states, "Adam's second moment"),
        ]
    if "optimizer" in workload.offload:
        found.append(flag("--optimizer-cpu-offload", "optimizer states in host memory"))
    if workload.overlap_communication and plan.sharing_ranks > 1:
        found.append(flag("--overlap-grad-reduce", "gradients reduced during the backward pass"))
        if layout.sharding == "zero1":
            found.append(flag("--overlap-param-gather", "weights gathered during the forward pass"))
    return found


def _activations(plan: LaunchPlan) -> list[Setting]:
    recompute = plan.layout.activation_recompute
    found = []
    if recompute != "none":
        found.append(said("--recompute-granularity", recompute, "activation recompute"))
    if recompute == "selective":
        found.append(said("--recompute-modules", "core_attn", "recomputed: the core of attention"))
    if recompute == "full":
        found += [
            said("--recompute-method", "uniform", "recompute: blocks in equal groups"),
            said("--recompute-num-layers", 1, "blocks a recomputed group"),
        ]
    backend = "flash" if plan.workload.attention == "flash" else "unfused"
    return [*found, said("--attention-backend", backend, "attention kernel")]


def left_to_you(plan: LaunchPlan) -> list[str]:
    return [
        *rendezvous(plan),
        "data and tokenizer, whose vocabulary must be the model's",
        "learning rate and its schedule, rotary base and scaling, initialisation",
        *(["router loss and its weight"] if plan.model.experts else []),
        *(["fp8 recipe"] if plan.workload.precision == "fp8" else []),
        "checkpoints and logging",
    ]


STACK = Stack(
    slug="megatron",
    frameworks=("megatron",),
    reasons=cannot,
    program=lambda plan: "torchrun … pretrain_gpt.py",
    settings=settings,
    left_to_you=left_to_you,
)
