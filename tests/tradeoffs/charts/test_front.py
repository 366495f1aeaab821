"""The front as a figure: its band, and labels that do not lie on one another."""

from __future__ import annotations

from dataclasses import replace

from planner.tradeoffs.charts.front import front_chart
from planner.tradeoffs.points import Point, with_front
from tests.tradeoffs.test_points import point


def drawn(*points: Point) -> dict[str, dict[str, object]]:
    chart = front_chart(with_front(points), None, lambda each: each.name)
    assert chart is not None
    return {trace["name"]: trace for trace in chart.figure["data"]}


def test_of_two_near_marks_one_is_named_on_the_left() -> None:
    marks = drawn(point("a", 1.0, 900.0), point("b", 1.1, 800.0), point("c", 30.0, 100.0))["on the front"]
    assert marks["text"] == ["1 × a", "1 × b", "1 × c"]
    assert marks["textposition"] == ["top right", "bottom left", "top right"]


def test_the_band_goes_from_all_lower_to_all_upper_ends_or_is_left_out() -> None:
    bare = [point("a", 1.0, 900.0), point("b", 4.0, 300.0)]
    assert "band" not in drawn(*bare)
    ranged = [
        replace(each, total_interval_s=(each.total_s / 2, each.total_s * 2), usd_interval=(1.0, 1e4))
        for each in bare
    ]
    chart = front_chart(with_front(ranged), None, lambda each: each.name)
    assert chart is not None
    low, high = (trace for trace in chart.figure["data"] if trace["name"] == "band")
    assert low["y"] == [each.total_s / 2 for each in bare]
    assert high["y"] == [each.total_s * 2 for each in bare]
    assert high["fill"] == "tonexty"
    assert any(name.startswith("where the front lies") for name, _ in chart.legend)
