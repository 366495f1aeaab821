"""Recorded snapshots: what one version of this program wrote, the next must read to the same record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inventory.wire import health
from inventory.wire.snapshot_json import from_json, pack, to_json, unpack

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.json"))


def test_there_are_some() -> None:
    assert GOLDEN


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_reads_and_writes_the_same(path: Path) -> None:
    body = json.loads(path.read_text(encoding="utf-8"))
    snapshot = from_json(body)
    assert to_json(snapshot) == body
    assert unpack(pack(snapshot)) == snapshot


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_healthy_machines_have_no_faults(path: Path) -> None:
    snapshot = from_json(json.loads(path.read_text(encoding="utf-8")))
    assert snapshot.status == "ok"
    assert [health.faults(gpu) for gpu in snapshot.gpus] == [()] * len(snapshot.gpus)
