"""Saved scenarios side by side as a picture: time against cost, each with its 80 % ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.tradeoffs.models import Scenario
from planner.web import formats
from planner.web.figure import Chart, Table, dollar_tick, log_axis, time_axis

#: One colour a scenario, the same order as the columns of the table.
COLOURS = ("c-blue", "c-orange", "c-green", "c-red", "c-pink", "c-sky")


def saved_chart(scenarios: Sequence[Scenario]) -> Chart | None:
    """Each scenario as it was saved; None where fewer than two have a price."""
    found = [(each, each.answer) for each in scenarios if each.answer["cost"] is not None]
    if len(found) < 2:
        return None
    times = [end for _, answer in found for end in answer["time"]["total_interval_s"]]
    usd = [end for _, answer in found for end in answer["cost"]["usd_interval"]]
    return Chart(
        slug="chart-saved",
        title="Time against cost, as saved",
        finding=_finding(found),
        figure={
            "data": [_mark(each, answer, place) for place, (each, answer) in enumerate(found)],
            "layout": {
                "height": 340,
                "margin": {"l": 8, "r": 90, "t": 16, "b": 8},
                "showlegend": False,
                "xaxis": {"type": "log", "title": {"text": "cost of the run, dollars (log)"}}
                | log_axis(min(usd), max(usd), dollar_tick),
                "yaxis": {"type": "log", "title": {"text": "time of the run (log)"}}
                | time_axis(min(times), max(times)),
            },
            "narrow": {"height": 320, "margin": {"r": 20}},
        },
        table=Table(
            columns=("Scenario", "Time", "80 % range", "Cost", "80 % range of cost"),
            rows=[
                (
                    each.name,
                    formats.duration(answer["time"]["total_s"]),
                    _ends(answer["time"]["total_interval_s"], formats.duration),
                    formats.dollars(answer["cost"]["usd"]),
                    _ends(answer["cost"]["usd_interval"], formats.dollars),
                )
                for each, answer in found
            ],
        ),
    )


def _mark(scenario: Scenario, answer: dict[str, Any], place: int) -> dict[str, Any]:
    seconds, usd = answer["time"]["total_s"], answer["cost"]["usd"]
    colour = f"token:{COLOURS[place % len(COLOURS)]}"

    def whiskers(value: float, ends: Sequence[float]) -> dict[str, Any]:
        low, high = ends
        return {
            "type": "data",
            "symmetric": False,
            "array": [high - value],
            "arrayminus": [value - low],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        }

    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": scenario.name,
        "x": [usd],
        "y": [seconds],
        "error_x": whiskers(usd, answer["cost"]["usd_interval"]),
        "error_y": whiskers(seconds, answer["time"]["total_interval_s"]),
        "marker": {"color": colour, "size": 11},
        "text": [scenario.name],
        "textposition": "top right",
        "hovertext": [f"{scenario.name}: {formats.duration(seconds)}, {formats.dollars(usd)}"],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "cliponaxis": False,
    }


def _finding(found: Sequence[tuple[Scenario, dict[str, Any]]]) -> str:
    cheapest, cost = min(found, key=lambda each: each[1]["cost"]["usd"])
    quickest, time = min(found, key=lambda each: each[1]["time"]["total_s"])
    dollars, seconds = formats.dollars(cost["cost"]["usd"]), formats.duration(time["time"]["total_s"])
    if cheapest is quickest:
        return f"Cheapest and fastest: {cheapest.name}, {dollars} in {seconds}. Whiskers are 80 % ranges."
    return (
        f"Cheapest: {cheapest.name}, {dollars}. Fastest: {quickest.name}, {seconds}. "
        "Whiskers are 80 % ranges."
    )


def _ends(ends: Sequence[float], write: Any) -> str:
    return f"{write(ends[0])} to {write(ends[1])}"
