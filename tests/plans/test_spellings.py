"""How people write numbers in the form: 1k, 1M, 1G or 1B, 1T, with signs, powers and spaces."""

import pytest

from planner.plans.state import spelled_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1k", 10**3),
        ("1K", 10**3),
        ("1M", 10**6),
        ("1m", 10**6),
        ("1G", 10**9),
        ("1B", 10**9),
        ("1T", 10**12),
        ("0.5G", 5 * 10**8),
        ("1.5 M", 1_500_000),
        ("1e3k", 10**6),
        (".5k", 500),
        ("1_000_000", 10**6),
        ("12 000", 12_000),
        (" 7 ", 7),
        ("-2", -2),
        ("0.1", 0.1),
    ],
)
def test_a_suffix_is_a_power_of_a_thousand(text: str, number: float) -> None:
    assert spelled_number(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["1P", "1kk", "k", "1 000 0", "M1", "1G5"])
def test_other_letters_are_no_numbers(text: str) -> None:
    assert spelled_number(text) == text


def test_a_number_too_large_to_be_exact_is_not_whole() -> None:
    assert isinstance(spelled_number("1e15"), int)
    assert isinstance(spelled_number("1e16"), float)
