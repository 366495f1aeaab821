"""How much of their errors two plans share: the file is what the measured runs say."""

from __future__ import annotations

import json
from math import exp, log
from typing import Any

import pytest

from planner.accuracy.calibration import SHARED_ERRORS, SHARED_ERRORS_FILE, read, shipped_calibration
from planner.accuracy.validate.shared_errors import (
    PAIRS,
    all_variance,
    in_order,
    own_variance,
    shared_errors,
    timed_runs,
)
from planner.accuracy.validate.write import REPORT_FILE


def run(error: float, **changes: Any) -> dict[str, Any]:
    base = {"model": "m", "accelerator": "h100-sxm", "framework": "megatron", "source": "s"}
    return {**base, "error": error, **changes}


def test_the_file_is_made_of_the_report() -> None:
    report = json.loads(REPORT_FILE.read_text(encoding="utf-8"))
    assert read(SHARED_ERRORS_FILE) == shared_errors(report)
    shared = shipped_calibration().shared
    assert all(0.0 < getattr(shared, name) <= 1.0 for name in SHARED_ERRORS)
    assert shared.same_chip <= shared.other_chip


def test_another_chip_makes_no_two_runs_more_alike() -> None:
    assert in_order({"same_chip": (0.2, 3), "other_chip": (0.3, 1)}) == {}
    pooled = in_order({"same_chip": (0.4, 3), "other_chip": (0.2, 1)})
    assert pooled == {"same_chip": (pytest.approx(0.35), 3), "other_chip": (pytest.approx(0.35), 1)}


def test_what_a_whole_source_is_off_by_cancels() -> None:
    sources = {"s": [run(0.3), run(0.3), run(0.3)]}
    assert own_variance(sources, PAIRS["same_chip"]) == (0.0, 1)
    assert all_variance(sources) == pytest.approx(0.09)


def test_half_the_squared_difference_by_hand() -> None:
    sources = {"s": [run(0.1), run(0.3)], "t": [run(0.0), run(0.4)]}
    own, told = own_variance(sources, PAIRS["same_chip"])
    assert own == pytest.approx((0.2**2 / 2 + 0.4**2 / 2) / 2)
    assert told == 2


def test_pairs_differ_in_what_they_are_named_after() -> None:
    other_chip, other_stack = run(0.0, accelerator="a100-sxm-80gb"), run(0.0, framework="fsdp")
    assert PAIRS["other_chip"](run(0.0), other_chip)
    assert PAIRS["other_stack"](run(0.0), other_stack)
    assert not PAIRS["same_chip"](run(0.0), other_chip)
    assert not PAIRS["other_chip"](other_stack, other_chip)
    assert not PAIRS["same_chip"](run(0.0), run(0.0, model="n"))


def test_only_times_of_runs_unseen_count() -> None:
    columns = ["source", "quantity", "error_by_source"]
    rows = [["s", "step time", exp(0.2) - 1], ["s", "nvidia-smi memory", 0.1], ["s", "step time", None]]
    (only,) = timed_runs({"columns": columns, "rows": rows})["s"]
    assert only["error"] == pytest.approx(0.2)
    assert log(1.0 + only["error_by_source"]) == only["error"]
