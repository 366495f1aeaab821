"""JSON to PlanRequest: what is read, what is assumed, and every problem named with its field."""

import json
import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.contract.render import BYTES_PER_S_IN_GBPS, gbps, render_cluster, render_error
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import LayoutRequest
from tests.contract.conftest import ABSENT, BASE, GPT2, LLAMA, bent, problems_of

EXPLICIT = {
    "architecture": "decoder",
    "layers": 24,
    "hidden_size": 1024,
    "attention_heads": 16,
    "vocab_size": 50304,
    "max_positions": 2048,
}


def test_the_contracts_example_is_read_in_si_units(catalog: Catalog) -> None:
    request = parse_plan_request(BASE, catalog)
    assert request.id == "first"
    assert request.model.layers == 32
    assert request.workload.tokens == 1e12
    assert request.workload.activation_recompute == "auto"
    assert request.cluster.nodes == 16
    assert request.cluster.internode_bytes_per_s == 3200e9 / 8
    assert request.cluster.usd_per_node_hour == 55.04
    assert request.cluster.price_source
    assert request.layout == LayoutRequest(
        tensor_parallel=8, pipeline_parallel=1, sharding="zero1", micro_batch_size=1
    )


@pytest.mark.parametrize(
    ("changes", "field", "remedy"),
    [
        ({"modle": "gpt2"}, "modle", "model"),
        ({"workload.sequence_lenght": 1}, "workload.sequence_lenght", "sequence_length"),
        ({"cluster.accelerators_per_node": 8}, "cluster.accelerators_per_node", "accelerator"),
        ({"layout.tensor_paralel": 2}, "layout.tensor_paralel", "tensor_parallel"),
        ({"workload.micro_batch_size": 2}, "workload.micro_batch_size", "layout.micro_batch_size"),
        ({"workload.global_batch_size": "1024"}, "workload.global_batch_size", "without quotes"),
        ({"workload.global_batch_size": True}, "workload.global_batch_size", "whole number"),
        ({"workload.global_batch_size": 0}, "workload.global_batch_size", "at least 1"),
        ({"workload.global_batch_size": -4}, "workload.global_batch_size", "at least 1"),
        ({"workload.global_batch_size": ABSENT}, "workload.global_batch_size", "at least 1"),
        ({"workload.sequence_length": 8192.5}, "workload.sequence_length", "Round"),
        ({"workload.sequence_length": 10**400}, "workload.sequence_length", "at most"),
        ({"workload.tokens": math.nan}, "workload.tokens", "finite"),
        ({"workload.tokens": math.inf}, "workload.tokens", "finite"),
        ({"workload.tokens": 0}, "workload.tokens", "greater than zero"),
        ({"workload.tokens": -1e9}, "workload.tokens", "greater than zero"),
        ({"workload.tokens": "1e12"}, "workload.tokens", "without quotes"),
        ({"workload.tokens": ABSENT}, "workload.tokens", "epochs"),
        ({"workload.samples": 5}, "workload.samples", "exactly one"),
        (
            {"workload.tokens": ABSENT, "workload.epochs": 3},
            "workload.dataset_tokens",
            "epochs x dataset_tokens",
        ),
        ({"workload.task": "pretrain"}, "workload.task", "pretraining"),
        ({"workload.task": ABSENT}, "workload.task", "qlora"),
        ({"workload.precision": "bfloat16"}, "workload.precision", "bf16"),
        ({"workload.activation_recompute": 1}, "workload.activation_recompute", "selective"),
        ({"workload.compile": "yes"}, "workload.compile", "true or false"),
        ({"workload.decoder_sequence_length": 512}, "workload.decoder_sequence_length", "Remove"),
        ({"workload.ppo": {}}, "workload.ppo", "Remove"),
        ({"workload.task": "ppo"}, "workload.ppo", "actor"),
        ({"workload": []}, "workload", "{…}"),
        ({"workload": ABSENT}, "workload", "task"),
        ({"cluster.nodes": 100_001}, "cluster.nodes", "at most 100,000"),
        ({"cluster.nodes": 0}, "cluster.nodes", "at least 1"),
        ({"cluster.nodes": "16"}, "cluster.nodes", "without quotes"),
        ({"cluster.nodes": ABSENT}, "cluster.nodes", "auto"),
        ({"cluster.instance_type": "p5.48xlage"}, "cluster.instance_type", "p5.48xlarge"),
        ({"cluster.region": "us-eest-1"}, "cluster.region", "us-east-1"),
        ({"cluster.region": "us-central1"}, "cluster.region", "Did you mean"),
        ({"cluster.purchase": "ondemand"}, "cluster.purchase", "on_demand"),
        ({"cluster.price_as_of": "June 2025"}, "cluster.price_as_of", "2025-06-05"),
        ({"cluster.price_as_of": "2025-02-30"}, "cluster.price_as_of", "2025-06-05"),
        ({"cluster.mig_profile": "1g.5gb"}, "cluster.mig_profile", "1g.10gb"),
        ({"cluster.accelerator": "h100-sxm"}, "cluster.accelerator", "or accelerator"),
        ({"cluster": ABSENT}, "cluster", "instance_type"),
        ({"cluster": {}}, "cluster.instance_type", "accelerators_per_node"),
        ({"model": "llama-3.1-8B-instruct"}, "model", "llama-3.1-8b"),
        ({"model": 7}, "model", "catalog name"),
        ({"model": ABSENT}, "model", "catalog name"),
        ({"model": {"hf_config": "{}"}}, "model.hf_config", "without quotes"),
        ({"model": {"hf_config": {"model_type": "lama"}}}, "model.hf_config.model_type", "explicit"),
        ({"model": {"hf_config": GPT2, "layers": 3}}, "model.layers", "config describes the whole model"),
        ({"model": {**EXPLICIT, "layers": 0}}, "model.layers", "layers"),
        ({"model": {**EXPLICIT, "layrs": 2}}, "model.layrs", "layers"),
        ({"layout": "best"}, "layout", "auto"),
        ({"layout.tensor_parallel": 0}, "layout.tensor_parallel", "at least 1"),
        ({"layout.sharding": "zero"}, "layout.sharding", "zero1"),
        ({"layout.sequence_parallel": 1}, "layout.sequence_parallel", "true or false"),
        ({"deadline_days": -3}, "deadline_days", "greater than zero"),
        ({"deadline_days": 3, "cluster.deadline_days": 3}, "cluster.deadline_days", "Keep"),
        ({"objective": "cost"}, "objective", "search"),
    ],
)
def test_each_problem_names_its_field_and_a_remedy(
    changes: dict[str, Any], field: str, remedy: str, catalog: Catalog
) -> None:
    errors = problems_of(lambda: parse_plan_request(bent(changes), catalog))
    assert [error.field for error in errors] == [field]
    assert remedy in errors[0].remedy
    assert errors[0].message


