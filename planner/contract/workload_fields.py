"""The fields of ``workload``: the largest part of the contract, beside ``fields``."""

from __future__ import annotations

from planner.contract.field import Field, table
from planner.contract.memory_fields import MEMORY_FIELDS
from planner.contract.running_fields import RUNNING_FIELDS
from planner.engine.question import words

MAX_TOKENS = 1e18
MAX_LENGTH = 100_000_000
MAX_LORA_TARGETS = 100
ADAPTERS = ("lora", "qlora")
BY_FRAMEWORK = "By framework"
LENGTH_REMEDY = (
    "Give exactly one of: tokens; epochs with dataset_tokens; samples (one sample is one sequence)."
)


def _elsewhere() -> dict[str, str]:
    """What people call a task that the contract says by two fields, with those two."""
    found = {
        name: f'Write "task": "full_finetuning" (or lora, qlora) with "objective": "{name}".'
        for name in words.TRAINING_OBJECTIVES
    }
    found |= {
        name: f'Write "task": "ppo" with "ppo": {{"algorithm": "{name}"}}.'
        for name in words.ALGORITHMS
        if name != "ppo"
    }
    found |= dict.fromkeys(("rl", "rlhf", "rlvr"), "Write ppo, with its algorithm in ppo.algorithm.")
    found |= dict.fromkeys(("finetune", "finetuning", "fine_tuning", "full", "fft"), "Write full_finetuning.")
    found |= dict.fromkeys(("pretrain", "train", "training", "continued_pretraining"), "Write pretraining.")
    return found


OTHER_TASKS = _elsewhere()

