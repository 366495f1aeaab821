"""The comparison's rows: equal terms for every machine, any order, and a reason for what does not run."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.choose import candidates
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.needed import Held, held_per_rank, needed_per_rank
from planner.engine.question.result import PlanResult
from planner.plans import variations
from planner.plans.answers import answer_plan
from planner.plans.compare import table
from planner.plans.compare.columns import COLUMNS, ORDERS
from planner.plans.compare.families import Families, FamilyRow, families, odd, ordered, read_wanted
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


def compared(plan: PlanResult, rows: list[MachineRow], sort: str = "") -> Families:
    wanted = read_wanted({}, lambda name: list(COLUMNS) if name == "column" else [])
    return families(rows, plan, wanted, sort=sort, measured=lambda slug: 0, link=lambda row: row.record.slug)


def shown(found: Families) -> list[FamilyRow]:
    return [row for family in found.families for row in (family.best, *family.others)]


def test_every_instance_type_is_asked_in_the_catalogs_order(rows: list[MachineRow]) -> None:
    assert [row.record.slug for row in rows] == [record.slug for record in CATALOG.instances()]


@pytest.mark.parametrize("key", list(ORDERS))
def test_what_fits_comes_first_in_any_order(plan: PlanResult, rows: list[MachineRow], key: str) -> None:
    for sort in (key, f"-{key}"):
        found = compared(plan, rows, sort)
        fits = [family.best.fits for family in found.families]
        assert fits == sorted(fits, reverse=True)
        assert {row.slug for row in shown(found)} == {row.record.slug for row in rows}
        marked = [column for column in found.columns if column.sorted]
        assert [column.key for column in marked] == [key]
        assert marked[0].sorted == ("descending" if sort.startswith("-") else "ascending")


def test_the_other_end_is_one_click_away(plan: PlanResult, rows: list[MachineRow]) -> None:
    links = {column.key: column.sort for column in compared(plan, rows, "time").columns}
    assert links["time"] == "-time"
    assert links["cost"] == "cost"


@pytest.mark.parametrize("key", ["time", "cost", "memory"])
def test_the_order_is_the_columns(rows: list[MachineRow], key: str) -> None:
    names = list(table.CSV_COLUMNS)
    column = names.index({"time": "total_s", "cost": "usd", "memory": "memory_bytes"}[key])
    sound = [row for row in ordered(rows, key, descending=False) if not odd(row)]
    lines = [line for line in table.csv_rows_of(sound)[1:] if line[names.index("fits")] == "yes"]
    values = [float(line[column]) for line in lines if line[column]]
    assert len(values) > 5
    assert values == sorted(values)


def test_an_unknown_order_is_the_usual_one(plan: PlanResult, rows: list[MachineRow]) -> None:
    assert compared(plan, rows, "beauty").sort == "cost"


def test_what_is_said_of_all_machines(plan: PlanResult, rows: list[MachineRow]) -> None:
    said = table.compare_machines(QUESTION, plan, rows, spread="accelerators", today=date(2026, 1, 1))
    assert said.rows == len(rows)
    assert said.fitting == sum(1 for row in shown(compared(plan, rows)) if row.fits)
    assert said.chart is not None
    assert said.price_age.startswith("prices ")


def test_machines_that_hold_the_same_are_counted_once(
    plan: PlanResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the plans that are looked at have their memory counted, in a few dozen grids."""
    counted: list[int] = []
    priced: list[int] = []

    def counting(grid: PlanGrid, constants: MemoryConstants) -> Held:
        counted.append(grid.tensor_parallel.size)
        return held_per_rank(grid, constants)

    def pricing(grid: PlanGrid, constants: MemoryConstants, held: Held | None = None) -> Array:
        priced.append(grid.tensor_parallel.size)
        return needed_per_rank(grid, constants, held)

    monkeypatch.setattr(candidates, "held_per_rank", counting)
    monkeypatch.setattr(candidates, "needed_per_rank", pricing)
    question = replace(QUESTION, workload=replace(QUESTION.workload, tokens=3e12))
    variations.answer_machines(question, plan, CATALOG, spread="accelerators")
    assert len(counted) + len(priced) < 40
    assert 0 < sum(counted) < sum(priced) / 3


def test_old_chips_are_asked_in_fp16(plan: PlanResult, rows: list[MachineRow]) -> None:
    old = next(row for row in rows if row.record.slug == "p3.16xlarge")
    assert old.precision == "fp16"
    assert isinstance(old.answer, PlanResult)
    assert str(
        next(row for row in shown(compared(plan, rows)) if row.slug == "p3.16xlarge").cells[0].text
    ).endswith("in fp16")
    assert next(row for row in rows if row.record.slug == "p4d.24xlarge").precision is None


def test_a_chip_without_the_precision_says_what_to_use(plan: PlanResult) -> None:
    fp8 = replace(QUESTION, workload=replace(QUESTION.workload, precision="fp8"))
    found = compared(plan, variations.answer_machines(fp8, plan, CATALOG, spread="accelerators"))
    ampere = next(row for row in shown(found) if row.slug == "p4d.24xlarge")
    assert not ampere.fits
    assert "no fp8 unit" in ampere.why
    assert "bf16" in ampere.why


def test_what_does_not_fit_says_why(plan: PlanResult, rows: list[MachineRow]) -> None:
    lacking = [row for row in shown(compared(plan, rows)) if not row.fits]
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
