"""A database that cannot be read: plans go on with what was shipped, and say so."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest
from django.db import OperationalError, ProgrammingError
from django.test import Client

from planner.catalog import selectors
from tests.accounts.test_matrix import QUESTION

STAMP = "planner.catalog.selectors.CatalogStamp.objects.values_list"
pytestmark = pytest.mark.django_db


def codes(client: Client, question: object, name: str = "estimate") -> list[str]:
    answer = client.post(f"/api/v1/{name}", json.dumps(question), content_type="application/json")
    assert answer.status_code == 200, answer.content
    found = answer.json() if name == "estimate" else answer.json()["best"]
    return [warning["code"] for warning in found["warnings"]]


@pytest.mark.parametrize("said", ["database is locked", "database disk image is malformed", "unable to open"])
def test_an_answer_from_the_shipped_catalog_says_so(client: Client, said: str) -> None:
    assert "catalog_shipped" not in codes(client, QUESTION)
    search = QUESTION | {"cluster": [QUESTION["cluster"]], "objective": "cost"}
    with patch(STAMP, side_effect=OperationalError(said)):
        assert "catalog_shipped" in codes(client, QUESTION)
        assert "catalog_shipped" in codes(client, search, "search")
        assert "The catalog&#x27;s database cannot be read" in client.get("/").content.decode()


@pytest.mark.parametrize(
    "failure", [OperationalError("no such table: planner_catalogstamp"), ProgrammingError("does not exist")]
)
def test_a_fresh_checkout_is_no_failure(failure: Exception) -> None:
    with patch(STAMP, side_effect=failure):
        assert selectors.current_catalog().stands_in_for == ""
