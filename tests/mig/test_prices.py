"""A GPU's price shared out among its slices."""

from __future__ import annotations

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.mig.placement.plan import plan
from planner.mig.placement.question import Gpus
from planner.mig.prices import cheapest, share, shared_out, unused_usd_per_hour, usd_per_gpu_hour
from tests.mig.asked import asked, chip, standing, wanted


@pytest.mark.parametrize(
    ("profile", "part"),
    [
        ("1g.5gb", 1 / 7),
        ("1g.10gb", 2 / 8),
        ("2g.10gb", 2 / 7),
        ("3g.20gb", 4 / 8),
        ("4g.20gb", 4 / 7),
        ("7g.40gb", 1),
    ],
)
def test_an_instance_pays_for_what_it_keeps_from_others(profile: str, part: float) -> None:
    of = chip()
    assert share(of, of.by_name[profile]) == pytest.approx(part)


@pytest.mark.parametrize(
    ("names", "unused"),
    [
        (["1g.5gb"] * 7, 0),
        (["3g.20gb", "3g.20gb"], 0),
        (["4g.20gb", "3g.20gb"], 0),
        (["2g.10gb"], 5 / 7),
        ([], 1),
    ],
)
def test_parts_and_what_stays_unused_are_the_whole(names: list[str], unused: float) -> None:
    parts, left = shared_out(chip(), names)
    assert left == pytest.approx(unused)
    assert sum(parts) + left == pytest.approx(1)


def test_slices_that_nothing_takes_have_a_price() -> None:
    of = chip()
    busy = (standing(of, "3g.20gb", 0, in_use=True),)
    fleet = [Gpus(chip=of, count=2, usd_per_gpu_hour=4.0), Gpus(chip=of, count=1, standing=busy)]
    question = asked(fleet[:1], [wanted(of, "3g.20gb", 3)])
    assert unused_usd_per_hour(question.gpus, plan(question)) == pytest.approx(2.0)
    unpriced = asked(fleet[1:], [wanted(of, "3g.20gb")], in_use_serves=False)
    assert unused_usd_per_hour(unpriced.gpus, plan(unpriced)) is None


def test_the_price_is_that_of_the_cheapest_machine() -> None:
    catalog = load_shipped_catalog()
    found = cheapest(catalog, "a100-sxm-40gb")
    assert found is not None
    machine, usd = found
    spec = catalog.instance(machine).spec
    price = catalog.price(machine, catalog.regions(machine)[0], "on_demand")
    assert price is not None
    assert usd == pytest.approx(price.usd_per_hour / spec.accelerators_per_node)
    assert usd_per_gpu_hour(catalog, "a100-sxm-40gb") == usd
    assert usd_per_gpu_hour(catalog, "a800-pcie-80gb") is None
