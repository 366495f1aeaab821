"""torchtitan: its trainer's configuration keys as command-line overrides, for pretraining."""

from __future__ import annotations

from planner.launch import reasons
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, Stack, flag, said
from planner.launch.torchrun import rendezvous, torchrun

#: Models that it registers, by family, hidden size and blocks, with their vocabulary: its name and flavour.
FLAVOURS = {
    ("llama", 4096, 32, 128_256): ("llama3", "8B"),
    ("llama", 8192, 80, 128_256): ("llama3", "70B"),
    ("llama", 16_384, 126, 128_256): ("llama3", "405B"),
    ("qwen3", 1024, 28, 151_936): ("qwen3", "0.6B"),
    ("qwen3", 2048, 28, 151_936): ("qwen3", "1.7B"),
    ("qwen3", 2560, 36, 151_936): ("qwen3", "4B"),
    ("qwen3", 4096, 36, 151_936): ("qwen3", "8B"),
    ("qwen3", 5120, 40, 151_936): ("qwen3", "14B"),
    ("qwen3", 5120, 64, 151_936): ("qwen3", "32B"),
    ("qwen3_moe", 2048, 48, 151_936): ("qwen3", "30B-A3B"),
    ("qwen3_moe", 4096, 94, 151_936): ("qwen3", "235B-A22B"),
    ("deepseek_v3", 7168, 61, 129_280): ("deepseek_v3", "671B"),
}


def _flavour(plan: LaunchPlan) -> tuple[str, str] | None:
    model = plan.model
    return FLAVOURS.get((model.family, model.hidden_size, model.layers, model.vocab_size))


def cannot(plan: LaunchPlan) -> list[str]:
    found = [
        *reasons.of_machine(plan, neuron=False),
        *reasons.of_task(plan, does=("pretraining",), by="torchtitan.train"),
    ]
    if found:
        return found
    return [
        *([] if _flavour(plan) else ["It registers no model of this shape."]),
        *reasons.of_sharding(plan, does=("none", "zero3"), groups=True),
        *reasons.of_recompute(plan, selective=("torchtitan",)),
        *reasons.of_precision(plan, does=("fp32", "bf16", "fp8")),
        *reasons.of_masters(plan, does=("only", "none")),
        *reasons.of_plain_states(plan),
        *reasons.of_optimizer(plan, does=("adamw",), kernels=("fused", "foreach")),
        *reasons.of_loss(plan, does=("whole",)),
        *reasons.of_offload(plan),
        *reasons.of_overlap(plan),
        *_of_layout(plan),
    ]


def _of_layout(plan: LaunchPlan) -> list[str]:
    layout, found = plan.layout, reasons.of_pipeline(plan)
    if layout.sharding == "none" and (plan.model_ranks > 1 or layout.expert_parallel > 1):
        found.append("Without sharding it has data parallelism alone.")
    if layout.sharding == "zero3" and layout.sharding_group % layout.context_parallel:
        found.append("Its sharding groups hold whole sequences.")
    if layout.tensor_parallel > 1 and not layout.sequence_parallel:
        found.append("Its tensor parallelism comes with sequence parallelism.")
    if plan.workload.attention != "flash":
        found.append("Its attention is PyTorch's fused one.")
    return found


def settings(plan: LaunchPlan) -> list[Setting]:
    name, flavour = _flavour(plan) or ("", "")
    return [
        *torchrun(plan),
        said("--model.name", name, "model family"),
        said("--model.flavor", flavour, "model size"),
        *_parallelism(plan),
        *_batch(plan),
        *_precision(plan),
        said("--optimizer.name", "AdamW", "optimizer"),
        said("--optimizer.implementation", plan.recipe.optimizer_kernel, "kernels of the optimizer's step"),
        *_recompute(plan),
        *([flag("--compile.enable", "torch.compile")] if plan.workload.compile else []),
    ]


