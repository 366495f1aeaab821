"""Google Cloud's price list: a machine's price is that of its vCPUs, its memory and its GPUs.

The Cloud Billing Catalog is public; a key of any project may read it (``GCP_BILLING_API_KEY``).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from planner.catalog.changes.observed import (
    Asked,
    Fault,
    Item,
    KnownMachine,
    NotSetUpError,
    Observed,
    UnknownField,
    unknown_fields,
)
from planner.catalog.refresh.http_get import HttpError, get_json

#: Compute Engine's id in the catalog.
ADDRESS = "https://cloudbilling.googleapis.com/v1/services/6F81-5844-456A/skus"
#: How SKUs are named (descriptions of the catalog, read in public copies on 2026-11-29): prefix of a
#: machine's
#: name -> beginnings of its core, memory and GPU SKUs.
PARTS: Mapping[str, tuple[str, str, str]] = {
    "a2-highgpu": ("A2 Instance Core", "A2 Instance Ram", "Nvidia Tesla A100 GPU"),
    "a2-megagpu": ("A2 Instance Core", "A2 Instance Ram", "Nvidia Tesla A100 GPU"),
    "a2-ultragpu": ("A2 Instance Core", "A2 Instance Ram", "Nvidia Tesla A100 80GB GPU"),
    "a3-highgpu": ("A3 Instance Core", "A3 Instance Ram", "Nvidia H100 80GB GPU"),
    "a3-megagpu": ("A3Plus Instance Core", "A3Plus Instance Ram", "Nvidia H100 80GB Mega GPU"),
    "g2-standard": ("G2 Instance Core", "G2 Instance Ram", "Nvidia L4 GPU"),
}
PURCHASES = {"OnDemand": "on_demand", "Preemptible": "spot"}
KNOWN_FIELDS = ("name", "skuId", "description", "category", "serviceRegions", "pricingInfo",
                "serviceProviderName", "geoTaxonomy")  # fmt: skip
SPOT_PREFIX, SPOT_GPU = "Spot Preemptible ", "attached to Spot Preemptible VMs"
#: The sum is ours, and drives that come with some machines are SKUs of their own.
CONFIDENCE = 0.9

#: (purchase, region, beginning of the SKU's name) -> (USD per hour and unit, first day)
Rates = dict[tuple[str, str, str], tuple[float, date | None]]


class CloudBilling:
    """The Cloud Billing Catalog's SKUs of Compute Engine."""

    slug = "gcp-billing"
    title = "Google Cloud price list"
    provider = "gcp"
    every_hours = 24
    actions: tuple[str, ...] = ()

    def __init__(self, key: str, address: str = ADDRESS, wait: Callable[[float], None] = time.sleep) -> None:
        self.key, self.address, self.wait = key, address, wait

    def read(self, asked: Asked) -> Iterator[Item]:
        if not self.key:
            raise NotSetUpError("No key: set GCP_BILLING_API_KEY to an API key that may use Cloud Billing.")
        rates: Rates = {}
        strangers: dict[str, UnknownField] = {}
        token, pages = "", 0
        while True:
            asked.progress(pages, None, f"page {pages + 1}")
            query = {"key": self.key, "pageSize": "5000", "currencyCode": "USD"}
            try:
                page = get_json(self.address, query | ({"pageToken": token} if token else {}), wait=self.wait)
            except HttpError as failure:
                yield failure.fault(f"page {pages + 1}")
                break
            pages += 1
            for sku in page.get("skus", ()):
                strangers |= {field.path: field for field in unknown_fields(sku, KNOWN_FIELDS, "skus")}
                try:
                    take(sku, rates)
                except (KeyError, TypeError, ValueError, IndexError) as fault:
                    yield Fault(part=str(sku.get("skuId", "?")), message=f"SKU not understood: {fault!r}")
            token = page.get("nextPageToken", "")
            if not token:
                break
        yield from strangers.values()
        yield from priced(asked.of("gcp"), rates, asked.now.date())
        asked.progress(pages, pages, "read")


def take(sku: Mapping[str, Any], rates: Rates) -> None:
    """Keep a SKU's rate, if it is a part of a machine that we price."""
    category = sku.get("category", {})
    purchase = PURCHASES.get(category.get("usageType", ""))
    words = sku.get("description", "")
    if category.get("resourceFamily") != "Compute" or purchase is None:
        return
    name = words.removeprefix(SPOT_PREFIX)
    name = name.partition(" running in")[0].replace(SPOT_GPU, "").strip()
    if not any(name in parts for parts in PARTS.values()):
        return
    information = sku["pricingInfo"][-1]
    tier = information["pricingExpression"]["tieredRates"][-1]["unitPrice"]
    if tier.get("currencyCode") != "USD":
        raise ValueError(f"currency {tier.get('currencyCode')}")
    usd = int(tier.get("units") or 0) + int(tier.get("nanos") or 0) / 1e9
    begins = str(information.get("effectiveTime", ""))[:10]
    for region in sku.get("serviceRegions", ()):
        rates[(purchase, region, name)] = (usd, date.fromisoformat(begins) if begins else None)


def priced(machines: Sequence[KnownMachine], rates: Rates, day: date) -> Iterator[Observed]:
    """Each machine where all three of its parts have a rate: vCPUs, GiB and GPUs times their rates."""
    regions: dict[str, set[str]] = defaultdict(set)
    for purchase, region, _ in rates:
        regions[purchase].add(region)
    for machine in machines:
        parts = next((parts for name, parts in PARTS.items() if machine.slug.startswith(name)), None)
        if parts is None or not machine.vcpus or not machine.host_memory_gib:
            continue
        counts = (float(machine.vcpus), machine.host_memory_gib, float(machine.accelerators))
        for purchase, places in sorted(regions.items()):
            for region in sorted(places):
                found = [rates.get((purchase, region, part)) for part in parts]
                if any(rate is None for rate in found):
                    continue
                each = [rate for rate in found if rate is not None]
                usd = sum(count * rate[0] for count, rate in zip(counts, each, strict=True))
                free = [part for part, rate in zip(parts, each, strict=True) if rate[0] <= 0]
                yield Observed(
                    table="price",
                    key={
                        "instance_type_id": machine.slug,
                        "region": region,
                        "purchase": purchase,
                        "payment_option": "",
                    },
                    values={"usd_per_hour": round(usd, 6), "valid_from": day},
                    source="Google Cloud Billing Catalog: core, memory and GPU SKUs",
                    as_of=day,
                    confidence=CONFIDENCE,
                    note=" + ".join(
                        f"{count:g} × {rate[0]:.6g}" for count, rate in zip(counts, each, strict=True)
                    )
                    + " USD an hour (vCPUs, GiB, GPUs); drives that come with it are not counted",
                    flags=tuple(f"the list has {part} for nothing" for part in free),
                )
