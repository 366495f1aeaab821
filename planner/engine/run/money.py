"""Dollars of a run: node-hours at a dated price."""

from __future__ import annotations

from planner.engine.grid.plan_grid import Array

SECONDS_PER_HOUR = 3600.0


def run_usd(nodes: Array | float, total_s: Array | float, usd_per_node_hour: Array | float) -> Array | float:
    """Dollars of a run: nodes x hours x price. All nodes are billed for the whole run, idle ones too.

    nodes: count.  total_s: seconds.  usd_per_node_hour: dollars.  Shapes broadcast.  Source: definition.
    """
    return nodes * total_s / SECONDS_PER_HOUR * usd_per_node_hour
