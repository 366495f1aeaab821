"""Public bills: every line of the file is a question that the engine answers, and says where it is from."""

import json
from datetime import date

import pytest

from planner.accuracy.bills import BILLS, Bill, bills
from planner.accuracy.totals import median_error

LINES = [json.loads(line) for line in BILLS.read_text(encoding="utf-8").splitlines()]


def test_every_bill_is_answered() -> None:
    """A refused question would be left out of the share in silence."""
    assert [each.name for each in bills()] == [line["name"] for line in LINES]
    assert len({line["name"] for line in LINES}) == len(LINES) >= 50


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["name"])
def test_a_bill_says_what_was_published_and_what_was_not(line: dict) -> None:
    assert line["accelerator_hours"] > 0
    assert line["source"] and line["note"]
    assert date(2020, 1, 1) < date.fromisoformat(line["as_of"]) < date.today()
    workload = line["request"]["workload"]
    assert workload["task"] == "pretraining" and workload["tokens"] > 0


def test_an_error_is_relative_to_what_was_published() -> None:
    bill = Bill(
        name="a run",
        machines="8 x A100",
        published_hours=100.0,
        published_usd=None,
        predicted_hours=80.0,
        low=70.0,
        high=110.0,
        source="its card",
        as_of="2024-01-01",
        note="",
    )
    assert bill.error == pytest.approx(-0.2)
    assert bill.covered
    assert median_error((bill,)) == pytest.approx(0.2)
