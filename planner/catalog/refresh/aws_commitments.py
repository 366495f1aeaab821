"""AWS capacity blocks and savings plans: prices that one commits to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any

from planner.catalog.changes.observed import Asked, Fault, Item, Observed
from planner.catalog.refresh.aws_session import ClientMaker, PartError, make_client, pages

#: Families that are sold as capacity blocks (EC2 User Guide, Capacity Blocks for ML, read 2026-11-29).
BLOCK_FAMILIES = ("p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300", "trn1", "trn2")
#: One machine for a day, beginning within eight weeks: the smallest thing that is sold.
HOURS, DAYS_AHEAD = 24, 56


class CapacityBlocks:
    """``ec2.describe_capacity_block_offerings``: price, start and duration of what can be bought now."""

    slug = "aws-capacity-blocks"
    title = "AWS capacity blocks"
    provider = "aws"
    every_hours = 24
    actions: tuple[str, ...] = ("ec2:DescribeCapacityBlockOfferings",)

    def __init__(self, client: ClientMaker = make_client) -> None:
        self.client = client

    def read(self, asked: Asked) -> Iterator[Item]:
        slugs = [machine.slug for machine in asked.of("aws") if machine.family in BLOCK_FAMILIES]
        parts = [(region, slug) for region in asked.regions_of("aws") for slug in slugs]
        for done, (region, slug) in enumerate(parts):
            asked.progress(done, len(parts), f"{slug} in {region}")
            arguments = {
                "InstanceType": slug,
                "InstanceCount": 1,
                "CapacityDurationHours": HOURS,
                "StartDateRange": asked.now,
                "EndDateRange": asked.now + timedelta(days=DAYS_AHEAD),
            }
            found: list[Mapping[str, Any]] = []
            try:
                client = self.client("ec2", region)
                for page in pages(
                    client.describe_capacity_block_offerings,
                    arguments,
                    action=self.actions[0],
                    part=f"{slug} in {region}",
                ):
                    found.extend(page.get("CapacityBlockOfferings", ()))
            except PartError as stop:
                if "InvalidParameter" not in stop.fault.message and "Unsupported" not in stop.fault.message:
                    yield stop.fault  # else: not sold in this region, which is no fault
            if found:
                yield self._price(found, slug, region, asked)
        asked.progress(len(parts), len(parts), "read")

    def _price(self, found: Sequence[Mapping[str, Any]], slug: str, region: str, asked: Asked) -> Item:
        rates = []
        for offer in found:
            hours = offer.get("CapacityBlockDurationHours") or 0
            count = offer.get("InstanceCount") or 0
            if offer.get("CurrencyCode", "USD") != "USD" or not hours or not count:
                continue
            rates.append(float(offer["UpfrontFee"]) / (hours * count))
        if not rates:
            return Fault(part=f"{slug} in {region}", message="No offer names hours, count and a fee in USD.")
        starts = sorted(offer["StartDate"] for offer in found if "StartDate" in offer)
        first = f", the first begins on {starts[0]:%Y-%m-%d %H:%M}" if starts else ""
        return Observed(
            table="price",
            key={
                "instance_type_id": slug,
                "region": region,
                "purchase": "capacity_block",
                "payment_option": "all_upfront",
            },
            values={"usd_per_hour": round(median(rates), 6), "valid_from": asked.now.date()},
            source="EC2 DescribeCapacityBlockOfferings",
            as_of=asked.now.date(),
            confidence=0.9,
            note=f"{len(rates)} offers of {HOURS} hours{first}; {min(rates):.6g} to {max(rates):.6g}",
        )


TERMS = {31_536_000: "savings_1y", 94_608_000: "savings_3y"}
PAYMENTS = {
    "No Upfront": "no_upfront",
    "Partial Upfront": "partial_upfront",
    "All Upfront": "all_upfront",
}


class SavingsPlans:
    """``savingsplans.describe_savings_plans_offering_rates`` of EC2 Instance plans, which cost least."""

    slug = "aws-savings-plans"
    title = "AWS savings plans"
    provider = "aws"
    every_hours = 24
    actions: tuple[str, ...] = ("savingsplans:DescribeSavingsPlansOfferingRates",)

    def __init__(self, client: ClientMaker = make_client) -> None:
        self.client = client

    def read(self, asked: Asked) -> Iterator[Item]:
        machines, regions = asked.of("aws"), asked.regions_of("aws")
        client = self.client("savingsplans", "us-east-1")
        for done, machine in enumerate(machines):
            asked.progress(done, len(machines), machine.slug)
            arguments = {
                "savingsPlanTypes": ["EC2Instance"],
                "products": ["EC2"],
                "serviceCodes": ["AmazonEC2"],
                "filters": [
                    {"name": "instanceType", "values": [machine.slug]},
                    {"name": "region", "values": list(regions)},
                    {"name": "tenancy", "values": ["shared"]},
                    {"name": "productDescription", "values": ["Linux/UNIX"]},
                ],
            }
            rates: dict[tuple[str, str, str], list[float]] = defaultdict(list)
            try:
                for page in pages(
                    client.describe_savings_plans_offering_rates,
                    arguments,
                    action=self.actions[0],
                    part=machine.slug,
                    token="nextToken",
                ):
                    for entry in page.get("searchResults", ()):
                        _collect(entry, machine.slug, rates)
            except PartError as stop:
                yield stop.fault
            for (region, purchase, payment), found in sorted(rates.items()):
                yield Observed(
                    table="price",
                    key={
                        "instance_type_id": machine.slug,
                        "region": region,
                        "purchase": purchase,
                        "payment_option": payment,
                    },
                    values={"usd_per_hour": round(min(found), 6), "valid_from": asked.now.date()},
                    source="AWS DescribeSavingsPlansOfferingRates, EC2 Instance plan",
                    as_of=asked.now.date(),
                    confidence=1.0,
                )
        asked.progress(len(machines), len(machines), "read")


def _collect(entry: Mapping[str, Any], slug: str, rates: dict[tuple[str, str, str], list[float]]) -> None:
    """Take one rate, if it is of this machine, by the hour and for a whole term."""
    words = {each.get("name"): each.get("value") for each in entry.get("properties", ())}
    offering = entry.get("savingsPlanOffering", {})
    term = TERMS.get(offering.get("durationSeconds"))
    payment = PAYMENTS.get(offering.get("paymentOption"))
    usage = str(entry.get("usageType", ""))
    if (
        words.get("instanceType") == slug
        and words.get("region")
        and term
        and payment
        and entry.get("unit") == "Hrs"
        and offering.get("currency", "USD") == "USD"
        and not any(word in usage for word in ("UnusedBox", "UnusedDed", "Reservation", "DedicatedRes"))
    ):
        rates[(words["region"], term, payment)].append(float(entry["rate"]))
