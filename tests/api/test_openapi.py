"""The API's document: complete, valid, and true of what is answered; lists in pages, answers by tag."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from planner.api.openapi import openapi_document
from planner.api.operations import ESTIMATE_EXAMPLE, MIG_EXAMPLE, SEARCH_EXAMPLE
from planner.api.urls import urlpatterns
from planner.contract.workload_fields import WORKLOAD
from planner.web.operations import DECLARED

pytestmark = pytest.mark.django_db


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def test_every_address_is_in_it_and_every_reference_leads_somewhere(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    plain = {re.sub(r"<\w+:(\w+)>", r"{\1}", str(each.pattern)) for each in urlpatterns} - {"{rest}", "docs"}
    assert {f"/api/v1/{name}" for name in plain} <= set(document["paths"])
    assert "/api/v1/fleet/hosts/{name}" in document["paths"]
    schemas = document["components"]["schemas"]
    assert {name.removeprefix("#/components/schemas/") for name in references(document)} <= set(schemas)
    assert set(schemas["workload"]["properties"]) == set(WORKLOAD.names)


@pytest.mark.parametrize(
    ("name", "example"), [("estimate", ESTIMATE_EXAMPLE), ("search", SEARCH_EXAMPLE), ("mig", MIG_EXAMPLE)]
)
def test_its_examples_are_answered(client: Client, name: str, example: Any) -> None:
    answer = client.post(f"/api/v1/{name}", example, content_type="application/json")
    assert answer.status_code == 200, answer.content


def test_the_page_lists_every_operation_without_scripts(client: Client) -> None:
    text = client.get(reverse("planner:api:docs")).content.decode()
    assert all(each.summary.split("?")[0][:20] in text for each in DECLARED.values())


def test_a_list_comes_in_pages(client: Client) -> None:
    whole = client.get("/api/v1/models").json()
    address, seen = "/api/v1/models?limit=10", []
    while address:
        page = client.get(address).json()
        assert page["total"] == whole["total"]
        seen += page["models"]
        address = page["next"]
    assert seen == whole["models"]
    first = client.get("/api/v1/models?limit=10")
    assert first["Link"] == f'<{first.json()["next"]}>; rel="next"'


def test_a_list_is_narrowed(client: Client) -> None:
    found = client.get("/api/v1/instances?provider=aws&accelerator=h100-sxm").json()["instances"]
    assert found
    assert {(row["provider"], row["accelerator"]) for row in found} == {("aws", "h100-sxm")}
    assert client.get("/api/v1/models?q=LLAMA").json()["total"] > 3


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=٣", "offset=-1", "colour=red", "limit=" + "9" * 500]
)
def test_what_a_list_cannot_do_is_an_error(client: Client, query: str) -> None:
    answer = client.get(f"/api/v1/models?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, query.split("=")[0])


def test_an_answer_that_has_not_changed_is_not_sent_again(client: Client) -> None:
    first = client.get("/api/v1/models")
    again = client.get("/api/v1/models", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/api/v1/models?limit=3", headers={"If-None-Match": first["ETag"]})
    assert other.status_code == 200


def test_what_is_not_there_is_said_as_json(client: Client) -> None:
    for address in (
        "/fleet/hosts/nowhere/snapshot.json",
        "/api/v1/fleet/hosts/nowhere",
        "/api/v1/fleet/none",
    ):
        answer = client.get(address)
        assert answer.status_code == 404
        assert set(answer.json()["error"]) == {"field", "value", "message", "remedy"}
    assert b"<html" in client.get("/nowhere").content


def test_the_document_is_made_of_plain_values() -> None:
    assert openapi_document() == openapi_document()