@pytest.mark.parametrize("data", [None, 3, "x", [], [BASE], True])
def test_a_request_is_an_object(data: Any, catalog: Catalog) -> None:
    errors = problems_of(lambda: parse_plan_request(data, catalog))
    assert [error.field for error in errors] == [""]


def test_all_problems_are_found_at_once(catalog: Catalog) -> None:
    data = bent({"model": "gpt-2", "workload.tokens": -1, "cluster.nodes": 0, "layout.sharding": "z", "x": 1})
    fields = [error.field for error in problems_of(lambda: parse_plan_request(data, catalog))]
    assert fields == ["x", "model", "workload.tokens", "cluster.nodes", "layout.sharding"]


@pytest.mark.parametrize(
    ("accelerator", "precision"),
    [("a100-sxm-80gb", "fp8"), ("v100-sxm-32gb", "bf16"), ("t4", "tf32"), ("v100-sxm-16gb", "fp8")],
)
def test_a_precision_needs_a_unit_on_the_chip(accelerator: str, precision: str, catalog: Catalog) -> None:
    cluster = {
        "accelerator": accelerator,
        "accelerators_per_node": 8,
        "nodes": 2,
        "internode_gbps_per_node": 100,
    }
    data = bent({"cluster": cluster, "workload.precision": precision})
    (error,) = problems_of(lambda: parse_plan_request(data, catalog))
    assert error.field == "workload.precision"
    assert "fp16" in error.remedy


