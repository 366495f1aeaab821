"""The validation page: what it says first, what an address chooses, and the report behind it."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from dataclasses import replace

import plotly.graph_objects as go
import pytest
from django.test import Client

from planner.accuracy import page, presenters
from planner.accuracy import report as report_file
from planner.accuracy.charts import unseen_prediction, validation_charts
from planner.accuracy.report import ValidatedRun, ValidationReport
from planner.web.formats import GIB


@pytest.fixture
def report() -> ValidationReport:
    found = report_file.read_report()
    assert found is not None
    return found


def a_run(name: str = "a", **changes: object) -> ValidatedRun:
    run = ValidatedRun(
        name=name, model="gpt", source="s", framework="fsdp", accelerator="a100-sxm-80gb", accelerators=8,
        kind="pretraining",
        quantity="step time", unit="s", measured=10.0, predicted=10.5, unseen=0.2, range="", covered=True,
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]


@pytest.mark.django_db
class TestThePage:
    def test_it_opens_with_the_error_on_runs_not_seen(self, client: Client, report: ValidationReport) -> None:
        text = client.get("/validation").content.decode()
        unseen = report.tables[0]
        assert unseen.title == "Step time by source"
        assert "On runs it had not seen, Headroom&#x27;s step times are" in text
        assert text.index("On runs it had not seen") < text.index('id="chart-times"')
        for headline in report.headlines:
            assert headline.value in text

    def test_it_says_what_is_fitted_and_names_the_peer(
        self, client: Client, report: ValidationReport
    ) -> None:
        text = client.get("/validation").content.decode()
        assert f"{report.fitted['timing_constants']} timing constants" in text
        assert "None of these eight is ever fitted" in text
        assert report.peer.mean == "3.7 %"
        assert "Calculon" in text

    def test_it_asks_the_database_nothing_and_answers_quickly(
        self, client: Client, django_assert_max_num_queries: object
    ) -> None:
        client.get("/validation")
        began = time.process_time()
        with django_assert_max_num_queries(1):  # type: ignore[operator]
            client.get("/validation")
        assert time.process_time() - began < 0.3

    def test_an_address_chooses_source_and_accelerator(self, client: Client) -> None:
        text = client.get("/validation?source=dgxc-benchmarking&accelerator=h100-sxm").content.decode()
        assert "The runs of dgxc-benchmarking on h100-sxm" in text
        assert "korthikanti-22B" not in text
        assert "<option selected>h100-sxm</option>" in text
        assert 'href="/validation">Show all</a>' in text

    def test_what_does_not_go_together_is_said(self, client: Client) -> None:
        text = client.get("/validation?source=neuron-trn1&accelerator=h100-sxm").content.decode()
        assert "This source publishes no figure on this accelerator." in text
        assert "chart-times" not in text

    @pytest.mark.parametrize("query", ["source=nobody", "accelerator=<script>", "sort=nonsense", "sort=-"])
    def test_an_unknown_choice_asks_nothing(self, client: Client, query: str) -> None:
        response = client.get(f"/validation?{query}")
        assert response.status_code == 200
        text = response.content.decode()
        assert "Held-out benchmark: Korthikanti et al. 2022, table 5" in text
        assert "<script>" not in text.replace("<script src", "")

    def test_the_sorted_column_says_so_and_keeps_the_choice(self, client: Client) -> None:
        text = client.get("/validation?source=qwen&sort=-largest").content.decode()
        assert 'aria-sort="descending"><a href="?source=qwen&amp;sort=largest#step-time-by-source">' in text

    def test_no_report_is_said_honestly(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(page, "read_report", lambda: None)
        text = client.get("/validation").content.decode()
        assert "No validation report has been computed on this server yet" in text
        assert client.get("/validation.csv").content == b""

    def test_every_figure_can_be_taken_along(self, client: Client, report: ValidationReport) -> None:
        rows = list(csv.DictReader(io.StringIO(client.get("/validation.csv").content.decode())))
        assert len(rows) == len(report.runs)
        assert float(rows[0]["measured"]) == report.runs[0].measured
        assert {"low", "high", "covered", "error_by_group", "error_by_source"} <= set(rows[0])


class TestWhatAnAddressAsks:
    def test_lines_are_ordered_both_ways_with_the_unknown_last(self, report: ValidationReport) -> None:
        for table in report.sorted_by("-largest"):
            values = [line.largest for line in table.lines]
            assert values == sorted(values, reverse=True)
        known = [line.by_source for line in report.sorted_by("source")[0].lines]
        assert known == sorted(known)  # type: ignore[type-var]
        first = report.tables[0]
        gap = replace(first, lines=(replace(first.lines[0], by_source=None), *first.lines[1:]))
        for sort in ("source", "-source"):
            (ordered,) = replace(report, tables=(gap,)).sorted_by(sort)
            assert ordered.lines[-1].by_source is None

    def test_a_heading_turns_its_own_order_round(self, report: ValidationReport) -> None:
        def query(sort: str, column: int) -> str:
            return str(presenters.context(report, {"sort": sort})["headings"][column].query)

        assert (query("", 0), query("name", 0), query("-name", 0)) == ("sort=name", "sort=-name", "sort=name")
        assert (query("", 5), query("-largest", 5)) == ("sort=-largest", "sort=largest")

    def test_runs_of_a_source_on_an_accelerator(self, report: ValidationReport) -> None:
        found = report.chosen(source="llm-foundry", accelerator="h100-sxm")
        assert found
        assert {(run.source, run.accelerator) for run in found} == {("llm-foundry", "h100-sxm")}

    def test_misses_have_their_cause_or_say_that_it_is_not_known(self, report: ValidationReport) -> None:
        assert len(report.misses) >= 10
        assert all(miss.cause for miss in report.misses)
        sizes = [abs(miss.run.unseen or 0.0) for miss in report.misses if miss.run.quantity == "step time"]
        assert sizes == sorted(sizes, reverse=True)


class TestTheChart:
    def test_points_are_of_constants_that_had_not_seen_the_run(self) -> None:
        (chart,) = validation_charts([a_run(), a_run("b", measured=2.0, predicted=3.0, unseen=None)])
        points = chart.figure["data"][2]
        assert (points["x"], points["y"]) == ([10.0, 2.0], [12.0, 3.0])
        assert unseen_prediction(a_run()) == pytest.approx(12.0)

    def test_the_finding_counts_what_lies_in_the_band(self) -> None:
        (chart,) = validation_charts([a_run(unseen=0.09), a_run("b", unseen=-0.11)])
        assert chart.finding.startswith("50.0 % of 2 published figures are predicted to within 10 %")

    def test_the_band_is_a_tenth_on_either_side_of_the_line(self) -> None:
        (chart,) = validation_charts([a_run()])
        band, line = chart.figure["data"][:2]
        assert [y / x for x, y in zip(band["x"], band["y"], strict=True)] == pytest.approx(
            [0.9, 0.9, 1.1, 1.1]
        )
        assert line["x"] == line["y"]

    def test_each_kind_of_accelerator_has_its_colour_and_its_name(self) -> None:
        runs = [a_run(), a_run("b", accelerator="h100-sxm"), a_run("c", accelerator="l4")]
        (chart,) = validation_charts(runs)
        assert chart.legend == (("A100", "c-blue"), ("H100", "c-orange"), ("other", "c-grey"))
        colours = [trace["marker"]["color"] for trace in chart.figure["data"][2:]]
        assert colours == ["token:c-blue", "token:c-orange", "token:c-grey"]

    def test_hovering_shows_the_run(self) -> None:
        (chart,) = validation_charts([a_run()])
        (text,) = chart.figure["data"][2]["text"]
        assert text == "gpt on 8 × a100-sxm-80gb, fsdp<br>s: a<br>measured 10.0 s, predicted 12.0 s"

    def test_memory_stands_apart_in_gib(self) -> None:
        run = a_run(
            quantity="reserved memory", unit="byte", measured=4.0 * GIB, predicted=4.0 * GIB, unseen=0.0
        )
        times, memories = validation_charts([a_run(), run])
        assert (times.slug, memories.slug) == ("chart-times", "chart-memories")
        assert memories.figure["data"][2]["x"] == [4.0]

    def test_figures_are_sound_to_plotly(self, report: ValidationReport) -> None:
        for chart in validation_charts(report.runs):
            plain = json.loads(re.sub(r'"token:[a-z-]+"', '"#123456"', json.dumps(chart.figure)))
            drawn = go.Figure(data=plain["data"], layout=plain["layout"] | plain["narrow"])
            assert len(drawn.data) == len(chart.figure["data"])
            assert all(len(row) == len(chart.table.columns) for row in chart.table.rows)


def test_a_changed_report_is_read_anew(tmp_path: object, report: ValidationReport) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "report.json"
    data = json.loads(report_file.REPORT.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data | {"calibrated_on": "2026-01-02"}), encoding="utf-8")
    first = report_file.read_report(path)
    path.write_text(json.dumps(data | {"calibrated_on": "2026-01-03", "extra": 1}), encoding="utf-8")
    second = report_file.read_report(path)
    assert first is not None and second is not None
    assert (first.calibrated_on, second.calibrated_on) == ("2026-01-02", "2026-01-03")
