"""What whole runs took beyond their steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.accuracy import whole_runs
from planner.accuracy.bills import bills
from planner.accuracy.famous import famous_runs


def test_quartiles_are_of_published_over_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    bill = replace(bills()[0], name="a", predicted_hours=100.0)
    ratios = (0.5, 1.0, 1.5, 2.0)
    found = tuple(replace(bill, published_hours=100.0 * ratio) for ratio in ratios)
    famous = tuple(replace(famous_runs()[0], predicted_hours=1.0, published_hours=r) for r in (2.5, 3.0, 3.5))
    monkeypatch.setattr(whole_runs, "bills", lambda: found)
    monkeypatch.setattr(whole_runs, "famous_runs", lambda: famous)
    assert whole_runs.measured() == whole_runs.WholeRuns(runs=7, low=1.0, median=2.0, high=3.0)


def test_what_is_shipped_is_what_is_measured_now() -> None:
    shipped, now = whole_runs.whole_runs(), whole_runs.measured()
    assert shipped is not None and shipped.runs == now.runs
    assert shipped.median == pytest.approx(now.median, rel=0.02)