def test_free_clusters_are_read_in_bytes_per_second(catalog: Catalog) -> None:
    cluster = {
        "accelerator": "a100-sxm-80gb",
        "accelerators_per_node": 8,
        "nodes": 2,
        "internode_gbps_per_node": 1600,
        "usd_per_node_hour": 32,
    }
    read = parse_plan_request(bent({"cluster": cluster}), catalog).cluster
    assert read.internode_bytes_per_s == 2e11
    assert read.usd_per_node_hour == 32
    assert read.instance_type is None
    assert render_cluster(read) == cluster
    del cluster["internode_gbps_per_node"]
    (error,) = problems_of(lambda: parse_plan_request(bent({"cluster": cluster}), catalog))
    assert error.field == "cluster.internode_gbps_per_node"
    assert parse_plan_request(bent({"cluster": cluster | {"nodes": 1}}), catalog).cluster.nodes == 1


def test_prices_are_as_known_then(catalog: Catalog) -> None:
    def price(**changes: Any) -> float | None:
        cluster = {"instance_type": "p5.48xlarge", "nodes": 1, **changes}
        return parse_plan_request(bent({"cluster": cluster}), catalog).cluster.usd_per_node_hour

    assert price() == 55.04
    assert price(price_as_of="2025-05-01") == 98.32
    assert price(price_as_of="1999-01-01") is None
    assert price(purchase="reserved_3y", region="us-west-2", price_as_of="1999-01-01") is None


@pytest.mark.parametrize(
    ("instance", "region"), [("p5.48xlarge", "us-east-1"), ("a2-highgpu-1g", "us-central1")]
)
def test_the_region_defaults_by_provider(instance: str, region: str, catalog: Catalog) -> None:
    cluster = {"instance_type": instance, "nodes": 1}
    assert parse_plan_request(bent({"cluster": cluster}), catalog).cluster.region == region


def test_an_old_price_is_called_stale_only_by_the_day_it_is_used(catalog: Catalog) -> None:
    def codes(today: date | None, **changes: Any) -> list[str]:
        data = bent({f"cluster.{name}": value for name, value in changes.items()})
        return [code for code, _ in parse_plan_request(data, catalog, today=today).notes]

    assert codes(date(2036, 1, 1)) == ["price_stale"]
    assert codes(None) == []
    assert codes(date(2036, 1, 1), price_as_of="2026-07-20") == []


@pytest.mark.parametrize(
    "cluster",
    [
        {"instance_type": "p5.48xlarge", "region": "us-west-2", "purchase": "spot", "nodes": 3},
        {"instance_type": "p4d.24xlarge", "region": "us-east-1", "purchase": "on_demand", "nodes": "auto"},
        {
            "instance_type": "p4d.24xlarge",
            "region": "us-east-1",
            "purchase": "on_demand",
            "nodes": 1,
            "mig_profile": "3g.20gb",
            "price_as_of": "2025-05-01",
        },
        {
            "accelerator": "h100-sxm",
            "accelerators_per_node": 8,
            "nodes": 4,
            "internode_gbps_per_node": 123.456789,
            "usd_per_node_hour": 0.1,
            "price_as_of": "2026-02-03",
        },
    ],
)
def test_a_cluster_can_be_sent_back(cluster: dict[str, Any], catalog: Catalog) -> None:
    read = parse_plan_request(bent({"cluster": cluster, "layout": "auto"}), catalog).cluster
    sent = json.loads(json.dumps(render_cluster(read)))
    assert sent == cluster
    assert parse_plan_request(bent({"cluster": sent, "layout": "auto"}), catalog).cluster == read


