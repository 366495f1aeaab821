"""Look-ups over the catalog: prices as of a day, regions, suggestions, and faults of the files."""

from __future__ import annotations

import shutil
import time
from datetime import date
from pathlib import Path

import pytest

from planner.catalog.facts.catalog import Catalog, DuplicateRecordError, UnknownSlugError, nearest
from planner.catalog.facts.loader import (
    DATA_DIRECTORY,
    CatalogDataError,
    as_of_date,
    load_catalog,
    load_shipped_catalog,
)
from planner.catalog.facts.records import PriceRecord, Provenance

CATALOG = load_shipped_catalog()
MAY_2025 = date(2025, 5, 1)
JULY_2025 = date(2025, 7, 1)


def price_of(catalog: Catalog, slug: str, as_of: date | None, purchase: str = "on_demand") -> float:
    price = catalog.price(slug, "us-east-1", purchase, as_of)
    assert price is not None
    return price.usd_per_hour


@pytest.mark.parametrize(
    ("slug", "before", "after"),
    [
        ("p4d.24xlarge", 32.7726, 21.957642),
        ("p4de.24xlarge", 40.96575, 27.44705),
        ("p5.48xlarge", 98.32, 55.04),
        ("p5en.48xlarge", 84.80, 63.296),
    ],
)
def test_price_before_and_after_the_cut_of_june_2025(slug: str, before: float, after: float) -> None:
    assert price_of(CATALOG, slug, MAY_2025) == before
    assert price_of(CATALOG, slug, date(2025, 5, 31)) == before
    assert price_of(CATALOG, slug, date(2025, 6, 1)) == after
    assert price_of(CATALOG, slug, JULY_2025) == after
    assert price_of(CATALOG, slug, None) == after


@pytest.mark.parametrize(
    ("slug", "region", "before", "after"),
    [
        ("p4d.24xlarge", "eu-west-1", 35.39655, 23.71569),
        ("p5.48xlarge", "us-west-2", 98.32, 55.04),
        ("p5.48xlarge", "ap-northeast-1", 123.19496, 68.8),
        ("p5en.48xlarge", "us-east-2", 84.80, 63.296),
    ],
)
def test_the_cut_reached_the_other_regions(slug: str, region: str, before: float, after: float) -> None:
    prices = [CATALOG.price(slug, region, "on_demand", day) for day in (MAY_2025, JULY_2025, None)]
    assert [price.usd_per_hour for price in prices if price is not None] == [before, after, after]


@pytest.mark.parametrize(
    ("slug", "usd"),
    [("trn1.32xlarge", 21.50), ("trn1n.32xlarge", 24.78), ("p6-b200.48xlarge", 113.9328)],
)
def test_on_demand_price_of_today(slug: str, usd: float) -> None:
    assert price_of(CATALOG, slug, None) == usd


def test_price_of_gcp_in_its_default_region() -> None:
    price = CATALOG.price("a2-highgpu-1g", CATALOG.default_region("gcp"), "on_demand")
    assert price is not None
    assert price.usd_per_hour == 3.673385


def test_no_price_is_none_and_not_zero() -> None:
    assert CATALOG.price("p5e.48xlarge", "us-east-2", "on_demand") is None
    assert CATALOG.price("trn2.48xlarge", "us-east-2", "on_demand") is None
    assert CATALOG.price("p5.48xlarge", "nowhere-1", "on_demand") is None
    assert CATALOG.price("p5.48xlarge", "us-east-1", "on_demand", date(2019, 1, 1)) is None


def test_capacity_blocks_price_what_has_no_on_demand_price() -> None:
    block = CATALOG.price("trn2.48xlarge", "us-east-2", "capacity_block")
    assert block is not None
    assert block.usd_per_hour == 35.7608


def test_of_several_prices_in_force_the_one_that_began_last_wins() -> None:
    provenance = Provenance(source="a test", as_of=date(2025, 3, 1))

    def price(usd: float, valid_from: date, valid_to: date | None = None) -> PriceRecord:
        return PriceRecord(
            instance_slug="p5.48xlarge",
            region="us-east-1",
            purchase="on_demand",
            usd_per_hour=usd,
            valid_from=valid_from,
            valid_to=valid_to,
            provenance=provenance,
        )

    catalog = Catalog(
        prices=[
            price(2.0, date(2025, 2, 1)),
            price(1.0, date(2025, 1, 1)),
            price(9.0, date(2024, 1, 1), MAY_2025),
        ]
    )
    assert price_of(catalog, "p5.48xlarge", None) == 2.0
    assert price_of(catalog, "p5.48xlarge", date(2025, 1, 15)) == 1.0
    assert price_of(catalog, "p5.48xlarge", date(2024, 6, 1)) == 9.0


