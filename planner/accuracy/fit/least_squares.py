"""Least squares on log step times: robust to single rows, held to physics by priors and bounds.

The unknowns are the logarithms of the timing constants. The cost has a term for each constant's distance from
its prior, in units of the prior's spread, and one for each run's residual, which grows slower beyond one or
two per cent (soft L1) because identical runs at different sites differ by about ten. A source whose runs all
have assumed inputs also gets an unknown offset of its own, so that a wrong assumption does not bend the
constants; predictions never use it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, least_squares

from planner.accuracy.calibration import DATA_DIRECTORY
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.time.constants import TimingConstants
from planner.engine.time.step import step_time

PRIORS_FILE = DATA_DIRECTORY / "timing_priors.csv"
#: Residual (in log) up to which a run counts quadratically: about how much a repeated run differs.
NOISE = 0.015
#: Spread (in log) of the offset of a source whose inputs are all assumed: about how much identical runs at
#: different sites differ.
OFFSET_SPREAD = 0.1
DERIVATIVE_STEP = 1e-5


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


def softened(scaled: Array) -> Array:
    """Soft L1 of scaled residuals, applied here so that the prior terms stay quadratic."""
    return np.asarray(np.sign(scaled) * np.sqrt(2.0 * (np.sqrt(1.0 + scaled**2) - 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Measured runs to fit to. measured_s: seconds of a step; weight: shape (runs,).

    shared: shape (runs, offsets), 1 where a run has the offset, 0 elsewhere.
    """

    grid: PlanGrid
    measured_s: Array
    weight: Array
    shared: Array

    def rows(self, index: NDArray[np.int_]) -> Sample:
        """The runs at ``index``, with the same number of offsets."""
        return Sample(
            grid=self.grid.rows(index),
            measured_s=self.measured_s[index],
            weight=self.weight[index],
            shared=self.shared[index],
        )

    @property
    def spread(self) -> Array:
        """Prior spreads of constants, then offsets."""
        return np.concatenate([SPREAD, np.full(self.shared.shape[1], OFFSET_SPREAD)])

    def residuals(self, logarithms: Array) -> Array:
        """log(predicted / measured) of each run by the constants alone. logarithms: constants first."""
        return log_residuals(logarithms[: len(START)], self.grid, self.measured_s)


def fit(sample: Sample, start: Array | None = None) -> Array:
    """Logarithms of the constants that explain the runs best, followed by the offsets.

    start: where the search starts, in the same order.
    """
    known, offsets = len(START), sample.shared.shape[1]
    prior = np.concatenate([START, np.zeros(offsets)])
    low, high = np.concatenate([LOW, np.full(offsets, -1.0)]), np.concatenate([HIGH, np.full(offsets, 1.0)])

    def cost(unknowns: Array) -> Array:
        explained = sample.residuals(unknowns) + sample.shared @ unknowns[known:]
        left = (unknowns - prior) / sample.spread
        return np.concatenate([softened(explained / NOISE) * np.sqrt(sample.weight), left])

    first = np.clip(prior if start is None else start, low + 1e-6, high - 1e-6)
    return np.asarray(least_squares(cost, first, bounds=(low, high), x_scale=sample.spread, ftol=1e-5).x)


def refitted_residuals(sample: Sample, labels: list[str], start: Array) -> Array:
    """log(predicted / measured) of each run, by a full refit without any run of the same label."""
    names = np.array(labels)
    residuals = np.full(len(labels), np.nan)
    for name in dict.fromkeys(labels):
        out = names == name
        left = np.flatnonzero(out)
        fitted = fit(sample.rows(np.flatnonzero(~out)), start)
        residuals[left] = sample.rows(left).residuals(fitted)
    return residuals


def stepped_residuals(sample: Sample, labels: list[str], fitted: Array) -> Array:
    """Like ``refitted_residuals``, for many small groups: one Newton step from the fit to all runs.

    Leaving a group out moves the least-squares optimum by the inverse curvature of the others times the
    group's own gradient (influence function; exact for a quadratic cost), so no refit is needed.
    """
    names, known = np.array(labels), len(START)
    jacobian = np.concatenate(
        [approx_fprime(fitted[:known], sample.residuals, DERIVATIVE_STEP), sample.shared], axis=1
    )
    residual = sample.residuals(fitted) + sample.shared @ fitted[known:]
    # Weight of each run in the softened cost: w / sqrt(1 + z^2) / noise^2.
    pull = sample.weight / np.sqrt(1.0 + (residual / NOISE) ** 2) / NOISE**2
    jacobian[:, :known] *= (fitted[:known] > LOW + 1e-4) & (fitted[:known] < HIGH - 1e-4)
    curvature = jacobian.T @ (pull[:, None] * jacobian) + np.diag(1.0 / sample.spread**2)
    left_out = np.empty_like(residual)
    for name in dict.fromkeys(labels):
        out = np.flatnonzero(names == name)
        own = jacobian[out]
        others = curvature - own.T @ (pull[out, None] * own)
        moved = fitted + np.linalg.solve(others, own.T @ (pull[out] * residual[out]))
        left_out[out] = sample.rows(out).residuals(np.clip(moved[:known], LOW, HIGH))
    return left_out
