"""verl: keys of its PPO trainer, with actor, critic and reference on the same GPUs.

Its FSDP workers keep fp32 weights alone and shard them; its Megatron workers keep master weights beside the
16-bit ones and shard the optimizer's states. Which of the two follows from the plan.
"""

from __future__ import annotations

from planner.launch import reasons
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, Stack, said

ACTOR, CRITIC = "actor_rollout_ref.actor", "critic"


def cannot(plan: LaunchPlan) -> list[str]:
    found = [
        *reasons.of_machine(plan, neuron=False),
        *reasons.of_task(plan, does=("ppo",), by="verl.trainer.main_ppo"),
    ]
    if found:
        return found
    return [
        *_of_models(plan),
        *reasons.of_precision(plan, does=("bf16",)),
        *reasons.of_optimizer(plan, does=("adamw",), kernels=("fused", "foreach")),
        *reasons.of_loss(plan, does=("whole",)),
        *reasons.of_offload(plan),
        *reasons.of_overlap(plan),
        *([] if plan.workload.attention == "flash" else ["It trains with flash attention."]),
        *(_of_megatron(plan) if by_megatron(plan) else _of_fsdp(plan)),
    ]


def by_megatron(plan: LaunchPlan) -> bool:
    """Whether its Megatron workers are meant."""
    framework = plan.workload.framework
    return framework == "megatron" or (framework != "fsdp" and plan.layout.sharding != "zero3")


def _of_models(plan: LaunchPlan) -> list[str]:
    ppo = plan.workload.ppo
    assert ppo is not None
    found = []
    if ppo.critic is None:
        found.append("Without a critic it compares responses to one prompt, of which the plan has no number.")
    if ppo.reference is not None and ppo.reference != ppo.actor:
        found.append("Its reference is the model that the actor starts from.")
    if ppo.reward is not None:
        found.append("A reward model of its own has a worker of its own, which is not written here.")
    if ppo.split or ppo.staleness_steps or ppo.partial_rollouts:
        found.append("Its trainer generates and trains in turn on the same GPUs.")
    if ppo.generation.engine == "static":
        found.append("It generates with an engine that batches continuously.")
    if (ppo.responses_per_prompt or 1) > 1 or (ppo.prompts or 0) not in (0, plan.workload.global_batch_size):
        found.append("Several answers to a prompt are not written here.")
    if ppo.actor_lora_rank is not None or ppo.micro_batch_tokens is not None:
        found.append("An actor of adapters, or micro-batches counted in tokens, are not written here.")
    if plan.workload.global_batch_size % ppo.updates_per_step:
        found.append("Its batch does not divide into the updates of a round.")
    if plan.workload.global_batch_size % (plan.layout.data_parallel * plan.layout.micro_batch_size):
        found.append("Its batch does not divide over the replicas.")
    return found


def _of_fsdp(plan: LaunchPlan) -> list[str]:
    return [
        *reasons.of_degrees(plan),
        *reasons.of_sharding(plan, does=("zero3",)),
        *reasons.of_recompute(plan),
        *reasons.of_masters(plan, does=("only",)),
        *reasons.of_plain_states(plan),
    ]


def _of_megatron(plan: LaunchPlan) -> list[str]:
    layout, found = plan.layout, reasons.of_pipeline(plan)
    if layout.tensor_parallel > 1 and not layout.sequence_parallel:
        found.append("Its tensor parallelism comes with sequence parallelism here.")
    if plan.workload.compile:
        found.append("Its Megatron workers have no setting for torch.compile.")
    return [
        *found,
        *reasons.of_sharding(plan, does=("none", "zero1")),
        *reasons.of_recompute(plan, selective=("megatron", "generic")),
        *reasons.of_masters(plan, does=("separate",)),
        *([] if plan.gradients_fp32 else ["Its Megatron workers add up gradients in fp32."]),
        *([] if plan.states == "fp32" else ["Its Megatron workers keep states in fp32."]),
    ]


def settings(plan: LaunchPlan) -> list[Setting]:
    workload, layout = plan.workload, plan.layout
    ppo = workload.ppo
    assert ppo is not None
    prompt = workload.sequence_length - ppo.rollout_tokens
    mini_batch = workload.global_batch_size // ppo.updates_per_step
    return [
        said("trainer.nnodes", plan.nodes, "nodes"),
        said("trainer.n_gpus_per_node", plan.processes_per_node, "processes a node, one a GPU"),
        said("trainer.total_training_steps", plan.steps, "rounds of generation and training"),
        said("algorithm.adv_estimator", "gae", "advantages: from a critic"),
        said("data.train_batch_size", workload.global_batch_size, "sequences of a round"),
        said("data.max_prompt_length", prompt, "prompt, tokens"),
        said("data.max_response_length", ppo.rollout_tokens, "generated, tokens"),
        said("actor_rollout_ref.rollout.n", 1, "responses to a prompt"),
        said(f"{ACTOR}.ppo_epochs", ppo.ppo_epochs, "passes over a round's sequences"),
        said(f"{ACTOR}.ppo_mini_batch_size", mini_batch, "sequences of an optimizer step"),
        said(f"{ACTOR}.ppo_micro_batch_size_per_gpu", layout.micro_batch_size, "micro-batch, sequences"),
        said(f"{ACTOR}.use_dynamic_bsz", False, "micro-batches are counted in sequences"),
        said(f"{ACTOR}.use_kl_loss", False, "distance from the reference in the loss"),
        said(
            "algorithm.use_kl_in_reward", ppo.reference is not None, "distance from the reference, rewarded"
        ),
        *_workers(plan, ACTOR),
        said(f"{CRITIC}.ppo_micro_batch_size_per_gpu", layout.micro_batch_size, "critic's micro-batch"),
        *_workers(plan, CRITIC),
    ]


