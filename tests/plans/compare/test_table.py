"""The comparison's rows: equal terms for every machine, any order, and a reason for what does not run."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question.result import PlanResult
from planner.plans import variations
from planner.plans.answers import answer_plan
from planner.plans.compare import table
from planner.plans.variations import MachineRow, Spread
from tests.plans.plans import a_request

QUESTION = a_request(nodes=2)
CATALOG = load_shipped_catalog()


@pytest.fixture(scope="module")
def plan() -> PlanResult:
    return answer_plan(QUESTION, CATALOG)


@pytest.fixture(scope="module")
def rows(plan: PlanResult) -> list[MachineRow]:
    return variations.answer_machines(QUESTION, plan, CATALOG, spread="accelerators")


def compared(plan: PlanResult, rows: list[MachineRow], sort: str = "") -> table.Comparison:
    return table.compare_machines(
        QUESTION,
        plan,
        rows,
        sort=sort,
        spread="accelerators",
        today=date(2026, 1, 1),
        link=lambda row: row.record.slug,
    )


def test_every_instance_type_is_asked_in_the_catalogs_order(rows: list[MachineRow]) -> None:
    assert [row.record.slug for row in rows] == [record.slug for record in CATALOG.instances()]


@pytest.mark.parametrize("key", list(table.KEYS))
def test_what_fits_comes_first_in_any_order(plan: PlanResult, rows: list[MachineRow], key: str) -> None:
    for sort in (key, f"-{key}"):
        found = compared(plan, rows, sort)
        fits = [row.fits for row in found.rows]
        assert fits == sorted(fits, reverse=True)
        assert {row.slug for row in found.rows} == {row.record.slug for row in rows}
        marked = [column for column in found.columns if column.sorted]
        assert [column.key for column in marked] == [key]
        assert marked[0].sorted == ("descending" if sort.startswith("-") else "ascending")


def test_the_other_end_is_one_click_away(plan: PlanResult, rows: list[MachineRow]) -> None:
    links = {column.key: column.sort for column in compared(plan, rows, "time").columns}
    assert links["time"] == "-time"
    assert links["cost"] == "cost"


@pytest.mark.parametrize("key", ["time", "cost", "memory"])
def test_the_order_is_the_columns(plan: PlanResult, rows: list[MachineRow], key: str) -> None:
    names = list(compared(plan, rows, key).csv_rows[0])
    column = names.index({"time": "total_s", "cost": "usd", "memory": "memory_bytes"}[key])
    lines = [line for line in compared(plan, rows, key).csv_rows[1:] if line[names.index("fits")] == "yes"]
    values = [float(line[column]) for line in lines if line[column]]
    assert len(values) > 5
    assert values == sorted(values)


def test_an_unknown_order_is_the_usual_one(plan: PlanResult, rows: list[MachineRow]) -> None:
    assert compared(plan, rows, "beauty").sort == "cost"


def test_old_chips_are_asked_in_fp16(plan: PlanResult, rows: list[MachineRow]) -> None:
    old = next(row for row in rows if row.record.slug == "p3.16xlarge")
    assert old.precision == "fp16"
    assert isinstance(old.answer, PlanResult)
    assert str(next(row for row in compared(plan, rows).rows if row.slug == "p3.16xlarge").cells[0]).endswith(
        "in fp16"
    )
    assert next(row for row in rows if row.record.slug == "p4d.24xlarge").precision is None


def test_a_chip_without_the_precision_says_what_to_use(plan: PlanResult) -> None:
    fp8 = replace(QUESTION, workload=replace(QUESTION.workload, precision="fp8"))
    found = compared(plan, variations.answer_machines(fp8, plan, CATALOG, spread="accelerators"))
    ampere = next(row for row in found.rows if row.slug == "p4d.24xlarge")
    assert not ampere.fits
    assert "no fp8 unit" in ampere.why
    assert "bf16" in ampere.why


def test_what_does_not_fit_says_why(plan: PlanResult, rows: list[MachineRow]) -> None:
    lacking = [row for row in compared(plan, rows).rows if not row.fits]
    assert lacking
    assert all(row.why for row in lacking)


@pytest.mark.parametrize(("spread", "nodes"), [("accelerators", 4), ("nodes", 2)])
def test_machines_are_compared_on_equal_terms(plan: PlanResult, spread: Spread, nodes: int) -> None:
    found = variations.answer_machines(QUESTION, plan, CATALOG, spread=spread)
    four_a_node = next(row for row in found if row.record.slug == "g6e.24xlarge")
    assert isinstance(four_a_node.answer, PlanResult)
    assert four_a_node.answer.cluster.nodes == nodes


def test_the_plan_itself_is_one_of_the_rows(plan: PlanResult, rows: list[MachineRow]) -> None:
    assert next(row for row in rows if row.record.slug == "p5.48xlarge").answer is plan


def test_the_fewest_nodes_fit_and_one_less_would_not(plan: PlanResult) -> None:
    found = variations.answer_machines(QUESTION, plan, CATALOG, spread="fewest")
    mine = next(row for row in found if row.record.slug == "p5.48xlarge")
    assert isinstance(mine.answer, PlanResult)
    assert mine.answer.fits
    assert mine.answer.cluster.nodes == 1


def test_other_node_counts_keep_the_degrees_asked_for(plan: PlanResult) -> None:
    points = variations.answer_node_counts(QUESTION, plan)
    assert [point.nodes for point in points] == [1, 2, 4, 8, 16, 32, 64]
    assert points[1].answer is plan
