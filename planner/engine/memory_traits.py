"""The traits of each plan's framework, looked up once for a whole grid.

``memory_constants.TRAITS`` says what they are and where they are from; this room turns the framework's
number into arrays and settles the two traits that a plan's own switches change.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.grid import Array, PlanGrid
from planner.engine.memory_constants import TRAIT_NAMES, TRAIT_TABLE

_ROW = {name: index for index, name in enumerate(TRAIT_NAMES)}


@dataclass(frozen=True, slots=True)
class Traits:
    """Flags, 0.0 or 1.0, shape (plans,).

    eager: elementwise steps keep their own tensors (plain PyTorch that is not compiled).
    plain_modules: the model is written in plain PyTorch, compiled or not.
    in_place_loss: the fused vocabulary-parallel cross-entropy of Megatron.
    """

    table: Array
    eager: Array
    plain_modules: Array
    in_place_loss: Array

    def __getitem__(self, name: str) -> Array:
        trait: Array = self.table[_ROW[name]]
        return trait


def traits_of(grid: PlanGrid) -> Traits:
    table = TRAIT_TABLE[:, grid.framework.astype(int)]
    pretrained, finetuned = table[_ROW["eager"]], table[_ROW["eager_finetuning"]]
    plain = pretrained + grid.finetuning * (finetuned - pretrained)
    return Traits(
        table=table,
        eager=plain * (1.0 - grid.compiled),
        plain_modules=plain,
        in_place_loss=table[_ROW["in_place_loss"]] * (1.0 - plain),
    )
