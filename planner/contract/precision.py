"""The one rule for the precision of a run: what stands in where none was named, and what a chip can do.

Reading a question, moving it to other machines and holding it against one's own hosts all ask here.
"""

from __future__ import annotations

from dataclasses import replace

from planner.contract.section import Problems
from planner.engine.question.request import Workload
from planner.engine.question.specs import AcceleratorSpec, ComputePrecision

ASSUMED_PRECISION = "assumed_precision"
STAND_IN_PRECISION = "stand_in_precision"
USUAL: ComputePrecision = "bf16"


def usual_precision(accelerator: AcceleratorSpec) -> ComputePrecision:
    """bf16, or fp16 on chips that lack it."""
    return stand_in(USUAL, accelerator) or USUAL


def stand_in(precision: ComputePrecision, accelerator: AcceleratorSpec) -> ComputePrecision | None:
    """fp16 for bf16 on chips that have only that: it takes the same bytes. None where nothing stands in."""
    lacks = unit_flops_per_s(accelerator, "bf16") <= 0 < unit_flops_per_s(accelerator, "fp16")
    return "fp16" if precision == "bf16" and lacks else None


def with_usual_precision(workload: Workload, accelerator: AcceleratorSpec, problems: Problems) -> Workload:
    """The workload as it is trained where no precision was named: bf16, or fp16 on chips that lack it."""
    usual = usual_precision(accelerator)
    if usual == workload.precision:
        return workload
    problems.note(
        ASSUMED_PRECISION,
        f"No precision was named, and {accelerator.name} has no {workload.precision}: {usual} is planned.",
    )
    return replace(workload, precision=usual)


def on_other_chip(
    workload: Workload, accelerator: AcceleratorSpec, problems: Problems, *, named: bool
) -> Workload:
    """The same run moved to another chip.

    named: a precision was named; it is kept where the chip has it or nothing stands in for it. Otherwise the
    run is planned as one that was asked of this chip in the first place.
    """
    if not named:
        return with_usual_precision(replace(workload, precision=USUAL), accelerator, problems)
    other = stand_in(workload.precision, accelerator)
    if other is None:
        return workload
    problems.note(
        STAND_IN_PRECISION,
        f"{accelerator.name} has no {workload.precision}: {other} is planned in its place.",
    )
    return replace(workload, precision=other)


def check_precision(
    workload: Workload, accelerator: AcceleratorSpec, problems: Problems, *, field: str = "workload.precision"
) -> None:
    """Note it where the chip has no unit for the precision."""
    if unit_flops_per_s(accelerator, workload.precision) > 0:
        return
    others: list[ComputePrecision] = ["bf16", "fp16", "tf32", "fp32"]
    usable = [precision for precision in others if unit_flops_per_s(accelerator, precision) > 0]
    problems.add(
        field,
        workload.precision,
        f"{accelerator.name} has no {workload.precision} unit.",
        f"Use {' or '.join(usable)}, or another accelerator.",
    )


def unit_flops_per_s(accelerator: AcceleratorSpec, precision: ComputePrecision) -> float:
    """Dense peak of one chip at a precision, FLOP/s; 0.0 where it has no such unit."""
    peak: float = getattr(accelerator, f"{precision}_flops_per_s")
    return peak
