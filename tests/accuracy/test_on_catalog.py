"""What the catalog's pages say was measured: the table of rates, groups, and shares of today's peaks."""

from __future__ import annotations

import statistics

import pytest

from planner.accuracy.achieved import ACHIEVED_FILE, COLUMNS, achieved_runs
from planner.accuracy.calibration import read, shipped_calibration
from planner.accuracy.on_catalog import of_chip, of_model, share_of_peak
from planner.accuracy.report import STEP, read_report
from planner.accuracy.runs import FURTHER, GOLDEN, MEASURED, read_rows, read_runs
from planner.accuracy.validate.achieved import achieved_rows
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.pages.evidence import ChipAsked


def chip(slug: str, per_node: int | None = None) -> ChipAsked:
    record = load_shipped_catalog().accelerator(slug).spec
    peaks = {name: getattr(record, f"{name}_flops_per_s") for name in ("fp32", "tf32", "bf16", "fp16", "fp8")}
    return ChipAsked(
        slug=slug,
        name=record.name,
        peaks_tflops={name: peak / 1e12 for name, peak in peaks.items() if peak},
        per_node=per_node,
    )


@pytest.mark.slow
def test_the_table_is_what_the_runs_make() -> None:
    """``make validate`` writes it; so does ``python -m planner.accuracy.validate.achieved``."""
    calibration = shipped_calibration()
    runs = [run for path in (MEASURED, FURTHER, GOLDEN) for run in read_runs(calibration, path)]
    assert {"columns": list(COLUMNS), "rows": achieved_rows(runs)} == read(ACHIEVED_FILE)


def test_the_table_has_every_run_of_the_report() -> None:
    report = read_report()
    assert report is not None
    assert {each.run.name for each in achieved_runs()} == {run.name for run in report.runs}
    timed = {each.run.name for each in achieved_runs() if each.tflops is not None}
    assert timed == {run.name for run in report.runs if run.figure == STEP and run.kind != "rlhf"}


def test_the_rates_are_those_that_sources_publish() -> None:
    """Where a source gives its MFU, the peak times that share is the rate counted from its step time."""
    published = {
        row["row_id"]: row["measured"]["published_mfu"]
        for row in read_rows(MEASURED)
        if "published_mfu" in row["measured"]
    }
    off = []
    for each in achieved_runs():
        if each.run.name in published and each.tflops is not None:
            share = share_of_peak(each, chip(each.run.accelerator).peaks_tflops)
            assert share is not None
            off.append(abs(share / published[each.run.name] - 1))
    assert len(off) > 100
    assert statistics.median(off) < 0.02
    assert sum(each > 0.1 for each in off) < 0.05 * len(off)


def test_no_run_is_above_its_chips_peak() -> None:
    for each in achieved_runs():
        share = share_of_peak(each, chip(each.run.accelerator).peaks_tflops)
        assert share is None or 0 < share < 1, each.run.name


def test_a_chip_has_its_runs_beneath_its_peaks() -> None:
    found = of_chip(chip("h100-sxm"))
    runs = [each for each in achieved_runs() if each.run.accelerator == "h100-sxm"]
    assert found.sentence.startswith(f"{len(runs)} published runs from")
    assert "of its peak, the best" in found.sentence
    assert found.chart is not None
    traces = {trace["name"]: trace for trace in found.chart.figure["data"]}
    assert traces["bf16 peak"]["y"] == [pytest.approx(989.5, rel=1e-3)] * 2
    assert len(traces["bf16"]["y"]) == sum(r.precision == "bf16" and r.tflops is not None for r in runs)
    assert max(traces["bf16"]["y"]) < traces["bf16 peak"]["y"][0]
    assert found.query == "accelerator=h100-sxm"
    assert sum(line.runs for line in found.lines) <= len(runs)


def test_a_machine_counts_runs_in_nodes_of_as_many_chips() -> None:
    alike = of_chip(chip("h100-sxm", per_node=8))
    assert "in nodes of 8" in alike.sentence and alike.chart is None
    assert "none in nodes of 3" in of_chip(chip("h100-sxm", per_node=3)).sentence
    assert "No published run" in of_chip(ChipAsked(slug="x", name="X", peaks_tflops={})).sentence


def test_a_model_has_the_runs_of_its_shape_and_not_of_its_neighbours() -> None:
    catalog = load_shipped_catalog()
    lines = of_model(catalog.model("llama-3.1-8b")).lines
    names = {line.model for line in lines}
    assert "llama-3.1-8b" in names and "mistral-7b" not in names
    assert any("TFLOP/s in" in line.share for line in lines)
    assert "No published run" in of_model(catalog.model("bamba-9b")).sentence
