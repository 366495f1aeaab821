"""How a run goes, as a request says it: kernels that agree with each other, real lengths, experts."""

from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Experts, Sequences, Workload
from planner.engine.run.length import total_steps
from tests.contract.conftest import ABSENT, bent


def workload(catalog: Catalog, **changes: Any) -> Workload:
    return parse_plan_request(
        bent({f"workload.{name}": value for name, value in changes.items()}), catalog
    ).workload


def test_nothing_said_is_nothing_read(catalog: Catalog) -> None:
    read = workload(catalog)
    assert (read.attention_kernel, read.kernels, read.autocast) == (None, None, None)
    assert (read.sequences, read.moe, read.head_positions) == (None, None, None)


def test_lengths_and_experts_are_read(catalog: Catalog) -> None:
    lengths = {"kind": "padded_to_longest", "mean_tokens": 300, "max_tokens": 700, "std_tokens": 150.5}
    assert workload(catalog, sequences=lengths).sequences == Sequences(**lengths)
    experts = {"dispatcher": "deepep", "capacity_factor": 1.25, "balance": "forced", "grouped_matmul": True}
    mixture = {
        "architecture": "decoder", "layers": 4, "hidden_size": 512, "attention_heads": 8, "vocab_size": 32000,
        "experts": 8, "experts_per_token": 2, "expert_ffn_size": 1024,
    }  # fmt: skip
    read = parse_plan_request(bent({"model": mixture, "workload.moe": experts}), catalog)
    assert read.workload.moe == Experts(**experts)


def test_experts_of_a_dense_model_are_noted(catalog: Catalog) -> None:
    read = parse_plan_request(bent({"workload.moe": {"balance": "forced"}}), catalog)
    assert [code for code, _ in read.notes].count("unused_field") == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"attention": "flash", "attention_kernel": "standard"}, "workload.attention_kernel"),
        ({"attention": "standard", "attention_kernel": "flash_2"}, "workload.attention_kernel"),
        ({"attention_kernel": "flash_9"}, "workload.attention_kernel"),
        ({"compile": True, "kernels": "plain"}, "workload.kernels"),
        ({"kernels": "fast"}, "workload.kernels"),
        ({"autocast": "yes"}, "workload.autocast"),
        ({"head_positions": 10**7}, "workload.head_positions"),
        ({"head_positions": 1.5}, "workload.head_positions"),
        ({"sequences": {"mean_tokens": 100}}, "workload.sequences.kind"),
        ({"sequences": {"kind": "packed", "mean_tokens": 10**7}}, "workload.sequences.mean_tokens"),
        (
            {"sequences": {"kind": "packed", "mean_tokens": 200, "max_tokens": 100}},
            "workload.sequences.mean_tokens",
        ),
        ({"sequences": {"kind": "packed", "mean_tokens": -1}}, "workload.sequences.mean_tokens"),
        ({"sequences": {"kind": "packed", "median": 7}}, "workload.sequences.median"),
        ({"sequences": "packed"}, "workload.sequences"),
        ({"moe": {"capacity_factor": 0}}, "workload.moe.capacity_factor"),
        ({"moe": {"balance": "good"}}, "workload.moe.balance"),
        ({"moe": []}, "workload.moe"),
    ],
)
def test_what_makes_no_sense_is_named(changes: dict[str, Any], field: str, catalog: Catalog) -> None:
    with pytest.raises(PlanErrors) as wrong:
        workload(catalog, **changes)
    assert field in [error.field for error in wrong.value.errors]
    assert all(error.remedy for error in wrong.value.errors)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "flash", "attention_kernel": "cudnn"},
        {"attention": "standard", "attention_kernel": "sdpa_math"},
        {"compile": True, "kernels": "compiled"},
        {"head_positions": 80},
    ],
)
def test_what_agrees_is_read(changes: dict[str, Any], catalog: Catalog) -> None:
    read = workload(catalog, **changes)
    assert all(getattr(read, name) == value for name, value in changes.items())


def test_experts_that_bitsandbytes_leaves_alone_are_noted(catalog: Catalog) -> None:
    mixture = {
        "architecture": "decoder", "layers": 4, "hidden_size": 512, "attention_heads": 8, "vocab_size": 32000,
        "experts": 8, "experts_per_token": 2, "expert_ffn_size": 262144, "gated_ffn": True,
    }  # fmt: skip
    quantized = parse_plan_request(bent({"model": mixture, "workload.task": "qlora"}), catalog)
    message = dict(quantized.notes)["experts_may_stay_16_bit"]
    assert f"{2 * 4 * 8 * 3 * 512 * 262144 / 2**30:,.0f} GiB" in message
    plain = parse_plan_request(bent({"model": mixture, "workload.task": "lora"}), catalog)
    assert "experts_may_stay_16_bit" not in dict(plain.notes)


@pytest.mark.parametrize(
    ("sequences", "steps"),
    [
        # A sample is a row, however much of it is padding; packed rows hold several samples.
        (None, 100),
        ({"kind": "padded_to_longest", "mean_tokens": 512}, 100),
        ({"kind": "unpadded", "mean_tokens": 512}, 100),
        ({"kind": "packed", "mean_tokens": 512}, 25),
    ],
)
def test_samples_are_counted_as_such_whatever_their_length(
    catalog: Catalog, sequences: dict[str, Any] | None, steps: int
) -> None:
    asked = bent(
        {
            "workload.tokens": ABSENT,
            "workload.samples": 102_400,
            "workload.sequence_length": 2048,
            "workload.sequences": sequences or ABSENT,
        }
    )
    assert total_steps(parse_plan_request(asked, catalog)) == steps
