"""What the plan page says of a result."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question.result import Measured, PlanResult
from planner.engine.question.sale import Interruptions
from planner.plans import evidence, exports, presenters, traces
from planner.plans.answers import answer_plan
from planner.plans.room import room
from planner.plans.variations import NodePoint
from tests.plans.plans import a_layout, a_request, a_result

SOON = date(2025, 7, 1)
LATE = date(2025, 12, 1)


def test_the_verdict_is_one_sentence() -> None:
    said = presenters.verdict(a_request(), a_result())
    assert f"{said.subject}: {said.sentence}" == (
        "Llama 3.1 8B on 16 × p5.48xlarge: fits with 10.0 GiB to spare; 30.0 days (27.0 to 34.5); "
        "$634k ($571k to $729k)"
    )
    assert said.gist == "Fits: 30.0 days, $634k"


def test_what_does_not_fit_says_by_how_much_and_where() -> None:
    said = presenters.verdict(a_request(), a_result(fits=False))
    assert said.kind == "does_not_fit"
    assert said.sentence == "does not fit, 10.0 GiB too much on each GPU"
    assert said.detail.startswith("Each GPU needs 50.0 GiB")


def test_a_narrow_fit_is_called_one() -> None:
    result = a_result()
    memory = replace(result.memory, usable_bytes=52.0 * 2**30, fit_probability=0.72)
    said = presenters.verdict(a_request(), replace(result, memory=memory))
    assert said.kind == "tight"
    assert "tight, fits in about 7 of 10 cases" in said.sentence
    assert said.detail == (
        "It may run out of memory: it leaves 2.00 GiB to spare of 52.0 GiB,"
        " and the 80 % range of its need reaches 55.0 GiB."
    )
    assert presenters.verdict(a_request(), result).detail == ""


def test_four_figures_each_with_its_range() -> None:
    time, cost, memory, mfu = presenters.headlines(a_result())
    assert [figure.key for figure in (time, cost, memory, mfu)] == ["time", "cost", "memory", "mfu"]
    assert all(figure.range is not None for figure in (time, cost, memory, mfu))
    assert str(memory.value) == "50.0 GiB"
    assert str(mfu.range) == "35.8 to 45.8 %"


def test_no_price_is_said_and_not_shown_as_nothing() -> None:
    request = a_request(purchase="capacity_block")
    result = replace(a_result(request=request), cost=None)
    cost = presenters.headlines(result)[1]
    assert cost.value is None
    assert "No price is known" in cost.note


def test_the_layout_in_words() -> None:
    said = presenters.layout_in_words(a_layout(), a_request().cluster)
    assert said == (
        "8-way tensor parallel inside each node with sequence parallel; 16 replicas (data parallel); "
        "ZeRO-1 (optimizer states sharded); micro-batches of 1, 64 accumulated per step; "
        "selective activation recompute."
    )


def test_every_degree_of_a_layout_is_told() -> None:
    layout = replace(
        a_layout(), tensor_parallel=16, pipeline_parallel=4, interleaved_stages=2, context_parallel=2,
        expert_parallel=8, data_parallel=1, gradient_accumulation=1,
    )  # fmt: skip
    said = presenters.layout_in_words(layout, a_request().cluster)
    for words in (
        "across nodes",
        "4 pipeline stages of 2 interleaved chunks",
        "2-way context",
        "8-way expert",
        "one replica",
    ):
        assert words in said


def test_a_remedy_pins_only_what_decides_the_fit() -> None:
    (remedy,) = presenters.remedies(a_result(fits=False))
    assert remedy.text == "Recompute all activations: fits, 40.0 days, $800k"
    assert remedy.changes["recompute"] == "full"
    assert remedy.changes["dp"] == ""
    assert "instance" not in remedy.changes


def test_another_machine_takes_the_place_of_ones_own() -> None:
    patch = {"cluster": {"instance_type": "p5en.48xlarge", "region": "us-east-2", "nodes": 2}}
    changes = presenters.patched_fields(patch)
    assert (changes["instance"], changes["region"], changes["nodes"]) == ("p5en.48xlarge", "us-east-2", "2")
    assert changes["chip"] == ""


class TestTraces:
    def test_every_headline_has_a_trace(self) -> None:
        assert [trace.key for trace in traces.traces(a_result())] == [
            "time",
            "cost",
            "memory",
            "mfu",
            "rest",
        ]

    def test_cost_goes_down_to_the_leaves(self) -> None:
        cost = traces.traces(a_result())[1].roots[0]
        assert cost.name == "Cost of the run"
        assert cost.children[0].name == "Time of the run"
        assert cost.children[0].children[0].name == "Time of a step"
        assert cost.children[0].children[0].children[0].name == "Forward"

    def test_the_real_engines_parts_add_up(self) -> None:
        result = answer_plan(a_request(), load_shipped_catalog())
        by_name = {term.name: term for term in result.explanation}
        for parent in ("step_s", "total"):
            parts = [term.value for term in result.explanation if term.parent == parent and term.part]
            assert sum(parts) == pytest.approx(by_name[parent].value, rel=1e-6)
        assert by_name["total"].value == result.memory.per_accelerator_bytes.total
        assert by_name["total_s"].value == result.time.total_s
        assert [trace.key for trace in traces.traces(result)][:4] == ["time", "cost", "memory", "mfu"]

    def test_every_number_has_a_formula_and_a_source(self) -> None:
        result = answer_plan(a_request(), load_shipped_catalog())

        def walk(node: traces.TraceNode) -> list[traces.TraceNode]:
            return [node, *(inner for child in node.children for inner in walk(child))]

        nodes = [node for trace in traces.traces(result) for root in trace.roots for node in walk(root)]
        assert nodes
        assert not [node.name for node in nodes if not (node.formula and node.source)]


class TestCsv:
    def test_values_are_exact(self) -> None:
        result = a_result()
        rows = {row[:2]: row for row in exports.csv_rows(a_request(), result)}
        assert rows["time", "total"][2:] == (
            str(result.time.total_s),
            "s",
            *map(str, result.time.total_interval_s),
        )
        assert rows["memory", "total"][2] == str(result.memory.per_accelerator_bytes.total)
        assert ("layout", "tensor_parallel", "8", "", "", "") in rows.values()

    def test_every_line_has_as_many_cells_as_the_first(self) -> None:
        rows = exports.csv_rows(a_request(), a_result()) + exports.node_csv_rows([NodePoint(16, a_result())])
        assert {len(row) for row in rows} == {6}


def test_launch_settings_are_those_of_stacks_that_can_do_the_plan() -> None:
    request = a_request()
    megatron = replace(request, workload=replace(request.workload, framework="megatron"))
    page = presenters.present_plan(megatron, a_result(), today=SOON)
    assert [table.stack for table in page.launch] == ["megatron"]
    lora = replace(megatron, workload=replace(megatron.workload, task="lora"))
    assert presenters.present_plan(lora, a_result(), today=SOON).launch == ()


def test_facts_name_what_the_figures_rest_on() -> None:
    names = {name: str(value) for name, value in presenters.facts(a_request(), a_result())}
    assert names["Parameters"] == "8.03B"
    assert names["Batch"] == "1,024 × 8,192 = 8.39M tokens"
    assert "Trained" not in names


def test_machines_of_ones_own_are_described() -> None:
    cluster = replace(a_request().cluster, instance_type=None)
    assert presenters.machines(cluster) == "16 × (8 × H100 SXM5 80GB)"


def test_what_a_rank_runs_on_has_its_own_word() -> None:
    assert presenters.unit_of(a_request().cluster) == "GPU"
    assert presenters.unit_of(a_request(instance_type="trn1.32xlarge").cluster) == "NeuronCore"


def test_a_page_is_made_of_one_result() -> None:
    result: PlanResult = a_result()
    page = presenters.present_plan(a_request(), result, today=SOON)
    assert page.remedies == ()
    assert page.warnings == ("Outside what was measured.",)
    assert page.chosen == "tp=8 pp=1 vp=1 cp=1 ep=1 dp=16 group=16 mbs=1 ga=64"
    assert page.layout_chosen == "tensor parallel, micro batch size"


class TestRoom:
    """No estimate is exact to a MiB, so none is told."""

    def said(self, total_gib: float, *, fits: bool = True) -> str:
        result = a_result(fits=fits)
        usable = result.memory.usable_bytes
        parts = replace(result.memory.per_accelerator_bytes, total=usable - total_gib * 2**30)
        return room(replace(result, memory=replace(result.memory, per_accelerator_bytes=parts)))

    def test_what_is_left_is_told_in_gib(self) -> None:
        assert self.said(10.0) == "10.0 GiB to spare"
        assert self.said(-5.0, fits=False) == "5.00 GiB too much"

    @pytest.mark.parametrize("bytes_left", [0, 1, 2**19, 2**24])
    def test_almost_nothing_is_told_in_words(self, bytes_left: int) -> None:
        assert self.said(bytes_left / 2**30) == "no room to spare"
        if bytes_left:
            assert self.said(-bytes_left / 2**30, fits=False) == "by a hair"

    def test_what_lacks_is_told_in_gib_and_by_its_largest_part(self) -> None:
        said = presenters.verdict(a_request(), a_result(fits=False)).detail
        assert said == (
            "Each GPU needs 50.0 GiB and has 40.0 GiB; the largest part is weights with 16.0 GiB."
        )


class TestEvidence:
    def said(self, **changes: Any) -> str:
        usual: dict[str, Any] = {
            "runs": 130,
            "sources": 4,
            "nearest": (),
            "error_on_unseen": 0.041,
            "runs_on_accelerator": 133,
        }
        return evidence.in_words(Measured(**(usual | changes)), "H100", "timed")

    def test_near_runs_are_counted_with_their_error(self) -> None:
        assert self.said() == "timed on 130 H100 runs near this one, 4 % off unseen"
        assert self.said(runs=1, error_on_unseen=None) == "timed on 1 H100 run near this one"

    def test_a_chip_without_runs_is_said_to_be_one(self) -> None:
        nothing = self.said(runs=0, runs_on_accelerator=0)
        assert (
            nothing == "no run timed on this chip: from its data sheet (such runs elsewhere: 4 % off unseen)"
        )
        assert self.said(runs=0, error_on_unseen=None) == "no run like this timed on H100, 133 others"

    def test_the_link_chooses_the_runs(self) -> None:
        request = a_request()
        found = evidence.notes(request, answer_plan(request, load_shipped_catalog()))
        assert found["time"][0].query == "accelerator=h100-sxm&kind=pretraining"
        assert evidence.notes(request, a_result()) == {}

    def test_what_whole_runs_took_beyond_their_steps_is_said_unless_the_question_says_it(self) -> None:
        request = a_request()
        note = evidence.beyond_steps(request)
        assert note is not None and note.text.startswith("steps alone: ")
        interruptions = Interruptions(per_node_day=0.0, write_s=60.0, restart_s=900.0, given=("goodput",))
        sale = replace(request.cluster.sale, interruptions=interruptions)
        said = replace(request, cluster=replace(request.cluster, sale=sale))
        assert evidence.beyond_steps(said) is None
