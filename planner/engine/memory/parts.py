"""What memory is made of: sub-terms by part and by how long they live in a step, and what each moment holds.

Names alone; the bytes are counted in the modules beside this one and put together in ``peak``.
"""

from __future__ import annotations

import numpy as np

MOMENTS = ("loss", "backward start", "backward end", "optimizer step")
LOSS, BACKWARD, BACKWARD_END, STEP = range(4)

#: Sub-terms by the part of ``per_accelerator_bytes`` they belong to; each part is the sum of its sub-terms.
PARTS: dict[str, tuple[str, ...]] = {
    "weights": ("trained_weights", "frozen_weights", "cast_weights"),
    "gradients": ("gradient_buffer", "gradient_copies", "gradient_placeholders"),
    "optimizer_states": ("master_weights", "optimizer_moments"),
    "activations": ("block_inputs", "attention_activations", "attention_scores", "ffn_activations"),
    "logits": ("logits_and_loss",),
    "temporary": (
        "recompute_working_set",
        "retained_inputs",
        "activation_gradients",
        "gathered_root",
        "gathered_blocks",
        "gathered_gradients",
        "dequantized_weights",
        "tied_gradient",
        "optimizer_step_copy",
    ),
    "framework": ("context", "communication_buffers", "allocator_reserve"),
}
#: The same sub-terms by how long they live within a step, in the order of the rows of the table below.
LIFETIMES: dict[str, tuple[str, ...]] = {
    "always": (
        "trained_weights",
        "frozen_weights",
        "gradient_copies",
        "gradient_placeholders",
        "master_weights",
        "optimizer_moments",
    ),
    "gradients": ("gradient_buffer",),
    "casts": ("cast_weights",),
    "activations": PARTS["activations"],
    "logits": ("logits_and_loss",),
    "graph": ("gathered_root", "dequantized_weights"),
    "backward": (
        "recompute_working_set",
        "retained_inputs",
        "activation_gradients",
        "gathered_blocks",
        "gathered_gradients",
    ),
    "tied": ("tied_gradient",),
    "step": ("optimizer_step_copy",),
}
ROWS = tuple(name for names in LIFETIMES.values() for name in names)
#: Numbers behind the bytes, for the explanation: rows of the table below the sub-terms.
DETAILS = (
    "trained_parameters",
    "stage_blocks",
    "batches_in_flight",
    "logits_on_rank",
    "bytes_per_logit",
    "moments_held",
    "weight_shards",
    "gradient_shards",
    "state_shards",
    "host_bytes_of_rank",
)
ROW = {name: index for index, name in enumerate((*ROWS, *DETAILS))}
SPAN = {life: slice(ROW[names[0]], ROW[names[-1]] + 1) for life, names in LIFETIMES.items()}
#: What is alive at each moment; the end of the backward pass has one block's activations left.
ALIVE_AT: tuple[tuple[str, ...], ...] = (
    ("always", "gradients", "casts", "activations", "logits", "graph"),
    ("always", "gradients", "casts", "activations", "graph", "backward"),
    ("always", "gradients", "activations", "graph", "backward", "tied"),
    ("always", "gradients", "step"),
)
#: The same as ones and zeros, shape (sub-terms, moments).
ALIVE = np.array(
    [[float(life in alive) for alive in ALIVE_AT] for life, names in LIFETIMES.items() for _ in names]
)
