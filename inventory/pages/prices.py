"""The catalog's view of owned GPUs: their slug, their instance type, and what they would cost to rent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from inventory.pages.product_names import accelerator_slug
from inventory.store.models import Host
from inventory.store.selectors import HostKind
from inventory.wire.snapshot import Reading
from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.catalog.facts.records import InstanceRecord, PriceRecord

HOURS_A_DAY = 24


@dataclass(frozen=True, slots=True)
class Price:
    """What one GPU of a host would cost by the hour, and which row of the catalog says so."""

    usd_per_gpu_hour: float
    instance_type: str
    record: PriceRecord
    assumed: bool


class Pricing:
    """Prices of owned hosts by the catalog: by their instance type where it is set, else by their GPUs."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    @cached_property
    def slugs(self) -> frozenset[str]:
        """Slugs of the catalog's accelerators."""
        return frozenset(record.slug for record in self.catalog.accelerators())

    def slug_of(self, gpu_name: str) -> str | None:
        """The catalog's slug for a driver's product name, or None."""
        return accelerator_slug(gpu_name, self.slugs)

    def instance_of(self, kind: HostKind) -> tuple[InstanceRecord, bool] | None:
        """The instance type, and whether it is assumed; None where the catalog has no similar one."""
        if kind.instance_type:
            try:
                return self.catalog.instance(kind.instance_type), False
            except UnknownSlugError:
                return None
        slug = self.slug_of(kind.gpu_name)
        alike = [r for r in self.catalog.instances() if slug is not None and r.spec.accelerator.slug == slug]
        if not alike:
            return None
        # The same number of GPUs first; among those one with a price, the cheapest per GPU.
        return min(
            alike,
            key=lambda r: (
                r.spec.accelerators_per_node != kind.gpus,
                self._usd_per_gpu_hour(r, kind.region),
                r.slug,
            ),
        ), True

    def of(self, kind: HostKind) -> Price | None:
        """On-demand price of one GPU-hour on such a host; None where the catalog knows none."""
        found = self.instance_of(kind)
        if found is None:
            return None
        record, assumed = found
        price = self._price(record, kind.region)
        if price is None:
            return None
        return Price(price.usd_per_hour / record.spec.accelerators_per_node, record.slug, price, assumed)

    def _usd_per_gpu_hour(self, record: InstanceRecord, region: str) -> float:
        price = self._price(record, region)
        return math.inf if price is None else price.usd_per_hour / record.spec.accelerators_per_node

    def _price(self, record: InstanceRecord, region: str) -> PriceRecord | None:
        for place in (region, *self.catalog.regions(record.slug)):
            if place and (price := self.catalog.price(record.slug, place, "on_demand")) is not None:
                return price
        return None


@dataclass(frozen=True, slots=True)
class IdleCost:
    """`usd_per_day` of `priced` idle GPUs; `unpriced` ones have no price in the catalog."""

    usd_per_day: float
    priced: int
    unpriced: int
    prices: tuple[Price, ...]


def idle_cost(idle: Iterable[tuple[HostKind, int]], pricing: Pricing) -> IdleCost:
    """Dollars per day that idle GPUs would cost to rent on demand, at list prices.

    idle: kinds of host, each with its count of idle GPUs.
    """
    total, priced, unpriced = 0.0, 0, 0
    used: dict[str, Price] = {}
    for kind, count in idle:
        price = pricing.of(kind)
        if price is None:
            unpriced += count
            continue
        priced += count
        total += count * price.usd_per_gpu_hour * HOURS_A_DAY
        used[price.instance_type] = price
    return IdleCost(total, priced, unpriced, tuple(used[slug] for slug in sorted(used)))


def kind_of(host: Host) -> HostKind:
    """The kind of a host whose GPUs are all of one kind; `host` comes with its GPUs."""
    gpus = list(host.gpus.all())
    return HostKind(gpus[0].name if gpus else "", len(gpus), host.instance_type, host.region)


def mig_profiles(gpu_name: Reading[str], pricing: Pricing) -> frozenset[str]:
    """Names of the MIG profiles that the catalog has of such a GPU; none where it does not know the GPU."""
    slug = pricing.slug_of(gpu_name) if isinstance(gpu_name, str) else None
    return (
        frozenset(each.spec.profile for each in pricing.catalog.mig_profiles(slug)) if slug else frozenset()
    )


def memory_slices(gpu_name: Reading[str], pricing: Pricing) -> int | None:
    """How many memory slices MIG divides such a GPU into; None where the catalog does not know the GPU."""
    slug = pricing.slug_of(gpu_name) if isinstance(gpu_name, str) else None
    profiles = pricing.catalog.mig_profiles(slug) if slug else ()
    return profiles[0].spec.gpu_memory_slices if profiles else None