def test_ended_price_is_not_todays() -> None:
    ended = PriceRecord(
        instance_slug="p5.48xlarge",
        region="us-east-1",
        purchase="spot",
        usd_per_hour=1.0,
        valid_from=date(2024, 1, 1),
        valid_to=date(2025, 1, 1),
        provenance=Provenance(source="a test", as_of=date(2024, 6, 1)),
    )
    catalog = Catalog(prices=[ended])
    assert catalog.price("p5.48xlarge", "us-east-1", "spot") is None
    assert catalog.price("p5.48xlarge", "us-east-1", "spot", date(2024, 12, 31)) is ended
    assert catalog.price("p5.48xlarge", "us-east-1", "spot", date(2025, 1, 1)) is None


def test_instance_carries_its_accelerator_in_si_units() -> None:
    spec = CATALOG.instance("p5.48xlarge").spec
    assert spec.accelerator is CATALOG.accelerator("h100-sxm").spec
    assert spec.accelerators_per_node * spec.accelerator.bf16_flops_per_s == pytest.approx(7.9152e15)
    assert spec.accelerator.memory_bytes == 81559 * 2**20
    assert spec.accelerator.link_bytes_per_s == 450e9
    assert spec.internode_bytes_per_s == 400e9
    assert spec.host_memory_bytes == 2048 * 2**30


def test_trn1n_doubles_the_links_of_trn1() -> None:
    trn1, trn1n = CATALOG.instance("trn1.32xlarge"), CATALOG.instance("trn1n.32xlarge")
    assert trn1n.spec.accelerator.link_bytes_per_s == 2 * trn1.spec.accelerator.link_bytes_per_s
    assert trn1n.spec.internode_bytes_per_s == 2 * trn1.spec.internode_bytes_per_s
    assert trn1n.spec.accelerator.slug == trn1.spec.accelerator.slug == "trainium1"
    assert trn1.link_bytes_per_s is None


def test_a2_megagpu_is_sixteen_small_a100() -> None:
    spec = CATALOG.instance("a2-megagpu-16g").spec
    assert (spec.accelerators_per_node, spec.accelerator.slug) == (16, "a100-sxm-40gb")
    assert CATALOG.instance("a2-ultragpu-8g").spec.accelerator.slug == "a100-sxm-80gb"


def test_regions_put_the_default_first_then_the_priced() -> None:
    regions = CATALOG.regions("p4d.24xlarge")
    assert regions[0] == "us-east-1"
    assert "eu-west-1" in regions
    priced = [bool(CATALOG.purchases("p4d.24xlarge", region)) for region in regions]
    assert priced == sorted(priced, reverse=True)
    assert CATALOG.regions("trn2.48xlarge")[0] == "us-east-2"
    with pytest.raises(UnknownSlugError):
        CATALOG.regions("p4d.24xlrge")


def test_purchases_are_those_with_a_price_today() -> None:
    purchases = CATALOG.purchases("p5.48xlarge", "us-east-1")
    assert {"on_demand", "spot", "capacity_block"} <= set(purchases)
    assert len(purchases) == len(set(purchases))
    assert CATALOG.purchases("p5.48xlarge", "nowhere-1") == ()


def test_availability_by_region() -> None:
    (offer,) = CATALOG.availability("p4d.24xlarge", "us-east-1")
    assert all(zone.startswith("us-east-1") for zone in offer.zones)
    assert CATALOG.availability("p4d.24xlarge", "nowhere-1") == ()
    assert len(CATALOG.availability()) > len(CATALOG.availability("p4d.24xlarge")) > 1


def test_mig_profiles() -> None:
    profile = CATALOG.mig_profile("a100-sxm-40gb", "3g.20gb")
    assert profile.spec.placement_starts == (0, 4)
    assert profile.spec.memory_bytes == 19968 * 2**20
    assert (profile.spec.gpu_compute_slices, profile.spec.gpu_memory_slices) == (7, 8)
    assert CATALOG.mig_profile("rtx-pro-6000", "2g.48gb").spec.gpu_memory_slices == 12
    assert CATALOG.mig_profiles("l4") == ()
    with pytest.raises(UnknownSlugError, match=r"3g\.20gb"):
        CATALOG.mig_profile("a100-sxm-40gb", "3g.40gb")


