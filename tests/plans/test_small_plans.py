"""Small plans, as people have them: one or a few small cards, fine-tuning. What is said of them holds.

Every one is asked for its verdict, its chance and its remedies by the contract, and each remedy is applied as
a program would apply it: as a JSON merge patch of the request.
"""

from __future__ import annotations

from datetime import date
from itertools import groupby
from time import process_time
from typing import Any, get_args

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question.result import SURE, RemedyKind
from planner.plans.answers import estimate_json
from tests.contract.merge_patch import merge_patch

Json = dict[str, Any]
TODAY = date(2026, 11, 1)
CATALOG = load_shipped_catalog()
KINDS = get_args(RemedyKind)

SMALL = ("gpt2", "qwen3-0.6b", "llama-3.2-1b")
MEDIUM = ("llama-3.2-3b", "llama-2-7b", "mistral-7b", "llama-3.1-8b")
LARGE = ("qwen3-14b", "qwen3-32b", "llama-3.1-70b", "mixtral-8x7b")
#: (models, task, machines, sequence length, batch): 77 plans.
TABLE: tuple[tuple[tuple[str, ...], str, tuple[str, ...], int, int], ...] = (
    (SMALL, "full_finetuning", ("g4dn.xlarge", "g5.xlarge", "g6.xlarge"), 2048, 16),
    (MEDIUM, "full_finetuning", ("g5.xlarge", "g6e.xlarge", "g5.12xlarge"), 2048, 16),
    (MEDIUM, "lora", ("g5.xlarge", "g6.xlarge", "g6e.xlarge"), 4096, 16),
    (MEDIUM, "qlora", ("g4dn.xlarge", "g5.xlarge", "l4"), 4096, 16),
    (LARGE, "lora", ("g5.12xlarge", "g6e.12xlarge", "h100-sxm"), 2048, 16),
    (LARGE, "qlora", ("g6e.xlarge", "g5.12xlarge", "a100-sxm-80gb"), 4096, 8),
    (("bert-large-uncased", "t5-11b"), "full_finetuning", ("g4dn.xlarge", "g5.xlarge"), 512, 32),
    (("llama-3.1-8b", "llama-2-7b"), "pretraining", ("g5.12xlarge", "rtx-pro-6000"), 4096, 64),
)


def plans() -> list[Json]:
    found: list[Json] = []
    for models, task, machines, length, batch in TABLE:
        for model in models:
            for machine in machines:
                work = {"task": task, "tokens": 1e8, "sequence_length": length, "global_batch_size": batch}
                if model == "t5-11b":
                    work["decoder_sequence_length"] = 128
                found.append({"model": model, "workload": work, "cluster": cluster(machine)})
    return found


def cluster(machine: str) -> Json:
    if "." in machine:
        return {"instance_type": machine, "nodes": 1}
    return {
        "accelerator": machine,
        "accelerators_per_node": 1,
        "nodes": 1,
        "internode_gbps_per_node": 100,
        "usd_per_node_hour": 2.0,
    }


PLANS = plans()


def ask(question: Json) -> Json:
    answer = estimate_json(question, CATALOG, today=TODAY)
    assert "error" not in answer, (question, answer["error"])
    return answer


def named(question: Json) -> str:
    cluster = question["cluster"]
    machine = cluster.get("instance_type") or cluster["accelerator"]
    return f"{question['workload']['task']} of {question['model']} on {machine}"


@pytest.fixture(scope="module")
def answers() -> list[Json]:
    return [ask(question) for question in PLANS]


def test_there_are_77_and_of_all_three_verdicts(answers: list[Json]) -> None:
    assert len(PLANS) == 77
    counts = {kind: sum(each["verdict"] == kind for each in answers) for kind in ("fits", "tight")}
    assert counts["fits"] >= 20
    assert counts["tight"] >= 1
    assert sum(not each["fits"] for each in answers) >= 15


def test_the_verdict_follows_from_memory_and_chance(answers: list[Json]) -> None:
    for question, answer in zip(PLANS, answers, strict=True):
        memory = answer["memory"]
        fits = memory["per_accelerator_bytes"]["total"] <= memory["usable_bytes"]
        sure = memory["fit_probability"] >= SURE
        assert answer["fits"] is fits, named(question)
        assert answer["verdict"] == ("does_not_fit" if not fits else "fits" if sure else "tight")


def test_more_spare_memory_is_a_better_chance(answers: list[Json]) -> None:
    """Among plans with one interval of allocated bytes, beside what each needs at least."""

    def interval(answer: Json) -> tuple[float, float]:
        allocated = answer["memory"]["allocated_bytes"]
        low, high = answer["memory"]["allocated_interval_bytes"]
        return round(low / allocated, 6), round(high / allocated, 6)

    def room(answer: Json) -> float:
        memory = answer["memory"]
        return float(memory["usable_bytes"] / memory["needed_bytes"])

    compared = 0
    for _, alike in groupby(sorted(answers, key=interval), key=interval):
        chances = [each["memory"]["fit_probability"] for each in sorted(alike, key=room)]
        assert chances == sorted(chances)
        compared += len(chances) > 2
    assert compared


def test_a_plan_that_fits_surely_needs_no_remedy_and_others_have_some(answers: list[Json]) -> None:
    for question, answer in zip(PLANS, answers, strict=True):
        if answer["verdict"] == "fits":
            assert answer["remedies"] == [], named(question)
        elif answer["verdict"] == "does_not_fit":
            assert answer["remedies"], named(question)
            assert answer["nearest_fit"]["change"] == answer["remedies"][0]["change"]
        assert len(answer["remedies"]) <= 5
        assert (answer["nearest_fit"] is None) == (answer["fits"] or not answer["remedies"])


def test_what_does_not_fit_has_another_remedy_than_more_nodes(answers: list[Json]) -> None:
    for question, answer in zip(PLANS, answers, strict=True):
        if not answer["fits"]:
            assert {each["kind"] for each in answer["remedies"]} - {"nodes"}, named(question)


def test_remedies_are_in_the_order_of_effort_the_sure_ones_first(answers: list[Json]) -> None:
    for question, answer in zip(PLANS, answers, strict=True):
        order = [(each["fit_probability"] < SURE, KINDS.index(each["kind"])) for each in answer["remedies"]]
        assert order == sorted(order), named(question)
        assert len({each["kind"] for each in answer["remedies"]}) == len(order)


def test_every_remedy_applied_gives_the_numbers_that_it_promised(answers: list[Json]) -> None:
    applied = 0
    for question, answer in zip(PLANS, answers, strict=True):
        for remedy in answer["remedies"]:
            changed = ask(merge_patch(question, remedy["request_patch"]))
            told = f"{named(question)}: {remedy['change']}"
            assert changed["fits"], told
            if answer["fits"]:
                assert changed["verdict"] == "fits", told
            chance, total_s = changed["memory"]["fit_probability"], changed["time"]["total_s"]
            assert chance == pytest.approx(remedy["fit_probability"], rel=1e-9), told
            assert total_s == pytest.approx(remedy["total_s"], rel=1e-9), told
            usd = None if changed["cost"] is None else changed["cost"]["usd"]
            assert usd == (remedy["usd"] and pytest.approx(remedy["usd"], rel=1e-9)), told
            applied += 1
    assert applied >= 60


def test_remedies_take_milliseconds() -> None:
    """A thousand plans that do not fit, in seconds. The bound is slack, since machines of tests are slow."""
    lacking = [question for question in PLANS if not ask(question)["fits"]]
    start = process_time()
    for question in lacking:
        ask(question)
    assert (process_time() - start) / len(lacking) < 0.1
