"""Numbers as people read them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.web import formats, template_filters

GIB = 2**30


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (4.567, "4.57"),
        (31.42, "31.4"),
        (655.2, "655"),
        (12_345, "12,300"),
        (999.6, "1,000"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert formats.significant(value) == text


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_what_is_shown_is_within_half_a_unit_of_the_third_digit(value: float) -> None:
    shown = float(formats.significant(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=5.001e-3)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0123, "12.3 ms"),
        (12.3, "12.3 s"),
        (90, "90.0 s"),
        (7200, "2.00 hours"),
        (36 * 3600, "36.0 hours"),
        (31.2 * 86_400, "31.2 days"),
        (364 * 86_400, "364 days"),
        (2.5 * 365.25 * 86_400, "2.50 years"),
    ],
)
def test_a_time_is_in_its_largest_sensible_unit(seconds: float, text: str) -> None:
    assert formats.duration(seconds).text == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.00421, "$0.0042"),
        (0.6157, "$0.62"),
        (98.32, "$98.32"),
        (655.3, "$655"),
        (12_345, "$12,300"),
        (655_300, "$655k"),
        (999_700, "$1.00M"),
        (12_345_678, "$12.35M"),
        (123.4e6, "$123M"),
        (1.234e9, "$1.23B"),
    ],
)
def test_dollars(usd: float, text: str) -> None:
    assert formats.dollars(usd).text == text


def test_memory_is_in_gib_and_links_in_gigabytes() -> None:
    assert formats.gib(21 * GIB).text == "21.0 GiB"
    assert formats.gib(5 * 2**20).text == "5.00 MiB"
    assert formats.gib(86).text == "less than 1 MiB"
    assert formats.rate(450e9).text == "450 GB/s"


def test_counts_are_whole_things() -> None:
    assert formats.count(8_030_261_248).text == "8.03B"
    assert formats.count(1e12, "tokens").text == "1T tokens"
    assert formats.count(1024).text == "1,024"


def test_the_exact_value_stands_beside_what_is_shown() -> None:
    shown = formats.duration(2_678_401.25)
    assert shown.exact == "2678401.25 s"
    assert shown.__html__() == '<span title="2678401.25 s">31.0 days</span>'


def test_a_range_keeps_the_unit_of_its_value() -> None:
    day = 86_400.0
    assert formats.duration_range(1.9 * day, 2.6 * day, 2.2 * day).text == "1.90 to 2.60 days"
    assert formats.dollar_range(900_000, 1_200_000).text == "$900k to $1.20M"


def test_a_day_is_written_out() -> None:
    assert formats.day(date(2025, 6, 5)) == "5 June 2025"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (GIB, "byte", "1.00 GiB"),
        (2.0, "s", "2.00 s"),
        (0.412, "ratio", "41.2 %"),
        (9.89e14, "FLOP/s", "989 TFLOP/s"),
        (12, "", "12"),
    ],
)
def test_an_explanation_is_in_the_engines_unit(value: float, unit: str, text: str) -> None:
    assert formats.in_unit(value, unit).text == text


def test_the_bytes_of_a_parameter_are_told_as_they_are() -> None:
    assert formats.in_unit(16.0, "byte").text == "16 bytes"
    assert formats.in_unit(0.5, "byte").text == "0.5 bytes"


def test_a_whole_number_on_a_page_has_its_thousands_grouped() -> None:
    assert template_filters.grouped(2003328) == "2,003,328"
