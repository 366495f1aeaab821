"""Azure's retail prices: public, without a key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from planner.catalog.changes.observed import Asked, Fault, Item, Observed, UnknownField, unknown_fields
from planner.catalog.refresh.http_get import HttpError, get_json

ADDRESS = "https://prices.azure.com/api/retail/prices"
HOURS_PER_YEAR = 8760
TERMS = {"1 Year": ("reserved_1y", 1), "3 Years": ("reserved_3y", 3)}
KNOWN_FIELDS = (
    "currencyCode", "tierMinimumUnits", "retailPrice", "unitPrice", "armRegionName", "location",
    "effectiveStartDate", "effectiveEndDate", "meterId", "meterName", "productId", "skuId", "productName",
    "skuName",
    "serviceName", "serviceId", "serviceFamily", "unitOfMeasure", "type", "isPrimaryMeterRegion",
    "armSkuName",
    "reservationTerm", "savingsPlan", "availabilityId",
)  # fmt: skip


class RetailPrices:
    """The Retail Prices API, a machine at a time over all regions that are asked for."""

    slug = "azure-retail"
    title = "Azure retail prices"
    provider = "azure"
    every_hours = 24
    actions: tuple[str, ...] = ()

    def __init__(self, address: str = ADDRESS, wait: Callable[[float], None] = time.sleep) -> None:
        self.address, self.wait = address, wait

    def read(self, asked: Asked) -> Iterator[Item]:
        machines, regions = asked.of("azure"), set(asked.regions_of("azure"))
        strangers: dict[str, UnknownField] = {}
        for done, machine in enumerate(machines):
            asked.progress(done, len(machines), machine.slug)
            try:
                for item in self._items(machine.slug):
                    strangers |= {f.path: f for f in unknown_fields(item, KNOWN_FIELDS, "Items")}
                    yield from self._price(item, machine.slug, regions, asked.now.date())
            except HttpError as failure:
                yield failure.fault(machine.slug)
        yield from strangers.values()
        asked.progress(len(machines), len(machines), "read")

    def _items(self, slug: str) -> Iterator[Mapping[str, Any]]:
        query: dict[str, str] | None = {
            "currencyCode": "'USD'",
            "$filter": f"serviceName eq 'Virtual Machines' and armSkuName eq '{slug}'",
        }
        address: str = self.address
        while True:
            page = get_json(address, query, wait=self.wait)
            yield from page.get("Items", ())
            following = page.get("NextPageLink")
            if not following:
                return
            # The answer names the next address; only the server that was asked is followed.
            if urlsplit(following)[:2] != urlsplit(self.address)[:2]:
                raise HttpError("The next page is said to be on another server; the rest is left out.")
            address, query = following, None

    def _price(self, item: Mapping[str, Any], slug: str, regions: set[str], day: date) -> Iterator[Item]:
        region, kind = item.get("armRegionName"), item.get("type")
        names = f"{item.get('productName', '')} {item.get('skuName', '')}"
        if item.get("armSkuName") != slug or region not in regions:
            return
        if any(word in names for word in ("Windows", "Low Priority", "CloudServices", "Dedicated Host")):
            return
        try:
            usd = float(item["retailPrice"])
            if kind == "Reservation":
                purchase, years = TERMS[item["reservationTerm"]]
                usd, payment = usd / (HOURS_PER_YEAR * years), "no_upfront"
            elif kind == "Consumption" and item.get("unitOfMeasure") == "1 Hour":
                purchase, payment = ("spot" if "Spot" in names else "on_demand"), ""
            else:
                return
            begins = date.fromisoformat(str(item["effectiveStartDate"])[:10])
        except (KeyError, TypeError, ValueError) as fault:
            if kind != "Reservation":  # terms of five years are sold, which the catalog does not have
                yield Fault(part=slug, message=f"A price could not be read: {fault!r}")
            return
        yield Observed(
            table="price",
            key={
                "instance_type_id": slug,
                "region": region,
                "purchase": purchase,
                "payment_option": payment,
            },
            values={"usd_per_hour": round(usd, 6), "valid_from": min(begins, day)},
            source="Azure Retail Prices API",
            as_of=day,
            confidence=1.0,
        )