WORKLOAD = table(
    "workload",
    Field(
        "task",
        "choice",
        "Task",
        "What is done to the weights: trained from scratch, all trained further, adapters trained on frozen "
        "weights (LoRA, QLoRA), or reinforcement learning.",
        choices=words.TASKS,
        foreseen=OTHER_TASKS,
        required=True,
        query="task",
    ),
    Field(
        "tokens",
        "number",
        "Training data",
        "How much the whole run trains on. The form reads 1T, 300B and 1,000,000 as well.",
        unit="tokens",
        maximum=MAX_TOKENS,
        remedy=LENGTH_REMEDY,
        query="tokens",
    ),
    Field(
        "epochs",
        "number",
        "Epochs",
        "How many times the run goes over the data.",
        maximum=1e9,
        query="epochs",
    ),
    Field(
        "dataset_tokens",
        "number",
        "Data set",
        "The size of the data that goes with epochs.",
        unit="tokens",
        maximum=MAX_TOKENS,
    ),
    Field(
        "samples",
        "number",
        "Samples",
        "In place of tokens, for images and encoders: one sample is one sequence.",
        maximum=MAX_TOKENS,
    ),
    Field(
        "sequence_length",
        "whole",
        "Sequence length",
        "Tokens in one sequence, prompt and answer together. Left empty, the form fills in the model's own "
        "length, at most 8,192; an image has as many as it has patches.",
        unit="tokens",
        maximum=MAX_LENGTH,
        required=True,
        query="seq",
    ),
    Field(
        "decoder_sequence_length",
        "whole",
        "Target length",
        "Tokens of the target, for encoder-decoders such as T5.",
        unit="tokens",
        maximum=MAX_LENGTH,
        otherwise="as long as the source",
        query="target",
    ),
    Field(
        "global_batch_size",
        "whole",
        "Global batch",
        "Sequences in one optimizer step, over all replicas together.",
        unit="sequences per step",
        maximum=MAX_LENGTH,
        required=True,
        query="batch",
    ),
    Field(
        "precision",
        "choice",
        "Precision",
        "What matrices are multiplied in. Chips without bf16 are planned in fp16 unless one is named.",
        choices=words.PRECISIONS,
        otherwise="bf16, or fp16 on old chips",
        query="precision",
    ),
    Field(
        "optimizer",
        "choice",
        "Optimizer",
        "It decides what is kept for each trained weight: AdamW two states, SGD one; in 8 bit a quarter.",
        choices=words.OPTIMIZERS,
        default="adamw",
        query="optimizer",
    ),
    Field(
        "attention",
        "choice",
        "Attention",
        "Flash keeps no table of sequence length squared; standard keeps one for each head.",
        choices=words.ATTENTIONS,
        default="flash",
        query="attention",
    ),
    Field(
        "activation_recompute",
        "choice",
        "Recompute",
        "Computing activations again in the backward pass costs time and saves memory. Automatic takes the "
        "least that fits.",
        choices=words.RECOMPUTE_CHOICES,
        default=words.AUTO,
        query="recompute",
    ),
    Field(
        "framework",
        "choice",
        "Framework",
        "The training stack, for what it keeps and how it communicates by default.",
        choices=words.FRAMEWORKS,
        default="generic",
        query="framework",
    ),
    Field(
        "compile",
        "flag",
        "torch.compile",
        "Kernels fused by the compiler: fewer passes over memory.",
        default=False,
        query="compile",
    ),
    Field(
        "overlap_communication",
        "flag",
        "Overlap",
        "Communication runs beside computation where the stack can.",
        default=True,
        query="overlap",
    ),
    Field(
        "master_weights",
        "choice",
        "Master weights",
        "Whether trained weights are kept in fp32: beside a working copy (Megatron-LM, DeepSpeed), alone and "
        "cast when gathered (FSDP), or not at all.",
        choices=words.MASTER_WEIGHTS,
        otherwise=BY_FRAMEWORK,
        query="master",
    ),
    Field(
        "gradient_precision",
        "choice",
        "Gradients",
        "What gradients are kept in.",
        choices=words.STATE_PRECISIONS,
        otherwise=BY_FRAMEWORK,
        query="gradients",
    ),
    Field(
        "optimizer_state_precision",
        "choice",
        "Optimizer states",
        "What the optimizer's states are kept in.",
        choices=words.STATE_PRECISIONS,
        otherwise="By optimizer",
        query="states",
    ),
    Field(
        "optimizer_kernel",
        "choice",
        "Optimizer kernel",
        "Fused updates in place; foreach keeps temporary copies during the step; paged spills to the host.",
        choices=words.OPTIMIZER_KERNELS,
        otherwise=BY_FRAMEWORK,
        query="kernel",
    ),
    Field(
        "loss",
        "choice",
        "Loss",
        "How the logits are held: whole with a copy in fp32, whole with a cross-entropy that torch.compile "
        "fuses (no copies), in chunks, or never whole (fused).",
        choices=words.LOSSES,
        otherwise=BY_FRAMEWORK,
        query="loss",
    ),
    Field(
        "loss_precision",
        "choice",
        "Loss precision",
        "What the cross-entropy is computed in: fp32, or the logits' own 16 bits, as trainers do that "
        "compute it themselves outside of autocast.",
        choices=words.LOSS_PRECISIONS,
        otherwise=BY_FRAMEWORK,
        query="lossprec",
    ),
    Field(
        "logits_kept",
        "choice",
        "Logits kept",
        "Whether the training loop still holds the model's output while the backward pass runs, as a "
        "variable outputs does: whole logits in 16 bits, or in fp32 where the model returns them so.",
        choices=words.LOGITS_KEPT,
        default="none",
        query="keptlogits",
    ),
    Field(
        "lora_rank",
        "whole",
        "LoRA rank",
        "The inner width of the adapters.",
        maximum=65_536,
        default=16,
        tasks=ADAPTERS,
        query="rank",
    ),
    Field(
        "lora_targets",
        "names",
        "LoRA layers",
        "The layers that get adapters, by their Hugging Face names, such as q_proj, v_proj; all-linear: all "
        "of the blocks.",
        maximum=MAX_LORA_TARGETS,
        otherwise="all linear",
        tasks=ADAPTERS,
        query="targets",
    ),
    Field(
        "frozen_precision",
        "choice",
        "Frozen weights",
        "What the base model's frozen weights are kept in; QLoRA takes nf4.",
        choices=words.FROZEN_PRECISIONS,
        otherwise="By task",
        tasks=ADAPTERS,
        query="frozen",
    ),
    Field(
        "quantized_head",
        "flag",
        "Quantised head",
        "Whether the frozen output layer is quantised as the blocks are.",
        otherwise="By task",
        tasks=ADAPTERS,
        query="qhead",
    ),
    *MEMORY_FIELDS,
    *RUNNING_FIELDS,
    Field(
        "ppo",
        "object",
        "PPO",
        "The models of reinforcement learning, and how much they generate.",
        tasks=("ppo",),
        remedy="Give actor, critic, reference, reward (null where there is none) and rollout_tokens.",
    ),
    hints={
        "batch_size": "Use global_batch_size, counted in sequences.",
        "micro_batch_size": "It belongs to the layout: layout.micro_batch_size.",
        "gradient_accumulation": "It belongs to the layout: layout.gradient_accumulation.",
        "sharding": "It belongs to the layout: layout.sharding.",
        "dtype": "Use precision.",
    },
)
