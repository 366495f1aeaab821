"""What the engine takes from the simulation is what its data file says, and the file is as published runs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from planner.accuracy.allocator.study import ALLOCATOR_FILE, least_bytes, run
from planner.accuracy.allocator.traces import Setup, row_lengths
from planner.engine.memory import reserve

STUDY: dict[str, Any] = json.loads(ALLOCATOR_FILE.read_text(encoding="utf-8"))


def medians(name: str, *, expandable: bool, varying: bool) -> list[float]:
    return [
        row[name]
        for row in STUDY["summary"]
        if row["expandable"] == expandable and (row["spread"] > 0) == varying
    ]


def test_the_cache_of_varying_lengths_is_the_simulated_one() -> None:
    (equal,) = medians("cache_share", expandable=False, varying=False)
    beyond = [share - equal for share in medians("cache_share", expandable=False, varying=True)]
    assert min(beyond) < reserve.VARYING_CACHE_SHARE < max(beyond)
    (equal,) = medians("cache_share", expandable=True, varying=False)
    assert max(medians("cache_share", expandable=True, varying=True)) < equal + 0.05


def test_what_cannot_be_used_is_no_more_than_simulated() -> None:
    (equal,) = medians("least_share", expandable=False, varying=False)
    assert equal > reserve.UNUSABLE
    assert reserve.UNUSABLE_VARYING == pytest.approx(
        np.median(medians("least_share", expandable=False, varying=True)), abs=0.02
    )
    grown = [
        share
        for varying in (False, True)
        for share in medians("least_share", expandable=True, varying=varying)
    ]
    assert reserve.UNUSABLE_EXPANDABLE == pytest.approx(np.median(grown), abs=0.01)


def test_a_published_pair_is_met_within_a_fifth() -> None:
    pair = STUDY["published"]
    assert pair["simulated_gib"] == pytest.approx(pair["reserved_gib"], rel=0.1)
    assert pair["expandable_simulated_gib"] == pytest.approx(pair["expandable_reserved_gib"], rel=0.2)


def test_the_least_memory_lies_between_allocated_and_reserved() -> None:
    setup = Setup(layers=2, hidden=512, ffn=2048, heads=8, kv_heads=2, vocab=16384)
    rows = row_lengths(rows=6, at_once=2, mean=800.0, spread=0.5, longest=4096.0, padded=True)
    free = run(setup, rows, expandable=False)
    least = least_bytes(setup, rows, expandable=False)
    assert free.allocated <= least <= free.reserved
    run(setup, rows, expandable=False, limit=least)
