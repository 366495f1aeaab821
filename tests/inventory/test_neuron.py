"""Neuron devices, from the JSON of the vendor's two tools, run as the real ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inventory import neuron
from inventory.probing import read_snapshot
from inventory.snapshot import Missing
from inventory.snapshot_json import from_json, to_json

LISTING = [
    {
        "neuron_device": index,
        "bdf": f"00:{0x1E - index:02x}.0",
        "connected_to": [1 - index],
        "nc_count": 2,
        "memory_size": 32 * 2**30,
        "neuron_processes": [{"pid": 77, "command": "python train.py --token secret"}] if index == 0 else [],
    }
    for index in range(2)
]
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
                        "usage_breakdown": {"neuron_device_memory": {"0": 5 * 2**30}}
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


def test_both_tools() -> None:
    first, second = neuron.devices(LISTING, REPORT)
    assert (first.kind, first.name, first.index) == ("neuron", "AWS Trainium1", 0)
    assert (first.memory.total_bytes, first.memory.used_bytes) == (32 * 2**30, 5 * 2**30)
    assert first.memory.free_bytes == 27 * 2**30
    assert first.utilization.gpu_percent == 70
    assert (first.ecc.aggregate_corrected, first.ecc.aggregate_uncorrected) == (3, 2)
    assert second.memory.used_bytes == 0
    assert [p.name for p in first.processes] == ["python"]


def test_without_the_monitor_use_is_unknown_not_zero() -> None:
    first, _ = neuron.devices(LISTING, None)
    assert first.memory.used_bytes == Missing("no_monitor")
    assert first.utilization.gpu_percent == Missing("no_monitor")
    assert first.memory.total_bytes == 32 * 2**30


def test_newer_listing_with_an_object_around_it() -> None:
    first, _ = neuron.devices({"instance_type": "trn2.48xlarge", "neuron_devices": LISTING}, None)
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