@given(st.floats(min_value=1e-3, max_value=1e6))
def test_any_network_speed_survives_being_sent_back(gbit_per_s: float) -> None:
    assert gbps(gbit_per_s * BYTES_PER_S_IN_GBPS) * BYTES_PER_S_IN_GBPS == gbit_per_s * BYTES_PER_S_IN_GBPS


@pytest.mark.parametrize("layout", [ABSENT, None, "auto", {}])
def test_no_layout_leaves_everything_to_the_engine(layout: Any, catalog: Catalog) -> None:
    assert parse_plan_request(bent({"layout": layout}), catalog).layout == LayoutRequest()


def test_a_complete_layout_is_read_in_full(catalog: Catalog) -> None:
    layout = {
        "tensor_parallel": 8,
        "sequence_parallel": True,
        "pipeline_parallel": 2,
        "interleaved_stages": 2,
        "context_parallel": 1,
        "expert_parallel": 1,
        "data_parallel": 8,
        "sharding": "zero1",
        "sharding_group": 8,
        "micro_batch_size": 1,
        "gradient_accumulation": 128.0,
        "activation_recompute": "selective",
    }
    read = parse_plan_request(bent({"layout": layout}), catalog).layout
    assert {name: getattr(read, name) for name in layout} == layout
    assert isinstance(read.gradient_accumulation, int)


def test_the_three_forms_of_a_model_agree(catalog: Catalog) -> None:
    by_slug = parse_plan_request(BASE, catalog).model
    pasted = parse_plan_request(bent({"model": {"hf_config": LLAMA}}), catalog).model
    assert pasted.layers == by_slug.layers
    assert pasted.ffn_size == by_slug.ffn_size
    explicit = parse_plan_request(bent({"model": EXPLICIT}), catalog).model
    assert (explicit.head_dim, explicit.ffn_size, explicit.position_embedding) == (64, 4096, "learned")


def test_a_stated_parameter_count_only_warns(catalog: Catalog) -> None:
    request = parse_plan_request(bent({"model": {**EXPLICIT, "params_total": 10**9}}), catalog)
    assert "parameter_count_differs" in [code for code, _ in request.notes]


def test_the_length_of_a_run_in_three_ways(catalog: Catalog) -> None:
    def tokens(**given: Any) -> tuple[float, float | None]:
        data = bent(
            {"workload.tokens": ABSENT, **{f"workload.{name}": value for name, value in given.items()}}
        )
        read = parse_plan_request(data, catalog).workload
        return read.tokens, read.samples

    assert tokens(tokens=5e9) == (5e9, None)
    assert tokens(epochs=2.5, dataset_tokens=1e9) == (2.5e9, None)
    assert tokens(samples=1000) == (8192e3, 1000)


def test_vision_counts_patches_unless_told(catalog: Catalog) -> None:
    vit = {
        "architecture": "vision_encoder",
        "layers": 12,
        "hidden_size": 768,
        "attention_heads": 12,
        "patch_size": 16,
        "image_size": 224,
    }
    changes = {
        "model": vit,
        "workload.tokens": ABSENT,
        "workload.samples": 10,
        "workload.sequence_length": ABSENT,
    }
    read = parse_plan_request(bent(changes), catalog).workload
    assert (read.sequence_length, read.tokens) == (197, 1970)
    assert (
        parse_plan_request(bent(changes | {"workload.sequence_length": 264}), catalog).workload.tokens == 2640
    )


def test_an_encoder_decoder_has_a_target_length(catalog: Catalog) -> None:
    same = parse_plan_request(bent({"model": "t5-small", "workload.sequence_length": 512}), catalog)
    assert same.workload.decoder_sequence_length == 512
    own = bent(
        {"model": "t5-small", "workload.sequence_length": 512, "workload.decoder_sequence_length": 114}
    )
    assert parse_plan_request(own, catalog).workload.decoder_sequence_length == 114


