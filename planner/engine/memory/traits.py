"""The traits of each plan's framework, looked up once for a whole grid.

``constants.TRAITS`` says what they are and gives their sources. Here the framework's number is turned into
arrays, and the traits that also depend on task, compilation or precision are settled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import DEEPSPEED, ZERO_3, Array, PlanGrid
from planner.engine.grid.scalars import entries, larger, where
from planner.engine.memory.constants import TRAIT_NAMES, TRAIT_TABLE

#: Bytes of an fp32 weight.
FP32_BYTES = 4.0
_ROW = {name: index for index, name in enumerate(TRAIT_NAMES)}


@dataclass(frozen=True, slots=True)
class Traits:
    """Flags, 0.0 or 1.0, shape (plans,).

    modules: the model is written in PyTorch modules.  plain: and none of them is fused.  eager: plain and
    not compiled.
    repeated_heads: eager attention through scaled_dot_product_attention.  in_place_loss: cross-entropy that
    reuses its buffers.  compiled_loss: cross-entropy fused by torch.compile.  narrow_loss: loss in 16 bits
    throughout, as in fp16 fine-tuning without autocast, or as it was asked for.  widened: norms, tables and
    residual stream of a quantised base in fp32.
    """

    table: Array
    modules: Array
    plain: Array
    eager: Array
    repeated_heads: Array
    in_place_loss: Array
    compiled_loss: Array
    narrow_loss: Array
    widened: Array

    def __getitem__(self, name: str) -> Array:
        trait: Array = self.table[_ROW[name]]
        return trait


def traits_of(grid: PlanGrid) -> Traits:
    """The traits of each plan's framework and task. Source: ``TRAITS``, which names one for each."""
    table = entries(TRAIT_TABLE, grid.framework)

    def of_task(name: str) -> Array:
        pretraining, finetuning = table[_ROW[name]], table[_ROW[f"{name}_finetuning"]]
        trait: Array = pretraining + grid.finetuning * (finetuning - pretraining)
        return trait

    # DeepSpeed's own models (Megatron-DeepSpeed) are split; what it trains unsplit is plain modules.
    unsplit = (grid.framework == DEEPSPEED) & (grid.tensor_parallel == 1) & (grid.pipeline_parallel == 1)
    modules = larger(of_task("plain"), unsplit)
    # Kernels that are named win over what the stack usually runs.
    plain = where(grid.kernels_named > 0, 1.0 - grid.kernels_fused, modules)
    eager = plain * (1.0 - grid.compiled)
    return Traits(
        table=table,
        modules=modules,
        plain=plain,
        eager=eager,
        repeated_heads=table[_ROW["repeated_heads"]] * eager,
        # Megatron's cross-entropy is its own, whatever runs between the matrix products.
        in_place_loss=where(
            (grid.kernels_named > 0) & (modules > 0),
            grid.kernels_fused,
            of_task("in_place_loss") * (1.0 - unsplit),
        ),
        compiled_loss=grid.loss_compiled,
        # Models of transformers widen their logits whatever trains them (loss/loss_utils.py); those of fp16
        # weights that bring their own code do not. fp32 weights mean autocast, under which the loss is fp32.
        narrow_loss=where(
            grid.loss_bytes > 0,
            np.multiply(grid.loss_bytes < FP32_BYTES, 1.0),
            grid.finetuning * grid.fp16 * larger(grid.frozen, 1.0 * (grid.weight_bytes < FP32_BYTES)),
        ),
        # A sharded base is gathered in 16 bits whatever PEFT prepared (measured: equal peaks under FSDP).
        widened=grid.k_bit * (grid.sharding < ZERO_3),
    )
