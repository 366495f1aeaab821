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
from django.utils.html import escape

from planner.accuracy import bills, errors, page, presenters
from planner.accuracy import report as report_file
from planner.accuracy.charts import unseen_prediction, validation_charts
from planner.accuracy.overview_charts import bill_chart, coverage_chart
from planner.accuracy.report import ValidatedRun, ValidationReport, share
from planner.web.formats import GIB


@pytest.fixture
def report() -> ValidationReport:
    found = report_file.read_report()
    assert found is not None
    return found


def a_run(name: str = "a", **changes: object) -> ValidatedRun:
    run = ValidatedRun(
        name=name, model="gpt", source="s", framework="fsdp", accelerator="a100-sxm-80gb", accelerators=8,
        kind="pretraining", quantity="step time", unit="s", measured=10.0, predicted=10.5, low=9.0, high=12.0,
        covered=True, by_group=0.1, by_source=0.2, covered_by_source=True,
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]


@pytest.mark.django_db
class TestThePage:
    def test_the_honest_sentences_come_first(self, client: Client, report: ValidationReport) -> None:
        text = client.get("/validation").content.decode()
        spoken = errors.sentences(report)
        places = [text.index(escape(sentence)) for sentence in spoken]
        assert places == sorted(places)
        assert places[-1] < text.index('id="chart-bills"') < text.index('id="runs"')
        for headline in presenters.headlines(report):
            assert headline.value in text

    def test_the_first_figure_is_of_sources_left_out(self, report: ValidationReport) -> None:
        first, _, golden, _ = errors.sentences(report)
        assert f"is off by {share(errors.balanced(errors.steps(report)))} on average" in first
        assert "7.2 % before its errors were looked at, 3.5 % after" in golden
        today = sum(abs(run.error) for run in report.unfitted) / len(report.unfitted)
        assert f"today's constants are {share(today)} off" in golden

    def test_it_says_what_is_fitted_and_names_the_peers(
        self, client: Client, report: ValidationReport
    ) -> None:
        text = client.get("/validation").content.decode()
        assert f"{report.fitted['timing_constants']} timing constants" in text
        assert share(report.peer.mean) == "3.7 %"
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
        assert "published figures chosen, one by one" in text
        assert "korthikanti-22B" not in text
        assert '<option value="h100-sxm" selected>h100-sxm</option>' in text
        assert 'href="/validation#runs">Show all</a>' in text

    def test_words_find_runs(self, client: Client) -> None:
        text = client.get("/validation?text=Korthikanti+530B").content.decode()
        assert "korthikanti-530B-full" in text
        assert "korthikanti-22B-full" not in text

    def test_there_is_one_table_of_errors_by_whatever_one_asks(self, client: Client) -> None:
        for by in presenters.LINES:
            text = client.get(f"/validation?by={by}").content.decode()
            assert text.count('id="runs"') == 1
            assert "aria-sort" not in text
        text = client.get("/validation?by=framework").content.decode()
        assert "by=run&amp;" in text or "&amp;by=run" in text
        assert ">torchtitan</a>" in text

    def test_long_lists_are_cut_and_can_be_had_whole(self, client: Client) -> None:
        text = client.get("/validation?kind=finetuning").content.decode()
        assert "List all" in text
        whole = client.get("/validation?kind=finetuning&all=1").content.decode()
        assert "List all" not in whole
        assert len(whole) > len(text)

    def test_what_does_not_go_together_is_said(self, client: Client) -> None:
        text = client.get("/validation?source=neuron-trn1&accelerator=h100-sxm").content.decode()
        assert "No published figure has all of these." in text
        assert "chart-times" not in text

    @pytest.mark.parametrize(
        "query",
        ["source=nobody", "accelerator=<script>", "sort=nonsense", "sort=-", "by=x", "text=%3Cscript"],
    )
    def test_an_unknown_choice_asks_nothing(self, client: Client, query: str) -> None:
        response = client.get(f"/validation?{query}")
        assert response.status_code == 200
        assert "<script>" not in response.content.decode().replace("<script src", "")

    def test_the_sorted_column_says_so_and_keeps_the_choice(self, client: Client) -> None:
        text = client.get("/validation?source=qwen&sort=-unseen").content.decode()
        assert 'aria-sort="descending"><a href="?source=qwen&amp;by=run&amp;sort=unseen#runs">' in text

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


class TestErrors:
    def test_each_source_counts_the_same(self) -> None:
        runs = [a_run(str(row), by_source=0.1) for row in range(9)] + [a_run("z", source="t", by_source=-0.3)]
        assert errors.balanced(runs) == pytest.approx(0.2)
        line = errors.error_line("of", "step time", runs)
        assert line.by_figure == pytest.approx(0.12)
        assert (line.figures, line.sources, line.largest) == (10, 2, 0.3)

    def test_what_was_not_left_out_is_no_unseen_error(self) -> None:
        line = errors.error_line("of", "step time", [a_run(by_source=None, covered_by_source=None)])
        assert (line.by_source, line.covered) == (None, None)
        assert line.largest == pytest.approx(0.05)

    def test_width_is_of_upper_over_lower_end(self) -> None:
        assert errors.error_line("of", "step time", [a_run(low=5.0, high=20.0)]).width == 4.0

    def test_rounds_are_unseen_only_by_refits_without_their_source(self, report: ValidationReport) -> None:
        rounds = report.chosen(kind="rlhf", figure="step time")
        assert rounds
        for run in rounds:
            assert run.by_source is None or run.by_source != pytest.approx(run.error, abs=1e-6)

    def test_the_benchmark_is_no_part_of_its_class(self, report: ValidationReport) -> None:
        assert not set(errors.steps(report)) & set(report.unfitted)
        lines = presenters.context(report, {"by": "kind"})["lines"]
        listed = sum(int(line.cells[1][0].replace(",", "")) for line in lines)
        assert listed == len(report.runs) - len(report.unfitted)

    def test_stacks_tell_what_their_rows_are(self, report: ValidationReport) -> None:
        stacks = {each.name: each for each in errors.stack_rows(report)}
        assert stacks["fsdp"].figures == len(report.chosen(framework="fsdp"))
        assert errors.counted(["a", "b", "b"]) == "b (2), a (1)"

    def test_peers_stand_beside_the_runs_that_we_have(self, report: ValidationReport) -> None:
        table = replace(report, runs=(*report.runs, a_run(source=report.peer_means[0].our_source)))
        golden, *others = errors.beside_peers(table)
        assert golden.theirs == report.peer.mean
        assert others[0].theirs == report.peer_means[0].mean_error


