"""Fit the constants of reinforcement learning to the phases of published runs: ``make calibrate-rollout``.

The training constants are taken as they are: a round's models are computed once, and only what a round adds
to training is fitted. Each source counts the same, however many runs it has; each figure of a run (a phase,
or the step where no phases are published) is a residual in the logarithm. Errors are told on sources that
the fit did not see.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from planner.accuracy.calibration import DATA_DIRECTORY, ROLLOUT_FILE, shipped_calibration
from planner.accuracy.fit.ranges import class_quantiles
from planner.accuracy.runs import FURTHER, MEASURED, QUALITY_WEIGHT, Run, read_runs
from planner.engine.choose.layout import one_row
from planner.engine.grid.plan_grid import Array
from planner.engine.rl.ppo import PARTS, Models, evaluate_round, models_of
from planner.engine.rl.rollout import range_scale
from planner.engine.run.length import total_steps
from planner.engine.sure.calibration import Calibration
from planner.engine.time.rollout_constants import RolloutConstants

PRIORS_FILE = DATA_DIRECTORY / "rollout_priors.csv"
#: Residual (in log) up to which a figure counts quadratically: what stacks of one kind differ by.
NOISE = 0.15
DERIVATIVE_STEP = 1e-3
PHASES = ("generation", "scoring", "training")


@dataclass(frozen=True, slots=True)
class Prior:
    """One constant and what is known of it before the fit. spread: of its logarithm (1 sigma)."""

    name: str
    value: float
    spread: float
    low: float
    high: float


def read_priors() -> list[Prior]:
    """The constants with their priors, from PRIORS_FILE."""
    with PRIORS_FILE.open(encoding="utf-8", newline="") as file:
        return [
            Prior(row["constant"], *(float(row[name]) for name in ("value", "spread", "low", "high")))
            for row in csv.DictReader(file)
        ]


PRIORS = read_priors()
START = np.log([prior.value for prior in PRIORS])
SPREAD = np.array([prior.spread for prior in PRIORS])
LOW, HIGH = np.log([prior.low for prior in PRIORS]), np.log([prior.high for prior in PRIORS])


@dataclass(frozen=True, slots=True)
class Round:
    """One measured round: its models, computed, and its published seconds by phase."""

    run: Run
    models: Models
    published: dict[str, float]


def published_seconds(run: Run) -> dict[str, float]:
    """Published seconds of a round: phases where there are any, and the step or the run over its steps."""
    measured = run.measured
    found = {name: float(measured[f"{name}_s"]) for name in PHASES if measured.get(f"{name}_s")}
    if run.step_s is not None:
        found["step"] = run.step_s
    elif measured.get("total_s"):
        found["step"] = float(measured["total_s"]) / total_steps(run.choice.request)
    return found


Residuals = list[tuple[Round, str, float]]
"""Of each figure: its round, its name, and log(predicted / measured)."""


def rounds_of(runs: Sequence[Run], calibration: Calibration) -> list[Round]:
    """The runs of reinforcement learning that publish a time."""
    return [
        Round(run, models_of(run.choice.request, one_row(run.choice.layout), calibration), published)
        for run in runs
        if run.request.workload.ppo is not None and (published := published_seconds(run))
    ]


def predicted_seconds(each: Round, calibration: Calibration) -> dict[str, float]:
    """Seconds of the phases as sources count them: an engine's new weights and waking go with generation."""
    step = evaluate_round(each.run.choice.request, each.models, calibration).step
    terms = step.terms
    training = sum(float(np.max(getattr(step, name))) for name in PARTS)
    generation, moved, waiting, scoring = (
        float(np.max(terms[name])) for name in ("generation", "weight_synchronization", "waiting", "scoring")
    )
    return {
        "generation": generation + moved + waiting,
        "scoring": scoring,
        "training": training,
        "step": float(np.max(step.step)),
    }


def constants_of(logarithms: Array) -> RolloutConstants:
    """The constants from their logarithms, shape (constants,)."""
    return RolloutConstants.from_mapping(
        {prior.name: float(np.exp(value)) for prior, value in zip(PRIORS, logarithms, strict=True)}
    )


def residuals(logarithms: Array, rounds: Sequence[Round], calibration: Calibration) -> Residuals:
    """(round, figure, log(predicted / measured)) of every published figure."""
    now = replace(calibration, rollout=constants_of(logarithms))
    found = []
    for each in rounds:
        ours = predicted_seconds(each, now)
        found += [
            (each, name, float(np.log(ours[name] / seconds))) for name, seconds in each.published.items()
        ]
    return found


def figure_weights(rounds: Sequence[Round]) -> Array:
    """Weight of each figure, in the order of ``residuals``: a source has as much as any other, within it each
    group, and within a group each run by its quality.
    """
    groups: dict[str, dict[str, float]] = {}
    for each in rounds:
        of_source = groups.setdefault(each.run.source, {})
        of_source[each.run.group] = of_source.get(each.run.group, 0.0) + QUALITY_WEIGHT[each.run.quality]
    best = {
        source: max(QUALITY_WEIGHT[each.run.quality] for each in rounds if each.run.source == source)
        for source in groups
    }
    weights = []
    for each in rounds:
        of_source = groups[each.run.source]
        own = QUALITY_WEIGHT[each.run.quality] / of_source[each.run.group] / len(of_source)
        weights += [best[each.run.source] * own / len(each.published)] * len(each.published)
    return np.array(weights)


