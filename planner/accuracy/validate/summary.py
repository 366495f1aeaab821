"""The figures by which the engine is judged: errors by source, accelerator and kind, and the held-out
benchmark.

Errors are shares of the measured value, |predicted / measured - 1|; a mean is over published figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import expm1
from statistics import fmean, median
from typing import Any

from planner.accuracy.fit.held_out_memory import figure_name
from planner.accuracy.validate.coverage import Covered
from planner.accuracy.validate.predictions import GOLDEN_SOURCE, MEMORY_QUANTITIES, Prediction

NOMINAL_COVERAGE = 0.8
#: A class, chip or stack has a line of its own in the table of ranges from so many figures on.
ENOUGH_FIGURES = 20
#: A figure may worsen by this share of itself before ``make validate`` refuses it ...
TOLERANCE = 0.05
#: ... or by a tenth of a percentage point, below which it is rounding.
ROUNDING = 0.001
#: Coverage near its nominal value changes by a run or two at any change.
COVERAGE_ROUNDING = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A prediction with its held-out verdicts.

    covered_by_group, covered_by_source: whether the interval made without the run's group, or source, holds
    the measured value.
    """

    prediction: Prediction
    covered_by_group: bool | None
    covered_by_source: bool | None


def judged(found: Sequence[Prediction], time: Covered, memory: Covered) -> list[Judged]:
    """Each prediction with the verdict on its held-out interval, where there is one."""
    rows = []
    for each in found:
        pair: tuple[bool, bool] | None = None
        if each.quantity == "step time":
            pair = time.get(each.row_id)
        elif each.quantity in MEMORY_QUANTITIES:
            pair = memory.get(figure_name(each.row_id, each.quantity.removesuffix(" memory")))
        near, far = pair or (None, None)
        rows.append(Judged(prediction=each, covered_by_group=near, covered_by_source=far))
    return rows


def errors(residuals: Iterable[float | None]) -> list[float]:
    """Absolute errors as shares. residuals: log(predicted / measured), None where there is no fit."""
    return [abs(expm1(each)) for each in residuals if each is not None]


def mean_or_none(values: Sequence[float]) -> float | None:
    """The mean, rounded; None for no values."""
    return round(fmean(values), 4) if values else None


def share(values: Iterable[bool | None]) -> float | None:
    """Share of true values among the known ones; None for none."""
    known = [each for each in values if each is not None]
    return round(fmean(known), 4) if known else None


def error_row(name: str, rows: Sequence[Judged]) -> dict[str, Any]:
    """One line of an error table. median, largest: of the leave-one-group-out errors where there are any."""
    shipped = errors(row.prediction.residual for row in rows)
    by_group = errors(row.prediction.by_group for row in rows)
    by_source = errors(row.prediction.by_source for row in rows)
    unseen = by_group or shipped
    return {
        "name": name,
        "figures": len(rows),
        "shipped": mean_or_none(shipped),
        "by_group": mean_or_none(by_group),
        "by_source": mean_or_none(by_source),
        "median": round(median(unseen), 4),
        "largest": round(max(unseen), 4),
        "covered_by_group": share(row.covered_by_group for row in rows),
        "covered_by_source": share(row.covered_by_source for row in rows),
    }


def error_table(rows: Sequence[Judged], key: Callable[[Prediction], str]) -> list[dict[str, Any]]:
    """A line for each value of ``key``, in alphabetical order."""
    names = sorted({key(row.prediction) for row in rows})
    return [error_row(name, [row for row in rows if key(row.prediction) == name]) for name in names]


def range_row(name: str, rows: Sequence[Judged]) -> dict[str, Any]:
    """One line of the table of ranges. width: median of high over low, of the ranges as shipped."""
    widths = [
        row.prediction.high / row.prediction.low
        for row in rows
        if row.prediction.low is not None and row.prediction.high is not None
    ]
    return {
        "name": name,
        "figures": len(rows),
        "sources": len({row.prediction.source for row in rows}),
        "covered_by_group": share(row.covered_by_group for row in rows),
        "covered_by_source": share(row.covered_by_source for row in rows),
        "width": round(median(widths), 3) if widths else None,
    }


def range_table(rows: Sequence[Judged], what: str) -> list[dict[str, Any]]:
    """All rows of one quantity, then each class, chip and stack of enough figures. what: the quantity."""
    found = [range_row(what, rows)]
    keys: tuple[Callable[[Prediction], str], ...] = (
        lambda each: each.kind,
        lambda each: each.accelerator,
        lambda each: each.framework,
    )
    for key in keys:
        for name in sorted({key(row.prediction) for row in rows}):
            own = [row for row in rows if key(row.prediction) == name]
            if len(own) >= ENOUGH_FIGURES:
                found.append(range_row(f"{what}, {name}", own))
    return found


def summary(rows: Sequence[Judged], verdicts: dict[str, Any]) -> dict[str, Any]:
    """All tables of the report. verdicts: of ``planner.accuracy.fit.memory``."""
    steps = [row for row in rows if row.prediction.quantity == "step time" and row.prediction.fitted]
    memory = [row for row in rows if row.prediction.quantity in MEMORY_QUANTITIES and row.prediction.fitted]
    golden = [row for row in rows if row.prediction.source == GOLDEN_SOURCE]
    ppo = [row for row in rows if row.prediction.kind == "rlhf"]
    resident = [row for row in rows if row.prediction.quantity == "resident memory"]
    return {
        "step_time": error_row("step time", steps),
        "step_time_by_source": error_table(steps, lambda each: each.source),
        "step_time_by_accelerator": error_table(steps, lambda each: each.accelerator),
        "step_time_by_framework": error_table(steps, lambda each: each.framework),
        "golden": error_row("Korthikanti et al. 2022, table 5", golden),
        "memory": error_row("peak memory", memory),
        "memory_by_kind": error_table(memory, lambda each: each.quantity),
        "memory_by_source": error_table(memory, lambda each: each.source),
        "resident_memory": error_row("resident memory", resident),
        "ppo": error_table(ppo, lambda each: each.quantity),
        "ranges": [*range_table(steps, "step time"), *range_table(memory, "peak memory")],
        "verdicts": verdicts,
    }


def guarded(tables: dict[str, Any]) -> dict[str, float]:
    """Every recorded figure that must not get worse, by a descriptive name; lower is better."""
    found: dict[str, float] = {}
    for title, table in tables.items():
        if title == "verdicts":
            found["wrong verdicts"] = round(1.0 - table["right"], 4)
            continue
        if title == "ranges":
            continue
        for row in [table] if isinstance(table, dict) else table:
            name = title if isinstance(table, dict) else f"{title} / {row['name']}"
            for kind in ("shipped", "by_group", "by_source"):
                if row[kind] is not None:
                    found[f"{name}, {kind}"] = row[kind]
    for title in ("step_time", "memory"):
        for kind in ("covered_by_group", "covered_by_source"):
            found[f"{title}, {kind}: distance from 80 %"] = round(
                abs(tables[title][kind] - NOMINAL_COVERAGE), 4
            )
    return found


def worsened(recorded: dict[str, float], new: dict[str, float]) -> list[str]:
    """In words, each figure that grew beyond the tolerance."""
    found = []
    for name, before in recorded.items():
        after = new.get(name)
        if after is None:
            continue
        rounding = COVERAGE_ROUNDING if "covered" in name else ROUNDING
        if after > before * (1.0 + TOLERANCE) and after - before > rounding:
            found.append(f"{name}: {before:.2%} on record, {after:.2%} now")
    return found
