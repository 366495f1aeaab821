"""NeuronX Distributed Training on Trainium: keys of its YAML configuration.

Its programs are the Llama and Mixtral ones of the ``hf`` model source. Master weights and fp32 gradients
exist there only with ZeRO-1.
"""

from __future__ import annotations

from planner.launch import reasons
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, Stack, said
from planner.launch.torchrun import rendezvous, torchrun

FAMILIES = ("llama",)


def cannot(plan: LaunchPlan) -> list[str]:
    found = [
        *reasons.of_machine(plan, neuron=True),
        *reasons.of_task(plan, does=("pretraining", "full_finetuning"), by="training_orchestrator.py"),
    ]
    if found:
        return found
    return [
        *([] if plan.model.family in FAMILIES else ["It has no model of this family here."]),
        *reasons.of_degrees(plan, only=("tensor_parallel", "pipeline_parallel", "context_parallel")),
        *reasons.of_sharding(plan, does=("none", "zero1")),
        *reasons.of_recompute(plan, selective=("neuron", "generic")),
        *reasons.of_precision(plan, does=("bf16", "fp32")),
        *reasons.of_optimizer(plan, does=("adamw",), kernels=("fused",)),
        *reasons.of_loss(plan, does=("whole",)),
        *reasons.of_offload(plan),
        *_of_layout(plan),
        *_of_states(plan),
    ]


def _of_layout(plan: LaunchPlan) -> list[str]:
    layout, found = plan.layout, reasons.of_pipeline(plan)
    kv, tensor = max(plan.model.kv_heads, 1), layout.tensor_parallel
    if tensor > kv and tensor % kv:
        found.append("Key and value heads do not repeat evenly over the tensor parallel ranks.")
    if plan.workload.compile:
        found.append("It compiles with its own compiler, not with torch.compile.")
    return found


def _of_states(plan: LaunchPlan) -> list[str]:
    if plan.workload.precision == "fp32":
        return reasons.of_plain_states(plan)
    sharded, found = plan.layout.sharding == "zero1", []
    if plan.recipe.master_weights == "only":
        found.append("It does not keep fp32 weights alone.")
    if plan.recipe.master_weights == "separate" and not sharded:
        found.append("It keeps fp32 master weights only with ZeRO-1.")
    if plan.gradients_fp32 and not sharded:
        found.append("It adds up gradients in fp32 only with ZeRO-1.")
    if plan.states != ("fp32" if plan.recipe.master_weights == "separate" else "bf16"):
        found.append("Its optimizer states have the precision of the weights that it steps.")
    return found


def settings(plan: LaunchPlan) -> list[Setting]:
    return [
        *torchrun(plan),
        said("model_source", "hf", "where the model's code is"),
        said("trainer.devices", plan.processes_per_node, "NeuronCores a node"),
        said("trainer.num_nodes", plan.nodes, "nodes"),
        said("trainer.max_steps", plan.steps, "optimizer steps"),
        *_layout(plan),
        said("data.micro_batch_size", plan.layout.micro_batch_size, "micro-batch, sequences"),
        said("data.global_batch_size", plan.workload.global_batch_size, "global batch, sequences"),
        *_task(plan),
        *_model(plan),
        *_precision(plan),
    ]


def _layout(plan: LaunchPlan) -> list[Setting]:
    layout, group = plan.layout, "distributed_strategy"
    copies = max(layout.tensor_parallel // max(plan.model.kv_heads, 1), 1)
    return [
        said(f"{group}.tensor_model_parallel_size", layout.tensor_parallel, "tensor parallel degree"),
        said(f"{group}.pipeline_model_parallel_size", layout.pipeline_parallel, "pipeline stages"),
        said(
            f"{group}.virtual_pipeline_model_parallel_size",
            layout.interleaved_stages,
            "chunks interleaved on a pipeline stage",
        ),
        said(f"{group}.context_parallel_size", layout.context_parallel, "context parallel degree"),
        said(f"{group}.sequence_parallel", layout.sequence_parallel, "sequence parallel"),
        said(f"{group}.zero1", layout.sharding == "zero1", "ZeRO-1: optimizer states sharded"),
        said(f"{group}.kv_replicator", copies, "copies of each key and value head"),
    ]


def _task(plan: LaunchPlan) -> list[Setting]:
    if plan.workload.task == "pretraining":
        return []
    return [
        said("data.seq_length", plan.workload.sequence_length, "sequence length of the data, tokens"),
        said("model.weight_init_only", True, "weights are loaded, optimizer states are not"),
        said("model_alignment_strategy.sft.packing", True, "samples packed to whole sequences"),
    ]


def _model(plan: LaunchPlan) -> list[Setting]:
    model, layout = plan.model, plan.layout
    flash = plan.workload.attention == "flash"
    found = [
        said("model.num_layers", model.layers, "blocks"),
        said("model.hidden_size", model.hidden_size, "hidden size"),
        said("model.encoder_seq_length", plan.workload.sequence_length, "sequence length, tokens"),
        said("model.qkv_linear", layout.tensor_parallel > max(model.kv_heads, 1), "repeated key heads"),
        said("model.fusions.flash_attention", flash and layout.context_parallel == 1, "flash attention"),
        said("model.fusions.ring_attention", layout.context_parallel > 1, "attention over context ranks"),
        said("model.optim.name", "adamw", "optimizer"),
    ]
    recompute = layout.activation_recompute
    if recompute != "none":
        found.append(said("model.activations_checkpoint_granularity", recompute, "activation recompute"))
    if recompute == "selective":
        found.append(
            said("model.activations_checkpoint_recompute", "[CoreAttention]", "recomputed: attention's core")
        )
    return found


def _precision(plan: LaunchPlan) -> list[Setting]:
    if plan.workload.precision == "fp32":
        return [said("precision.type", "fp32", "precision")]
    separate = plan.recipe.master_weights == "separate"
    return [
        said("precision.type", "manual", "precision, by the keys that follow"),
        said("precision.master_weights", separate, "fp32 master weights"),
        said("precision.fp32_grad_acc", plan.gradients_fp32, "gradients added up in fp32"),
        said("precision.xla_use_bf16", "0" if separate else "1", "all of it in bf16"),
        said("precision.xla_downcast_bf16", "1" if separate else "0", "bf16 weights, fp32 where asked for"),
        said("precision.neuron_rt_stochastic_rounding_en", "0" if separate else "1", "stochastic rounding"),
    ]


def left_to_you(plan: LaunchPlan) -> list[str]:
    tuned = plan.workload.task != "pretraining"
    return [
        *rendezvous(plan),
        "data.train_dir, and model.model_config: the model's config.json",
        *(["exp_manager.resume_from_checkpoint: the weights to start from"] if tuned else []),
        "learning rate and its schedule, rotary base, positions",
        "compiler flags and cache, checkpoints and logging",
    ]


STACK = Stack(
    slug="neuron",
    frameworks=("neuron",),
    reasons=cannot,
    program=lambda plan: "torchrun … training_orchestrator.py, with a YAML configuration",
    settings=settings,
    left_to_you=left_to_you,
)
