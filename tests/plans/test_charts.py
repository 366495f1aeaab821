"""Charts are tested on their data, and held against Plotly's own schema."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, replace
from typing import Any

import plotly.graph_objects as go
import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.result import PlanResult, StepBreakdown
from planner.plans.answers import answer_plan
from planner.plans.charts.bar import memory_bar
from planner.plans.charts.nodes import node_charts
from planner.plans.charts.plan import MEMORY_PARTS, STEP_LEGEND, STEP_PARTS, memory_chart, step_chart
from planner.plans.charts.profiles import profile_chart
from planner.plans.compare.chart import machines_chart
from planner.plans.variations import MachineRow, NodePoint, answer_profiles
from planner.web.figure import VERDICT_COLOURS, log_axis, time_axis
from tests.plans.plans import DAY, a_request, a_result


def sound(figure: dict[str, Any]) -> go.Figure:
    """The figure as Plotly understands it; a misspelt property or a wrong kind of value raises."""
    with_colours = re.sub(r'"token:[a-z-]+"', '"#123456"', json.dumps(figure))
    plain = json.loads(with_colours)
    return go.Figure(data=plain["data"], layout=plain["layout"] | plain.get("narrow", {}))


def points(*, priced: bool = True) -> list[NodePoint]:
    found: list[NodePoint] = []
    for nodes in (1, 2, 4, 8, 16):
        request = a_request(nodes=nodes, purchase="on_demand" if priced else "spot")
        if not priced:
            request = replace(request, cluster=replace(request.cluster, usd_per_node_hour=None))
        found.append(NodePoint(nodes, a_result(request=request, fits=nodes > 1, seconds=480 * DAY / nodes)))
    wrong = PlanErrors([PlanError("layout", None, "The batch is too small.", "Use fewer nodes.")])
    return [*found, NodePoint(32, wrong)]


def plan_of(found: list[NodePoint]) -> PlanResult:
    plan = found[4].answer
    assert isinstance(plan, PlanResult)
    return plan


class TestMemory:
    def test_the_parts_stack_up_to_the_total(self) -> None:
        chart = memory_chart(a_result())
        bars = [trace for trace in chart.figure["data"] if trace["type"] == "bar"]
        assert sum(trace["x"][0] for trace in bars) == pytest.approx(50.0)
        assert [trace["name"] for trace in bars][:2] == ["Weights", "Gradients"]

    def test_the_usable_line_stands_where_memory_ends(self) -> None:
        layout = memory_chart(a_result()).figure["layout"]
        assert layout["shapes"][0]["x0"] == 60.0
        assert layout["annotations"][0]["text"] == "usable 60.0 GiB"

    def test_the_finding_says_what_is_most_and_what_is_left(self) -> None:
        assert memory_chart(a_result()).finding == (
            "Weights take the most, 16.0 GiB of 50.0 GiB; it leaves 10.0 GiB to spare."
        )
        assert "10.0 GiB too much" in memory_chart(a_result(fits=False)).finding

    def test_the_range_is_drawn_about_the_total(self) -> None:
        whisker = memory_chart(a_result()).figure["data"][-1]["error_x"]
        assert (whisker["array"], whisker["arrayminus"]) == ([5.0], [3.0])

    def test_the_table_has_every_part(self) -> None:
        table = memory_chart(a_result()).table
        assert [str(row[0]) for row in table.rows] == [
            "Weights", "Gradients", "Optimizer states", "Activations", "Logits", "Temporary", "Framework",
            "Total", "Usable",
        ]  # fmt: skip

    def test_the_same_thing_has_the_same_colour(self) -> None:
        chart = memory_chart(a_result())
        bars = {
            trace["name"]: trace["marker"]["color"]
            for trace in chart.figure["data"]
            if trace["type"] == "bar"
        }
        assert bars.items() <= {name: f"token:{swatch}" for name, swatch in chart.legend}.items()
        assert [name for name, _ in chart.legend[-2:]] == ["usable", "80 % range of the total"]

    def test_one_colour_has_one_meaning(self) -> None:
        of_memory = {colour for _, _, colour, _ in MEMORY_PARTS}
        of_time = {colour for _, _, colour in STEP_PARTS}
        assert len(of_memory) == len(MEMORY_PARTS)
        assert of_time == {colour for colour, _ in STEP_LEGEND}
        assert not of_memory & of_time
        assert not (of_memory | of_time) & set(VERDICT_COLOURS.values())


class TestStep:
    def test_the_longest_part_comes_first_and_nothing_is_left_out(self) -> None:
        result = a_result()
        trace = step_chart(result).figure["data"][0]
        assert trace["y"][:2] == ["Backward", "Forward"]
        assert sum(trace["x"]) == pytest.approx(result.time.step_s)

    def test_parts_that_are_nothing_are_not_drawn(self) -> None:
        assert "Pipeline bubble" not in step_chart(a_result()).figure["data"][0]["y"]

    def test_ppo_has_its_own_parts(self) -> None:
        result = a_result()
        breakdown = replace(result.time.step_breakdown_s, generation=100.0, scoring=10.0)
        step = replace(
            result, time=replace(result.time, step_breakdown_s=breakdown, step_s=result.time.step_s + 110)
        )
        chart = step_chart(step)
        assert chart.figure["data"][0]["y"][0] == "Generation"

    def test_short_steps_are_in_milliseconds(self) -> None:
        chart = step_chart(a_result(seconds=600))
        assert chart.figure["layout"]["xaxis"]["title"]["text"] == "ms per step"
        assert sum(chart.figure["data"][0]["x"]) == pytest.approx(600 / 119_210 * 1000)


class TestNodes:
    def test_time_and_cost_are_on_logarithmic_axes_with_units(self) -> None:
        found = points()
        drawn = node_charts(found, plan_of(found))
        assert [chart.slug for chart in drawn] == ["chart-time", "chart-cost"]
        for chart in drawn:
            assert chart.figure["layout"]["xaxis"]["type"] == chart.figure["layout"]["yaxis"]["type"] == "log"
        assert "100 days" in drawn[0].figure["layout"]["yaxis"]["ticktext"]

    def test_what_fits_is_a_line_and_what_does_not_a_cross(self) -> None:
        found = points()
        line, fits, lacks = (
            next(
                trace
                for trace in node_charts(found, plan_of(found))[0].figure["data"]
                if trace["name"] == name
            )
            for name in ("line", "fits", "does not fit")
        )
        assert line["x"] == fits["x"] == [2, 4, 8, 16]
        assert fits["y"] == pytest.approx([days * DAY for days in (240, 120, 60, 30)])
        assert lacks["x"] == [1]

    def test_every_mark_has_its_legend(self) -> None:
        found = points()
        names = [name for name, _ in node_charts(found, plan_of(found))[0].legend]
        assert names == ["your plan", "fits", "does not fit", "80 % range"]

    def test_the_readers_plan_is_marked(self) -> None:
        found = points()
        mark = node_charts(found, plan_of(found))[0].figure["data"][-1]
        assert (mark["x"], mark["y"]) == ([16], pytest.approx([30 * DAY]))
        assert mark["text"] == ["your plan, 30.0 days"]

    def test_no_price_no_cost_chart(self) -> None:
        found = points(priced=False)
        assert [chart.slug for chart in node_charts(found, plan_of(found))] == ["chart-time"]

    def test_a_number_of_nodes_that_makes_no_sense_says_why_in_the_table(self) -> None:
        found = points()
        assert node_charts(found, plan_of(found))[0].table.rows[-1] == (
            "32",
            "cannot run",
            "The batch is too small.",
            "",
        )

    def test_nothing_fits(self) -> None:
        found = [NodePoint(1, a_result(fits=False, request=a_request(nodes=1)))]
        chart = node_charts(found, a_result(fits=False, request=a_request(nodes=1)))[0]
        assert chart.finding == "With this layout it fits on none of the node counts tried (1 to 1)."
        sound(chart.figure)


class TestLogAxis:
    @pytest.mark.parametrize(
        ("low", "high"), [(231_000.0, 296_000.0), (3.0, 90.0), (0.01, 4000.0), (5.0, 5.0)]
    )
    def test_there_are_at_least_two_ticks_and_every_value_is_in_range(self, low: float, high: float) -> None:
        axis = log_axis(low, high, str)
        assert len(axis["tickvals"]) >= 2
        assert axis["range"][0] <= math.log10(low) <= math.log10(high) <= axis["range"][1]

    def test_a_flat_line_looks_flat(self) -> None:
        low, high = log_axis(100.0, 101.0, str)["range"]
        assert high - low >= 0.5


class TestTimeAxis:
    @pytest.mark.parametrize("spread", [(1e-3, 2e-3), (60.0, 90.0), (1200.0, 9e6), (2e4, 4e8), (5e9, 5e9)])
    def test_every_tick_has_the_unit_that_suits_it(self, spread: tuple[float, float]) -> None:
        axis = time_axis(*spread)
        assert 2 <= len(axis["tickvals"]) <= 7
        assert all(re.fullmatch(r"[\d.]+ (ms|s|min|h|days?|years?)", tick) for tick in axis["ticktext"])
        assert not any("2,000" in tick for tick in axis["ticktext"])


class TestProfiles:
    def test_each_profile_has_a_bar_in_the_colour_of_its_verdict(self) -> None:
        request = parse_plan_request(
            {
                "model": "llama-3.2-1b",
                "workload": {
                    "task": "lora", "tokens": 1e7, "sequence_length": 8192, "global_batch_size": 8,
                },
                "cluster": {"instance_type": "p5.48xlarge", "nodes": 1, "mig_profile": "3g.40gb"},
            },
            load_shipped_catalog(),
        )  # fmt: skip
        plan = answer_plan(request, load_shipped_catalog())
        found = answer_profiles(request, plan, load_shipped_catalog())
        assert [point.profile.profile for point in found if point.answer is plan] == ["3g.40gb"]
        chart = profile_chart(found, plan)
        bars = chart.figure["data"][0]
        assert bars["y"][0] == "1g.10gb"
        assert "3g.40gb, your plan" in bars["y"]
        verdicts = [point.answer.verdict for point in found if isinstance(point.answer, PlanResult)]
        assert bars["marker"]["color"] == [VERDICT_COLOURS[verdict] for verdict in verdicts]
        assert len(chart.table.rows) == len(found)
        sound(chart.figure)


class TestBar:
    def test_its_parts_add_up_and_the_usable_line_stands_where_it_should(self) -> None:
        bar = memory_bar(a_result())
        ends = float(bar.parts[-1][2]) + float(bar.parts[-1][3])
        assert ends / float(bar.usable) == pytest.approx(50 / 60, rel=1e-3)
        assert bar.words == "50.0 GiB of 60.0 GiB usable; 80 % range 47.0 to 55.0 GiB"


class TestMachines:
    def rows(self) -> list[MachineRow]:
        catalog = load_shipped_catalog()
        made = []
        for slug, seconds, fits in (
            ("p5.48xlarge", 30, True),
            ("p4d.24xlarge", 90, True),
            ("g5.12xlarge", 900, False),
        ):
            request = a_request(instance_type=slug)
            result = a_result(request=request, seconds=seconds * DAY, fits=fits)
            made.append(MachineRow(catalog.instance(slug), request.cluster, result))
        return made

    def test_only_what_fits_and_has_a_price_is_drawn(self) -> None:
        chart = machines_chart(self.rows(), mine="p5.48xlarge")
        assert chart is not None
        names = [name for trace in chart.figure["data"] for name in trace.get("text", [])]
        assert sorted(names) == ["p4d.24xlarge", "p5.48xlarge", "your plan"]

    def test_the_finding_names_the_cheapest_and_the_fastest(self) -> None:
        chart = machines_chart(self.rows(), mine=None)
        assert chart is not None
        assert chart.finding == "Cheapest and fastest: p5.48xlarge, $634k in 30.0 days."

    def test_nothing_to_draw(self) -> None:
        assert machines_chart([], mine=None) is None


def test_every_figure_is_sound_to_plotly() -> None:
    found = points()
    drawn = [
        memory_chart(a_result()),
        step_chart(a_result()),
        *node_charts(found, plan_of(found)),
    ]
    machines = machines_chart(TestMachines().rows(), mine="p5.48xlarge")
    assert machines is not None
    for chart in [*drawn, machines]:
        assert len(sound(chart.figure).data) == len(chart.figure["data"])
        assert chart.title
        assert chart.finding.endswith(".")
        assert all(len(row) == len(chart.table.columns) for row in chart.table.rows)


def test_every_part_of_a_step_has_a_bar() -> None:
    assert {name for name, _, _ in STEP_PARTS} == {field.name for field in fields(StepBreakdown)}
