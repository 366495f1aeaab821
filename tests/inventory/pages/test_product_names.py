"""Every product by the name that its driver gives it."""

import pytest

from inventory.pages.product_names import accelerator_slug
from planner.catalog.facts.loader import load_shipped_catalog

PRODUCTS = {
    "NVIDIA A100-SXM4-40GB": "a100-sxm-40gb",
    "NVIDIA A100-SXM4-80GB": "a100-sxm-80gb",
    "NVIDIA A100 80GB PCIe": "a100-pcie-80gb",
    "NVIDIA A30": "a30",
    "NVIDIA H100 PCIe": "h100-pcie",
    "NVIDIA H100 NVL": "h100-nvl",
    "NVIDIA H100 80GB HBM3": "h100-sxm",
    "NVIDIA H200 NVL": "h200-nvl",
    "NVIDIA H200": "h200-sxm",
    "NVIDIA B200": "b200",
    "NVIDIA L40S": "l40s",
    "NVIDIA L4": "l4",
    "NVIDIA A10G": "a10g",
    "Tesla T4": "t4",
    "Tesla V100-SXM2-16GB": "v100-sxm-16gb",
    "Tesla V100-SXM2-32GB": "v100-sxm-32gb",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "rtx-pro-6000",
    "Trainium1": "trainium1",
    "Trainium2": "trainium2",
}
SLUGS = set(PRODUCTS.values())


@pytest.mark.parametrize(("name", "slug"), PRODUCTS.items())
def test_a_driver_s_name_finds_its_product(name: str, slug: str) -> None:
    assert accelerator_slug(name, SLUGS) == slug
    assert accelerator_slug(name.upper(), SLUGS) == slug


def test_all_nineteen_products_have_a_name() -> None:
    assert len(SLUGS) == 19
    known = {record.spec.slug for record in load_shipped_catalog().accelerators()}
    assert {accelerator_slug(name, known) for name in PRODUCTS} - {None} == SLUGS & known


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA GeForce RTX 4090",
        "NVIDIA A10",
        "NVIDIA L40",
        "NVIDIA A100",
        "NVIDIA T400",
        "",
        "NVIDIA GB200X",
    ],
)
def test_a_neighbour_s_name_finds_nothing(name: str) -> None:
    assert accelerator_slug(name, SLUGS) is None


def test_a_product_that_the_catalog_lacks_finds_nothing() -> None:
    assert accelerator_slug("NVIDIA L4", SLUGS - {"l4"}) is None
    assert accelerator_slug("Tesla V100-SXM3-32GB", SLUGS) == "v100-sxm-32gb"
