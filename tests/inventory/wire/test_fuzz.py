"""Whatever an agent sends, the server answers: recorded, or refused with a reason; no error of its own."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.store.models import Gpu, Host
from tests.inventory.store.test_delivery import Sender

pytestmark = pytest.mark.django_db
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "a100-8.json").read_text(encoding="utf-8"))

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 2**15, 2**31, 2**53, 2**63 - 1, 2**63, 1e308, -0.0, math.nan, math.inf]),
    st.floats(),
    st.text(max_size=600),
    st.sampled_from(
        ["", "\x00", "\ud800", "é" * 300, "../../x", "<b>", "GPU-1", "2026-11-01T12:00:00Z", "not_supported"]
    ),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(0, 3), max_size=3),
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += paths(inner, (*at, key))
    return found


SMALL = copy.deepcopy(GOLDEN)
SMALL["gpus"] = SMALL["gpus"][:2]
SMALL["topology"] = [row[:2] for row in SMALL["topology"][:2]]
SMALL["gpus"][0]["mig"]["instances"] = [
    {
        "uuid": "MIG-1",
        "profile": "1g.5gb",
        "gpu_instance_id": 1,
        "compute_instance_id": 0,
        "start": 0,
        "size": 1,
    }
]
SMALL["gpus"][0]["xid_errors"] = [{"code": 79, "at": "2026-11-01T12:00:00Z"}]
PLACES = paths(SMALL)


def changed(changes: list[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """The small snapshot with some of its places holding something else."""
    body = copy.deepcopy(SMALL)
    body["host"] |= {"hostname": "node-1", "taken_at": datetime.now(UTC).isoformat()}
    for place, odd in changes:
        node: Any = body
        try:
            for key in place[:-1]:
                node = node[key]
            node[place[-1]] = odd
        except (TypeError, KeyError, IndexError):
            continue
    return body


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=4))
def test_any_snapshot(client: Client, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    sender = Sender(client)
    before = {"id": str(uuid4()), "age_s": 2, "snapshot": changed([])}
    after = {"id": str(uuid4()), "age_s": 1, "snapshot": changed(changes)}
    assert sender.outcomes(before)[0] == "recorded"
    assert sender.outcomes(after)[0] in ("recorded", "refused")
    # Whatever came of it, the pages open.
    for path in ("/fleet/", "/fleet/hosts/node-1", "/fleet/fleet.json", "/fleet/events", "/metrics"):
        assert client.get(path).status_code == 200, path
    for gpu in Gpu.objects.all():
        assert client.get(f"/fleet/gpus/{gpu.uuid}").status_code == 200
    Host.objects.all().delete()
    Gpu.objects.all().delete()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300)
    | st.recursive(ODD, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)).map(
        lambda v: json.dumps(v).encode()
    )
)
def test_any_body(client: Client, body: bytes) -> None:
    answer = Sender(client).post(body=body)
    assert answer.status_code in (200, 400)
    Host.objects.all().delete()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=200))
def test_any_header(client: Client, header: str) -> None:
    assert Sender(client).post(authorization=header).status_code == 401
