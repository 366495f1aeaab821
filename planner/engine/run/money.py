"""Dollars of a run: node-hours at a dated price."""

from __future__ import annotations

from planner.engine.grid.plan_grid import Array

SECONDS_PER_HOUR = 3600.0


def run_usd(nodes: Array | float, total_s: Array | float, usd_per_node_hour: Array | float) -> Array | float:
    """nodes x hours x price in dollars, all nodes billed for the whole run, the idle ones too.

    nodes, total_s (seconds of the run), usd_per_node_hour: numbers or arrays of shape (plans,).
    """
    return nodes * total_s / SECONDS_PER_HOUR * usd_per_node_hour


def usd_per_million_tokens(
    nodes: float, step_s: float, *, tokens_per_step: float, usd_per_node_hour: float
) -> float:
    """Dollars of a million trained tokens: those of the seconds that a million tokens take.

    nodes: count, all billed.  step_s: seconds of one step.  tokens_per_step: over all replicas.
    usd_per_node_hour: dollars.  Source: definition.
    """
    return float(run_usd(nodes, step_s / tokens_per_step * 1e6, usd_per_node_hour))
