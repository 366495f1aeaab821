"""Snapshots arrive over the network: what cannot be true is refused, by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.wire.snapshot import (
    Gpu,
    Host,
    HostSnapshot,
    Memory,
    Mig,
    MigInstance,
    Missing,
    Process,
    Temperature,
)
from inventory.wire.snapshot_json import SnapshotError, assemble, from_json, to_json


def body(**gpu: Any) -> dict[str, Any]:
    """A valid snapshot with one GPU, whose given keys are replaced."""
    snapshot = HostSnapshot(Host("h1", "2026-01-01T00:00:00Z"), "ok", gpus=(Gpu(0, uuid="GPU-1"),))
    found: dict[str, Any] = json.loads(json.dumps(to_json(snapshot)))
    found["gpus"][0] |= gpu
    return found


def test_contract_names() -> None:
    found = to_json(
        HostSnapshot(
            Host("h1", "2026-01-01T00:00:00Z", driver_version="550.1", cuda_version="12.4", machine_id="m"),
            "ok",
            gpus=(Gpu(0, mig=Mig(True, True, (MigInstance(uuid="MIG-1", start=0, size=4),))),),
        )
    )
    assert list(found) == ["schema", "host", "status", "reason", "gpus", "topology", "unavailable"]
    assert {"hostname", "machine_id", "driver_version", "cuda_version", "taken_at"} <= set(found["host"])
    gpu = found["gpus"][0]
    assert set(gpu["memory"]) == {"total_bytes", "used_bytes", "free_bytes", "reserved_bytes"}
    assert {"mode", "pending_mode", "instances"} == set(gpu["mig"])
    names = {
        "uuid",
        "profile",
        "gpu_instance_id",
        "compute_instance_id",
        "start",
        "size",
        "memory_total_bytes",
    }
    assert names <= set(gpu["mig"]["instances"][0])
    assert found["unavailable"]["gpus.0.fan_speed_percent"] == "not_reported"
    assert gpu["fan_speed_percent"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schema": 2}, "schema"),
        ({"host": {"hostname": "h1"}}, "host.taken_at"),
        ({"host": []}, "host"),
        ({"status": 5}, "status"),
        ({"gpus": {}}, "gpus"),
        ({"gpus": [{"index": i} for i in range(65)]}, "gpus"),
        ({"gpus": [{"index": 0}, {"index": 0}]}, "gpus"),
        ({"gpus": [{"index": 0, "uuid": "a"}, {"index": 1, "uuid": "a"}]}, "gpus"),
        ({"gpus": ["not a gpu"]}, "gpus.0"),
        ({"unavailable": []}, "unavailable"),
    ],
)
def test_refused_whole(change: dict[str, Any], field: str) -> None:
    with pytest.raises(SnapshotError) as refusal:
        from_json(body() | change)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("gpu", "field"),
    [
        ({"memory": {"total_bytes": -1}}, "gpus.0.memory.total_bytes"),
        ({"memory": {"total_bytes": 1.5}}, "gpus.0.memory.total_bytes"),
        ({"memory": {"total_bytes": True}}, "gpus.0.memory.total_bytes"),
        ({"memory": {"total_bytes": 2**63}}, "gpus.0.memory.total_bytes"),
        ({"index": 2**40}, "gpus.0.index"),
        ({"temperature": {"gpu_c": 2**40}}, "gpus.0.temperature.gpu_c"),
        ({"temperature": {"gpu_c": -(2**40)}}, "gpus.0.temperature.gpu_c"),
        ({"mig": {"instances": [{"start": 2**20}]}}, "gpus.0.mig.instances.0.start"),
        ({"mig": {"instances": [{"gpu_instance_id": 2**40}]}}, "gpus.0.mig.instances.0.gpu_instance_id"),
        ({"name": "half \ud800"}, "gpus.0.name"),
        ({"power": {"usage_w": float("nan")}}, "gpus.0.power.usage_w"),
        ({"power": {"usage_w": float("inf")}}, "gpus.0.power.usage_w"),
        ({"persistence_mode": 1}, "gpus.0.persistence_mode"),
        ({"name": "x" * 513}, "gpus.0.name"),
        ({"name": "a\x00b"}, "gpus.0.name"),
        ({"processes": [{"pid": 1, "kind": "compute"}] * 4097}, "gpus.0.processes"),
        ({"processes": [{"kind": "compute"}]}, "gpus.0.processes.0.pid"),
        ({"mig": {"instances": [{"start": "0"}]}}, "gpus.0.mig.instances.0.start"),
    ],
)
def test_refused_by_field(gpu: dict[str, Any], field: str) -> None:
    with pytest.raises(SnapshotError) as refusal:
        from_json(body(**gpu))
    assert refusal.value.field == field


@pytest.mark.parametrize("wrong", [None, [], "text", 3])
def test_anything_but_an_object_is_refused(wrong: Any) -> None:
    with pytest.raises(SnapshotError, match="JSON object"):
        from_json(wrong)


def test_keys_of_a_newer_agent_are_ignored() -> None:
    assert from_json(body(quantum_state="up") | {"extra": 1}).gpus[0].uuid == "GPU-1"


def test_a_null_without_a_reason_is_not_reported() -> None:
    assert from_json(body(fan_speed_percent=None) | {"unavailable": {}}).gpus[0].fan_speed_percent == Missing(
        "not_reported"
    )


def test_temperatures_may_be_below_zero() -> None:
    assert from_json(body(temperature={"gpu_c": -5})).gpus[0].temperature.gpu_c == -5


def test_a_leaf_that_no_gpu_can_have_costs_only_itself() -> None:
    gpu = assemble(Gpu, {"index": 0, "memory.total_bytes": -1, "name": "A100"}, {}, "timeout")
    assert gpu.memory.total_bytes == Missing("not_believable")
    assert (gpu.name, gpu.serial) == ("A100", Missing("timeout"))


reasons = st.sampled_from(["not_supported", "gpu_lost", "timeout"]).map(Missing)
counts = st.one_of(st.integers(0, 2**63 - 1), reasons)
small = st.one_of(st.integers(0, 255), reasons)
texts = st.one_of(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40), reasons
)
gpus = st.builds(
    Gpu,
    index=st.integers(0, 63),
    uuid=reasons,
    name=texts,
    memory=st.builds(Memory, counts, counts, counts, counts),
    temperature=st.builds(Temperature, st.integers(-50, 150)),
    mig=st.builds(Mig, instances=st.lists(st.builds(MigInstance, texts, texts, small)).map(tuple)),
    processes=st.one_of(
        reasons, st.lists(st.builds(Process, st.integers(0, 2**22), st.just("compute"), texts)).map(tuple)
    ),
)


@given(st.lists(gpus, max_size=4, unique_by=lambda gpu: gpu.index))
def test_json_and_back_is_the_same_snapshot(found: list[Gpu]) -> None:
    snapshot = HostSnapshot(Host("h", "2026-01-01T00:00:00Z"), "ok", gpus=tuple(found))
    assert from_json(json.loads(json.dumps(to_json(snapshot)))) == snapshot
