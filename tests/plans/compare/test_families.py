"""The folded comparison: families, filters, ticks, marks, and the table as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question.result import PlanResult
from planner.plans import variations
from planner.plans.answers import answer_plan
from planner.plans.compare.chart import machines_chart
from planner.plans.compare.families import (
    LEAST_BYTES_PER_S,
    Families,
    families,
    kept_rows,
    odd,
    ordered,
    read_wanted,
)
from planner.plans.compare.goals import Wish, missed, standing
from planner.plans.variations import MachineRow
from tests.plans.plans import a_request

QUESTION = a_request(nodes=2)
CATALOG = load_shipped_catalog()


@pytest.fixture(scope="module")
def plan() -> PlanResult:
    return answer_plan(QUESTION, CATALOG)


@pytest.fixture(scope="module")
def rows(plan: PlanResult) -> list[MachineRow]:
    return variations.answer_machines(QUESTION, plan, CATALOG, spread="accelerators")


def table(
    plan: PlanResult, rows: Sequence[MachineRow], sort: str = "", beside: Sequence[str] = (), **given: str
) -> Families:
    lists = {"beside": list(beside), "column": [name for name in given.pop("column", "").split(",") if name]}
    wanted = read_wanted(given, lambda name: lists[name])
    return families(rows, plan, wanted, sort=sort, measured=lambda slug: 3, link=lambda row: row.record.slug)


def slugs(found: Families) -> list[str]:
    return [row.slug for family in found.families for row in (family.best, *family.others)]


def test_a_family_has_one_row_and_none_is_lost(plan: PlanResult, rows: list[MachineRow]) -> None:
    found = table(plan, rows)
    names = [family.name for family in found.families]
    assert len(names) == len(set(names))
    assert sorted(slugs(found)) == sorted(row.record.slug for row in rows)


def test_the_best_size_is_the_first_by_the_order(plan: PlanResult, rows: list[MachineRow]) -> None:
    by_slug = {row.record.slug: row.answer for row in rows}
    for family in table(plan, rows, "time").families:
        best = by_slug[family.best.slug]
        for other in family.others:
            answer = by_slug[other.slug]
            if family.best.fits and other.fits and family.best.odd == other.odd == "":
                assert isinstance(best, PlanResult)
                assert isinstance(answer, PlanResult)
                assert best.time.total_s <= answer.time.total_s


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        ({"only_provider": "aws"}, lambda row: row.record.spec.provider == "aws"),
        ({"only_chip": "h100-sxm"}, lambda row: row.record.spec.accelerator.slug == "h100-sxm"),
        (
            {"only_verdict": "does_not_fit"},
            lambda row: isinstance(row.answer, PlanResult) and not row.answer.fits,
        ),
        (
            {"most_chip_hour": "$5"},
            lambda row: (
                isinstance(row.answer, PlanResult)
                and row.answer.cost is not None
                and row.answer.cost.price_usd_per_node_hour / row.answer.cluster.accelerators_per_node <= 5
            ),
        ),
        (
            {"most_days": "400"},
            lambda row: isinstance(row.answer, PlanResult) and row.answer.time.total_s <= 400 * 86_400,
        ),
    ],
)
def test_a_filter_keeps_what_passes(plan: PlanResult, rows: list[MachineRow], given: dict, passes) -> None:  # type: ignore[no-untyped-def, type-arg]
    found = table(plan, rows, **given)
    wanted = sorted(row.record.slug for row in rows if passes(row))
    assert sorted(slugs(found)) == wanted
    assert found.left_out == len(rows) - len(wanted) > 0
    assert next(iter(given)) in found.query


def test_what_misses_deadline_or_budget_says_by_how_much_and_comes_after_what_meets_them(
    plan: PlanResult,
) -> None:
    days, usd = 60.0, 300_000.0
    asked = replace(QUESTION, deadline_days=days, budget_usd=usd)
    rows = variations.answer_machines(asked, answer_plan(asked, CATALOG), CATALOG, spread="accelerators")
    wish = Wish(deadline_days=days, budget_usd=usd)
    fit = [row.answer for row in rows if isinstance(row.answer, PlanResult) and row.answer.fits]
    late = next(answer for answer in fit if answer.time.total_s > days * 86_400)
    assert missed(late, wish)[0].startswith("misses the deadline by ")
    for sort in ("cost", "-time"):
        found = ordered(rows, sort.removeprefix("-"), descending=sort.startswith("-"))
        answers = [row.answer for row in found if isinstance(row.answer, PlanResult) and not odd(row)]
        stands = [standing(answer) for answer in answers if answer.fits]
        assert sorted(stands, key=lambda each: each != "met") == stands
    assert {"met", "late"} <= set(stands)
    kept = kept_rows(rows, read_wanted({"only_goal": "met"}, lambda name: []))
    for row in kept:
        assert isinstance(row.answer, PlanResult)
        assert row.answer.time.total_s <= days * 86_400
        assert row.answer.cost is None or row.answer.cost.usd <= usd
    assert 0 < len(kept) < len(rows)
    chart = machines_chart(rows, mine=None, deadline_s=days * 86_400, budget_usd=usd)
    assert chart is not None
    lines = chart.figure["layout"]["shapes"]
    assert [(each.get("y0"), each.get("x0")) for each in lines] == [(days * 86_400, 0), (0, usd)]


def test_a_limit_that_is_no_number_is_left_out(plan: PlanResult, rows: list[MachineRow]) -> None:
    assert table(plan, rows, most_usd="cheap").left_out == 0


def test_columns_are_those_chosen(plan: PlanResult, rows: list[MachineRow]) -> None:
    found = table(plan, rows, column="time,m_tokens,nonsense")
    assert [column.key for column in found.columns] == ["name", "time", "m_tokens"]


def test_two_to_six_stand_side_by_side(plan: PlanResult, rows: list[MachineRow]) -> None:
    assert not table(plan, rows, beside=["p5.48xlarge"]).beside
    found = table(plan, rows, beside=["p5.48xlarge", "p4d.24xlarge", "p5.48xlarge"])
    assert found.beside_names == ("p5.48xlarge", "p4d.24xlarge")
    differs = {label: differs for label, _, differs in found.beside}
    assert differs["Time"]
    many = [row.record.slug for row in rows][:9]
    assert len(table(plan, rows, beside=many).beside_names) == 6


def test_many_machines_with_a_thin_network_are_marked(rows: list[MachineRow]) -> None:
    row = next(each for each in rows if isinstance(each.answer, PlanResult))
    assert isinstance(row.answer, PlanResult)
    many = replace(row.answer, cluster=replace(row.answer.cluster, nodes=64))
    thin = replace(row.record.spec, internode_bytes_per_s=0.9 * LEAST_BYTES_PER_S, accelerators_per_node=1)
    marked = MachineRow(replace(row.record, spec=thin), row.cluster, many)
    assert "64 machines with 9 Gbit/s" in odd(marked)
    assert not odd(
        MachineRow(marked.record, row.cluster, replace(many, cluster=replace(many.cluster, nodes=8)))
    )


def test_ranges_lie_on_one_scale(plan: PlanResult, rows: list[MachineRow]) -> None:
    bars = [
        cell.bar
        for family in table(plan, rows).families
        for cell in family.best.cells
        if cell.key == "time" and cell.bar is not None
    ]
    assert len(bars) > 5
    assert all(-0.01 <= bar.low <= bar.value <= bar.high <= 100.01 for bar in bars)


def test_the_table_as_text_has_every_row(plan: PlanResult, rows: list[MachineRow]) -> None:
    texts = dict(table(plan, rows, column="time").texts)
    assert texts["TSV"].splitlines()[0] == "Instance type\tTime"
    assert texts["CSV"].count("\n") == len(rows) + 1
    assert texts["Markdown"].splitlines()[1] == "| --- | --- |"