def _workers(plan: LaunchPlan, role: str) -> list[Setting]:
    return _megatron(plan, role) if by_megatron(plan) else _fsdp(plan, role)


def _fsdp(plan: LaunchPlan, role: str) -> list[Setting]:
    actor = role == ACTOR
    group = f"{role}.fsdp_config" if actor else f"{role}.model.fsdp_config"
    model = "actor_rollout_ref.model" if actor else f"{role}.model"
    recompute = plan.layout.activation_recompute == "full"
    found = [
        said(f"{role}.strategy", "fsdp2", "workers: FSDP2"),
        said(f"{group}.fsdp_size", plan.processes, "ranks that share one model, ZeRO-3"),
        said(f"{group}.reshard_after_forward", True, "weights sharded between uses"),
        said(f"{group}.model_dtype", "fp32", "weights as kept"),
        said(f"{group}.param_offload", False, "no weights in host memory"),
        said(f"{group}.optimizer_offload", False, "no optimizer states in host memory"),
        said(f"{model}.enable_gradient_checkpointing", recompute, "full activation recompute"),
    ]
    if actor:
        found.append(said(f"{role}.use_torch_compile", plan.workload.compile, "torch.compile"))
    return found


def _megatron(plan: LaunchPlan, role: str) -> list[Setting]:
    layout, group = plan.layout, f"{role}.megatron"
    found = [
        said(f"{role}.strategy", "megatron", "workers: Megatron"),
        said(f"{group}.tensor_model_parallel_size", layout.tensor_parallel, "tensor parallel degree"),
        said(f"{group}.pipeline_model_parallel_size", layout.pipeline_parallel, "pipeline stages"),
        said(f"{group}.context_parallel_size", layout.context_parallel, "context parallel degree"),
        said(f"{group}.sequence_parallel", layout.sequence_parallel, "sequence parallel"),
        said(f"{group}.use_distributed_optimizer", layout.sharding == "zero1", "ZeRO-1"),
        said(f"{group}.param_offload", False, "no weights in host memory"),
        said(f"{group}.optimizer_offload", False, "no optimizer states in host memory"),
    ]
    if layout.interleaved_stages > 1:
        chunks = layout.interleaved_stages
        found.append(said(f"{group}.virtual_pipeline_model_parallel_size", chunks, "interleaved chunks"))
    if layout.expert_parallel > 1:
        found += [
            said(f"{group}.expert_model_parallel_size", layout.expert_parallel, "expert parallel degree"),
            said(
                f"{group}.expert_tensor_parallel_size",
                plan.expert_tensor_parallel,
                "tensor parallel degree of each expert",
            ),
        ]
    return [*found, *_recompute(plan, f"{group}.override_transformer_config")]


def _recompute(plan: LaunchPlan, group: str) -> list[Setting]:
    recompute = plan.layout.activation_recompute
    if recompute == "none":
        return []
    found = [said(f"{group}.recompute_granularity", recompute, "activation recompute")]
    if recompute == "full":
        return [
            *found,
            said(f"{group}.recompute_method", "uniform", "recompute: blocks in equal groups"),
            said(f"{group}.recompute_num_layers", 1, "blocks a recomputed group"),
        ]
    return [*found, said(f"{group}.recompute_modules", "[core_attn]", "recomputed: attention's core")]


def left_to_you(plan: LaunchPlan) -> list[str]:
    config = ["--config-name ppo_megatron_trainer"] if by_megatron(plan) else []
    return [
        *config,
        "actor_rollout_ref.model.path, critic.model.path, data and reward function",
        "rollout: engine (actor_rollout_ref.rollout.name), its tensor parallelism and memory",
        "micro-batches of the log-probabilities, learning rates",
        "checkpoints and logging",
    ]


STACK = Stack(
    slug="verl",
    frameworks=("fsdp", "megatron"),
    reasons=cannot,
    program=lambda plan: "python -m verl.trainer.main_ppo …, on a Ray cluster of the plan's nodes",
    settings=settings,
    left_to_you=left_to_you,
)
