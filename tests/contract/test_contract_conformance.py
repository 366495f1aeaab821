"""Questions of every form that the JSON contract names, good and bad, held against its text.

Here stand the questions and what is to be the same twice; what an answer has to be is in ``conformance``.
"""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.plans.answers import estimate_json
from tests.contract.conformance import deviations
from tests.contract.merge_patch import merge_patch

Json = dict[str, Any]
TODAY = date(2026, 11, 1)
LLAMA = "llama-3.1-8b"
SLUGS = [
    "gpt2",
    "bert-base-uncased",
    "bert-large-uncased",
    "roberta-base",
    "distilbert-base-uncased",
    "t5-small",
    "t5-11b",
    "gpt-3-175b",
    "bloom-176b",
    "opt-175b",
    "llama-2-7b",
    "llama-2-70b",
    "llama-3.1-8b",
    "llama-3.1-70b",
    "llama-3.1-405b",
    "mistral-7b",
    "mixtral-8x7b",
    "qwen3-30b-a3b",
    "deepseek-v3",
    "gpt-oss-120b",
    "mpt-7b",
    "vit-base-patch16-224",
]
ACCELERATORS = [
    "a100-sxm-40gb",
    "a100-sxm-80gb",
    "a100-pcie-80gb",
    "a30",
    "h100-sxm",
    "h100-pcie",
    "h100-nvl",
    "h200-sxm",
    "b200",
    "l4",
    "l40s",
    "a10g",
    "t4",
    "v100-sxm-16gb",
    "v100-sxm-32gb",
    "rtx-pro-6000",
    "trainium1",
    "trainium2",
]
# Published counts, as Hugging Face builds the models.
PARAMETERS = {
    "gpt2": 124_439_808,
    "bert-base-uncased": 109_482_240,
    "roberta-base": 124_645_632,
    "distilbert-base-uncased": 66_362_880,
    "t5-small": 60_506_624,
    "llama-2-7b": 6_738_415_616,
    "llama-3.1-8b": 8_030_261_248,
    "mixtral-8x7b": 46_702_792_704,
    "bloom-176b": 176_247_271_424,
}
LLAMA_SHAPE: Json = {
    "architecture": "decoder",
    "layers": 32,
    "hidden_size": 4096,
    "attention_heads": 32,
    "kv_heads": 8,
    "ffn_size": 14336,
    "gated_ffn": True,
    "vocab_size": 128256,
    "position_embedding": "rope",
    "bias": False,
    "norm": "rmsnorm",
}
LLAMA_CONFIG: Json = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
}
LEAST = [
    {"architecture": "decoder", "layers": 12, "hidden_size": 768, "attention_heads": 12, "vocab_size": 50257},
    {"architecture": "encoder", "layers": 12, "hidden_size": 768, "attention_heads": 12, "vocab_size": 30522},
    {
        "architecture": "encoder_decoder",
        "layers": 6,
        "hidden_size": 512,
        "attention_heads": 8,
        "vocab_size": 32128,
    },
    {
        "architecture": "vision_encoder",
        "layers": 12,
        "hidden_size": 768,
        "attention_heads": 12,
        "patch_size": 16,
        "image_size": 224,
    },
]
IMAGES = {"task": "pretraining", "samples": 1e8, "global_batch_size": 256}


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return load_shipped_catalog()


def work(**changes: Any) -> Json:
    usual = {"task": "pretraining", "tokens": 1e10, "sequence_length": 512, "global_batch_size": 256}
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def nodes(count: Any = 2, kind: str = "p5.48xlarge", **more: Any) -> Json:
    return {"instance_type": kind, "nodes": count, **more}


def ask(
    model: Any = LLAMA, *, workload: Json | None = None, cluster: Json | None = None, **more: Any
) -> Json:
    asked = {"id": "q", "model": model, "workload": workload or work(), "cluster": cluster or nodes()}
    return asked | more


def free(accelerator: str, **more: Any) -> Json:
    return {
        "accelerator": accelerator,
        "accelerators_per_node": 8,
        "nodes": 2,
        "internode_gbps_per_node": 400,
        "usd_per_node_hour": 30,
        **more,
    }


def ppo(**models: Any) -> Json:
    return work(task="ppo", ppo={"rollout_tokens": 256, "actor": LLAMA, **models})


