"""Whether the errors that remain follow from a question's fields.

``python -m planner.accuracy.fit.what_remains``: a Gaussian process over the question's fields learns the
residuals of the fitted constants and predicts those of groups left out. If that does not reduce the error, no
formula of those fields would either: the causes (kernels, driver, network) are not in the question, or too
few runs show them. Nothing of this ships.
"""

from __future__ import annotations

import sys

import numpy as np

from planner.accuracy.calibration import shipped_calibration
from planner.accuracy.fit import least_squares
from planner.accuracy.fit.timing import sample_of
from planner.accuracy.runs import every_run, timed
from planner.engine.grid.plan_grid import Array, PlanGrid

#: Quantities, by their logarithm to base 2, and kinds; two kinds are as far apart as two doublings.
QUANTITIES = [
    "hidden_size",
    "sequence_length",
    "micro_batch_size",
    "gradient_accumulation",
    "tensor_parallel",
    "pipeline_parallel",
    "data_parallel",
    "head_dim",
    "nodes",
    "vocab_size",
]
KINDS = [
    "architecture",
    "framework",
    "recompute",
    "sharding",
    "frozen",
    "quantized",
    "fp8",
    "compiled",
    "flash",
    "finetuning",
    "lamb",
    "dropout",
    "loss_whole",
    "full_precision",
    "gated",
]
KIND_DISTANCE = 2.0
#: Length scales (in doublings), and spreads (in log) of the learnt part and of the noise.
LENGTHS = (1.0, 2.0, 3.0, 5.0)
SPREADS = ((0.1, 0.05), (0.1, 0.1), (0.05, 0.1))


def features(grid: PlanGrid, runs: int) -> Array:
    """Fields of each run as coordinates, shape (runs, features)."""

    def column(name: str) -> Array:
        return np.broadcast_to(np.asarray(getattr(grid, name), dtype=float), runs)

    sides = [np.log2(np.maximum(column(name), 1e-3)) for name in QUANTITIES]
    for name in KINDS:
        values = column(name)
        sides += [KIND_DISTANCE * (values == value) for value in np.unique(values)]
    return np.stack(sides, axis=1)


def corrected(
    by_group: Array, inside: Array, near: Array, labels: list[str], learnt: float, other: float
) -> Array:
    """``by_group`` minus the prediction of a Gaussian process trained on the other groups' ``inside``.

    by_group, inside: log(predicted / measured) with the group left out, and by the fit to all runs, shape
    (runs,).
    near: covariance of the runs for a spread of 1, shape (runs, runs).
    """
    names = np.array(labels)
    left = np.empty_like(by_group)
    for name in dict.fromkeys(labels):
        out, kept = np.flatnonzero(names == name), np.flatnonzero(names != name)
        covariance = learnt**2 * near[np.ix_(kept, kept)] + other**2 * np.eye(kept.size)
        guess = learnt**2 * near[np.ix_(out, kept)] @ np.linalg.solve(covariance, inside[kept])
        left[out] = by_group[out] - guess
    return left


def mean_error(residuals: Array) -> float:
    """Mean absolute error as a share. residuals: log(predicted / measured)."""
    return float(np.mean(np.abs(np.expm1(residuals))))


def main() -> None:
    """Print the errors with and without the Gaussian process."""
    runs = timed(every_run(shipped_calibration()))
    sample, groups = sample_of(runs), [run.group for run in runs]
    fitted = least_squares.fit(sample)
    inside, by_group = sample.residuals(fitted), least_squares.refitted_residuals(sample, groups, fitted)
    sys.stdout.write(f"constants alone, one group left out: {mean_error(by_group):.2%}\n")
    sides = features(sample.grid, len(runs))
    squares = ((sides[:, None] - sides[None]) ** 2).sum(axis=-1)
    for length in LENGTHS:
        near = np.exp(-squares / 2.0 / length**2)
        for learnt, other in SPREADS:
            error = mean_error(corrected(by_group, inside, near, groups, learnt, other))
            sys.stdout.write(
                f"and a Gaussian process of {length:g} doublings, {learnt}/{other}: {error:.2%}\n"
            )


if __name__ == "__main__":
    main()