def _parallelism(plan: LaunchPlan) -> list[Setting]:
    layout = plan.layout
    sharded = layout.sharding_group // layout.context_parallel if layout.sharding == "zero3" else 1
    found = [
        said(
            "--parallelism.data_parallel_replicate_degree",
            layout.data_parallel // sharded,
            "replicas that are not sharded",
        ),
        said("--parallelism.data_parallel_shard_degree", sharded, "data parallel degree, sharded as ZeRO-3"),
        said("--parallelism.tensor_parallel_degree", layout.tensor_parallel, "tensor parallel degree"),
        said("--parallelism.pipeline_parallel_degree", layout.pipeline_parallel, "pipeline stages"),
        said("--parallelism.context_parallel_degree", layout.context_parallel, "context parallel degree"),
    ]
    if layout.expert_parallel > 1:
        found += [
            said("--parallelism.expert_parallel_degree", layout.expert_parallel, "expert parallel degree"),
            said(
                "--parallelism.expert_tensor_parallel_degree",
                plan.expert_tensor_parallel,
                "tensor parallel degree of each expert",
            ),
        ]
    if layout.pipeline_parallel > 1:
        chunks = layout.pipeline_parallel * layout.interleaved_stages
        schedule = "Interleaved1F1B" if layout.interleaved_stages > 1 else "1F1B"
        found += [
            said("--parallelism.pipeline_parallel_schedule", schedule, "pipeline schedule"),
            said(
                "--parallelism.pipeline_parallel_layers_per_stage",
                plan.model.layers // chunks,
                "blocks a pipeline chunk",
            ),
            said("--parallelism.pipeline_parallel_first_stage_less_layers", 0, "fewer blocks on the first"),
            said("--parallelism.pipeline_parallel_last_stage_less_layers", 0, "fewer blocks on the last"),
            said(
                "--parallelism.pipeline_parallel_microbatch_size",
                layout.micro_batch_size,
                "micro-batch, sequences",
            ),
        ]
    return found


def _batch(plan: LaunchPlan) -> list[Setting]:
    layout, workload = plan.layout, plan.workload
    local, meaning = layout.micro_batch_size, "micro-batch, sequences"
    if layout.pipeline_parallel > 1:
        local *= layout.gradient_accumulation
        meaning = "batch of a replica, sequences, cut into the pipeline's micro-batches"
    return [
        said("--training.local_batch_size", local, meaning),
        said("--training.global_batch_size", workload.global_batch_size, "global batch, sequences"),
        said("--training.seq_len", workload.sequence_length, "sequence length, tokens"),
        said("--training.steps", plan.steps, "optimizer steps"),
    ]


def _precision(plan: LaunchPlan) -> list[Setting]:
    kept = "bfloat16" if plan.recipe.master_weights == "none" else "float32"
    computed = "float32" if plan.workload.precision == "fp32" else "bfloat16"
    found = [
        said("--training.dtype", kept, "weights and optimizer states as kept"),
        said("--training.mixed_precision_param", computed, "weights as used"),
    ]
    if plan.workload.precision == "fp8":
        found.append(said("--model.converters", "quantize.linear.float8", "fp8 matmuls"))
    return found


def _recompute(plan: LaunchPlan) -> list[Setting]:
    mode = plan.layout.activation_recompute
    found = [said("--activation_checkpoint.mode", mode, "activation recompute")]
    if mode == "selective":
        found.append(said("--activation_checkpoint.selective_ac_option", "op", "every second matmul is kept"))
    return found


def left_to_you(plan: LaunchPlan) -> list[str]:
    return [
        *rendezvous(plan),
        "data and tokenizer",
        "learning rate and its schedule",
        *(["fp8 recipe"] if plan.workload.precision == "fp8" else []),
        "checkpoints and logging",
    ]


STACK = Stack(
    slug="torchtitan",
    frameworks=("torchtitan",),
    reasons=cannot,
    program=lambda plan: "torchrun … -m torchtitan.train",
    settings=settings,
    left_to_you=left_to_you,
)
