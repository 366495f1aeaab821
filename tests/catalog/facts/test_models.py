"""Every shipped model: its configuration is one the engine reads, and counts to the published total."""

from __future__ import annotations

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.explicit import model_from_explicit
from planner.engine.shape.hf_config import model_from_hf_config
from planner.engine.shape.parameters import count_parameters

CATALOG = load_shipped_catalog()
MODELS = {record.slug: record for record in CATALOG.models()}

# The totals that the publishers print, by the slugs of the JSON contract.
PUBLISHED_PARAMETERS = {
    "gpt2": 124_439_808,
    "bert-base-uncased": 109_482_240,
    "bert-large-uncased": 335_141_888,
    "roberta-base": 124_645_632,
    "distilbert-base-uncased": 66_362_880,
    "t5-small": 60_506_624,
    "t5-11b": 11_307_321_344,
    "bloom-176b": 176_247_271_424,
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "qwen3-30b-a3b": 30_532_122_624,
    "deepseek-v3": 671_026_404_352,
    "gpt-oss-120b": 116_829_156_672,
    "mpt-7b": 6_649_286_656,
    "vit-base-patch16-224": 86_389_248,
}

# What the names promise, in billions, where no exact count is printed.
NAMED_BILLIONS = {
    "gpt-3-175b": 175,
    "opt-175b": 175,
    "gpt-neox-20b": 20.6,
    "falcon-180b": 179,
    "llama-65b": 65.3,
}

# Active parameters that the model cards print, in billions.
ACTIVE_BILLIONS = {
    "mixtral-8x7b": 12.9,
    "qwen3-30b-a3b": 3.3,
    "qwen3-235b-a22b": 22,
    "deepseek-v3": 37.55,
    "gpt-oss-120b": 5.1,
}


def spec_of(slug: str) -> ModelSpec:
    record = MODELS[slug]
    if record.hf_config is not None:
        return model_from_hf_config(record.hf_config, name=slug)
    assert record.architecture is not None
    return model_from_explicit(record.architecture, name=slug)


def test_there_are_models_enough_of_every_kind() -> None:
    assert len(MODELS) >= 60
    kinds = {spec_of(slug).architecture for slug in MODELS}
    assert kinds == {"decoder", "encoder", "encoder_decoder", "vision_encoder"}


@pytest.mark.parametrize(("slug", "parameters"), PUBLISHED_PARAMETERS.items())
def test_published_totals(slug: str, parameters: int) -> None:
    assert MODELS[slug].parameters == parameters


@pytest.mark.parametrize(("slug", "billions"), NAMED_BILLIONS.items())
def test_totals_are_those_of_the_name(slug: str, billions: float) -> None:
    parameters = MODELS[slug].parameters
    assert parameters is not None
    assert parameters / 1e9 == pytest.approx(billions, rel=0.005)


@pytest.mark.parametrize(("slug", "billions"), ACTIVE_BILLIONS.items())
def test_active_totals(slug: str, billions: float) -> None:
    # OpenAI's 5.1B leaves the input table out, which the others count.
    total = count_parameters(spec_of(slug))
    table = total.embedding if slug == "gpt-oss-120b" else 0
    assert (total.active - table) / 1e9 == pytest.approx(billions, rel=0.02)


@pytest.mark.parametrize("slug", MODELS)
class TestModel:
    def test_counts_to_its_total(self, slug: str) -> None:
        assert count_parameters(spec_of(slug)).total == MODELS[slug].parameters

    def test_context_lies_within_the_positions(self, slug: str) -> None:
        context = MODELS[slug].max_context
        spec = spec_of(slug)
        if context is None:
            assert spec.max_positions == 0, "a model with positions has a longest context"
            return
        assert context >= 1
        if spec.position_embedding == "learned" and spec.architecture != "vision_encoder":
            assert context <= spec.max_positions
        if spec.architecture == "vision_encoder":
            assert context == spec.max_positions

    def test_names_its_source_and_maker(self, slug: str) -> None:
        record = MODELS[slug]
        assert record.name and record.publisher and record.family
        assert len(record.provenance.source) > 20
        assert record.parameters_source

    def test_slug_is_the_public_name_in_lower_case_with_hyphens(self, slug: str) -> None:
        assert slug == slug.lower()
        assert not set(slug) & set(" _/")
