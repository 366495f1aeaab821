"""The recorded validation: it is of this engine, and it is as good as it has to be."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest

from planner.accuracy.calibration import TIMING_FILE, read, shipped_calibration
from planner.accuracy.runs import GOLDEN, every_run, read_rows, read_runs, timed
from planner.accuracy.validate import known_causes, peers, write
from planner.accuracy.validate.document import worst_of_groups
from planner.accuracy.validate.predictions import (
    GOLDEN_SOURCE,
    Figure,
    held_out,
    memory_figures,
    time_figures,
)
from planner.accuracy.validate.summary import guarded, worsened
from planner.engine.answer.estimate import estimate

#: Every so many rows is predicted anew; all of them by ``make validate``.
STRIDE = 20


@lru_cache(maxsize=1)
def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(write.REPORT_FILE.read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=1)
def rows() -> dict[tuple[str, str], dict[str, Any]]:
    """Report rows by run and quantity."""
    named = [dict(zip(report()["columns"], row, strict=True)) for row in report()["rows"]]
    return {(row["name"], row["quantity"]): row for row in named}


def figures_now(path: Any, stride: int) -> dict[tuple[str, str], Figure]:
    calibration = shipped_calibration()
    runs = read_runs(calibration, path) if path else every_run(calibration)
    # Rounds of reinforcement learning are composed of phases: each is another case.
    often = max(stride // 4, 1)
    runs = [run for row, run in enumerate(runs) if row % (often if run.kind == "rlhf" else stride) == 0]
    seen = held_out("time"), held_out("memory")
    found = {}
    for run in runs:
        result = estimate(run.request, calibration)
        for figure in (*time_figures(run, result, seen[0]), *memory_figures(run, result, seen[1])):
            found[run.row_id, figure.quantity] = figure
    return found


class TestTheReport:
    def test_a_sample_of_runs_is_predicted_as_recorded(self) -> None:
        sample = figures_now(None, STRIDE)
        assert len(sample) > 607 // STRIDE
        for key, figure in sample.items():
            row = rows()[key]
            assert figure.predicted == pytest.approx(row["predicted"], rel=1e-3), (
                f"{key}: the report is of another engine; run `make validate`"
            )
            assert figure.measured == pytest.approx(row["measured"], rel=1e-4)
            if figure.interval is not None:
                assert (row["low"], row["high"]) == pytest.approx(figure.interval, rel=1e-3)

    def test_every_measured_step_is_in_it_with_the_error_of_a_fit_that_had_not_seen_it(self) -> None:
        steps = [row for row in rows().values() if row["quantity"] == "step time" and row["fitted"]]
        assert len(steps) == len(timed(every_run(shipped_calibration())))
        assert all(row["error_by_group"] is not None and row["error_by_source"] is not None for row in steps)

    def test_a_range_holds_its_own_prediction(self) -> None:
        ranged = [row for row in rows().values() if row["low"] is not None]
        assert len(ranged) > 800
        assert all(row["low"] < row["predicted"] < row["high"] for row in ranged)
        assert all(row["covered"] == (row["low"] <= row["measured"] <= row["high"]) for row in ranged)

    def test_it_is_of_the_constants_in_use(self) -> None:
        provenance = shipped_calibration().provenance["timing"]
        assert report()["fitted"]["runs"] == provenance["runs"]
        for column, name in (("by_group", "leave_one_group_out"), ("by_source", "leave_one_source_out")):
            recorded = provenance["relative_error"][name]["mean"]
            assert report()["tables"]["step_time"][column] == pytest.approx(recorded, abs=1e-3)

    def test_its_guarded_figures_are_those_of_its_tables(self) -> None:
        assert report()["guarded"] == guarded(report()["tables"])

    def test_the_document_says_the_same(self) -> None:
        text = write.DOCUMENT_FILE.read_text(encoding="utf-8")
        tables = report()["tables"]
        step = tables["step_time"]
        said = f"{step['by_source'] * 100:.1f} % on sources and {step['by_group'] * 100:.1f} % on groups"
        assert f"Over all runs {said}" in text
        timing = read(TIMING_FILE)["provenance"]["relative_error"]["leave_one_source_out"]
        assert f"pretraining {timing['by_source_and_class']['pretraining'] * 100:.1f} %" in text
        for line in tables["step_time_by_source"]:
            assert f"| {line['name']} | {line['figures']} |" in text

    def test_it_reads_back_what_it_wrote(self) -> None:
        assert json.loads(write.as_text(report())) == report()


class TestHowGoodItIs:
    def test_step_time_of_unseen_groups(self) -> None:
        assert report()["tables"]["step_time"]["by_group"] <= 0.12

    @pytest.mark.parametrize(
        ("kind", "most"), [("pretraining", 0.145), ("encoder", 0.135), ("finetuning", 0.162)]
    )
    def test_step_time_of_unseen_sources(self, kind: str, most: float) -> None:
        """Each source counts the same. What is aimed at is 0.10, 0.15 and 0.15: docs/validation.md."""
        timing = read(TIMING_FILE)["provenance"]["relative_error"]["leave_one_source_out"]
        assert timing["by_source_and_class"][kind] <= most

    def test_ranges_hold_unseen_runs(self) -> None:
        tables = report()["tables"]
        for share in (
            tables["step_time"]["covered_by_group"],
            tables["step_time"]["covered_by_source"],
            tables["memory"]["covered_by_group"],
        ):
            assert 0.70 <= share <= 0.95

    def test_the_golden_rows_are_never_fitted_and_stay_near(self) -> None:
        golden = [row for row in rows().values() if row["source"] == GOLDEN_SOURCE]
        assert len(golden) == 8
        assert not any(row["fitted"] for row in golden)
        assert not {row["name"] for row in golden} & set(held_out("time"))
        now = figures_now(GOLDEN, 1)
        errors = [abs(figure.predicted / figure.measured - 1.0) for figure in now.values()]
        assert sum(errors) / 8 == pytest.approx(report()["tables"]["golden"]["shipped"], abs=1e-3)
        assert max(errors) < 0.25

    def test_fit_or_not_is_judged_rightly(self) -> None:
        assert report()["tables"]["verdicts"]["right"] >= 0.95

    def test_memory_of_unseen_groups(self) -> None:
        assert report()["tables"]["memory"]["by_group"] <= 0.08


class TestTheGate:
    def test_a_figure_that_grew_by_more_than_a_twentieth_is_named(self) -> None:
        found = worsened({"step time": 0.078, "memory": 0.05}, {"step time": 0.083, "memory": 0.0524})
        assert found == ["step time: 7.80% on record, 8.30% now"]

    def test_rounding_is_no_worsening(self) -> None:
        assert worsened({"one source": 0.004}, {"one source": 0.0045}) == []

    def test_coverage_may_move_by_a_run_or_two(self) -> None:
        name = "step_time, covered_by_group: distance from 80 %"
        assert worsened({name: 0.01}, {name: 0.025}) == []
        assert worsened({name: 0.01}, {name: 0.05}) != []

    def test_better_and_new_figures_pass(self) -> None:
        assert worsened({"a": 0.1}, {"a": 0.05, "b": 0.9}) == []

    def test_a_worse_report_is_not_written(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        better = {name: value / 2 for name, value in report()["guarded"].items()}
        record, page = tmp_path / "report.json", tmp_path / "page.md"
        record.write_text(json.dumps({"guarded": better}), encoding="utf-8")
        monkeypatch.setattr(write, "REPORT_FILE", record)
        monkeypatch.setattr(write, "DOCUMENT_FILE", page)
        monkeypatch.setattr(write, "computed_report", lambda: (report(), []))
        monkeypatch.setattr("sys.argv", ["validate"])
        with pytest.raises(SystemExit) as stopped:
            write.main()
        assert stopped.value.code == 1
        assert json.loads(record.read_text(encoding="utf-8")) == {"guarded": better}
        assert not page.exists()


class TestPeers:
    def test_each_figure_is_of_a_golden_run(self) -> None:
        assert set(peers.read_peers()) == {row["row_id"] for row in read_rows(GOLDEN)}

    def test_calculon_comes_out_as_it_says_itself(self) -> None:
        measured = {row["row_id"]: row["measured"]["step_s"] for row in read_rows(GOLDEN)}
        errors = [abs(each.predicted_s / measured[name] - 1.0) for name, each in peers.read_peers().items()]
        assert sum(errors) / 8 == pytest.approx(0.0365, abs=1e-4)
        assert max(errors) == pytest.approx(0.0887, abs=2e-4)


def test_every_written_cause_is_of_a_run_at_hand() -> None:
    names = [row["row_id"] for row in read_rows()]
    for key in (*known_causes.TIME_CAUSES, *known_causes.MEMORY_CAUSES):
        assert any(name.startswith(key) for name in names), key


def test_an_unknown_cause_is_said_to_be_unknown() -> None:
    assert known_causes.cause("foundry-079", "step time") == known_causes.NOT_KNOWN


def test_one_run_a_group_stands_among_the_worst() -> None:
    class Run:
        def __init__(self, group: str, error: float) -> None:
            self.group, self.error = group, error

    found = [Run("a", 0.1), Run("a", 0.3), Run("b", 0.2)]
    worst = worst_of_groups(found, lambda run: run.error)  # type: ignore[arg-type, attr-defined]
    assert [(run.group, run.error) for run in worst] == [("a", 0.3), ("b", 0.2)]  # type: ignore[attr-defined]
