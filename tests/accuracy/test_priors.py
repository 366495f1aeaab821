"""Every fitted constant: a source, bounds that physics allows, and a value within them, none held by one."""

from __future__ import annotations

import csv
import json
from math import log
from typing import Any

import pytest

from planner.accuracy.calibration import DATA_DIRECTORY, TIMING_FILE
from planner.accuracy.fit import memory

Row = dict[str, str]
#: Seconds that published figures leave room for: nccl-tests on small messages in a machine (2 to 30 us) and
#: between machines (5 to 200 us), kernel launches of 2 to 10 us times those of a block, custom all-reduces.
LATENCIES = {
    "link_latency_s": (1e-6, 3e-5),
    "network_latency_s": (4e-6, 2e-4),
    "launch_s": (5e-5, 1e-3),
    "expert_launch_s": (1e-5, 1e-3),
    "reduction_s": (5e-6, 1e-4),
    "network_reduction_s": (3e-5, 1e-3),
}
#: Peaks of data sheets that chips were measured above, at a higher clock: RTX 4090 at 178.8 of 165.2 TFLOP/s.
ABOVE_THE_SHEET = {"matmul_efficiency/ada": 1.083}
#: Share of the logarithm of its bounds that a value keeps away from either.
CLEAR = 0.01


def rows_of(name: str) -> list[Row]:
    with (DATA_DIRECTORY / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


TIMING, ROLLOUT = rows_of("timing_priors.csv"), rows_of("rollout_priors.csv")
FITTED: dict[str, Any] = {
    **json.loads(TIMING_FILE.read_text(encoding="utf-8"))["constants"],
    **json.loads((DATA_DIRECTORY / "rollout_calibration.json").read_text(encoding="utf-8"))["constants"],
}


def value_of(row: Row) -> float:
    value = FITTED[row["constant"]]
    return float(value[row["key"]] if row.get("key") else value)


def named(row: Row) -> str:
    return f"{row['constant']}/{row.get('key', '')}".rstrip("/")


@pytest.mark.parametrize("row", [*TIMING, *ROLLOUT], ids=named)
def test_a_constant_has_a_source_and_stands_between_its_bounds(row: Row) -> None:
    assert row["source"].strip() and row["meaning"].strip() and row["unit"].strip()
    low, prior, high = float(row["low"]), float(row["value"]), float(row["high"])
    assert 0.0 < low < prior <= high or row["constant"] == "fused_traffic"
    assert float(row["spread"]) > 0.0
    place = (log(value_of(row)) - log(low)) / (log(high) - log(low))
    assert CLEAR < place < 1.0 - CLEAR


@pytest.mark.parametrize(
    "row", [row for row in [*TIMING, *ROLLOUT] if row["unit"].startswith("share of")], ids=named
)
def test_no_share_of_a_peak_may_exceed_it(row: Row) -> None:
    assert float(row["high"]) <= ABOVE_THE_SHEET.get(named(row), 1.0)
    assert value_of(row) < 1.0


@pytest.mark.parametrize("row", [row for row in TIMING if row["unit"] == "share"], ids=named)
def test_no_more_is_exposed_than_there_is(row: Row) -> None:
    assert value_of(row) <= 1.0


@pytest.mark.parametrize("name", LATENCIES)
def test_latencies_are_within_what_was_published(name: str) -> None:
    row = next(row for row in [*TIMING, *ROLLOUT] if row["constant"] == name)
    low, high = LATENCIES[name]
    assert low <= float(row["low"]) <= value_of(row) <= float(row["high"]) <= high


@pytest.mark.parametrize("name", memory.PRIORS)
def test_a_constant_of_memory_has_a_source_and_bounds(name: str) -> None:
    prior = memory.PRIORS[name]
    assert prior.source.strip()
    assert 0.0 < prior.low < prior.value < prior.high
    assert prior.spread > 0.0