def sound_questions() -> list[Json]:
    large = ("175b", "405b", "176b", "70b", "120b", "deepseek")
    asked = [
        ask(
            slug,
            workload=IMAGES if "vit" in slug else work(),
            cluster=nodes(32 if any(name in slug for name in large) else 2),
        )
        for slug in SLUGS
    ]
    asked += [ask({"hf_config": LLAMA_CONFIG}), ask(LLAMA_SHAPE), ask(LLAMA_SHAPE | {"params_total": 1})]
    asked += [ask(shape, workload=IMAGES if "patch_size" in shape else work()) for shape in LEAST]
    for task in ("pretraining", "full_finetuning", "lora", "qlora"):
        asked.append(ask(workload=work(task=task), cluster=nodes(1)))
        asked.append(ask(workload=work(task=task, tokens=..., epochs=3, dataset_tokens=1e8)))
        asked.append(ask(workload=work(task=task, tokens=..., samples=1e5), cluster=nodes(2, "p4d.24xlarge")))
    models = {"critic": LLAMA, "reference": LLAMA, "reward": LLAMA}
    asked += [ask(workload=ppo(**models)), ask(workload=ppo(critic=None, reward=None, reference="gpt2"))]
    options = {
        "precision": ("fp32", "tf32", "bf16", "fp16", "fp8"),
        "optimizer": ("adamw", "adamw_8bit", "adafactor", "sgd", "lion", "muon", "lamb"),
        "attention": ("flash", "standard"),
        "activation_recompute": ("none", "selective", "full", "auto"),
        "offload": ("none", "optimizer"),
        "framework": ("megatron", "fsdp", "deepspeed", "torchtitan", "neuron", "generic"),
        "master_weights": ("separate", "only", "none"),
        "gradient_precision": ("fp32", "bf16", "fp16", "int8"),
        "optimizer_state_precision": ("fp32", "bf16", "fp16", "int8"),
        "optimizer_kernel": ("fused", "foreach", "paged"),
        "loss": ("whole", "chunked", "fused"),
        "compile": (True, False),
        "overlap_communication": (True, False),
    }
    asked += [ask(workload=work(**{name: value})) for name, values in options.items() for value in values]
    for precision in ("fp32", "bf16", "fp16", "int8", "int4", "nf4"):
        asked.append(ask(workload=work(task="qlora", frozen_precision=precision, quantized_head=True)))
    asked.append(ask(workload=work(task="lora", lora_rank=64, lora_targets=["q_proj", "v_proj", "lm_head"])))
    asked.append(ask("gpt2", workload=work(task="lora", lora_targets=["c_attn"])))
    asked.append(ask("t5-small", workload=work(decoder_sequence_length=114)))
    asked += [ask("gpt2", workload=work(precision="fp16"), cluster=free(chip)) for chip in ACCELERATORS]
    asked.append(ask("gpt2", cluster=nodes(1, "g4dn.xlarge")))
    asked += [ask("gpt2", cluster=nodes(2, kind)) for kind in ("trn1.32xlarge", "a2-megagpu-16g")]
    asked.append(ask("gpt2", cluster=nodes(1, "p4d.24xlarge", mig_profile="2g.10gb")))
    asked.append(ask("gpt2", cluster=free("a100-sxm-40gb", nodes=1, mig_profile="3g.20gb")))
    purchases = (
        "on_demand",
        "spot",
        "reserved_1y",
        "reserved_3y",
        "savings_1y",
        "savings_3y",
        "capacity_block",
    )
    asked += [ask("gpt2", cluster=nodes(1, purchase=purchase)) for purchase in purchases]
    asked += [ask(cluster=nodes("auto")), ask(cluster=nodes("auto"), deadline_days=3)]
    layouts: list[Json] = [
        {},
        {"tensor_parallel": 8, "pipeline_parallel": 1, "sharding": "zero1", "micro_batch_size": 1},
        {"tensor_parallel": 2, "pipeline_parallel": 4},
        {"pipeline_parallel": 2, "interleaved_stages": 2},
        {"sharding": "zero3", "sharding_group": 8},
        {"sharding": "zero2", "micro_batch_size": 2},
        {"context_parallel": 2, "tensor_parallel": 4},
        {"tensor_parallel": 8, "sequence_parallel": False},
        {"data_parallel": 4},
        {"micro_batch_size": 1, "activation_recompute": "full"},
    ]
    asked += [ask(layout=layout) for layout in (*layouts, "auto")]
    asked += [ask("mixtral-8x7b", cluster=nodes(4), layout={"expert_parallel": 8})]
    asked += [
        ask("llama-3.1-70b", cluster=nodes(1)),
        ask("gpt2", workload=work(global_batch_size=8), id=None),
    ]
    asked += [ask("gpt2", workload=work(global_batch_size=1, tokens=1), id=["ünï", 1, {"a": None}])]
    return asked


