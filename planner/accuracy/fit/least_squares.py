"""Least squares on log step times: robust to single rows, held to physics by priors and bounds.

The unknowns are the logarithms of the timing constants. The cost has a term for each constant's distance from
its prior, in units of the prior's spread, and one for each run's residual, which grows slower beyond ten per
cent (soft L1), since identical runs at different sites differ by about that much. Sources are balanced
(``runs.weights``): what many sources agree on moves a constant, what one source says hardly does.

The optimum is found by Gauss-Newton steps with an active set for the bounds. Every figure on runs left out is
a true refit, started from the fit to all runs.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.calibration import DATA_DIRECTORY
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.time.constants import TimingConstants
from planner.engine.time.step import step_time

PRIORS_FILE = DATA_DIRECTORY / "timing_priors.csv"
#: Residual (in log) up to which a run counts quadratically: about how much identical runs at different sites
#: differ.
NOISE = 0.1
DERIVATIVE_STEP = 1e-3
#: Steps of a fit from the priors, and of a refit from the fit to all runs.
ROUNDS, REFIT_ROUNDS = 12, 3
#: A fit ends where a step saves less than this share of the cost.
ENOUGH = 1e-3
#: The farthest that one step moves a constant (in log).
LONGEST_STEP = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """One scalar to fit, and what is known of it before the fit. spread: of its logarithm (1 sigma).

    key: architecture or framework where the constant is an array, else empty.
    """

    name: str
    key: str
    value: float
    spread: float
    low: float
    high: float
    unit: str
    meaning: str
    source: str


def read_unknowns() -> list[Unknown]:
    """The unknowns with their priors, from PRIORS_FILE."""
    with PRIORS_FILE.open(encoding="utf-8", newline="") as file:
        return [
            Unknown(
                name=row["constant"],
                key=row["key"],
                value=float(row["value"]),
                spread=float(row["spread"]),
                low=float(row["low"]),
                high=float(row["high"]),
                unit=row["unit"],
                meaning=row["meaning"],
                source=row["source"],
            )
            for row in csv.DictReader(file)
        ]


UNKNOWNS = read_unknowns()
START = np.log([unknown.value for unknown in UNKNOWNS])
LOW = np.log([unknown.low for unknown in UNKNOWNS])
HIGH = np.log([unknown.high for unknown in UNKNOWNS])
SPREAD = np.array([unknown.spread for unknown in UNKNOWNS])


def as_mapping(logarithms: Array) -> dict[str, float | dict[str, float]]:
    """Constants by name, as the data file holds them, to four significant digits."""
    values: dict[str, float | dict[str, float]] = {}
    for unknown, value in zip(UNKNOWNS, np.exp(logarithms), strict=True):
        rounded = float(f"{value:.4g}")
        if not unknown.key:
            values[unknown.name] = rounded
        else:
            table = values.setdefault(unknown.name, {})
            assert isinstance(table, dict)
            table[unknown.key] = rounded
    return values


def from_mapping(values: dict[str, float | dict[str, float]]) -> Array:
    """The logarithms of constants as ``as_mapping`` wrote them."""

    def value(unknown: Unknown) -> float:
        entry = values[unknown.name]
        return entry[unknown.key] if isinstance(entry, dict) else entry

    return np.log([value(unknown) for unknown in UNKNOWNS])


def constants(logarithms: Array) -> TimingConstants:
    """The constants from their logarithms, shape (unknowns,)."""
    values: dict[str, float | dict[str, float]] = {}
    for unknown, value in zip(UNKNOWNS, np.exp(logarithms), strict=True):
        if unknown.key:
            table = values.setdefault(unknown.name, {})
            assert isinstance(table, dict)
            table[unknown.key] = float(value)
        else:
            values[unknown.name] = float(value)
    return TimingConstants.from_mapping(values)


def log_residuals(logarithms: Array, grid: PlanGrid, measured_s: Array) -> Array:
    """log(predicted / measured) of each run, shape (runs,).

    logarithms: of the constants.  measured_s: seconds of a step, shape (runs,).
    """
    return np.asarray(np.log(step_time(grid, constants(logarithms)).step / measured_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Measured runs to fit to. measured_s: seconds of a step; weight: shape (runs,)."""

    grid: PlanGrid
    measured_s: Array
    weight: Array

    def rows(self, index: NDArray[np.int_]) -> Sample:
        """The runs at ``index``."""
        return Sample(
            grid=self.grid.rows(index), measured_s=self.measured_s[index], weight=self.weight[index]
        )

    def residuals(self, logarithms: Array) -> Array:
        """log(predicted / measured) of each run. logarithms: of the constants."""
        return log_residuals(logarithms, self.grid, self.measured_s)


