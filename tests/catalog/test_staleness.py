"""When a price is stale: not seen for more than 90 days before the day it is used for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from planner.catalog.facts.records import STALE_PRICE_DAYS, is_stale
from planner.contract.parse import note_stale_price
from planner.contract.section import Problems
from tests.engine.questions import question

SEEN = date(2026, 1, 1)


def test_ninety_days_is_the_limit() -> None:
    assert STALE_PRICE_DAYS == 90


@pytest.mark.parametrize(("days", "stale"), [(0, False), (90, False), (91, True), (1000, True), (-5, False)])
def test_a_price_is_stale_from_the_91st_day(days: int, stale: bool) -> None:
    today = SEEN + timedelta(days=days)
    problems = Problems()
    note_stale_price(replace(question().cluster, price_as_of=SEEN), today, problems)
    assert [code for code, _ in problems.notes] == (["price_stale"] if stale else [])
    assert is_stale(SEEN, today) is stale


def test_the_day_asked_for_counts_rather_than_today() -> None:
    cluster = replace(question().cluster, price_as_of=SEEN, price_asked_as_of=SEEN + timedelta(days=10))
    problems = Problems()
    note_stale_price(cluster, SEEN + timedelta(days=365), problems)
    assert not problems.notes


def test_what_was_never_seen_or_needs_no_price_is_not_stale() -> None:
    for changes in ({"price_as_of": None}, {"price_as_of": SEEN, "instance_type": None}):
        problems = Problems()
        note_stale_price(replace(question().cluster, **changes), SEEN + timedelta(days=365), problems)
        assert not problems.notes