QUESTIONS = sound_questions()


@pytest.fixture(scope="module")
def answers(shipped: Catalog) -> list[Json]:
    return [estimate_json(question, shipped, today=TODAY) for question in QUESTIONS]


def test_every_form_is_answered_as_the_contract_says(answers: list[Json]) -> None:
    decoder = (LLAMA, json.dumps({"hf_config": LLAMA_CONFIG}), json.dumps(LLAMA_SHAPE))
    wrong = {}
    for question, answer in zip(QUESTIONS, answers, strict=True):
        model = question["model"] if isinstance(question["model"], str) else json.dumps(question["model"])
        found = deviations(question, answer, LLAMA_SHAPE if model in decoder else None)
        if found:
            wrong[json.dumps(question)] = found
    assert wrong == {}


def test_parameters_are_the_published_ones(answers: list[Json]) -> None:
    counted = {
        question["model"]: answer["parameters"]["total"]
        for question, answer in zip(QUESTIONS, answers, strict=True)
        if isinstance(question["model"], str) and question["model"] in PARAMETERS
    }
    assert counted == PARAMETERS


def test_an_answers_layout_and_cluster_sent_back_give_the_same_numbers(
    answers: list[Json], shipped: Catalog
) -> None:
    for question, answer in zip(QUESTIONS, answers, strict=True):
        back = {name: value for name, value in question.items() if name != "deadline_days"}
        back |= {"layout": answer["layout"], "cluster": answer["cluster"]}
        again = estimate_json(back, shipped, today=TODAY)
        same = ("fits", "layout", "accelerators", "parameters", "memory", "time", "cost")
        assert {name: again.get(name) for name in same} == {name: answer[name] for name in same}, question


def test_the_nearest_fit_fits(answers: list[Json], shipped: Catalog) -> None:
    tried = 0
    for question, answer in zip(QUESTIONS, answers, strict=True):
        if nearest := answer["nearest_fit"]:
            changed = estimate_json(merge_patch(question, nearest["request_patch"]), shipped, today=TODAY)
            assert changed["fits"], question
            assert changed["layout"] == nearest["layout"]
            assert changed["cluster"]["nodes"] == nearest["nodes"]
            tried += 1
    assert tried


@pytest.mark.parametrize(("day", "usd"), [("2025-05-31", 98.32), ("2025-06-05", 55.04)])
def test_prices_are_as_known_on_a_day(day: str, usd: float, shipped: Catalog) -> None:
    answer = estimate_json(ask(cluster=nodes(price_as_of=day)), shipped, today=TODAY)
    assert answer["cost"]["price_usd_per_node_hour"] == usd
    assert answer["cost"]["price_as_of"] <= day


def test_a_model_is_the_same_by_all_its_names(shipped: Catalog) -> None:
    forms = (LLAMA, {"hf_config": LLAMA_CONFIG}, LLAMA_SHAPE | {"max_positions": 131072})
    for task in ("pretraining", "lora", "qlora"):
        asked = (ask(form, workload=work(task=task)) for form in forms)
        told = [estimate_json(question, shipped, today=TODAY) for question in asked]
        assert all(answer["memory"] == told[0]["memory"] for answer in told)
        assert all(answer["time"] == told[0]["time"] for answer in told)