class TestWhatAnAddressAsks:
    def test_lines_are_ordered_both_ways_with_the_unknown_last(self, report: ValidationReport) -> None:
        def column(sort: str) -> list[str]:
            lines = presenters.context(report, {"by": "source", "sort": sort})["lines"]
            return [line.cells[3][0] for line in lines]

        known = [float(each.split()[0]) for each in column("unseen") if each]
        assert known == sorted(known)
        down = column("-unseen")
        assert "" not in down[: len(known)]
        assert [float(each.split()[0]) for each in down[: len(known)]] == sorted(known, reverse=True)

    def test_a_heading_turns_its_own_order_round(self, report: ValidationReport) -> None:
        def query(sort: str, column: int) -> str:
            found = presenters.context(report, {"sort": sort, "by": "source"})["headings"][column].query
            return str(found).removeprefix("by=source&")

        assert (query("", 0), query("name", 0), query("-name", 0)) == ("sort=name", "sort=-name", "sort=name")
        assert (query("", 7), query("-largest", 7)) == ("sort=-largest", "sort=largest")

    def test_runs_of_a_source_on_an_accelerator(self, report: ValidationReport) -> None:
        found = report.chosen(source="llm-foundry", accelerator="h100-sxm")
        assert found
        assert {(run.source, run.accelerator) for run in found} == {("llm-foundry", "h100-sxm")}

    def test_misses_have_their_cause_or_say_that_it_is_not_known(self, report: ValidationReport) -> None:
        assert len(report.misses) >= 10
        assert all(miss.cause for miss in report.misses)


class TestTheBills:
    def test_every_bill_is_answered_and_has_its_source(self) -> None:
        rows = [json.loads(line) for line in bills.BILLS.read_text(encoding="utf-8").splitlines()]
        found = bills.bills()
        assert [each.name for each in found] == [row["name"] for row in rows]
        assert all(each.source and each.as_of and each.note for each in found)
        assert all(0 < each.low < each.predicted_hours < each.high for each in found)

    def test_the_chart_counts_what_lies_in_its_band(self) -> None:
        first = bills.bills()[0]
        near = replace(first, predicted_hours=first.published_hours * 1.1)
        far = replace(first, name="far", predicted_hours=first.published_hours * 2.0)
        chart = bill_chart([near, far])
        assert chart.finding.startswith("1 of 2 published totals are met within 15 % (the band)")
        assert chart.figure["data"][1]["x"] == [1.1, 2.0]

    def test_coverage_is_counted_by_class(self, report: ValidationReport) -> None:
        runs = (a_run(), a_run("b", covered_by_source=False), a_run("c", kind="encoder"))
        chart = coverage_chart(replace(report, runs=runs, rl_held={"one": 1.0, "two": 0.6}))
        assert [row[0] for row in chart.table.rows] == [
            "pretraining, time", "encoders, time", "reinforcement learning, time",
        ]  # fmt: skip
        assert chart.figure["data"][1]["x"] == [50.0, 100.0, 80.0]


class TestTheChart:
    def test_points_are_of_constants_that_had_not_seen_the_run(self) -> None:
        (chart,) = validation_charts([a_run(), a_run("b", measured=2.0, predicted=3.0, by_source=None)])
        points = chart.figure["data"][2]
        assert (points["x"], points["y"]) == ([10.0, 2.0], [12.0, 3.0])
        assert unseen_prediction(a_run()) == pytest.approx(12.0)

    def test_the_finding_counts_what_lies_in_the_band(self) -> None:
        (chart,) = validation_charts([a_run(by_source=0.09), a_run("b", by_source=-0.11)])
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
            quantity="reserved memory", unit="byte", measured=4.0 * GIB, predicted=4.0 * GIB, by_source=0.0
        )
        times, memories = validation_charts([a_run(), run])
        assert (times.slug, memories.slug) == ("chart-times", "chart-memories")
        assert memories.figure["data"][2]["x"] == [4.0]

    def test_figures_are_sound_to_plotly(self, report: ValidationReport) -> None:
        overview = [bill_chart(bills.bills()), coverage_chart(report)]
        for chart in [*validation_charts(report.runs), *overview]:
            plain = json.loads(re.sub(r'"token:[a-z-]+"', '"#123456"', json.dumps(chart.figure)))
            drawn = go.Figure(data=plain["data"], layout=plain["layout"] | plain.get("narrow", {}))
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
