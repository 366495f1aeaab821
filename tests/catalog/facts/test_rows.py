"""Every shipped row against physical sense, so that a wrong row names itself."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date
from itertools import pairwise

import pytest

from planner.catalog.facts.loader import DATA_DIRECTORY, GIB, MIB, load_shipped_catalog
from planner.catalog.facts.records import DEFAULT_REGIONS, PriceRecord
from planner.engine.question.words import PURCHASES

CATALOG = load_shipped_catalog()

ACCELERATORS = {record.slug: record for record in CATALOG.accelerators()}
INSTANCES = {record.slug: record for record in CATALOG.instances()}
MIG_PROFILES = {(r.spec.accelerator_slug, r.spec.profile): r for r in CATALOG.mig_profiles()}


PROMISED_INSTANCES = {
    "p4d.24xlarge",
    "p4de.24xlarge",
    "p5.48xlarge",
    "p5e.48xlarge",
    "p5en.48xlarge",
    "p6-b200.48xlarge",
    "trn1.2xlarge",
    "trn1.32xlarge",
    "trn1n.32xlarge",
    "trn2.48xlarge",
    "g4dn.12xlarge",
    "g5.48xlarge",
    "g6.48xlarge",
    "g6e.48xlarge",
    "p3.16xlarge",
    "p3dn.24xlarge",
    "a2-highgpu-8g",
    "a2-megagpu-16g",
    "a2-ultragpu-8g",
    "a3-highgpu-8g",
    "a3-megagpu-8g",
    "a3-ultragpu-8g",
    "a4-highgpu-8g",
    "g2-standard-96",
}

# The accelerators of the JSON contract with the dense bf16 (or fp16 where there is no bf16) TFLOPS of the
# vendors' data sheets: an upper bound for the row.
VENDOR_DENSE_TFLOPS = {
    "a100-sxm-40gb": 312,
    "a100-sxm-80gb": 312,
    "a100-pcie-80gb": 312,
    "a30": 165,
    "h100-sxm": 990,
    "h100-pcie": 756.5,
    "h100-nvl": 835.5,
    "h200-nvl": 835.5,
    "rtx-4070-ti-super": 88.2,
    "h200-sxm": 990,
    "b200": 2250,
    "l4": 121,
    "l40s": 362.1,
    "a10g": 70,
    "t4": 65,
    "v100-sxm-16gb": 125,
    "v100-sxm-32gb": 125,
    "rtx-pro-6000": 504,
    "trainium1": 190,
    "trainium2": 667,
    "a800-sxm-80gb": 312,
    "a800-pcie-80gb": 312,
    "h800-sxm": 990,
    "h20": 148,
    "gh200": 990,
    "gb200": 2500,
    "gb300": 2500,
    "b300": 2250,
    "l20": 119.5,
    "a40": 149.7,
    "a10": 125,
    "v100-pcie-16gb": 112,
    "v100-pcie-32gb": 112,
    "a6000": 154.85,
    "rtx-6000-ada": 364.25,
    "rtx-pro-6000-workstation": 504,
    "rtx-3090": 71,
    "rtx-4090": 165.2,
    "rtx-5090": 209.5,
    "mi250": 362.1,
    "mi250x": 383,
    "mi300x": 1307.4,
    "mi325x": 1307.4,
    "mi350x": 2300,
    "mi355x": 2500,
    "gaudi2": 432,
    "gaudi3": 1677,
    "tpu-v4": 275,
    "tpu-v5e": 197,
    "tpu-v5p": 459,
    "tpu-v6e": 918,
}

# Total accelerator memory per node in GB or GiB as the providers' instance pages print it.
PRINTED_NODE_MEMORY_GB = {
    "p4d.24xlarge": 320,
    "p4de.24xlarge": 640,
    "p5.48xlarge": 640,
    "p5e.48xlarge": 1128,
    "p5en.48xlarge": 1128,
    "p6-b200.48xlarge": 1440,
    "trn1.32xlarge": 512,
    "trn1n.32xlarge": 512,
    "trn2.48xlarge": 1536,
    "g5.48xlarge": 192,
    "g6.48xlarge": 192,
    "g6e.48xlarge": 384,
    "p3.16xlarge": 128,
    "p3dn.24xlarge": 256,
    "a2-highgpu-8g": 320,
    "a2-megagpu-16g": 640,
    "a2-ultragpu-8g": 640,
    "a3-highgpu-8g": 640,
    "a3-ultragpu-8g": 1128,
    "g2-standard-96": 192,
}

# Sold as cards, modules or pods, or in machines of providers that the catalog does not hold.
LOOSE_CARDS = {
    "a30",
    "h200-nvl",
    "rtx-4070-ti-super",
    "h100-pcie",
    "a800-sxm-80gb",
    "a800-pcie-80gb",
    "h800-sxm",
    "h20",
    "gh200",
    "l20",
    "a40",
    "v100-pcie-16gb",
    "v100-pcie-32gb",
    "a6000",
    "rtx-6000-ada",
    "rtx-pro-6000-workstation",
    "rtx-3090",
    "rtx-4090",
    "rtx-5090",
    "mi250",
    "mi250x",
    "mi325x",
    "mi350x",
    "mi355x",
    "gaudi2",
    "gaudi3",
    "tpu-v4",
}

# Machines whose regions no source that could be read lists.
UNPLACED = {
    "a4-highgpu-8g",
    "a4x-highgpu-4g",
    "a4x-maxgpu-4g-metal",
    "g4-standard-48",
    "g4-standard-96",
    "g4-standard-192",
    "g4-standard-384",
    "ct5lp-hightpu-1t",
    "ct5lp-hightpu-4t",
    "ct5lp-hightpu-8t",
    "ct5p-hightpu-4t",
    "ct6e-standard-1t",
    "ct6e-standard-4t",
    "ct6e-standard-8t",
    "Standard_ND96isr_H200_v5",
    "Standard_ND96isr_MI300X_v5",
    "Standard_ND128isr_NDR_GB200_v6",
    "Standard_ND128isr_GB300_v6",
    "Standard_ND128isrG5_GB300_v6",
    "Standard_NC128ds_xl_RTXPRO6000BSE_v6",
    "Standard_NC256ds_xl_RTXPRO6000BSE_v6",
    "Standard_NC320ds_xl_RTXPRO6000BSE_v6",
    "Standard_NC128lds_xl_RTXPRO6000BSE_v6",
    "Standard_NC256lds_xl_RTXPRO6000BSE_v6",
    "Standard_NC320lds_xl_RTXPRO6000BSE_v6",
}

# Racks that share one NVLink domain, held as one machine.
ULTRASERVERS = {"u-p6e-gb200x36", "u-p6e-gb200x72"}


def rows(name: str) -> list[dict[str, str]]:
    with (DATA_DIRECTORY / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_slug_of_the_contract_is_there() -> None:
    assert set(VENDOR_DENSE_TFLOPS) <= set(ACCELERATORS)
    assert not PROMISED_INSTANCES - set(INSTANCES)


def test_every_accelerator_of_the_contract_but_the_loose_cards_is_in_an_instance_type() -> None:
    in_instances = {record.spec.accelerator.slug for record in INSTANCES.values()}
    assert set(VENDOR_DENSE_TFLOPS) - in_instances <= LOOSE_CARDS
    assert not LOOSE_CARDS & in_instances


@pytest.mark.parametrize("slug", ACCELERATORS)
class TestAccelerator:
    def test_dense_rates_stay_within_the_vendors_figure(self, slug: str) -> None:
        spec = ACCELERATORS[slug].spec
        dense = max(spec.bf16_flops_per_s, spec.fp16_flops_per_s)
        assert 0 < dense <= VENDOR_DENSE_TFLOPS[slug] * 1e12 * 1.001
        assert dense >= VENDOR_DENSE_TFLOPS[slug] * 1e12 * 0.95

    def test_rates_keep_their_proportions(self, slug: str) -> None:
        spec = ACCELERATORS[slug].spec
        assert spec.fp32_flops_per_s > 0
        if spec.bf16_flops_per_s and spec.vendor in {"nvidia", "amd", "aws"}:
            assert spec.bf16_flops_per_s == spec.fp16_flops_per_s
        if spec.tf32_flops_per_s and spec.vendor == "nvidia":
            assert spec.tf32_flops_per_s == pytest.approx(spec.fp16_flops_per_s / 2, rel=0.03)
        if spec.fp8_flops_per_s and spec.vendor == "nvidia":
            assert spec.fp8_flops_per_s == pytest.approx(spec.fp16_flops_per_s * 2, rel=0.03)

    def test_a_chip_has_the_units_of_its_generation(self, slug: str) -> None:
        spec = ACCELERATORS[slug].spec
        assert (spec.bf16_flops_per_s > 0) == (spec.architecture not in {"volta", "turing"})
        if spec.vendor == "nvidia":
            assert (spec.fp8_flops_per_s > 0) == (spec.architecture in {"ada", "hopper", "blackwell"})

    def test_usable_memory_is_near_the_label(self, slug: str) -> None:
        record = ACCELERATORS[slug]
        # Labels count 10^9 or 2^30 bytes; the driver keeps up to 7 % for itself and for ECC.
        assert record.label_gb * 1e9 * 0.93 <= record.spec.memory_bytes <= record.label_gb * GIB

    def test_bandwidths_are_those_of_their_kind(self, slug: str) -> None:
        spec = ACCELERATORS[slug].spec
        assert 0.3e12 <= spec.memory_bandwidth_bytes_per_s <= 8e12
        per_direction = {
            "pcie3": 16e9,
            "pcie4": 32e9,
            "pcie5": 64e9,
            "nvlink2": 150e9,
            "nvlink3": 300e9,
            "nvlink4": 450e9,
            "nvlink5": 900e9,
            "neuronlink2": 192e9,
            "neuronlink3": 640e9,
            "xgmi": 537.6e9,
            "roce100": 262.5e9,
            "roce200": 525e9,
            "ici": 600e9,
        }
        assert spec.link_bytes_per_s <= per_direction[spec.link]
        assert spec.link_bytes_per_s < spec.memory_bandwidth_bytes_per_s

    def test_mig_capable_chips_have_profiles_and_no_others(self, slug: str) -> None:
        assert bool(CATALOG.mig_profiles(slug)) == ACCELERATORS[slug].spec.mig_capable

    def test_is_sourced(self, slug: str) -> None:
        assert ACCELERATORS[slug].provenance.source


@pytest.mark.parametrize("slug", INSTANCES)
class TestInstance:
    def test_node_memory_is_accelerators_times_memory(self, slug: str) -> None:
        spec = INSTANCES[slug].spec
        node_bytes = spec.accelerators_per_node * spec.accelerator.memory_bytes
        label = spec.accelerators_per_node * ACCELERATORS[spec.accelerator.slug].label_gb
        assert PRINTED_NODE_MEMORY_GB.get(slug, label) == label
        assert label * 1e9 * 0.93 <= node_bytes <= label * GIB

    def test_shape_is_a_machine_that_exists(self, slug: str) -> None:
        spec = INSTANCES[slug].spec
        trays = spec.accelerators_per_node // 4 if slug in ULTRASERVERS else 1
        assert spec.accelerators_per_node // trays in {1, 2, 4, 8, 16}
        assert spec.vcpus is not None and 4 <= spec.vcpus / trays <= 384
        assert spec.host_memory_bytes is not None
        assert 16 * GIB <= spec.host_memory_bytes / trays <= 4096 * GIB

    def test_network_is_slower_than_the_links_inside(self, slug: str) -> None:
        spec = INSTANCES[slug].spec
        per_accelerator = spec.internode_bytes_per_s / spec.accelerators_per_node
        assert 2.5e9 / 8 <= spec.internode_bytes_per_s and per_accelerator <= 800e9 / 8
        if spec.accelerators_per_node > 1 and not spec.accelerator.link.startswith("pcie"):
            assert per_accelerator < spec.accelerator.link_bytes_per_s

    def test_bigger_ultraclusters_hold_whole_nodes(self, slug: str) -> None:
        largest = INSTANCES[slug].ultracluster_max_accelerators
        assert largest is None or largest % INSTANCES[slug].spec.accelerators_per_node == 0

    def test_is_sourced_priced_and_placed(self, slug: str) -> None:
        assert INSTANCES[slug].provenance.source
        regions = CATALOG.regions(slug)
        assert bool(regions) != (slug in UNPLACED)
        if regions and DEFAULT_REGIONS[INSTANCES[slug].spec.provider] in regions:
            assert regions[0] == DEFAULT_REGIONS[INSTANCES[slug].spec.provider]


@pytest.mark.parametrize("slug", INSTANCES)
class TestPrices:
    def test_are_positive_dated_and_sourced(self, slug: str) -> None:
        for price in CATALOG.prices(slug):
            assert price.purchase in PURCHASES
            assert 0.05 < price.usd_per_hour < (1000 if slug in ULTRASERVERS else 200), price
            assert price.provenance.source
            assert price.valid_from <= price.provenance.as_of, price
            assert price.valid_to is None or price.valid_from < price.valid_to, price

    def test_do_not_overlap(self, slug: str) -> None:
        for history in histories(slug).values():
            for earlier, later in pairwise(history):
                assert earlier.valid_to is not None, (earlier, later)
                assert earlier.valid_to <= later.valid_from, (earlier, later)

    def test_committing_costs_less_than_on_demand(self, slug: str) -> None:
        for (region, purchase), history in histories(slug).items():
            if purchase == "on_demand":
                continue
            for price in history:
                on_demand = CATALOG.price(slug, region, "on_demand", price.valid_from)
                if on_demand is not None:
                    assert price.usd_per_hour < on_demand.usd_per_hour * 1.0001, (price, on_demand)

    def test_regions_differ_by_no_more_than_clouds_do(self, slug: str) -> None:
        today = [
            price.usd_per_hour
            for price in CATALOG.prices(slug)
            if price.purchase == "on_demand" and price.valid_to is None
        ]
        if today:
            assert max(today) <= 2 * min(today)


def histories(slug: str) -> dict[tuple[str, str], list[PriceRecord]]:
    by_offer: dict[tuple[str, str], list[PriceRecord]] = {}
    for price in CATALOG.prices(slug):
        by_offer.setdefault((price.region, price.purchase), []).append(price)
    return {offer: sorted(history, key=lambda price: price.valid_from) for offer, history in by_offer.items()}


def test_every_price_and_offer_is_of_a_known_instance_type() -> None:
    assert {price.instance_slug for price in CATALOG.prices()} <= set(INSTANCES)
    assert {offer.instance_slug for offer in CATALOG.availability()} <= set(INSTANCES)


def test_price_keys_are_unique() -> None:
    keys = Counter((p.instance_slug, p.region, p.purchase, p.valid_from) for p in CATALOG.prices())
    assert not [key for key, count in keys.items() if count > 1]


def test_availability_keys_are_unique_and_zones_lie_in_their_region() -> None:
    keys = Counter((offer.instance_slug, offer.region) for offer in CATALOG.availability())
    assert not [key for key, count in keys.items() if count > 1]
    for offer in CATALOG.availability():
        assert len(set(offer.zones)) == len(offer.zones), offer
        assert all(zone.startswith(offer.region) for zone in offer.zones), offer
        assert offer.provenance.source


@pytest.mark.parametrize(("accelerator", "profile"), MIG_PROFILES)
class TestMigProfile:
    def test_placements_lie_within_the_memory_slices(self, accelerator: str, profile: str) -> None:
        spec = MIG_PROFILES[accelerator, profile].spec
        slices = max(other.spec.placement_size for other in CATALOG.mig_profiles(accelerator))
        assert slices in {4, 8, 12}
        assert list(spec.placement_starts) == sorted(set(spec.placement_starts))
        assert all(start + spec.placement_size <= slices for start in spec.placement_starts)
        assert 1 <= spec.max_instances <= len(spec.placement_starts)
        assert spec.memory_slices == spec.placement_size

    def test_copies_do_not_overlap(self, accelerator: str, profile: str) -> None:
        spec = MIG_PROFILES[accelerator, profile].spec
        starts = spec.placement_starts
        assert all(later - earlier >= spec.placement_size for earlier, later in pairwise(starts))

    def test_memory_is_its_share_of_the_chip(self, accelerator: str, profile: str) -> None:
        spec = MIG_PROFILES[accelerator, profile].spec
        chip_bytes = ACCELERATORS[accelerator].spec.memory_bytes
        slices = max(other.spec.placement_size for other in CATALOG.mig_profiles(accelerator))
        share = chip_bytes * spec.memory_slices / slices
        assert 0.88 * share <= spec.memory_bytes <= chip_bytes
        assert spec.memory_bytes <= share * 1.01
        assert spec.memory_bytes % MIB == 0

    def test_name_says_the_compute_slices(self, accelerator: str, profile: str) -> None:
        spec = MIG_PROFILES[accelerator, profile].spec
        assert profile.startswith(f"{spec.compute_slices}g.")
        assert MIG_PROFILES[accelerator, profile].provenance.source


def test_mig_keys_are_unique() -> None:
    for key in ("profile", "profile_id"):
        counts = Counter((row["accelerator"], row[key]) for row in rows("mig_profiles.csv"))
        assert not [pair for pair, count in counts.items() if count > 1]


def test_every_source_is_used_and_none_is_missing() -> None:
    cited = {
        row["source"]
        for name in (
            *("accelerators", "instances", "prices", "availability", "mig_profiles"),
            *("purchase_rules", "spot_interruptions", "price_volatility"),
        )
        for row in rows(f"{name}.csv")
    }
    keys = [row["key"] for row in rows("sources.csv")]
    assert len(keys) == len(set(keys))
    assert cited == set(keys)
    assert all(len(row["citation"]) > 20 for row in rows("sources.csv"))


def test_no_row_is_from_the_future_of_its_source() -> None:
    newest = max(price.provenance.as_of for price in CATALOG.prices())
    assert newest >= date(2026, 7, 1)
    assert all(price.provenance.as_of <= newest for price in CATALOG.prices())
