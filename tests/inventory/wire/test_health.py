"""When a GPU is idle, throttled or faulty; what is unknown makes it neither idle nor healthy."""

from __future__ import annotations

from typing import Any

import pytest

from inventory.wire import health
from inventory.wire.snapshot import (
    Ecc,
    Gpu,
    Memory,
    Mig,
    Missing,
    NvLink,
    Process,
    RemappedRows,
    RetiredPages,
    Temperature,
    Utilization,
)

GIB = 2**30
UNKNOWN = Missing("not_supported")
EMPTY = Memory(40 * GIB, 0, 40 * GIB, 0)


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ({"processes": (), "utilization": Utilization(0), "memory": EMPTY}, True),
        ({"processes": (Process(1, "compute"),), "utilization": Utilization(0), "memory": EMPTY}, False),
        ({"processes": (), "utilization": Utilization(3), "memory": EMPTY}, False),
        # Processes of other containers are not listed; what they hold is.
        ({"processes": (), "utilization": Utilization(0), "memory": Memory(40 * GIB, 20 * GIB)}, False),
        # What the driver keeps for itself does not count.
        ({"processes": (), "utilization": Utilization(0), "memory": Memory(40 * GIB, GIB)}, True),
        ({"processes": UNKNOWN, "utilization": Utilization(0), "memory": EMPTY}, None),
        ({"processes": (), "utilization": Utilization(UNKNOWN), "memory": EMPTY}, None),
        (
            {
                "processes": (),
                "utilization": Utilization(UNKNOWN),
                "memory": EMPTY,
                "mig": Mig(True, True, ()),
            },
            True,
        ),
        ({"processes": (), "utilization": Utilization(0), "memory": Memory(UNKNOWN, UNKNOWN)}, True),
        ({}, None),
    ],
)
def test_idle(readings: dict[str, Any], expected: bool | None) -> None:
    assert health.idle(Gpu(0, **readings)) is expected


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ({}, ()),
        ({"uuid": Missing("gpu_lost")}, ("gpu_lost",)),
        ({"processes": Missing("gpu_lost"), "temperature": Temperature(Missing("gpu_lost"))}, ("gpu_lost",)),
        ({"processes": Missing("reset_required")}, ("reset_required",)),
        ({"processes": Missing("timeout")}, ("unread",)),
        ({"processes": Missing("no_permission")}, ()),
        ({"remapped_rows": RemappedRows(1, 1, True, True)}, ("row_remap_failure", "row_remap_pending")),
        ({"remapped_rows": RemappedRows(5, 2, False, False)}, ()),
        ({"retired_pages": RetiredPages(1, 1, True)}, ("retired_pages_pending",)),
        ({"ecc": Ecc(True, True, 9, 1, 9, 1)}, ("uncorrected_ecc",)),
        ({"ecc": Ecc(True, True, 9, 0, 9, 4)}, ()),
        ({"nvlinks": (NvLink(0, True), NvLink(1, False))}, ("nvlink_down",)),
        ({"nvlinks": (NvLink(0, False), NvLink(1, False))}, ()),
        ({"nvlinks": (NvLink(0, True), NvLink(1, UNKNOWN))}, ()),
    ],
)
def test_faults(readings: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = health.faults(Gpu(0, **readings))
    assert found == expected
    assert set(found) <= set(health.FAULT_WORDS)


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ((), ()),
        (("gpu_idle",), ()),
        (("sw_power_cap",), ()),
        (("hw_thermal_slowdown", "sw_power_cap"), ("hw_thermal_slowdown",)),
        (UNKNOWN, ()),
    ],
)
def test_throttling(reasons: Any, expected: tuple[str, ...]) -> None:
    assert health.throttling(Gpu(0, throttle_reasons=reasons)) == expected
