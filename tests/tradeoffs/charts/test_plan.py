"""The knee, worked by hand."""

from __future__ import annotations

import pytest

from planner.tradeoffs.charts.plan import knee_of


@pytest.mark.parametrize(
    ("nodes", "total_s", "knee"),
    [
        ((1, 2, 4, 8), (80.0, 40.0, 20.0, 10.0), 8),
        ((1, 2, 4, 8), (80.0, 42.0, 30.0, 28.0), 2),
        ((1, 4), (80.0, 60.0), 1),
        ((2, 4, 8), (80.0, 40.0, 80.0), 4),
        ((4,), (80.0,), 4),
    ],
)
def test_the_knee_is_where_more_nodes_stop_paying(
    nodes: tuple[int, ...], total_s: tuple[float, ...], knee: int
) -> None:
    assert knee_of(nodes, total_s) == knee