def test_adapters_name_layers_of_the_model(catalog: Catalog) -> None:
    def read(model: Any, *targets: str) -> Any:
        return parse_plan_request(
            bent({"model": model, "workload.task": "lora", "workload.lora_targets": list(targets)}), catalog
        )

    assert read("llama-3.1-8b", "q_proj", "v_proj", "q_proj").workload.lora_targets == ("q_proj", "v_proj")
    assert read("gpt2", "c_attn").workload.lora_targets == ("c_attn",)
    assert read(EXPLICIT, "c_attn").model.family == "gpt2"
    assert read(EXPLICIT, "q_proj").model.family == "explicit"
    (error,) = problems_of(lambda: read("llama-3.1-8b", "q_proj", "k_porj"))
    assert error.field == "workload.lora_targets.1"
    assert "k_proj" in error.remedy


def test_ppo_reads_its_models(catalog: Catalog) -> None:
    ppo = {"critic": EXPLICIT, "reference": "gpt2", "reward": None, "rollout_tokens": 256}
    changes = {"model": "gpt2", "workload.task": "ppo", "workload.sequence_length": 512, "workload.ppo": ppo}
    read = parse_plan_request(bent(changes), catalog).workload.ppo
    assert read is not None
    assert read.actor.name == "gpt2"
    assert read.critic is not None
    assert read.reward is None
    assert read.ppo_epochs == 1
    actor = bent({**changes, "model": ABSENT, "workload.ppo": {**ppo, "actor": "gpt2"}})
    assert parse_plan_request(actor, catalog).model.name == "gpt2"
    long = bent({**changes, "workload.ppo": {**ppo, "rollout_tokens": 4096, "critic": "gpt3"}})
    fields = [error.field for error in problems_of(lambda: parse_plan_request(long, catalog))]
    assert fields == ["workload.ppo.critic", "workload.ppo.rollout_tokens"]


def test_a_nan_anywhere_is_found_but_in_keys_of_a_config_that_are_not_read(catalog: Catalog) -> None:
    config = {**LLAMA, "rope_theta": math.nan, "hidden_size": math.inf}
    data = bent({"model": {"hf_config": config}, "id": {"n": math.inf}})
    fields = {error.field for error in problems_of(lambda: parse_plan_request(data, catalog))}
    assert fields == {"id.n", "model.hf_config.hidden_size"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
PATHS = [
    f"{section}.{name}"
    for section in ("workload", "cluster", "layout")
    for name in (BASE[section] | {"mig_profile": 0, "ppo": 0, "lora_targets": 0, "price_as_of": 0})
] + ["model", "workload", "cluster", "layout", "deadline_days", "id"]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(PATHS), JSON, min_size=1, max_size=3))
def test_whatever_is_sent_is_read_or_refused_in_words(catalog: Catalog, changes: dict[str, Any]) -> None:
    try:
        parse_plan_request(bent(dict(sorted(changes.items()))), catalog)
    except PlanErrors as refused:
        json.dumps(render_error(refused), allow_nan=False)
        assert all(error.message and error.remedy for error in refused.errors)  # noqa: PT017


def test_nodes_may_be_the_fewest_that_meet_a_deadline(catalog: Catalog) -> None:
    for changes in ({"deadline_days": 30}, {"cluster.deadline_days": 30}):
        request = parse_plan_request(bent({"cluster.nodes": "auto", **changes}), catalog)
        assert (request.cluster.nodes, request.deadline_days) == (None, 30)


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("dpo", '"objective": "dpo"'),
        ("sft", '"objective": "sft"'),
        ("GRPO", '"algorithm": "grpo"'),
        ("rlhf", "Write ppo"),
        ("fine-tuning", "Write full_finetuning"),
    ],
)
def test_a_task_that_is_said_by_two_fields_is_pointed_to_them(
    catalog: Catalog, word: str, remedy: str
) -> None:
    (task, *_) = problems_of(lambda: parse_plan_request(bent({"workload.task": word}), catalog))
    assert task.field == "workload.task"
    assert remedy in task.remedy
    assert "Did you mean" not in task.remedy