NAN, INFINITY = float("nan"), float("inf")
# (where, what stands there, the field that is to be named: as ``where`` unless said).
BAD: list[tuple[str, Any, str]] = [
    *[
        ("workload.tokens", value, "")
        for value in (0, -1, NAN, INFINITY, "1e10", True, [], -0.0, 10**400, ...)
    ],
    *[("workload.sequence_length", value, "") for value in (0, -5, 1.5, "512", True, NAN, 10**30, None)],
    *[("workload.global_batch_size", value, "") for value in (0, 2.5, "8", False, INFINITY, None)],
    *[
        (f"workload.{name}", "nonsense", "")
        for name in ("task", "precision", "optimizer", "attention", "loss")
    ],
    *[(f"workload.{name}", 5, "") for name in ("offload", "framework", "master_weights", "frozen_precision")],
    *[("workload.compile", value, "") for value in ("yes", 1)],
    *[(name, 1, "") for name in ("bogus", "workload.bogus", "cluster.bogus", "layout.bogus")],
    ("workload.batch_size", 8, ""),
    *[("model", value, "") for value in ("llama-3.1-8", "", None, 5, [], ...)],
    ("model", {"hf_config": {}}, "model.hf_config.model_type"),
    ("model", {"hf_config": {"model_type": "alien"}}, "model.hf_config.model_type"),
    ("model", {"hf_config": "{}"}, "model.hf_config"),
    *[
        ("model", {"hf_config": LLAMA_CONFIG | {"hidden_size": value}}, "model.hf_config.hidden_size")
        for value in (0, -1, NAN, "4096", 1.5, True, 10**30, [], None)
    ],
    *[
        ("model", LEAST[0] | {name: value}, f"model.{name}")
        for name, value in (("layers", 0), ("vocab_size", "x"), ("norm", "batch"), ("bogus", 1), ("bias", 1))
    ],
    ("model", LEAST[0] | {"hidden_size": 770}, "model.hidden_size"),
    ("model", LEAST[0] | {"experts": 8, "experts_per_token": 9}, "model.experts_per_token"),
    *[("cluster.nodes", value, "") for value in (0, -1, 1.5, "2", "many", 100_001, True, None, NAN)],
    ("cluster.instance_type", "p5.48xlarg", ""),
    ("cluster.region", "mars-1", ""),
    ("cluster.purchase", "free", ""),
    *[("cluster.price_as_of", value, "") for value in ("yesterday", "2025-13-01", 20250601)],
    ("cluster.mig_profile", "9g.99gb", ""),
    *[("cluster", value, "") for value in (None, [], "p5.48xlarge", ...)],
    (
        "cluster",
        {"instance_type": "p5.48xlarge", "accelerator": "h100-sxm", "nodes": 1},
        "cluster.accelerator",
    ),
    ("cluster", free("h1000"), "cluster.accelerator"),
    ("cluster", free("h100-sxm", usd_per_node_hour=-5), "cluster.usd_per_node_hour"),
    *[("layout", value, "") for value in ("automatic", 5, [], True)],
    *[("layout.tensor_parallel", value, "") for value in (0, -1, "2", 1.5, True, NAN, 10**15, 7)],
    ("layout.pipeline_parallel", 64, ""),
    ("layout.sharding", "zero4", ""),
    ("layout.activation_recompute", "auto", ""),
    ("layout", {"data_parallel": 3}, "layout.data_parallel"),
    ("layout", {"tensor_parallel": 2, "pipeline_parallel": 2, "data_parallel": 3}, "layout.data_parallel"),
    ("layout", {"data_parallel": 16, "micro_batch_size": 64}, "layout.micro_batch_size"),
    ("layout", {"sharding": "zero1", "sharding_group": 3}, "layout.sharding_group"),
    ("layout.expert_parallel", 2, ""),
    ("workload", work(task="ppo"), "workload.ppo"),
    ("workload", ppo(actor="bert-base-uncased"), "workload.ppo.actor"),
    ("workload", work(epochs=3), "workload.epochs"),
    ("workload", work(precision="fp8", task="lora", lora_targets=["q_projx"]), "workload.lora_targets.0"),
]


@pytest.mark.parametrize(("where", "value", "field"), BAD)
def test_nonsense_is_named_with_field_value_and_remedy(
    where: str, value: Any, field: str, shipped: Catalog
) -> None:
    question = copy.deepcopy(ask(layout="auto"))
    *parents, last = where.split(".")
    place = question
    for name in parents:
        if not isinstance(place.get(name), dict):
            place[name] = {}
        place = place[name]
    place[last] = value
    if value is ...:
        del place[last]
    answer = estimate_json(question, shipped, today=TODAY)
    problem = answer["error"]
    assert answer["id"] == "q"
    assert set(problem) == {"field", "value", "message", "remedy"}
    assert problem["field"] == (field or where)
    assert problem["message"]
    assert problem["remedy"]
    json.dumps(answer, allow_nan=False)


def test_where_no_precision_is_named_a_chip_is_planned_in_one_that_it_has(shipped: Catalog) -> None:
    old = ask("llama-3.1-8b", cluster=nodes(1, "g4dn.12xlarge"))
    answer = estimate_json(old, shipped, today=TODAY)
    assert "assumed_precision" in [warning["code"] for warning in answer["warnings"]]
    named = ask("llama-3.1-8b", cluster=nodes(1, "g4dn.12xlarge"), workload=work(precision="fp16"))
    assert estimate_json(named, shipped, today=TODAY)["time"] == answer["time"]
    # What would be planned in bf16 is no fit of a plan in fp16.
    nearest = answer["nearest_fit"]
    assert nearest is None or nearest["accelerator"] in ("t4", "v100-sxm-16gb", "v100-sxm-32gb")
