"""The pickers' entries and the cards of what was picked."""

from __future__ import annotations

from itertools import pairwise

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.model import read_model
from planner.contract.section import Problems
from planner.engine.shape.parameters import count_parameters
from planner.plans import picker

SALE = picker.Sale(region="", purchase="on_demand", as_of=None)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_shipped_catalog()


def test_a_machine_has_its_memory_and_its_price_a_gpu_hour(catalog: Catalog) -> None:
    options = {option.slug: option for option in picker.machine_options(catalog, SALE)}
    p5 = options["p5.48xlarge"]
    assert (p5.group, p5.note) == ("Amazon Web Services", "8 × H100 SXM5 80GB, 79.6 GiB each")
    price = catalog.price("p5.48xlarge", "us-east-1", "on_demand")
    assert price is not None
    assert p5.price == f"${price.usd_per_hour / 8:,.2f}/GPU-h"
    assert len(options) == len(catalog.instances()) + len(catalog.accelerators())
    own = [option for option in options.values() if option.group == picker.OWN_MACHINES]
    assert [option.slug for option in own] == [record.slug for record in catalog.accelerators()]


def test_groups_stand_together(catalog: Catalog) -> None:
    for options in (picker.machine_options(catalog, SALE), picker.model_options(catalog)):
        groups = [option.group for option in options]
        changes = sum(1 for one, other in pairwise(groups) if one != other)
        assert changes == len(set(groups)) - 1


def test_a_model_says_its_size_and_context(catalog: Catalog) -> None:
    options = {option.slug: option for option in picker.model_options(catalog)}
    assert options["llama-3.1-8b"].note == "llama-3.1-8b, 8.03B parameters, context 131,072"


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("llama-3.1-8b", {"parameters": "8.03B", "layers": "32", "context": "131,072"}),
        ("mixtral-8x7b", {"active": "12.9B", "experts": "8, 2 a token"}),
        ("t5-small", {"layers": "6 + 6"}),
    ],
)
def test_a_card_says_what_a_model_is_made_of(name: str, facts: dict[str, str], catalog: Catalog) -> None:
    shape = read_model(name, "model", catalog, Problems())
    assert shape is not None
    count = count_parameters(shape)
    card = picker.model_card(shape, count.total, count.active)
    assert facts.items() <= dict(card.facts).items()


def test_every_model_has_a_card(catalog: Catalog) -> None:
    for record in catalog.models():
        shape = read_model(record.slug, "model", catalog, Problems())
        assert shape is not None
        count = count_parameters(shape)
        assert {"parameters", "layers"} <= dict(
            picker.model_card(shape, count.total, count.active).facts
        ).keys()


def test_the_slices_are_those_of_the_chip(catalog: Catalog) -> None:
    chip = picker.chip_of(catalog, chip="", instance="p5.48xlarge")
    choices = dict(picker.profile_choices(catalog, chip, chosen=""))
    assert choices[""] == "Whole, 79.6 GiB"
    assert choices["3g.40gb"].endswith("up to 2 a chip")
    assert dict(picker.profile_choices(catalog, "t4", chosen="")) == {"": "None on this chip"}


def test_a_slice_that_is_none_of_the_chip_stays_to_be_mended(catalog: Catalog) -> None:
    assert ("9g.90gb", "9g.90gb") in picker.profile_choices(catalog, "t4", chosen="9g.90gb")
