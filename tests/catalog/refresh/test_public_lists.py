"""Google's, Azure's and the European Central Bank's lists, from a web server on this machine."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from planner.catalog.changes.observed import KnownMachine, NotSetUpError, Observed, ObservedRate, UnknownField
from planner.catalog.refresh.azure_retail import RetailPrices
from planner.catalog.refresh.ecb_rates import EuroRates
from planner.catalog.refresh.gcp_billing import CloudBilling
from tests.catalog.refresh.asking import Answer, asked, read, served

A2 = KnownMachine(
    slug="a2-highgpu-1g", provider="gcp", family="a2", accelerator="a100-sxm-40gb", accelerators=1,
    vcpus=12, host_memory_gib=85.0,
)  # fmt: skip
ND = KnownMachine(
    slug="Standard_ND96isr_H100_v5", provider="azure", family="ndv5", accelerator="h100-sxm", accelerators=8
)


def sku(words: str, nanos: int, usage: str = "OnDemand", **changes: Any) -> dict[str, Any]:
    return {
        "skuId": words[:9],
        "description": words,
        "category": {"resourceFamily": "Compute", "usageType": usage, "resourceGroup": "GPU"},
        "serviceRegions": ["us-central1"],
        "pricingInfo": [
            {
                "effectiveTime": "2026-11-01T00:00:00Z",
                "pricingExpression": {
                    "usageUnit": "h",
                    "tieredRates": [
                        {
                            "unitPrice": {
                                "currencyCode": "USD",
                                "units": str(nanos // 10**9),
                                "nanos": nanos % 10**9,
                            }
                        }
                    ],
                },
            }
        ],
    } | changes


def test_a_google_machine_is_the_sum_of_its_parts_over_pages() -> None:
    first = [sku("A2 Instance Core running in Americas", 31_611_000, surprise=1)]
    second = [
        sku("A2 Instance Ram running in Americas", 4_237_000),
        sku("Nvidia Tesla A100 GPU running in Americas", 2_933_908_000),
        sku("Spot Preemptible A2 Instance Core running in Americas", 9_483_000, "Preemptible"),
        sku("N1 Predefined Instance Core running in Americas", 1),
        sku("A2 Instance Core running in Americas", 1, pricingInfo=[]),
    ]
    turned_away = []

    def answer(path: str) -> Answer:
        if "pageToken" not in path:
            if not turned_away:
                turned_away.append(path)
                return 429, {}, {"Retry-After": "3"}
            return 200, {"skus": first, "nextPageToken": "two"}, {}
        return 200, {"skus": second, "nextPageToken": ""}, {}

    waits: list[float] = []
    with served(answer) as (address, paths):
        rows, faults = read(CloudBilling("secret", address, waits.append), asked(A2))
    prices = [row for row in rows if isinstance(row, Observed)]
    assert [row.key["purchase"] for row in prices] == ["on_demand"]
    # 12 vCPUs, 85 GiB and a GPU: the published 3.673385 USD an hour of a2-highgpu-1g in us-central1.
    assert prices[0].values["usd_per_hour"] == pytest.approx(3.673385, abs=1e-6)
    assert [row.path for row in rows if isinstance(row, UnknownField)] == ["skus.surprise"]
    assert len(faults) == 1 and "not understood" in faults[0].message
    assert waits == [3.0]
    assert parse_qs(urlsplit(paths[-1]).query)["pageToken"] == ["two"]


def test_google_without_a_key_and_with_a_refused_one() -> None:
    with pytest.raises(NotSetUpError, match="GCP_BILLING_API_KEY"):
        list(CloudBilling("").read(asked(A2)))
    with served(lambda path: (403, {"error": "API key not valid"}, {})) as (address, _):
        rows, faults = read(CloudBilling("secret", address), asked(A2))
    assert not rows
    assert "Check the key" in faults[0].remedy
    assert "secret" not in faults[0].message


def item(usd: float, **changes: Any) -> dict[str, Any]:
    return {
        "currencyCode": "USD", "retailPrice": usd, "unitPrice": usd, "armRegionName": "eastus",
        "effectiveStartDate": "2023-11-01T00:00:00Z", "productName": "Virtual Machines NDsr H100 v5 Series",
        "skuName": "ND96isrH100v5", "serviceName": "Virtual Machines", "unitOfMeasure": "1 Hour",
        "type": "Consumption", "armSkuName": ND.slug,
    } | changes  # fmt: skip


def test_azure_over_pages_without_windows_and_with_reservations_by_the_hour() -> None:
    items = [
        item(98.32),
        item(150.0, productName="Virtual Machines NDsr H100 v5 Series Windows"),
        item(39.0, skuName="ND96isrH100v5 Spot"),
        item(876_000.0, type="Reservation", reservationTerm="1 Year"),
        item(1.0, type="Reservation", reservationTerm="5 Years"),
        item(50.0, armRegionName="westus"),
        item(10.0, skuName="ND96isrH100v5 Low Priority"),
    ]

    def answer(path: str) -> Answer:
        if "skip" in path:
            return 200, {"Items": items[3:], "NextPageLink": None}, {}
        return 200, {"Items": items[:3], "NextPageLink": f"{where[0]}?skip=3"}, {}

    where: list[str] = []
    with served(answer) as (address, _):
        where.append(address)
        rows, faults = read(RetailPrices(address), asked(ND))
    assert not faults
    assert {(row.key["purchase"], row.values["usd_per_hour"]) for row in rows} == {  # type: ignore[union-attr]
        ("on_demand", 98.32), ("spot", 39.0), ("reserved_1y", 100.0)
    }  # fmt: skip


def test_azures_next_page_on_another_server_is_not_followed() -> None:
    with served(lambda path: (200, {"Items": [], "NextPageLink": "http://169.254.169.254/x"}, {})) as (
        address,
        paths,
    ):
        _, faults = read(RetailPrices(address), asked(ND))
    assert len(paths) == 1
    assert "another server" in faults[0].message


@pytest.mark.parametrize("body", ["<html>", "[]"])
def test_an_answer_that_is_no_list_is_a_fault(body: str) -> None:
    with served(lambda path: (200, body, {})) as (address, _):
        rows, faults = read(RetailPrices(address), asked(ND))
    assert not rows and "JSON" in faults[0].message


def test_a_server_that_stays_away_is_a_fault_after_some_attempts() -> None:
    waits: list[float] = []
    with served(lambda path: (503, "", {})) as (address, paths):
        _, faults = read(RetailPrices(address, waits.append), asked(ND))
    assert len(paths) == 5
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert "503" in faults[0].message


def test_euro_rates_become_units_per_dollar() -> None:
    text = (
        "KEY,CURRENCY,TIME_PERIOD,OBS_VALUE\n"
        "a,USD,2026-11-27,1.25\nb,JPY,2026-11-27,200\nc,GBP,2026-11-27,-1\nd,CHF,2036-01-01,1\n"
    )
    with served(lambda path: (200, text, {})) as (address, _):
        rows, faults = read(EuroRates(address))
    rates = {row.currency: row.per_usd for row in rows if isinstance(row, ObservedRate)}
    assert rates == {"EUR": 0.8, "JPY": 160.0}
    assert [fault.part for fault in faults] == ["line 4", "line 5"]
