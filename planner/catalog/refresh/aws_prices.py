"""AWS's price list: on demand and reserved, every payment option.

``pricing.get_products`` answers from few regions for all of them; each product is a JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from planner.catalog.changes.observed import Asked, Fault, Item, Observed
from planner.catalog.refresh.aws_session import ClientMaker, PartError, make_client, pages

#: One of the regions in which the Price List Query API answers (AWS Billing User Guide, read 2026-11-29).
ENDPOINT = "us-east-1"
HOURS_PER_YEAR = 8760
TERMS = {"1yr": ("reserved_1y", 1), "3yr": ("reserved_3y", 3)}
PAYMENTS = {
    "No Upfront": "no_upfront",
    "Partial Upfront": "partial_upfront",
    "All Upfront": "all_upfront",
}
#: Linux on shared hardware without licences: what the catalog's prices are of.
FIXED = {
    "tenancy": "Shared",
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}


class PriceList:
    """``pricing.get_products`` of EC2, a machine at a time over all regions that are asked for."""

    slug = "aws-prices"
    title = "AWS price list"
    provider = "aws"
    every_hours = 24
    actions: tuple[str, ...] = ("pricing:GetProducts",)

    def __init__(self, client: ClientMaker = make_client) -> None:
        self.client = client

    def read(self, asked: Asked) -> Iterator[Item]:
        client = self.client("pricing", ENDPOINT)
        machines, regions = asked.of("aws"), set(asked.regions_of("aws"))
        for done, machine in enumerate(machines):
            asked.progress(done, len(machines), machine.slug)
            filters = {**FIXED, "instanceType": machine.slug}
            arguments = {
                "ServiceCode": "AmazonEC2",
                "FormatVersion": "aws_v1",
                "Filters": [
                    {"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()
                ],
            }
            try:
                for page in pages(client.get_products, arguments, action=self.actions[0], part=machine.slug):
                    for text in page.get("PriceList", ()):
                        yield from self._product(text, machine.slug, regions, asked.now.date())
            except PartError as stop:
                yield stop.fault
        asked.progress(len(machines), len(machines), "read")

    def _product(self, text: Any, slug: str, regions: set[str], day: date) -> Iterator[Item]:
        try:
            product = json.loads(text) if isinstance(text, str) else text
            attributes = product["product"]["attributes"]
            if attributes.get("instanceType") != slug or attributes.get("regionCode") not in regions:
                return
            found = list(prices_of(product["terms"]))
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            yield Fault(part=slug, message=f"A product could not be read: {type(fault).__name__} {fault}")
            return
        for purchase, payment, usd, begins in found:
            yield Observed(
                table="price",
                key={
                    "instance_type_id": slug,
                    "region": attributes["regionCode"],
                    "purchase": purchase,
                    "payment_option": payment,
                },
                values={"usd_per_hour": usd, "valid_from": begins or day},
                source="AWS Price List Query API",
                as_of=day,
                confidence=1.0,
            )


def prices_of(terms: Mapping[str, Any]) -> Iterator[tuple[str, str, float, date | None]]:
    """(purchase, payment option, USD per hour, first day) of each offer of one product.

    What is paid up front counts over the hours of the term. Convertible offers are left out: the catalog's
    reserved prices are standard ones.
    """
    for term in terms.get("OnDemand", {}).values():
        hourly, _ = _rates(term)
        if hourly is not None:
            yield "on_demand", "", hourly, _day(term)
    for term in terms.get("Reserved", {}).values():
        words = term.get("termAttributes", {})
        if words.get("OfferingClass") != "standard":
            continue
        length, payment = words.get("LeaseContractLength"), words.get("PurchaseOption")
        if length not in TERMS or payment not in PAYMENTS:
            continue
        purchase, years = TERMS[length]
        hourly, upfront = _rates(term)
        if hourly is None and upfront is None:
            continue
        usd = (hourly or 0.0) + (upfront or 0.0) / (HOURS_PER_YEAR * years)
        yield purchase, PAYMENTS[payment], round(usd, 6), _day(term)


def _rates(term: Mapping[str, Any]) -> tuple[float | None, float | None]:
    hourly = upfront = None
    for dimension in term.get("priceDimensions", {}).values():
        usd = float(dimension["pricePerUnit"]["USD"])
        if dimension.get("unit") == "Hrs":
            hourly = usd
        elif dimension.get("unit") == "Quantity":
            upfront = usd
    return hourly, upfront


def _day(term: Mapping[str, Any]) -> date | None:
    text = str(term.get("effectiveDate", ""))[:10]
    return date.fromisoformat(text) if text else None
