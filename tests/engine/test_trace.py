"""Formulas with numbers put in: units chosen for the reader, and Python's own formats beside them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from planner.engine.trace import WRITTEN, filled


@pytest.mark.parametrize(
    ("how", "value", "text"),
    [
        ("bytes", 8.03e9, "7.479 GiB"),
        ("bytes", 5.0 * 2**20, "5 MiB"),
        ("bytes", 12.6, "12.6 bytes"),
        ("bytes", 0.0, "0"),
        ("span", 907_000.0, "10.5 days"),
        ("span", 7.6089, "7.609 s"),
        ("span", 0.02578, "25.78 ms"),
        ("span", 7.79e-4, "779 µs"),
        ("span", 0.0, "0"),
        ("usd", 221_885.4, "$221,885"),
        ("usd", 55.04, "$55.04"),
        ("count", 4.0151e9, "4.015B"),
        ("count", 8192.0, "8192"),
        ("place", 0, "1"),
    ],
)
def test_a_number_is_written_as_people_do(how: str, value: float, text: str) -> None:
    assert WRITTEN[how](value) == text


def test_a_formula_is_filled_from_its_records() -> None:
    step = SimpleNamespace(forward=2.176, terms={"head": 0.01036}, ends=(1.0, 3600.0 * 5))
    formula = "{step.forward:.2f} + {step.terms[head]:span} of {step.ends[1]:span}, {step.forward:.0f}"
    assert filled(formula, {"step": step}) == "2.18 + 10.36 ms of 5 hours, 2"
