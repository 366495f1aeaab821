"""How sure: 80 % prediction intervals from runs that the fit had not seen, wider far from any run.

Those of time are quantiles of log(measured / predicted) with the run's whole source left out of the fit, by
class of run and in units of a scale: how much wider errors are on this kind of chip, for this kind of
model, and with so many inputs left unsaid. Those of memory are of
sources left out as well, by counter: what torch has allocated, what it has reserved, what nvidia-smi shows.
Split-conformal in spirit
(Lei et al. 2018): no shape of the error is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import ARCHITECTURES, FRAMEWORKS, Array, PlanGrid
from planner.engine.run.money import NINE_TENTHS

#: Each thing that lies outside what was measured multiplies the width (in the logarithm) of a range of time
#: by this factor, from the first on, and of memory beyond the first. Our own choice, held against the
#: errors on sources of a chip that no other source has: 1.6 times those of the rest at their 80 % point.
WIDENING = 1.3
#: ... and each input that matters and was left to a default, by this one. Our own choice: rows of measured
#: runs that say more are of newer stacks, so that the runs themselves do not tell (on sources left out, 1.0
#: and 1.05 score alike, 1.08 worse). One that is given where most leave it out, such as the measured rate of
#: matrix products, narrows the range by as much.
UNSAID = 1.05
#: Start of the text that says that no chip of the plan's kind was measured.
UNKNOWN_CHIP = "unknown chip:"
#: ... and that say so of the model's blocks.
UNKNOWN_BLOCKS = "unknown blocks:"
#: Half width of its range of time, in the log. Published dense pretraining reaches 30 to 60 % of peak from
#: one vendor's chips to another's (21 to 46 %: Chowdhery et al. 2022, table 3; up to 60 %: vendors' own
#: reports), so a factor of 1.6 either way. Our judgement, not a measured quantile.
UNKNOWN_CHIP_SPREAD = 0.47
#: Start of the text that says that a card of the question's own stands in for one that was measured.
OWN_CARD = "own card:"
#: Half width of its range of time, in the log: what cards of one architecture differ by in their share of
#: peak, such as the SXM and PCIe forms of the A100 and H100. Our judgement, not a measured quantile.
OWN_CARD_SPREAD = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Low and high of log(measured / predicted) that hold 80 % of the unseen runs."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """The quantiles of both kinds of plan, by quantity (``time``, ``memory``) and class.

    near: plans of a combination that was measured.  far: plans of one that was not.  Those of time are the
    same in both, in units of the scale. scales: by trait (``architecture``, ``kind``) and its value, how
    much wider errors of time are. seen: what the measured runs cover: sets of combinations and the largest
    count of ranks.
    """

    near: Mapping[str, Quantiles]
    far: Mapping[str, Quantiles]
    scales: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Intervals:
        """From ``{"near": {...}, "far": {...}, "seen": {...}}`` as the calibration file holds it."""

        def table(name: str) -> dict[str, Quantiles]:
            return {key: Quantiles(low=pair[0], high=pair[1]) for key, pair in values[name].items()}

        return cls(
            near=table("near"), far=table("far"), scales=values.get("scales", {}), seen=values.get("seen", {})
        )


def model_kind(grid: PlanGrid, row: int = 0) -> str:
    """Kind of the model of plan ``row``, as measured runs are grouped."""
    if _at(grid.moe_blocks, row):
        return "mixture of experts"
    if _at(grid.decoder_blocks, row):
        return "encoder-decoder"
    if _at(grid.vision, row):
        return "vision"
    return "encoder" if _at(grid.encoder, row) else "decoder"


def precision_kind(grid: PlanGrid, row: int = 0) -> str:
    """Precision class of plan ``row``, as measured runs are grouped."""
    if _at(grid.fp8, row):
        return "fp8"
    return "fp32" if _at(grid.full_precision, row) else "16-bit"


def task_kind(grid: PlanGrid, row: int = 0) -> str:
    """Task class of plan ``row``, as measured runs are grouped."""
    if _at(grid.frozen, row):
        return "qlora" if _at(grid.quantized, row) else "lora"
    return "finetuning" if _at(grid.finetuning, row) else "pretraining"


def run_class(grid: PlanGrid, row: int = 0) -> str:
    """Class of plan ``row`` by which ranges of time are told: encoders, fine-tuning, pretraining."""
    if _at(grid.encoder, row) or _at(grid.vision, row):
        return "encoder"
    return "finetuning" if _at(grid.finetuning, row) else "pretraining"


def traits_of(grid: PlanGrid, row: int = 0) -> dict[str, str]:
    """What of plan ``row`` decides the scale of its errors, by the names of ``Intervals.scales``."""
    return {
        "architecture": ARCHITECTURES[int(_at(grid.architecture, row))],
        "kind": "mixture" if _at(grid.moe_blocks, row) else "dense",
    }


def time_scale(grid: PlanGrid, intervals: Intervals, row: int = 0) -> float:
    """How much wider than usual the error of plan ``row``'s time is, a ratio; 1 for a trait that is not
    known.

    Each input that matters and was left to a default widens it by UNSAID.
    Source: errors on sources left out, by trait (``planner.accuracy.fit.ranges``).
    """
    scales = intervals.scales
    known: float = math.prod(
        scales.get(trait, {}).get(value, 1.0) for trait, value in traits_of(grid, row).items()
    )
    return known * float(UNSAID ** _at(left_unsaid(grid), row))


def left_unsaid(grid: PlanGrid) -> Array:
    """Inputs that matter and were left to defaults, of the run and of its machines, a count, shape (plans,)
    or ().  Source: ``planner.engine.grid.running``.
    """
    total: Array = grid.unsaid_inputs + grid.unsaid_of_machine
    return total


def what_is_far(grid: PlanGrid, intervals: Intervals, row: int = 0) -> tuple[str, ...]:
    """What of plan ``row`` lies outside everything that was measured, in words; empty when nothing does."""
    seen = intervals.seen
    architecture = ARCHITECTURES[int(_at(grid.architecture, row))]
    framework = FRAMEWORKS[int(_at(grid.framework, row))]
    precision, kind = precision_kind(grid, row), model_kind(grid, row)
    ranks = float(_at(grid.ranks, row))
    far = []
    if architecture == "other":
        far.append(
            f"{UNKNOWN_CHIP} no run on this kind was measured, so it gets the mean of the measured kinds"
        )
    elif architecture not in seen.get("architectures", ()):
        far.append(f"accelerator: no measured run on {architecture}")
    elif f"{architecture}/{precision}" not in seen.get("precisions", ()):
        far.append(f"precision: no measured {precision} run on {architecture}")
    if _at(grid.own_chip, row) and architecture != "other":
        far.append(f"{OWN_CARD} no run on it was measured, only on the kind that it is said to be like")
    if _at(grid.state_flops, row):
        far.append(f"{UNKNOWN_BLOCKS} no run was measured with state-space or linear-attention blocks")
    if kind not in seen.get("kinds", ()):
        far.append(f"model kind: no measured {kind} run")
    if framework not in seen.get("frameworks", ()):
        far.append(f"framework: no measured run with {framework}")
    largest = float(seen.get("largest_ranks", {}).get(architecture, 0.0))
    if largest and ranks > 2.0 * largest:
        far.append(
            f"scale: {ranks:,.0f} ranks; the largest measured run on {architecture} has {largest:,.0f}"
        )
    longest = float(seen.get("longest_sequence", 0.0))
    if longest and float(_at(grid.sequence_length, row)) > 2.0 * longest:
        far.append(f"sequence: longer than twice the longest measured ({longest:,.0f} tokens)")
    if _at(grid.offload, row) and not seen.get("offload"):
        far.append("offload: no measured run keeps its optimizer on the host")
    return tuple(far)


def spread(
    quantity: str, intervals: Intervals, far: tuple[str, ...], key: str = "", scale: float = 1.0
) -> tuple[float, float]:
    """(low, high) of log(measured / predicted) that should hold four measured values in five.

    quantity: ``time`` or ``memory``; key: a narrower class with quantiles of its own (``time/encoder``).
    scale: as ``time_scale`` gives it.
    Source: errors on runs left out of the fit, as a ratio in the log, wider for each far thing.
    """
    table = intervals.far if far else intervals.near
    quantiles = table.get(f"{quantity}/{key}") or table[quantity]
    things = len(far) if quantity == "time" else max(len(far) - 1, 0)
    wider = scale * WIDENING**things
    low, high = quantiles.low * wider, quantiles.high * wider
    if quantity == "time" and any(words.startswith((UNKNOWN_CHIP, UNKNOWN_BLOCKS)) for words in far):
        low, high = min(low, -UNKNOWN_CHIP_SPREAD), max(high, UNKNOWN_CHIP_SPREAD)
    elif quantity == "time" and any(words.startswith(OWN_CARD) for words in far):
        low, high = min(low, -OWN_CARD_SPREAD), max(high, OWN_CARD_SPREAD)
    return low, high


def bounds(
    point: float,
    quantity: str,
    intervals: Intervals,
    far: tuple[str, ...],
    key: str = "",
    scale: float = 1.0,
) -> tuple[float, float]:
    """(low, high) around ``point`` (seconds or bytes) that should hold the measured value four times in five.

    quantity, key, scale: as in ``spread``.
    """
    low, high = spread(quantity, intervals, far, key, scale)
    return float(point * np.exp(low)), float(point * np.exp(high))


def chance_within(point: float, limit: float, ends: tuple[float, float]) -> float:
    """The chance, a ratio from 0 to 1, that the measured value stays within ``limit``.

    point, limit: in one unit, bytes for instance.  ends: logarithms as ``spread`` gives them, taken as the
    10 % and 90 % points of a normal distribution whose two halves have widths of their own (Wallis 2014, "The
    two-piece normal"). So it is 0.9 where the limit is the upper end of the 80 % interval.
    """
    if limit <= 0.0:
        return 0.0
    distance = math.log(limit / point)
    low, high = ends
    width = (high if distance >= 0.0 else -low) / NINE_TENTHS
    return 0.5 * (1.0 + math.erf(distance / (width * math.sqrt(2.0))))


def _at(values: Array, row: int) -> float:
    return float(values[row]) if values.ndim else float(values)