@pytest.mark.parametrize(
    ("look_up", "wrong", "right"),
    [
        (CATALOG.instance, "p5.48xlrge", "p5.48xlarge"),
        (CATALOG.instance, "P5.48xlarge", "p5.48xlarge"),
        (CATALOG.accelerator, "h100-sxm5", "h100-sxm"),
        (CATALOG.accelerator, "h100", "h100-sxm"),
        (CATALOG.default_region, "AWS", "aws"),
    ],
)
def test_unknown_slug_suggests_the_near_ones(look_up, wrong: str, right: str) -> None:
    with pytest.raises(UnknownSlugError) as caught:
        look_up(wrong)
    assert right in caught.value.suggestions
    assert caught.value.slug == wrong
    assert right in str(caught.value)


def test_unknown_slug_is_a_lookup_error_without_suggestions_when_nothing_is_near() -> None:
    with pytest.raises(LookupError) as caught:
        CATALOG.instance("zzzzqqqq")
    assert "Did you mean" not in str(caught.value)


def test_nearest_reads_people_s_spellings() -> None:
    known = ["llama-3.1-8b", "llama-3.1-70b", "mistral-7b"]
    assert nearest("Llama 3.1 8B", known) == ["llama-3.1-8b"]
    assert nearest("mistralai/Mistral-7B", known) == ["mistral-7b"]
    assert nearest("standard-nd96isr-h100-v5", ["Standard_ND96isr_H100_v5"]) == ["Standard_ND96isr_H100_v5"]


def test_duplicate_slugs_are_refused() -> None:
    record = CATALOG.accelerator("l4")
    with pytest.raises(DuplicateRecordError, match="l4"):
        Catalog(accelerators=[record, record])


@pytest.mark.parametrize(
    ("text", "day"), [("2026", "2026-01-01"), ("2026-07", "2026-07-01"), ("2026-07-20",) * 2]
)
def test_as_of_date_stands_for_the_first_day(text: str, day: str) -> None:
    assert as_of_date(text) == date.fromisoformat(day)


def test_as_of_date_refuses_what_is_no_date() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        as_of_date("spring")


@pytest.fixture
def copied_data(tmp_path: Path) -> Path:
    shutil.copytree(DATA_DIRECTORY, tmp_path / "data")
    return tmp_path / "data"


def test_a_copy_of_the_files_loads_to_the_same_records(copied_data: Path) -> None:
    catalog = load_catalog(copied_data)
    assert catalog.prices() == CATALOG.prices()
    assert catalog.models() == CATALOG.models()
    assert catalog.instances() == CATALOG.instances()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("prices.csv", ",on_demand,", ",on_demnad,"),
        ("prices.csv", "2025-06-01", "2025-06-31"),
        ("accelerators.csv", "81559", "eighty"),
        ("instances.csv", ",h100-sxm,", ",h100-smx,"),
        ("mig_profiles.csv", "0 4", "0 four"),
    ],
)
def test_a_faulty_cell_names_its_file_and_line(copied_data: Path, name: str, old: str, new: str) -> None:
    path = copied_data / name
    text = path.read_text(encoding="utf-8")
    line = text[: text.index(old)].count("\n") + 1
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CatalogDataError, match=f"{name}, line {line}"):
        load_catalog(copied_data)


def test_loading_is_quick() -> None:
    """Every command starts with it. The bound is ten times the usual, for slow and busy machines."""
    started = time.perf_counter()
    load_catalog(DATA_DIRECTORY)
    assert time.perf_counter() - started < 0.5


def test_shipped_catalog_is_read_once() -> None:
    assert load_shipped_catalog() is CATALOG


def test_a_name_without_its_hyphens_finds_the_model_that_begins_so() -> None:
    known = ["gpt2", "gpt-3-175b", "llama-30b", "llama-3-8b"]
    assert nearest("gpt3", known)[0] == "gpt-3-175b"
    assert nearest("llama3", known)[0] == "llama-3-8b"


@pytest.mark.parametrize(
    ("written", "slug"),
    [("rtx-a6000", "a6000"), ("RTX A6000", "a6000"), ("nvidia-h20", "h20"), ("RTX 4090", "rtx-4090")],
)
def test_a_card_is_found_as_people_write_it(written: str, slug: str) -> None:
    assert CATALOG.accelerator(written).slug == slug


def test_a_name_that_could_mean_two_cards_is_not_guessed() -> None:
    with pytest.raises(UnknownSlugError):
        CATALOG.accelerator("RTX PRO")
