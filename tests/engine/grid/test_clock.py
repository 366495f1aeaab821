"""Clocks under load: the law of power against published sweeps, and cards against those that are fitted."""

from dataclasses import replace

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.grid import clock
from planner.engine.grid.plan_grid import ARCHITECTURES
from planner.engine.question.specs import AcceleratorSpec

CHIPS = {record.slug: record.spec for record in load_shipped_catalog().accelerators()}


def card(slug: str) -> AcceleratorSpec:
    return CHIPS[slug]


@pytest.mark.parametrize(("watts", "share"), [(230, 0.80), (280, 0.90), (320, 0.95)])
def test_a_3090_under_a_limit_trains_as_measured(watts: float, share: float) -> None:
    """ViT-B/16 in TF32 (blog.qwertyforce.dev, "Optimal power limit", 2023), of its best at 480 W."""
    assert clock.held_clock(card("rtx-3090"), watts) == pytest.approx(share, abs=0.04)


def test_deep_limits_cost_more_than_shallow_ones() -> None:
    """GB300 matrix products: 617 TFLOP/s at 500 W, 1600 to 2174 at 1400 (triton pull 2023, 2026)."""
    big = card("gb300")
    assert 617 / 2174 <= clock.sustained_share(big, 500.0) / clock.sustained_share(big, None) <= 617 / 1600


def test_a_b200_at_its_limit_falls_to_the_clock_that_was_read() -> None:
    """1965 to 1580 MHz at 1000 W (flashinfer pull 2899, 2026)."""
    assert clock.held_clock(card("b200"), None) == pytest.approx(1580 / 1965, abs=0.03)


@pytest.mark.parametrize("slug", ["a100-pcie-80gb", "h100-pcie", "rtx-4090", "mi325x", "b300", "gh200"])
def test_watts_alone_tell_what_was_measured_within_a_tenth(slug: str) -> None:
    chip = card(slug)
    unknown = replace(chip, slug="nobody-measured-it")
    assert clock.sustained_share(unknown, None) == pytest.approx(clock.sustained_share(chip, None), rel=0.1)


def test_a_card_of_72_watts_holds_half_its_peak() -> None:
    """L4, 121 TFLOP/s on its data sheet: in bursts of milliseconds 91, sustained some 60."""
    share = clock.sustained_share(card("l4"), None) * clock.REFERENCE_SHARES["ada"]
    assert 0.42 < share < 0.58


@pytest.mark.parametrize(
    ("slug", "share"),
    [("a10g", 69.7 / 70), ("l40s", 252 / 362), ("rtx-5090", 254 / 209.5), ("mi325x", 784.9 / 1307.4)],
)
def test_a_measured_card_has_its_own_share(slug: str, share: float) -> None:
    chip = card(slug)
    reference = clock.REFERENCE_SHARES[clock.family(chip)]
    assert clock.sustained_share(chip, None) * reference == pytest.approx(share)


def test_the_fitted_cards_are_the_unit() -> None:
    for slug in ("a100-sxm-80gb", "h100-sxm", "b200", "rtx-6000-ada", "rtx-pro-6000", "mi300x", "mi355x"):
        assert clock.sustained_share(card(slug), None) == pytest.approx(1.0, rel=1e-3), slug


def test_a_limit_lowers_the_clock_and_one_above_the_own_wins_nothing_but_on_volta() -> None:
    big, old = card("h100-sxm"), card("v100-sxm-16gb")
    shares = [clock.sustained_share(big, watts) for watts in (200, 300, 400, 500, 600, 700, 1000)]
    assert shares == sorted(shares)
    assert shares[-1] == shares[-2] == pytest.approx(1.0)
    assert clock.sustained_share(old, 450.0) == pytest.approx(1.2, abs=0.03)
    assert clock.sustained_share(replace(big, power_watts=None), None) > 0


def test_blackwells_cards_without_tensor_memory_are_a_kind_of_their_own() -> None:
    assert clock.family(card("b200")) == "blackwell"
    assert clock.family(card("rtx-5090")) == clock.family(card("rtx-pro-6000")) == "blackwell_rtx"
    assert set(clock.JOULES_PER_FLOP) | set(clock.REFERENCE_SHARES) <= set(ARCHITECTURES)


def test_every_measured_card_is_in_the_catalog() -> None:
    assert set(clock.MEASURED_TFLOPS) <= set(CHIPS)
    peaks = {slug: clock.peak_16_bit(CHIPS[slug]) / 1e12 for slug in clock.MEASURED_TFLOPS}
    assert peaks == pytest.approx(clock.MEASURED_OF_TFLOPS)
    assert set(clock.JOULES_PER_FLOP_OF_CARD) <= set(CHIPS)