def cost(sample: Sample, residuals: Array, logarithms: Array) -> float:
    """What the fit makes small: soft L1 of residuals, and squared distances from the priors in spreads."""
    soft = 2.0 * (np.sqrt(1.0 + (residuals / NOISE) ** 2) - 1.0)
    return float(np.sum(sample.weight * soft) + np.sum(((logarithms - START) / SPREAD) ** 2))


def jacobian(sample: Sample, logarithms: Array, residuals: Array) -> Array:
    """Derivatives of the residuals by each logarithm, shape (runs, unknowns), by finite differences."""
    columns = []
    for index, at in enumerate(logarithms):
        step = DERIVATIVE_STEP if at + DERIVATIVE_STEP < HIGH[index] else -DERIVATIVE_STEP
        moved = logarithms.copy()
        moved[index] += step
        columns.append((sample.residuals(moved) - residuals) / step)
    return np.stack(columns, axis=1)


def linear_optimum(sample: Sample, start: Array, residuals: Array, slopes: Array) -> Array:
    """Where the cost is least if residuals were linear, near ``start`` and within the bounds.

    Soft L1 by weights that are set anew in each pass; a constant at a bound that the cost pushes on stays
    there.
    """
    at = start.copy()
    precision = 1.0 / SPREAD**2
    for _ in range(12):
        now = residuals + slopes @ (at - start)
        pull = sample.weight / np.sqrt(1.0 + (now / NOISE) ** 2) / NOISE**2
        gradient = slopes.T @ (pull * now) + precision * (at - START)
        stuck = ((at <= LOW) & (gradient > 0)) | ((at >= HIGH) & (gradient < 0))
        free = np.flatnonzero(~stuck)
        curvature = (slopes.T * pull) @ slopes + np.diag(precision)
        step = np.zeros_like(at)
        step[free] = -np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        at = np.clip(np.clip(at + step, LOW, HIGH), start - LONGEST_STEP, start + LONGEST_STEP)
        if np.abs(step).max() < 1e-4:
            break
    return at


def fit(
    sample: Sample, start: Array | None = None, rounds: int = ROUNDS, slopes: Array | None = None
) -> Array:
    """Logarithms of the constants that explain the runs best.

    start: where the search starts.  slopes: derivatives to take all steps by, where they are known well
    enough (the residuals are computed anew after each); None computes them anew too.
    """
    at = np.clip(START if start is None else start, LOW, HIGH)
    residuals = sample.residuals(at)
    before = cost(sample, residuals, at)
    for _ in range(rounds):
        steep = jacobian(sample, at, residuals) if slopes is None else slopes
        target = linear_optimum(sample, at, residuals, steep)
        for share in (1.0, 0.5, 0.25, 0.125):
            moved = at + share * (target - at)
            found = sample.residuals(moved)
            after = cost(sample, found, moved)
            if after < before:
                break
        else:
            return at
        saved, at, residuals, before = before - after, moved, found, after
        if saved < ENOUGH * before:
            break
    return at


def refitted_residuals(sample: Sample, labels: list[str], start: Array, slopes: Array | None = None) -> Array:
    """log(predicted / measured) of each run, by a refit without any run of the same label.

    start: the fit to all runs, from which each refit starts.  slopes: its derivatives, shape (runs,
    unknowns), for refits that move the constants little (many small labels); None takes each refit's own.
    """
    names = np.array(labels)
    residuals = np.full(len(labels), np.nan)
    for name in dict.fromkeys(labels):
        out = names == name
        left, kept = np.flatnonzero(out), np.flatnonzero(~out)
        steep = None if slopes is None else slopes[kept]
        fitted = fit(sample.rows(kept), start, REFIT_ROUNDS, steep)
        residuals[left] = sample.rows(left).residuals(fitted)
    return residuals
