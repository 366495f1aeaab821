"""The planning form: spellings of numbers, addresses there and back, and errors beside their fields."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from django.http import QueryDict

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.fields import BY_QUERY, ESTIMATE
from planner.contract.parse import parse_plan_request
from planner.engine.question.errors import PlanError, PlanErrors
from planner.plans.choices import CHOICES, DEFAULTS, GROUPS, OPEN
from planner.plans.form import ERROR_FIELDS, ScenarioForm
from planner.plans.pasted_config import MAX_CONFIG_BYTES, read_config
from planner.plans.state import contract_request, form_state, spelled_number

GPT2 = {
    "model_type": "gpt2",
    "n_layer": 12,
    "n_embd": 768,
    "n_head": 12,
    "vocab_size": 50257,
    "n_positions": 1024,
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_shipped_catalog()


def form_of(query: str, catalog: Catalog) -> ScenarioForm:
    return ScenarioForm.of_query(QueryDict(query), catalog)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1T", 10**12),
        ("300B", 300 * 10**9),
        ("1.5e12", 1_500_000_000_000),
        ("1,000,000", 10**6),
        ("16", 16),
        ("2.5", 2.5),
        ("15 t", 15 * 10**12),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    assert spelled_number(text) == number


@pytest.mark.parametrize("text", ["", "many", "1TT", "nan", "inf", "0x10", "1e", "--3", "9" * 50, "1,00"])
def test_what_is_no_number_stays_as_typed(text: str) -> None:
    assert spelled_number(text) == text


def test_whole_numbers_are_whole() -> None:
    assert isinstance(spelled_number("16"), int)
    assert isinstance(spelled_number("1e12"), int)


def test_the_empty_page_is_a_real_plan(catalog: Catalog) -> None:
    request = parse_plan_request(form_of("", catalog).request(), catalog)
    assert request.model.name == "Llama 3.1 8B"
    assert request.workload.tokens == 1e12
    assert (request.cluster.nodes, request.cluster.instance_type) == (16, "p5.48xlarge")
    assert request.workload.sequence_length == 8192


def test_the_example_has_an_empty_address(catalog: Catalog) -> None:
    assert form_of("", catalog).query() == ""


@pytest.mark.parametrize(
    "query",
    [
        "model=gpt2&nodes=2",
        "tokens=15T&batch=2048&tp=8&pp=4&sharding=zero1&mbs=2&recompute=full",
        "task=lora&tokens=100M&epochs=3&rank=64&targets=q_proj%2Cv_proj&nodes=1",
        "chip=h100-sxm&per_node=4&gbps=400&usd=20&nodes=8",
        "model=&nodes=",
    ],
)
def test_an_address_holds_the_whole_scenario(query: str, catalog: Catalog) -> None:
    form = form_of(query, catalog)
    again = form_of(form.query(), catalog)
    assert again.values == form.values
    assert again.request() == form.request()


def test_every_field_has_a_default_and_every_choice_list_a_field() -> None:
    assert set(DEFAULTS) == set(ScenarioForm.base_fields)
    assert set(CHOICES) <= set(ScenarioForm.base_fields)
    assert set(ERROR_FIELDS.values()) <= set(ScenarioForm.base_fields)


def test_epochs_multiply_the_data(catalog: Catalog) -> None:
    workload = form_of("tokens=100M&epochs=3", catalog).request()["workload"]
    assert workload["dataset_tokens"] == 10**8
    assert workload["epochs"] == 3
    assert "tokens" not in workload


def test_images_are_counted_in_samples(catalog: Catalog) -> None:
    form = form_of("model=vit-base-patch16-224&unit=samples&tokens=1M&epochs=2", catalog)
    request = parse_plan_request(form.request(), catalog)
    assert request.workload.samples == 2_000_000
    assert request.workload.sequence_length == 197


def test_a_short_model_gets_its_own_length(catalog: Catalog) -> None:
    assert form_of("model=bert-base-uncased", catalog).request()["workload"]["sequence_length"] == 512


def test_the_length_that_is_shown_is_the_one_that_is_planned(catalog: Catalog) -> None:
    for query in ("", "model=gpt2", "model=vit-base-patch16-224", "config=" + quote(json.dumps(GPT2))):
        form = form_of(query + "&unit=samples&nodes=1", catalog)
        shown = str(form["seq"].value())
        planned = parse_plan_request(form.request(), catalog).workload.sequence_length
        assert shown == str(planned), query
        assert "seq=" not in form.query()


def test_a_length_that_the_form_filled_in_follows_the_model(catalog: Catalog) -> None:
    assert form_of("model=gpt2&seq=8192&usual=8192", catalog).values["seq"] == "1024"
    assert form_of("model=gpt2&seq=4096&usual=8192", catalog).values["seq"] == "4096"
    assert form_of("model=gpt2&seq=512", catalog).query() == "model=gpt2&seq=512"


def test_a_state_says_the_same_in_any_order(catalog: Catalog) -> None:
    query = "config=" + quote(json.dumps(GPT2 | {"bos_token_id": 1})) + "&nodes=1"
    first, second = form_of(query, catalog), form_of(query, catalog)
    asked = (first.request(), first.query(), first["seq"].value())
    assert (second["seq"].value(), second.query(), second.request()) == asked[::-1]


def test_every_field_says_what_it_means() -> None:
    for name, field in ScenarioForm.base_fields.items():
        assert field.label, name
        assert str(field.help_text).endswith("."), name


def test_every_choice_of_the_contract_is_offered_with_its_words() -> None:
    for name, field in BY_QUERY.items():
        assert name in ScenarioForm.base_fields
        assert field.help and field.label, field.path
        if field.kind == "choice":
            labels = dict(CHOICES[name])
            assert set(labels) - {""} == set(field.values), field.path
            assert all(labels.values()), field.path


def test_every_field_that_a_question_may_hold_is_in_the_form() -> None:
    """Those apart: what the form makes of others, and what comes back in answers only."""
    made = {"id", "workload", "cluster", "layout", "workload.dataset_tokens", "workload.samples"}
    made |= {"workload.ppo", "workload.ppo.actor", "workload.ppo.reference", "workload.ppo.generation"}
    made |= {"layout.activation_recompute", "workload.moe", "workload.sequences"}
    lacking = {field.path for table in ESTIMATE for field in table.fields if not field.query}
    assert lacking == made


def test_every_fold_has_fields_of_its_own() -> None:
    folded = [name for group in GROUPS.values() for name in group]
    assert len(folded) == len(set(folded))
    assert set(folded) | set(OPEN) == set(ScenarioForm.base_fields)


def test_the_form_names_no_precision_that_the_reader_did_not(catalog: Catalog) -> None:
    form = form_of("instance=p3.16xlarge&nodes=1", catalog)
    assert "precision" not in form.request()["workload"]
    request = parse_plan_request(form.request(), catalog)
    assert request.workload.precision == "fp16"
    assert "assumed_precision" in dict(request.notes)
    asked = form_of("instance=p3.16xlarge&precision=bf16", catalog)
    assert asked.request()["workload"]["precision"] == "bf16"


def test_another_providers_region_is_forgotten(catalog: Catalog) -> None:
    def region(query: str, *changed: str) -> str:
        return str(ScenarioForm.of_query(QueryDict(query), catalog, changed)["region"].value())

    assert region("instance=a2-highgpu-8g&region=us-east-2", "instance") == ""
    assert region("instance=a2-highgpu-8g&region=us-east-2") == "us-east-2"
    assert region("instance=p4d.24xlarge&region=us-east-2", "instance") == "us-east-2"


def test_grpo_is_ppo_without_critic_and_reward(catalog: Catalog) -> None:
    form = form_of("task=ppo&critic=none&reward=none&seq=1024", catalog)
    request = parse_plan_request(form.request(), catalog)
    assert request.workload.ppo is not None
    assert request.workload.ppo.critic is None


def test_a_pasted_config_wins_over_the_name(catalog: Catalog) -> None:
    query = QueryDict(mutable=True)
    query.update({"config": json.dumps(GPT2), "model": "llama-3.1-8b", "nodes": "1"})
    form = ScenarioForm.of_query(query, catalog)
    request = parse_plan_request(form.request(), catalog)
    assert request.model.layers == 12
    assert request.workload.sequence_length == 1024
    assert ScenarioForm.of_query(QueryDict(form.query()), catalog).request() == form.request()


def test_an_address_leaves_out_what_says_nothing_of_shape(catalog: Catalog) -> None:
    noisy = GPT2 | {"bos_token_id": 1, "_name_or_path": "here", "id2label": {"0": "no"}}
    query = QueryDict(mutable=True)
    query["config"] = json.dumps(noisy)
    form = ScenarioForm.of_query(query, catalog)
    address = form.query()
    assert "token_id" not in address
    assert "n_layer" in address
    form.request()
    assert form.query() == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{" + " " * MAX_CONFIG_BYTES + "}", "4 MiB"),
        ("x" * 10_000_000, "10,000,000 bytes"),
        ("{not json", "not JSON"),
        ("[1, 2]", "not the object"),
        ("[" * 5000, "JSON"),
    ],
    ids=["long", "10 MB", "broken", "list", "deep"],
)
def test_a_bad_paste_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(PlanError) as refused:
        read_config(text)
    assert says in str(refused.value)
    assert ScenarioForm.field_of(refused.value.field) == "config"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("tokens=many", "tokens"),
        ("tokens=-5", "tokens"),
        ("tokens=", "tokens"),
        ("batch=0", "batch"),
        ("batch=2.5", "batch"),
        ("seq=12.5", "seq"),
        ("nodes=none", "nodes"),
        ("model=lama-3.1-8b", "model"),
        ("instance=p5.48xlarg", "instance"),
        ("region=mars", "region"),
        ("precision=bf15", "precision"),
        ("optimizer=adam", "optimizer"),
        ("tp=-1", "tp"),
        ("task=dance", "task"),
        ("price_on=yesterday", "price_on"),
        ("deadline=soon&nodes=auto", "deadline"),
        ("task=ppo&rollout=9000&seq=1024", "rollout"),
        ("chip=h100&gbps=400", "chip"),
    ],
)
def test_an_error_stands_beside_its_field_and_what_was_typed_stays(
    query: str, field: str, catalog: Catalog
) -> None:
    form = form_of(query, catalog)
    with pytest.raises(PlanErrors) as wrong:
        parse_plan_request(form.request(), catalog)
    form.add_plan_errors(wrong.value.errors)
    assert field in form.errors
    typed = QueryDict(query)
    if field in typed:
        assert form[field].value() == typed[field]


@pytest.mark.parametrize("typed", ["Llama 3.1 8B", "llama 3.1 8b", "LLAMA-3.1-8B"])
def test_a_model_may_be_called_by_its_published_name(typed: str, catalog: Catalog) -> None:
    query = QueryDict(mutable=True)
    query["model"] = typed
    assert ScenarioForm.of_query(query, catalog).request()["model"] == "llama-3.1-8b"


def test_an_unknown_field_of_an_address_is_named() -> None:
    form = form_of("nodez=4", load_shipped_catalog())
    assert form.ignored == ("nodez",)


def test_a_field_of_no_known_path_has_a_place() -> None:
    assert ScenarioForm.field_of("workload.ppo.actor.layers") == "model"
    assert ScenarioForm.field_of("layout.something_new") == "tp"
    assert ScenarioForm.field_of("") == "model"


def test_a_card_of_ones_own_is_the_clusters_accelerator(catalog: Catalog) -> None:
    asked = "nodes=2&gbps=3200&card=H900&card_like=h100-sxm&card_memory=96Gi&card_bf16=800T"
    form = form_of(asked, catalog)
    cluster = form.request()["cluster"]
    assert cluster["accelerator"] == {
        "name": "H900",
        "like": "h100-sxm",
        "memory_bytes": 96 * 2**30,
        "bf16_flops_per_s": 8e14,
    }
    assert "instance_type" not in cluster
    chip = parse_plan_request(form.request(), catalog).cluster.accelerator
    assert (chip.name, chip.own) == ("H900", True)


def test_a_round_and_its_engine_are_asked_as_the_contract_names_them(catalog: Catalog) -> None:
    typed = "task=ppo&rollout=512&critic=none&answers=8&staleness=1&engine=sglang&gen_tp=4&gen_memory=0.8"
    ppo = contract_request(form_of(typed, catalog).state)["workload"]["ppo"]
    assert ppo["critic"] is None
    assert (ppo["responses_per_prompt"], ppo["staleness_steps"]) == (8, 1)
    assert ppo["generation"] == {"engine": "sglang", "tensor_parallel": 4, "memory_share": 0.8}


class TestOwnCards:
    """A card may be named where machines are: it stands in machines of one's own."""

    def test_a_card_in_the_field_of_machines(self, catalog: Catalog) -> None:
        form = form_of("instance=rtx-4090&per_node=2&nodes=1&task=lora", catalog)
        request = parse_plan_request(form.request(), catalog)
        assert request.cluster.instance_type is None
        assert request.cluster.accelerator.slug == "rtx-4090"
        assert (request.cluster.accelerators_per_node, request.cluster.nodes) == (2, 1)
        assert form_of(form.query(), catalog).request() == form.request()

    def test_one_that_nobody_rents_out_begins_alone(self, catalog: Catalog) -> None:
        picked = form_state({"instance": "rtx-4090", "nodes": "16"}, catalog, {"instance"})
        assert (picked.values["per_node"], picked.values["nodes"]) == ("1", "1")
        rented = form_state({"instance": "h100-sxm", "nodes": "16"}, catalog, {"instance"})
        assert (rented.values["per_node"], rented.values["nodes"]) == ("8", "16")

    def test_a_machine_that_is_picked_puts_cards_aside(self, catalog: Catalog) -> None:
        given = {"instance": "p5.48xlarge", "chip": "rtx-4090"}
        assert form_state(given, catalog).chip == "rtx-4090"
        assert form_state(given, catalog, {"instance"}).chip == ""


def test_what_stands_at_its_default_in_a_fold_is_not_asked(catalog: Catalog) -> None:
    asked = form_of("optimizer=lion", catalog).asked()
    assert asked["workload"]["optimizer"] == "lion"
    assert "framework" not in asked["workload"] and "framework" in form_of("", catalog).request()["workload"]
    assert asked["cluster"]["nodes"] == 16
