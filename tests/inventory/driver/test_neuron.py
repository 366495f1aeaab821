"""Neuron devices, from the JSON of the vendor's two tools, run as the real ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inventory.driver import neuron
from inventory.driver.probing import read_snapshot
from inventory.wire.snapshot import Missing
from inventory.wire.snapshot_json import from_json, to_json

LISTING = [
    {
        "instance_type": "trn1.32xlarge",
        "neuron_device": index,
        "bdf": f"0000:00:{0x1E - index:02x}.0",
        "cpu_affinity": "0-7",
        "numa_node": "-1",
        "connected_to": [1 - index],
        "nc_count": 2,
        "memory_size": 32 * 2**30,
        "neuroncore_ids": [2 * index, 2 * index + 1],
        "neuron_processes": [{"pid": 77, "command": "python train.py --token secret"}] if index == 0 else [],
    }
    for index in range(2)
]
PARTS = {
    "constants": 2**30,
    "model_code": 2**20,
    "model_shared_scratchpad": 0,
    "runtime_memory": 0,
    "tensors": 2**30,
}
REPORT = {
    "neuron_runtime_data": [
        {
            "pid": 77,
            "report": {
                "neuroncore_counters": {
                    "neuroncores_in_use": {
                        "0": {"neuroncore_utilization": 80.0},
                        "1": {"neuroncore_utilization": 60.0},
                    }
                },
                "memory_used": {
                    "neuron_runtime_used_bytes": {
                        "host": 2605992,
                        "neuron_device": 2 * sum(PARTS.values()),
                        "usage_breakdown": {"neuroncore_memory_usage": {"0": PARTS, "1": PARTS}},
                    }
                },
            },
        }
    ],
    "system_data": {
        "neuron_hw_counters": {
            "neuron_devices": [
                {
                    "neuron_device_index": 0,
                    "mem_ecc_corrected": 3,
                    "mem_ecc_uncorrected": 1,
                    "sram_ecc_uncorrected": 1,
                }
            ]
        }
    },
    "instance_info": {"instance_type": "trn1.32xlarge"},
}
IN_USE = 2 * sum(PARTS.values())


def test_both_tools() -> None:
    first, second = neuron.devices(LISTING, REPORT)
    assert (first.kind, first.name, first.index) == ("neuron", "AWS Trainium1", 0)
    assert (first.memory.total_bytes, first.memory.used_bytes) == (32 * 2**30, IN_USE)
    assert first.memory.free_bytes == 32 * 2**30 - IN_USE
    assert first.utilization.gpu_percent == 70
    assert (first.ecc.aggregate_corrected, first.ecc.aggregate_uncorrected) == (3, 2)
    assert (second.memory.used_bytes, second.utilization.gpu_percent) == (0, 0)
    assert (first.affinity.cpus, first.affinity.numa_node) == ("0-7", Missing("no_numa"))
    assert [p.name for p in first.processes] == ["python"]


def test_without_the_monitor_use_is_unknown_not_zero() -> None:
    first, _ = neuron.devices(LISTING, None)
    assert first.memory.used_bytes == Missing("no_monitor")
    assert first.utilization.gpu_percent == Missing("no_monitor")
    assert first.memory.total_bytes == 32 * 2**30


def test_a_report_that_is_not_broken_down_is_not_guessed_at() -> None:
    used = {"neuron_runtime_used_bytes": {"host": 1, "neuron_device": 5 * 2**30}}
    report = {"neuron_runtime_data": [{"report": {"memory_used": used}}]}
    assert neuron.devices(LISTING, report)[0].memory.used_bytes == Missing("no_monitor")


def test_older_listing_that_does_not_number_the_cores() -> None:
    old = [
        {k: v for k, v in row.items() if k not in ("neuroncore_ids", "cpu_affinity", "numa_node")}
        for row in LISTING
    ]
    first, second = neuron.devices(old, REPORT)
    assert (first.memory.used_bytes, second.memory.used_bytes) == (IN_USE, 0)
    assert first.affinity.numa_node == Missing("not_reported")


def test_newer_listing_with_an_object_around_it() -> None:
    first, _ = neuron.devices(
        {"neuron_devices": [row | {"instance_type": "trn2.48xlarge"} for row in LISTING]}, None
    )
    assert first.name == "AWS Trainium2"


@pytest.mark.parametrize("listing", [None, [], {}, {"error": "no devices"}, [3]])
def test_nothing_to_list(listing: Any) -> None:
    assert neuron.devices(listing, None) == ()


def test_a_host_with_the_tools_and_without_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path / "neuron-ls", f"cat <<'E'\n{json.dumps(LISTING)}\nE\n")
    _tool(tmp_path / "neuron-monitor", f"cat <<'E'\n{json.dumps(REPORT)}\nE\nsleep 60\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("HEADROOM_NVML_LIBRARY", str(tmp_path / "nowhere.so"))
    snapshot = read_snapshot(deadline_s=5)
    assert (snapshot.status, len(snapshot.gpus)) == ("ok", 2)
    assert snapshot.gpus[0].utilization.gpu_percent == 70
    assert from_json(to_json(snapshot)) == snapshot


def _tool(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)


def test_tools_that_say_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path / "neuron-ls", 'echo \'[{"neuron_device": 0, "nc_count": "many"}]\'\n')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("HEADROOM_NVML_LIBRARY", str(tmp_path / "nowhere.so"))
    snapshot = read_snapshot(deadline_s=5)
    assert snapshot.status == "failed"
    assert "neuron-ls" in snapshot.reason
