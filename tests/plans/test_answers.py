"""The one entry point: alternatives where nothing fits, the day of a price's age, and system checks."""

from datetime import date
from typing import Any

import pytest
from django.core import checks
from django.core.checks import run_checks

from planner.catalog import selectors
from planner.catalog.facts.loader import CatalogDataError, load_shipped_catalog
from planner.catalog.models import Accelerator
from planner.catalog.services import load_catalog
from planner.contract.parse import parse_plan_request
from planner.plans import answers
from tests.api.test_v1 import QUESTION
from tests.contract.merge_patch import merge_patch

CATALOG = load_shipped_catalog()
TODAY = date(2026, 8, 1)


def question(**changes: Any) -> dict[str, Any]:
    return QUESTION | changes


def on(instance: str, **changes: Any) -> dict[str, Any]:
    return {"instance_type": instance, "nodes": 1, **changes}


def test_alternatives_have_more_memory_and_the_cheapest_stands_first() -> None:
    request = parse_plan_request(question(cluster=on("p4d.24xlarge"), layout="auto"), CATALOG)
    found = answers.alternatives(request, CATALOG)
    assert found
    for dear in found:
        for cheaper in found[: found.index(dear)]:
            assert not answers._holds_as_much(cheaper, dear), "dearer, and nothing fits on it for its memory"
    prices = [cluster.usd_per_node_hour for cluster in found]
    assert prices == sorted(prices, key=lambda usd: usd or 0)
    for cluster in found:
        assert cluster.provider == "aws"
        assert cluster.accelerators_per_node * cluster.accelerator.memory_bytes > 8 * 40960 * 2**20
        assert cluster.accelerator.bf16_flops_per_s > 0


def test_a_plan_that_fits_in_no_way_names_another_machine() -> None:
    workload = {
        "task": "full_finetuning",
        "tokens": 1e9,
        "sequence_length": 2048,
        "global_batch_size": 1,
    }
    data = question(model="llama-2-7b", workload=workload, cluster=on("g5.xlarge"), layout="auto")
    answer = answers.estimate_json(data, CATALOG, today=TODAY)
    assert answer["fits"] is False
    assert answer["reason"]
    assert answer["nearest_fit"] is not None
    assert answer["nearest_fit"]["memory_total_bytes"] <= answer["nearest_fit"]["usable_bytes"]


def test_the_day_decides_whether_a_price_is_old() -> None:
    def codes(today: date) -> set[str]:
        answer = answers.estimate_json(QUESTION, CATALOG, today=today)
        return {warning["code"] for warning in answer["warnings"]}

    assert "price_stale" in codes(date(2030, 1, 1))
    assert "price_stale" not in codes(TODAY)


def test_no_price_is_a_warning_not_an_error() -> None:
    cluster = on("p5.48xlarge", price_as_of="1999-01-01", nodes=16)
    answer = answers.estimate_json(question(cluster=cluster), CATALOG, today=TODAY)
    assert answer["cost"] is None
    assert "no_price" in {warning["code"] for warning in answer["warnings"]}


def test_every_model_of_the_catalog_can_be_planned() -> None:
    workload = {"task": "pretraining", "tokens": 1e9, "sequence_length": 128, "global_batch_size": 64}
    for record in CATALOG.models():
        data = question(model=record.slug, workload=workload, layout="auto")
        answer = answers.estimate_json(data, CATALOG, today=TODAY)
        assert "error" not in answer, (record.slug, answer)
        if record.parameters is not None:
            assert answer["parameters"]["total"] == record.parameters


def test_the_projects_own_checks_pass() -> None:
    assert run_checks(tags=["catalog"]) == []


def test_broken_files_are_said_at_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise CatalogDataError("prices.csv, line 3: no such thing")

    monkeypatch.setattr("planner.catalog.checks.load_shipped_catalog", broken)
    monkeypatch.setattr("planner.accuracy.checks.shipped_calibration", broken)
    found = run_checks(tags=["catalog"])
    assert sorted(str(message.id) for message in found) == ["planner.E001", "planner.E002"]
    assert all("line 3" in message.msg for message in found)


@pytest.mark.django_db
def test_an_empty_database_is_a_warning() -> None:
    def found() -> list[str | None]:
        return [message.id for message in run_checks(tags=[checks.Tags.database], databases=["default"])]

    assert "planner.W001" in found()
    load_catalog(CATALOG)
    assert "planner.W001" not in found()


@pytest.mark.django_db
def test_what_an_administrator_changes_is_what_plans_use() -> None:
    load_catalog(CATALOG)
    before = answers.estimate_json(QUESTION, selectors.current_catalog(), today=TODAY)
    chip = Accelerator.objects.get(slug="h100-sxm")
    chip.memory_mib = 2 * chip.memory_mib
    chip.save()
    after = answers.estimate_json(QUESTION, selectors.current_catalog(), today=TODAY)
    assert after["memory"]["usable_bytes"] > before["memory"]["usable_bytes"]


def test_a_plan_too_large_for_its_partition_is_offered_the_next_larger_one() -> None:
    cluster = on("p4d.24xlarge", nodes=1, mig_profile="1g.5gb")
    workload = {"task": "lora", "tokens": 1e7, "sequence_length": 256, "global_batch_size": 8}
    data = question(model="llama-3.2-3b", workload=workload, cluster=cluster, layout="auto")
    answer = answers.estimate_json(data, CATALOG, today=TODAY)
    assert answer["fits"] is False
    offered = {each["kind"]: each for each in answer["remedies"]}
    patch = offered["machine"]["request_patch"]
    assert patch["cluster"] == {"nodes": 1, "mig_profile": "2g.10gb"}
    changed = answers.estimate_json(merge_patch(data, patch), CATALOG, today=TODAY)
    assert changed["fits"] is True
    assert changed["cluster"]["mig_profile"] == "2g.10gb"


@pytest.mark.parametrize(
    ("model", "cluster", "batch"),
    [
        # As many of the largest machines do not hold it, and neither do 64 times the cards.
        ("llama-3.1-405b", {"instance_type": "g5.xlarge", "nodes": 1}, 256),
        # Two nodes of which the batch can use one.
        ("llama-3.1-70b", {"instance_type": "g5.xlarge", "nodes": 2}, 1),
    ],
)
def test_what_nothing_near_holds_is_offered_what_does(
    model: str, cluster: dict[str, Any], batch: int
) -> None:
    task = "pretraining" if batch > 1 else "lora"
    workload = {"task": task, "tokens": 1e9, "sequence_length": 2048, "global_batch_size": batch}
    data = question(model=model, workload=workload, cluster=cluster, layout="auto")
    answer = answers.estimate_json(data, CATALOG, today=TODAY)
    assert answer["fits"] is False
    first = answer["remedies"][0]
    assert answers.estimate_json(merge_patch(data, first["request_patch"]), CATALOG, today=TODAY)["fits"]
