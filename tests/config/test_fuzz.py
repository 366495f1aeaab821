"""Whatever is sent to any address: it is answered, and never by a 500."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.store import services
from planner.contract.fields import REQUEST
from planner.contract.jsontext import MAX_DEPTH

pytestmark = pytest.mark.django_db(transaction=False)

#: What has broken readers before: digits of other scripts and without end, years at the ends, signs that
#: databases and protocols refuse, depth.
NASTY = [
    "",
    " ",
    "0",
    "-1",
    "9" * 5000,
    "1" * 30,
    "²",
    "٣",
    "1e999",
    "nan",
    "inf",
    "-0",
    "0x10",
    "1_000",
    "\x00",
    "a\x00b",
    "\ud7ff",
    "é",
    "\u202e",
    "'",
    '"',
    "<script>",
    "%00",
    "%",
    "../../etc/passwd",
    "null",
    "[]",
    "{}",
    "[" * 900,
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00-14:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59.999999+14:00",
    "2025-02-30",
    "2025-13-01T00:00",
    "10000-01-01",
    "auto",
    "=1+1",
    "true",
    "a" * 3000,
]
VALUES = st.sampled_from(NASTY) | st.text(max_size=20)
NAMES = st.sampled_from(
    [
        "at",
        "before",
        "page",
        "q",
        "show",
        "gpu",
        "group",
        "range",
        "kind",
        "host",
        "next",
        "id",
        "part",
        "count",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(VALUES, inner, max_size=3),
    max_leaves=8,
)
FEW = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


def addresses() -> list[str]:
    """Every address of the project, its parts named by `{}`; the admin's own are Django's."""
    found: list[str] = []

    def walk(patterns: list[Any], prefix: str) -> None:
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                if not route.startswith("admin/"):
                    walk(pattern.url_patterns, route)
            elif isinstance(pattern, URLPattern):
                found.append("/" + route)

    walk(get_resolver().url_patterns, "")
    return sorted(set(found))


ADDRESSES = addresses()


def filled(address: str, value: str) -> str:
    """The address with each of its parts set to the value."""
    pieces = []
    for piece in address.split("/"):
        pieces.append(quote(value, safe="") or "x" if piece.startswith("<") else piece)
    return "/".join(pieces)


def query_names(address: str) -> list[str]:
    """Names of fields that pages read, so that values reach their readers."""
    from planner.plans.form import ScenarioForm

    return [*ScenarioForm.base_fields, "at", "before", "page", "q", "range", "state", "jobs", "gpus", "edit"]


def check(answer: Any, what: Any) -> None:
    assert answer.status_code != 500, what
    if answer.status_code >= 400 and answer.headers.get("Content-Type", "").startswith("application/json"):
        assert answer.json(), what


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_address_breaks_on_what_a_query_may_hold(client: Client, address: str) -> None:
    names = query_names(address)

    @FEW
    @given(st.dictionaries(NAMES | st.sampled_from(names) | st.text(max_size=5), VALUES, max_size=4), VALUES)
    def ask(query: dict[str, str], part: str) -> None:
        given_query = {k: v.encode("utf-8", "replace").decode() for k, v in query.items()}
        check(client.get(filled(address, part), given_query), (address, query, part))

    ask()


@pytest.mark.parametrize("address", [a for a in ADDRESSES if "api" in a or "login" in a or "logout" in a])
def test_no_address_breaks_on_what_a_body_may_hold(client: Client, address: str) -> None:
    @FEW
    @given(JSON | st.sampled_from(["[" * 800, '{"id": ' + "9" * 5000 + "}", '{"a": "\\ud800"}', "\x00", "é"]))
    def ask(value: Any) -> None:
        body = value if isinstance(value, str) else json.dumps(value)
        sent = body.encode("utf-8", "surrogatepass")
        check(client.post(filled(address, "x"), sent, content_type="application/json"), (address, value))

    ask()


SOUND = {
    "model": "gpt2",
    "workload": {
        "task": "pretraining", "tokens": 1e9, "sequence_length": 1024, "global_batch_size": 64,
        "precision": "bf16",
    },
    "cluster": {"instance_type": "p5.48xlarge", "nodes": 1},
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, child in value.items():
            found += places(child, (*path, key))
    return found


@pytest.mark.parametrize("address", ["/api/v1/estimate", "/api/v1/search", "/api/v1/mig"])
def test_a_sound_question_with_one_thing_wrong_is_answered(client: Client, address: str) -> None:
    @settings(FEW, max_examples=15)
    @given(st.sampled_from([*places(SOUND), *((name,) for name in REQUEST.names)]), JSON)
    def ask(place: tuple[Any, ...], value: Any) -> None:
        question = json.loads(json.dumps(SOUND))
        inner = question
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        body = json.dumps(question).encode("utf-8", "surrogatepass")
        answer = client.post(address, body, content_type="application/json")
        check(answer, question)
        assert answer.status_code in (200, 422)

    ask()


@pytest.mark.parametrize("depth", [MAX_DEPTH - 2, MAX_DEPTH + 2, 800, 100_000])
def test_an_id_nested_deeply_is_echoed_or_refused(client: Client, depth: int) -> None:
    body = json.dumps(SOUND)[:-1] + ', "id": ' + "[" * depth + "]" * depth + "}"
    answer = client.post("/api/v1/estimate", body, content_type="application/json")
    if depth < MAX_DEPTH:
        assert answer.status_code == 200 and answer.json()["id"]
    else:
        assert answer.status_code == 422 and "nested too deeply" in answer.json()["error"]["message"]


@pytest.mark.parametrize("moment", [value for value in NASTY if value[:1].isdigit()])
@pytest.mark.parametrize("address", ["/fleet/then", "/fleet/fleet.json"])
def test_moments_at_the_ends_of_time_are_answered(client: Client, address: str, moment: str) -> None:
    assert client.get(address, {"at": moment}).status_code == 200


def test_the_sign_zero_is_turned_away_before_a_database_sees_it(client: Client) -> None:
    assert client.get("/fleet/", {"q": "a\x00b"}).status_code == 400
    assert client.get("/fleet/hosts/a%00b").status_code == 400


@pytest.mark.parametrize("signature", ["é", "\xff" * 64, "٣" * 64])
def test_a_signature_that_is_not_ascii_is_refused(client: Client, signature: str) -> None:
    _, token = services.add_host("node-1", now=datetime.now(UTC))
    identifier = token.partition(".")[0]
    values = f"key={identifier}, time=1e9, offset=0.0, nonce=a, signature={signature}"
    answer = client.post(
        "/fleet/api/v1/snapshots",
        b"{}",
        content_type="application/json",
        headers={"Authorization": f"Headroom-HMAC-SHA256 {values}".encode().decode("latin-1")},
    )
    assert answer.status_code == 401
