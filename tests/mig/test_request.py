"""The contract's ``mig``: answers to the letter, and every wrong field named with value and remedy."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.jsontext import write_json
from planner.mig.answers import mig_json, mig_lines, mig_text

GPUS = [{"accelerator": "a100-sxm-40gb", "count": 4}]
DEMANDS = [{"profile": "1g.5gb", "count": 6}]


def ask(**question: Any) -> dict[str, Any]:
    answer = mig_json(question, load_shipped_catalog())
    write_json(answer)  # JSON can hold it
    return answer


def test_counts_of_the_contract() -> None:
    answer = ask(enumerate="a100-sxm-40gb", profiles="standard", id="x")
    assert answer["id"] == "x"
    assert answer["valid_configurations"] == 297
    assert answer["maximal_configurations"] == 19
    assert answer["maximal_multisets"] == 14
    assert [p["profile"] for p in answer["profiles"]] == [
        "1g.5gb",
        "2g.10gb",
        "3g.20gb",
        "4g.20gb",
        "7g.40gb",
    ]
    everything = ask(enumerate="a100-sxm-40gb", profiles="all")
    assert (everything["valid_configurations"], everything["maximal_configurations"]) == (722, 78)
    assert everything["maximal_multisets"] == 38
    listed = ask(enumerate="a100-sxm-40gb", profiles=["4g.20gb", "3g.20gb"])
    assert (listed["valid_configurations"], listed["maximal_configurations"]) == (5, 2)
    assert ask(enumerate="a100-sxm-40gb", driver="R470")["maximal_configurations"] == 18


def test_the_contracts_example_of_a_plan() -> None:
    existing = [{"profile": "3g.20gb", "start": 0, "in_use": True}]
    demands = [*DEMANDS, {"min_memory_bytes": 1.8e10, "min_compute_slices": 2, "count": 2}]
    answer = ask(
        gpus=[GPUS[0] | {"existing": existing}], demands=demands, objective="fewest_gpus", profiles="standard"
    )
    assert answer["gpus_used"] == answer["bound"] == 2
    assert answer["optimal"] is True
    assert answer["unplaced"] == []
    kept = {"gpu": 0, "profile": "3g.20gb", "start": 0, "demand": 1, "state": "kept"}
    assert kept in answer["placements"]
    assert {p["state"] for p in answer["placements"]} == {"kept", "created"}
    assert len(answer["placements"]) == 8
    assert answer["commands"] == ["nvidia-smi mig -i 0,1 -cgi 19:4,19:5,19:6 -C"]
    assert answer["mig_parted"].startswith("version: v1\nmig-configs:\n")
    assert answer["elapsed_s"] < 5


def test_new_jobs_can_be_beside_those_that_run() -> None:
    existing = [{"profile": "3g.20gb", "start": 0, "in_use": True}]
    gpus = [{"accelerator": "a100-sxm-40gb", "count": 1, "existing": existing}]
    among = ask(gpus=gpus, demands=[{"profile": "3g.20gb", "count": 2}])
    beside = ask(gpus=gpus, demands=[{"profile": "3g.20gb", "count": 2}], in_use_serves_demands=False)
    assert (among["served"], beside["served"]) == (2, 1)
    assert beside["unplaced"][0]["count"] == 1
    assert beside["nearest_change"]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"gpus": [{"accelerator": "t4"}]}, "gpus.0.accelerator", "cannot be divided"),
    ({"gpus": [{"accelerator": "a100"}]}, "gpus.0.accelerator", "a100-sxm-40gb"),
    ({"gpus": [GPUS[0] | {"existing": [{"profile": "3g.40gb", "start": 0}]}]}, "gpus.0.existing.0.profile",
     "3g.20gb"),
    ({"gpus": [GPUS[0] | {"existing": [{"profile": "3g.20gb", "start": 2}]}]}, "gpus.0.existing.0.start",
     "0, 4"),
    ({"gpus": [GPUS[0] | {"existing": [{"profile": "3g.20gb", "start": 0},
                                       {"profile": "1g.5gb", "start": 2}]}]},
     "gpus.0.existing.1.start", "overlap"),
    ({"gpus": [GPUS[0] | {"existing": [{"profile": "1g.5gb"}]}]}, "gpus.0.existing.0.start", "missing"),
    ({"gpus": [GPUS[0] | {"existing": [{"profile": "odd", "start": 7, "size": 4}]}]},
     "gpus.0.existing.0.size", "beyond"),
    ({"gpus": [GPUS[0] | {"count": 1.5}]}, "gpus.0.count", "whole"),
    ({"gpus": [GPUS[0] | {"count": 0}]}, "gpus.0.count", "too small"),
    ({"gpus": [GPUS[0] | {"nodes": 2}]}, "gpus.0.nodes", "unknown"),
    ({"gpus": [GPUS[0] | {"instance_type": "p4d.24xlarge"}]}, "gpus.0.accelerator", "Keep one"),
    ({"gpus": [{"instance_type": "g4dn.xlarge"}]}, "gpus.0.instance_type", "cannot be divided"),
    ({"gpus": [GPUS[0] | {"indices": [0, 1, 2, 3]}]}, "gpus.0.indices", "host"),
    ({"gpus": [GPUS[0] | {"host": "n", "indices": [0, 0, 1, 2]}]}, "gpus.0.indices", "once"),
    ({"gpus": [GPUS[0] | {"driver": "new"}]}, "gpus.0.driver", "550"),
    ({"gpus": []}, "gpus", "at least one"),
    ({"demands": [{"profile": "1g.10gb+me"}]}, "demands.0.profile", "1g.5gb+me"),
    ({"demands": [{"profile": "1g.5gb", "min_compute_slices": 1}]}, "demands.0", "one thing"),
    ({"demands": [{}]}, "demands.0", "one thing"),
    ({"demands": [{"profile": "1g.5gb", "count": 1e30}]}, "demands.0.count", "too large"),
    ({"demands": [{"profile": "1g.5gb", "count": "6"}]}, "demands.0.count", "quotes"),
    ({"demands": [{"min_memory_bytes": -1}]}, "demands.0.min_memory_bytes", "positive"),
    ({"demands": [{"min_memory_bytes": float("nan")}]}, "demands.0.min_memory_bytes", "finite"),
    ({"demands": [{"job": {"model": "gpt2", "cluster": {}}}]}, "demands.0.job.cluster", "Leave it out"),
    ({"demands": [{"job": {"model": "gpt-two"}}]}, "demands.0.job.model", "catalog"),
    ({"demands": {}}, "demands", "list"),
    ({"objective": "cheapest"}, "objective", "least_cost"),
    ({"profiles": "some"}, "profiles", "standard"),
    ({"profiles": ["9g.90gb"]}, "profiles", "7g.40gb"),
    ({"colour": "blue"}, "colour", "unknown"),
    ({"time_limit_s": 1e9}, "time_limit_s", "at most"),
    ({"exports": ["helm"]}, "exports", "slurm"),
    ({"exports": [["slurm"]]}, "exports", "slurm"),
    ({"stream": "yes"}, "stream", "true or false"),
    ({"profiles": []}, "profiles", "names no profile"),
    ({"gpus": [GPUS[0] | {"existing": [{"profile": "3g.20gb", "start": -1}]}]}, "gpus.0.existing.0.start",
     "starts at 0 or 4"),
    ({"gpus": [GPUS[0] | {"existing": [{"profile": "3g.20gb", "start": 1e18}]}]}, "gpus.0.existing.0.start",
     "too large"),
    ({"gpus": [GPUS[0] | {"existing": [{"profile": "3g.20gb", "start": 0, "gpu_instance_id": 1},
                                       {"profile": "3g.20gb", "start": 4, "gpu_instance_id": 1}]}]},
     "gpus.0.existing.1.gpu_instance_id", "same number"),
    ({"gpus": [{"instance_type": "p4d.24xlarge", "purchase": "gift"}]}, "gpus.0.purchase", "on_demand"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field", "said"), WRONG, ids=[each[1] for each in WRONG])
def test_what_is_wrong_is_named(change: dict[str, Any], field: str, said: str) -> None:
    answer = ask(**{"gpus": GPUS, "demands": DEMANDS, "id": 7} | change)
    named = [each for each in answer["errors"] if each["field"] == field]
    assert named, answer["errors"]
    assert answer["error"] == answer["errors"][0]
    assert said in named[0]["message"] + " " + named[0]["remedy"]
    assert named[0]["remedy"]


def test_several_problems_are_named_at_once() -> None:
    answer = ask(gpus=[GPUS[0] | {"count": 0}], demands=[{"profile": "9g.9gb"}], colour=1)
    assert {each["field"] for each in answer["errors"]} == {"gpus.0.count", "demands.0.profile", "colour"}


@pytest.mark.parametrize(
    "text", ["", "[", "[1]", "3", '{"enumerate": 3}', '{"enumerate": ""}', '{"a": 1, "a": 2}']
)
def test_text_that_is_no_question_is_answered(text: str) -> None:
    (answer,) = mig_text(text, load_shipped_catalog())
    assert "error" in answer


def test_a_hundred_thousand_demands_are_refused_with_a_bound_at_once() -> None:
    began = process_time()
    answer = ask(
        gpus=[{"accelerator": "a30", "count": 90_000}], demands=[{"profile": "1g.6gb", "count": 100_000}]
    )
    assert "at least 25,000" in answer["error"]["message"]
    assert process_time() - began < 1


def test_a_hundred_thousand_entries_are_refused_with_a_bound_at_once() -> None:
    began = process_time()
    answer = ask(gpus=GPUS, demands=[{"profile": "1g.5gb"}] * 100_000, id=4)
    assert "at least 14,286 of these GPUs" in answer["error"]["message"]
    assert answer["id"] == 4
    assert process_time() - began < 1


def test_ten_thousand_groups_are_read_once_each() -> None:
    """What is made of an answer grows with the GPUs, not with their square."""
    present = [{"profile": "1g.5gb", "start": 0, "in_use": True}]
    gpus = [{"accelerator": "a100-sxm-40gb", "existing": present} for _ in range(10_000)]
    began = process_time()
    answer = ask(gpus=gpus, demands=[{"profile": "3g.20gb", "count": 4000}])
    assert answer["gpus_used"] == 4000
    assert process_time() - began < 6


def test_a_stream_shows_layouts_before_the_proof() -> None:
    question = {"gpus": GPUS, "demands": DEMANDS, "id": 5}
    *shown, last = mig_lines(question | {"stream": True}, load_shipped_catalog())
    assert shown
    assert all(set(each) == {"id", "progress"} for each in shown)
    assert shown[0]["progress"]["placements"]
    whole = ask(**question)
    differ = ("elapsed_s",)
    assert {k: v for k, v in last.items() if k not in differ} == {
        k: v for k, v in whole.items() if k not in differ
    }
    (refused,) = mig_lines({"stream": True, "gpus": []}, load_shipped_catalog())
    assert refused["error"]["field"] == "gpus"


def test_a_machine_that_is_bought_has_mig_mode_off() -> None:
    machine = {"instance_type": "p4d.24xlarge"}
    assert "-mig 1" in ask(gpus=[machine], demands=DEMANDS)["commands"][0]
    assert "-mig 1" not in ask(gpus=[machine | {"mig_mode": True}], demands=DEMANDS)["commands"][0]


def test_machines_that_are_bought_are_hosts_of_their_own() -> None:
    """Indices begin anew on each: a command for GPU 8 of a machine that has eight would fail."""
    gpus = [{"instance_type": "p4d.24xlarge", "count": 2}, {"instance_type": "p4d.24xlarge"}]
    answer = ask(gpus=gpus, demands=[{"profile": "7g.40gb", "count": 24}])
    made = [step for step in answer["steps"] if step["kind"] == "create"]
    assert [step["host"] for step in made] == [f"p4d.24xlarge-{number}" for number in (1, 2, 3)]
    assert all(step["gpus"] == list(range(8)) for step in made)
    two = [{"instance_type": "p4d.24xlarge", "count": 2, "host": "node-1"}]
    assert ask(gpus=two, demands=DEMANDS)["error"]["field"] == "gpus.0.host"


def test_what_no_profile_serves_is_named_with_what_would() -> None:
    demands = [{"min_memory_bytes": 6e10, "count": 2}, {"min_memory_bytes": 1e12}]
    found = [each["reason"] for each in ask(gpus=GPUS, demands=demands)["unplaced"]]
    assert "60 GB; the largest, 7g.40gb" in found[0]
    assert "7g.80gb of a100-" in found[0]
    assert "1,000 GB" in found[1]
    assert "Other GPUs" not in found[1]


def test_double_memory_profiles_are_the_nearest_change_where_they_would_do() -> None:
    question: dict[str, Any] = {
        "gpus": [GPUS[0] | {"count": 1}],
        "demands": [{"min_memory_bytes": 9e9, "min_compute_slices": 1, "count": 4}],
    }
    lacking = ask(**question)
    assert lacking["served"] == 3
    assert [each["kind"] for each in lacking["nearest_changes"]] == ["all_profiles", "add_gpus"]
    assert lacking["nearest_changes"][1]["gpus"] == [{"accelerator": "a100-sxm-40gb", "count": 1}]
    assert ask(**question, profiles="all")["served"] == 4
    none = ask(gpus=question["gpus"], demands=[{"min_memory_bytes": 9e9, "count": 5}])
    assert [each["kind"] for each in none["nearest_changes"]] == ["add_gpus"]


def test_a_slice_has_its_part_of_the_price() -> None:
    answer = ask(enumerate="a100-sxm-40gb", profiles="all")
    by_name = {each["profile"]: each for each in answer["profiles"]}
    whole = answer["usd_per_gpu_hour"]
    assert answer["price_of"]
    assert by_name["7g.40gb"]["usd_per_hour"] == whole
    assert by_name["1g.10gb"]["usd_per_hour"] == pytest.approx(whole / 4)
    assert by_name["2g.10gb"]["unused_share_of_gpu"] == pytest.approx(1 / 7)
    assert (by_name["7g.40gb"]["decoders"], by_name["7g.40gb"]["ofa_engines"]) == (5, 1)


def test_a_hundred_thousand_demands_on_few_gpus_are_answered() -> None:
    answer = ask(gpus=GPUS, demands=[{"profile": "1g.5gb", "count": 100_000}])
    assert answer["served"] == 28
    assert answer["unplaced"][0]["count"] == 100_000 - 28
    assert answer["elapsed_s"] < 1


def test_an_unknown_instance_with_its_size_is_kept() -> None:
    existing = [{"profile": "2g.12gb", "start": 4, "size": 2}]
    answer = ask(
        gpus=[GPUS[0] | {"count": 1, "existing": existing}], demands=[{"profile": "3g.20gb", "count": 2}]
    )
    assert answer["served"] == 1
    assert answer["staying"] == [{"gpu": 0, "profile": "2g.12gb", "start": 4, "in_use": False}]
    assert "2g.12gb" in answer["mig_parted"]


def test_a_cloud_machine_is_rented_whole() -> None:
    answer = ask(
        gpus=[{"instance_type": "p4d.24xlarge", "count": 2}], demands=[{"profile": "7g.40gb", "count": 9}],
        objective="least_cost",
    )  # fmt: skip
    one = ask(gpus=[{"instance_type": "p4d.24xlarge", "count": 2}], demands=DEMANDS, objective="least_cost")
    assert answer["usd_per_hour"] == pytest.approx(2 * one["usd_per_hour"])
    assert answer["value"] == pytest.approx(answer["usd_per_hour"])


JOB = {
    "model": "gpt2",
    "workload": {"task": "full_finetuning", "tokens": 1e7, "sequence_length": 512, "global_batch_size": 8},
}


def test_a_job_is_sized_here() -> None:
    gpus = [{"accelerator": "a100-sxm-40gb"}, {"accelerator": "a100-sxm-80gb"}]
    answer = ask(gpus=gpus, demands=[{"job": JOB, "count": 2}])
    assert answer["served"] == 2
    used = {(p["gpu"], p["profile"]) for p in answer["placements"]}
    assert used <= {(0, "2g.10gb"), (0, "3g.20gb"), (0, "1g.5gb"), (1, "1g.10gb")}


def test_a_job_s_size_does_not_turn_on_how_long_it_trains() -> None:
    unsaid = JOB | {"workload": {k: v for k, v in JOB["workload"].items() if k != "tokens"}}
    asked = [ask(right_size=[job], accelerator="a100-sxm-40gb") for job in (JOB, unsaid)]
    assert asked[0] == asked[1] and asked[0]["jobs"][0]["smallest"]


def test_equal_jobs_are_sized_once_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = [{"accelerator": "a100-sxm-80gb", "count": 9}]
    asked_for: list[Any] = []

    def sized(job: Any, *_: Any) -> tuple[str, ...]:
        asked_for.append(job.data)
        return ("1g.10gb",)

    monkeypatch.setattr("planner.mig.answers.job_profiles", sized)
    assert ask(gpus=gpus, demands=[{"job": JOB}] * 40)["served"] == 40
    assert len(asked_for) == 1
    different = [{"job": JOB | {"workload": JOB["workload"] | {"tokens": 1e7 + n}}} for n in range(101)]
    answer = ask(gpus=gpus, demands=different)
    assert answer["error"]["field"] == "demands.100.job"
    assert "100 different jobs" in answer["error"]["message"]
    too_many = ask(right_size=[JOB] * 101, accelerator="a30")
    assert too_many["error"]["field"] == "right_size"


def test_a_job_that_no_slice_holds_is_said_to_be_so() -> None:
    job = {"model": "llama-3.1-70b", "workload": JOB["workload"]}
    answer = ask(gpus=GPUS, demands=[{"job": job}])
    assert answer["served"] == 0
    assert "llama-3.1-70b" in answer["unplaced"][0]["reason"]


def test_a_driver_leaves_out_what_came_later() -> None:
    old = [GPUS[0] | {"driver": "470.57", "count": 1}]
    assert "error" in ask(gpus=old, demands=[{"profile": "1g.10gb"}])
    both = [{"profile": "4g.20gb"}, {"profile": "3g.20gb"}]
    assert ask(gpus=old, demands=both)["served"] == 1
    assert ask(gpus=[GPUS[0] | {"count": 1}], demands=both)["served"] == 2


def test_a_list_of_jobs_is_sized() -> None:
    too_large = {"model": "llama-3.1-70b", "workload": JOB["workload"]}
    wrong = {"model": "gpt2", "workload": {"task": "dreaming"}}
    answer = ask(right_size=[JOB, too_large, wrong], accelerator="a100-sxm-80gb", id=3)
    small, large, senseless = answer["jobs"]
    assert answer["id"] == 3
    by_name = {each["profile"]: each for each in small["profiles"]}
    best = by_name[small["smallest"]]
    assert best["fits"]
    assert best["fit_probability"] >= 0.9
    smaller = [p for p in small["profiles"] if p["share_of_gpu"] < best["share_of_gpu"]]
    assert not any(each["fits"] and each["fit_probability"] >= 0.9 for each in smaller)
    assert best["usd_per_hour"] < small["whole_gpu"]["usd_per_hour"]
    assert by_name["7g.80gb"]["share_of_gpu"] == 1
    assert by_name["2g.20gb"]["unused_share_of_gpu"] == pytest.approx(1 / 7)
    assert by_name["1g.10gb"]["unused_share_of_gpu"] == 0
    alone = small["whole_gpu"]["tokens_per_usd"]
    assert best["tokens_per_usd"] == pytest.approx(best["tokens_per_s"] * 3600 / best["usd_per_hour"])
    assert best["against_whole_gpu"] == pytest.approx(best["tokens_per_usd"] / alone)
    assert small["time_slicing"]["tokens_per_usd"] > 0
    assert "upper bound" in small["time_slicing"]["figures_are"]
    assert all(each["tokens_per_usd"] is None for each in large["profiles"])
    assert small["time_slicing"]["jobs"] > 1
    assert "faults" in small["time_slicing"]["isolation"]
    assert small["mps"]["measured"] is False
    assert large["smallest"] is None
    assert senseless["error"]["field"] == "workload.task"
    assert "error" in ask(right_size=[JOB], accelerator="t4")
    assert (
        ask(right_size=[JOB | {"cluster": {}}], accelerator="a30")["error"]["field"] == "right_size.0.cluster"
    )