#: How many figures' worth a source of good quality has beside the priors: its figures are near-duplicates.
FIGURES_OF_A_SOURCE = 8.0


def fit(rounds: Sequence[Round], calibration: Calibration, start: Array = START) -> Array:
    """Logarithms of the constants that explain the rounds best, held by the priors, shape (constants,)."""
    weight = np.sqrt(FIGURES_OF_A_SOURCE * figure_weights(rounds))

    def cost(logarithms: Array) -> Array:
        errors = np.array([error for _, _, error in residuals(logarithms, rounds, calibration)])
        robust = np.sign(errors) * np.sqrt(2.0 * (np.sqrt(1.0 + (errors / NOISE) ** 2) - 1.0))
        return np.concatenate([weight * robust, (logarithms - START) / SPREAD])

    solved = least_squares(
        cost, start, bounds=(LOW, HIGH), diff_step=DERIVATIVE_STEP, x_scale=SPREAD, max_nfev=12, ftol=1e-3
    )
    return np.asarray(solved.x)


def left_out(rounds: Sequence[Round], calibration: Calibration, start: Array) -> Residuals:
    """Residuals of every figure with its source left out of the fit: true refits, from ``start`` on."""
    found = []
    for source in sources_of(rounds):
        others = [each for each in rounds if each.run.source != source]
        own = [each for each in rounds if each.run.source == source]
        found += residuals(fit(others, calibration, start), own, calibration)
    return found


def sources_of(rounds: Sequence[Round]) -> list[str]:
    """The sources, in order."""
    return list(dict.fromkeys(each.run.source for each in rounds))


def interval_of(unseen: Residuals) -> tuple[float, float]:
    """(low, high) of log(measured / predicted) of a step over its scale, to hold four in five steps of an
    unseen source, made as the ranges of training are (``ranges.class_quantiles``): each source counts the
    same.

    unseen: residuals of sources left out.
    """
    steps = [
        (each.run.source, -error / range_scale(each.run.request.workload))
        for each, name, error in unseen
        if name == "step"
    ]
    low, high = class_quantiles(
        np.array([error for _, error in steps]), np.array([source for source, _ in steps])
    )
    return float(low), float(high)


def nested_coverage(unseen: Residuals) -> dict[str, float]:
    """Share of the steps of each source that the interval of the other sources holds."""
    found = {}
    for source in dict.fromkeys(each.run.source for each, _, _ in unseen):
        low, high = interval_of([item for item in unseen if item[0].run.source != source])
        own = [
            error / range_scale(each.run.request.workload)
            for each, name, error in unseen
            if each.run.source == source and name == "step"
        ]
        found[source] = round(float(np.mean([low <= -error <= high for error in own])), 3)
    return found


def balanced(found: Residuals) -> dict[str, float]:
    """Mean absolute error, as a share, by figure: mean over sources of the means over their groups."""
    errors: dict[str, dict[str, dict[str, list[float]]]] = {}
    for each, name, error in found:
        by_group = errors.setdefault(name, {}).setdefault(each.run.source, {})
        by_group.setdefault(each.run.group, []).append(abs(float(np.expm1(error))))
    return {
        name: round(
            float(
                np.mean(
                    [np.mean([np.mean(group) for group in groups.values()]) for groups in sources.values()]
                )
            ),
            4,
        )
        for name, sources in errors.items()
    }


def main() -> None:
    """Fit, check on sources left out, and write constants with their errors and interval."""
    calibration = shipped_calibration()
    runs = [run for path in (MEASURED, FURTHER) for run in read_runs(calibration, path)]
    rounds = rounds_of(runs, calibration)
    fitted = fit(rounds, calibration)
    constants = {
        prior.name: float(f"{np.exp(value):.4g}") for prior, value in zip(PRIORS, fitted, strict=True)
    }
    unseen = left_out(rounds, calibration, fitted)
    coverage = nested_coverage(unseen)
    document: dict[str, Any] = {
        "provenance": {
            "fitted_on": date.today().isoformat(),
            "command": "make calibrate",
            "runs": len(rounds),
            "sources": len(sources_of(rounds)),
            "relative_error": {
                "fit": balanced(residuals(fitted, rounds, calibration)),
                "leave_one_source_out": balanced(unseen),
            },
            "nested_coverage": {"mean": round(float(np.mean(list(coverage.values()))), 3), **coverage},
        },
        "constants": constants,
        "interval": [round(end, 4) for end in interval_of(unseen)],
        "left_out": {f"{each.run.row_id}/{name}": round(error, 4) for each, name, error in unseen},
    }
    ROLLOUT_FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document["provenance"], indent=2))


if __name__ == "__main__":
    main()
