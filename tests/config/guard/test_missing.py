"""Addresses with and without a slash at their end: both lead to the page."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

pytestmark = pytest.mark.django_db


def plain_addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> list[str]:
    """Every page's address that takes no argument. Django sees to the admin's; the API answers for itself."""
    found: list[str] = []
    for each in patterns:
        here = before + str(each.pattern)
        if isinstance(each, URLResolver):
            found += [] if here.startswith(("admin/", "api/")) else plain_addresses(each.url_patterns, here)
        elif "<" not in here and "^" not in here and here:
            found.append(here)
    return found


ADDRESSES = plain_addresses(get_resolver().url_patterns)


def test_there_are_addresses_to_try() -> None:
    assert {"mig", "compare", "catalog/prices", "catalog/", "fleet/"} <= set(ADDRESSES)


def test_a_slash_too_many_is_taken_off(client: Client) -> None:
    for address in ADDRESSES:
        if not address.endswith("/"):
            answer = client.get(f"/{address}/?a=1&b=%2F")
            assert (answer.status_code, answer.get("Location")) == (301, f"/{address}?a=1&b=%2F"), address


def test_a_slash_that_lacks_is_added(client: Client) -> None:
    for address in ADDRESSES:
        if address.endswith("/"):
            answer = client.get(f"/{address[:-1]}?a=1")
            assert (answer.status_code, answer.get("Location")) == (301, f"/{address}?a=1"), address


def test_what_is_nowhere_stays_so(client: Client) -> None:
    assert client.get("/nothing/").status_code == 404
    assert client.get("/catalog/instances/p5.48xlarge//")["Location"] == "/catalog/instances/p5.48xlarge"
    assert client.post("/api/v1/estimate/", "{}", content_type="application/json").status_code == 404
