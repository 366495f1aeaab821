"""The fields of ``workload`` that a memory profile turns on most: offload, gradients, weights, recompute.

They stand apart from ``workload_fields`` for length alone; that table holds them all. Each is optional, and
what stands where it is left out follows from framework and task (``planner.engine.grid.recipe``).
"""

from __future__ import annotations

from planner.contract.field import Field
from planner.engine.question import words

BY_FRAMEWORK = "By framework"
BY_TASK = "By task"
ADAPTERS = ("lora", "qlora")
MAX_MODULES = 100

MEMORY_FIELDS: tuple[Field, ...] = (
    Field(
        "offload",
        "choices",
        "Offload",
        "What is kept in the host's memory: optimizer states (with the gradients that update them), "
        "parameters (gathered from there, and stepped there), activations; one of them or a list. Less on "
        "the accelerator, more over PCIe, and the host has to hold it.",
        choices=words.OFFLOADS,
        default=(),
        query="offload",
    ),
    Field(
        "expandable_segments",
        "flag",
        "Expandable segments",
        "PyTorch's allocator with PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True: freed blocks of any size "
        "serve again, so that little is reserved beside what is allocated.",
        otherwise=BY_FRAMEWORK,
        query="segments",
    ),
    Field(
        "optimizer_in_backward",
        "flag",
        "Optimizer in backward",
        "Steps each parameter as soon as its gradient is there, so that whole gradients are never held; "
        "needs one micro-batch a step.",
        default=False,
        query="in_backward",
    ),
    Field(
        "gradient_sync",
        "choice",
        "Gradient sync",
        "When gradients are reduced: after every micro-batch, or after the last one alone (no_sync), for "
        "which each rank holds whole gradients.",
        choices=words.GRADIENT_SYNCS,
        otherwise=BY_FRAMEWORK,
        query="sync",
    ),
    Field(
        "primary_weights",
        "choice",
        "Primary weights",
        "What the weights that the model computes with are kept and gathered in; fp8: in 8 bits.",
        choices=words.PRIMARY_WEIGHTS,
        otherwise="By precision and master weights",
        query="primary",
    ),
    Field(
        "adapter_wrapping",
        "choice",
        "Adapter wrapping",
        "How FSDP wraps adapters: in one flat parameter with the frozen base, whose gradient is then made "
        "as well, or apart.",
        choices=words.ADAPTER_WRAPPINGS,
        otherwise=BY_FRAMEWORK,
        tasks=ADAPTERS,
        query="wrapping",
    ),
    Field(
        "k_bit_preparation",
        "flag",
        "k-bit preparation",
        "PEFT's preparation of a quantised base: norms, tables and head in fp32, and with them the residual "
        "stream.",
        otherwise=BY_FRAMEWORK,
        tasks=ADAPTERS,
        query="kbit",
    ),
    Field(
        "modules_to_save",
        "names",
        "Modules to save",
        "Layers trained whole beside the adapters, such as embed_tokens, lm_head.",
        maximum=MAX_MODULES,
        otherwise="none",
        tasks=ADAPTERS,
        query="saved",
    ),
    Field(
        "dropout",
        "share",
        "Dropout",
        "Of hidden states and attention, or of the adapters' inputs; its masks are kept for backward.",
        otherwise="By model and task",
        query="dropout",
    ),
    Field(
        "recompute_modules",
        "names",
        "Recomputed modules",
        "With selective recompute: which parts of a block are computed again.",
        choices=words.RECOMPUTE_MODULES,
        maximum=len(words.RECOMPUTE_MODULES),
        otherwise=BY_FRAMEWORK,
        query="modules",
    ),
    Field(
        "recompute_blocks",
        "share",
        "Recomputed blocks",
        "With full recompute: the share of the blocks that is recomputed, 0 to 1.",
        otherwise="all",
        query="blocks",
    ),
    Field(
        "fp8_activation_input",
        "flag",
        "Activation's input in fp8",
        "Keeps what enters the MLP's non-linearity in 8 bits until the backward pass (Megatron's "
        "activation_func_fp8_input_store).",
        default=False,
        query="fp8input",
    ),
    Field(
        "objective",
        "choice",
        "Objective",
        "What fine-tuning optimises: the next token (SFT), preferences (DPO, KTO), a score (reward model) or "
        "masked tokens. DPO and reward models see two answers a sample, DPO and KTO a frozen reference.",
        choices=words.TRAINING_OBJECTIVES,
        otherwise=BY_TASK,
        query="aim",
    ),
)
