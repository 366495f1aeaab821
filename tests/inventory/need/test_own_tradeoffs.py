"""The way from the fleet to the trade-offs page: pools as plain records in its address."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from tests.inventory.builders import gpu
from tests.inventory.visiting import add

pytestmark = pytest.mark.django_db


def test_the_fleets_machines_travel_in_the_address(client: Client) -> None:
    for host in ("one", "two"):
        add(host, *(gpu(i, f"{host}-{i}", name="NVIDIA H100 80GB HBM3") for i in range(8)))
    answer = client.get("/fleet/tradeoffs?tokens=10B&providers=aws")
    where = urlsplit(answer.headers["Location"])
    assert where.path == "/tradeoffs"
    said = parse_qs(where.query)
    assert said["tokens"] == ["10B"]
    assert [each.rpartition(":")[2] for each in said["own"]] == ["2"]
    assert client.get(answer.headers["Location"]).status_code == 200


def test_an_empty_fleet_has_nothing_to_search(client: Client) -> None:
    assert client.get("/fleet/tradeoffs").status_code == 404
