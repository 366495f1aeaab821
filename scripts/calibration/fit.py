"""Least squares on log step times: robust to single rows, held to physics by priors and bounds.

The unknowns are the logarithms of the timing constants. Each constant pays for leaving its prior, in units of
the prior's spread; each run pays for its residual, softly beyond one or two per cent (soft L1), since
identical runs at different sites differ by about ten.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np
from scipy.optimize import approx_fprime, least_squares

from planner.catalog.loader import DATA_DIRECTORY
from planner.engine.grid import Array, PlanGrid
from planner.engine.timing import step_time
from planner.engine.timing_constants import TimingConstants

PRIORS_FILE = DATA_DIRECTORY / "timing_priors.csv"
#: Residual (in log) up to which a run counts quadratically: about what re-running the same run would move it.
NOISE = 0.015
DERIVATIVE_STEP = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """One scalar to fit and what is known of it beforehand. spread: of its logarithm (1 sigma).

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
    """log(predicted / measured) of each run."""
    return np.asarray(np.log(step_time(grid, constants(logarithms)).step / measured_s))


def softened(scaled: Array) -> Array:
    """Soft L1 by hand, so that the priors beside it stay quadratic."""
    return np.asarray(np.sign(scaled) * np.sqrt(2.0 * (np.sqrt(1.0 + scaled**2) - 1.0)))


def fit(grid: PlanGrid, measured_s: Array, weight: Array, start: Array | None = None) -> Array:
    """Logarithms of the constants that explain the runs best, shape (unknowns,)."""

    def cost(logarithms: Array) -> Array:
        scaled = log_residuals(logarithms, grid, measured_s) / NOISE
        return np.concatenate([softened(scaled) * np.sqrt(weight), (logarithms - START) / SPREAD])

    first = np.clip(START if start is None else start, LOW + 1e-6, HIGH - 1e-6)
    return np.asarray(least_squares(cost, first, bounds=(LOW, HIGH), x_scale=SPREAD, ftol=1e-5).x)


def refitted_residuals(
    grid: PlanGrid, measured_s: Array, weight: Array, labels: list[str], start: Array
) -> Array:
    """log(predicted / measured) of each run by a full refit that saw no run of the same label."""
    names = np.array(labels)
    residuals = np.full(len(labels), np.nan)
    for name in dict.fromkeys(labels):
        out = names == name
        seen, left = np.flatnonzero(~out), np.flatnonzero(out)
        fitted = fit(grid.rows(seen), measured_s[seen], weight[seen], start)
        residuals[left] = log_residuals(fitted, grid.rows(left), measured_s[left])
    return residuals


def stepped_residuals(
    grid: PlanGrid, measured_s: Array, weight: Array, labels: list[str], fitted: Array
) -> Array:
    """As ``refitted_residuals`` for many small groups, by one Newton step away from the fit of all runs.

    Leaving a group out moves the least-squares optimum by the inverse curvature of the others times the
    group's own gradient (influence function; exact for a quadratic cost), so no refit is needed.
    """
    names = np.array(labels)
    jacobian = approx_fprime(fitted, lambda x: log_residuals(x, grid, measured_s), DERIVATIVE_STEP)
    residual = log_residuals(fitted, grid, measured_s)
    # Weight of each run in the softened cost: w / sqrt(1 + z^2) / noise^2.
    pull = weight / np.sqrt(1.0 + (residual / NOISE) ** 2) / NOISE**2
    free = (fitted > LOW + 1e-4) & (fitted < HIGH - 1e-4)
    jacobian = jacobian * free
    curvature = jacobian.T @ (pull[:, None] * jacobian) + np.diag(1.0 / SPREAD**2)
    left_out = np.empty_like(residual)
    for name in dict.fromkeys(labels):
        out = np.flatnonzero(names == name)
        own = jacobian[out]
        others = curvature - own.T @ (pull[out, None] * own)
        moved = fitted + np.linalg.solve(others, own.T @ (pull[out] * residual[out]))
        moved = np.clip(moved, LOW, HIGH)
        left_out[out] = log_residuals(moved, grid.rows(out), measured_s[out])
    return left_out
