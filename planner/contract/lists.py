"""The catalog as plain lists, for programs that want to offer choices: slugs, names, sizes and prices."""

from __future__ import annotations

from typing import Any, get_args

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import AcceleratorRecord, InstanceRecord, ModelRecord, PriceRecord
from planner.catalog.facts.shapes import model_of_record
from planner.contract.precision import unit_flops_per_s
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.specs import ComputePrecision
from planner.engine.question.words import PURCHASES
from planner.engine.shape.parameters import count_parameters


def render_models(catalog: Catalog) -> list[dict[str, Any]]:
    """The catalog's models with their parameter counts and context length in tokens."""
    return [_model(record) for record in catalog.models()]


def render_instances(catalog: Catalog) -> list[dict[str, Any]]:
    """The catalog's instance types with their prices."""
    return [_instance(record, catalog) for record in catalog.instances()]


def render_accelerators(catalog: Catalog) -> list[dict[str, Any]]:
    """The catalog's accelerators with dense peaks in FLOP/s, memory in bytes and bandwidths in bytes/s."""
    return [_accelerator(record) for record in catalog.accelerators()]


def _model(record: ModelRecord) -> dict[str, Any]:
    try:
        count = count_parameters(model_of_record(record))
        counted: dict[str, int] | None = {"total": count.total, "active": count.active}
    except (PlanError, PlanErrors):
        counted = None
    return {
        "slug": record.slug,
        "name": record.name,
        "family": record.family,
        "publisher": record.publisher,
        "parameters": counted,
        "max_context_tokens": record.max_context,
        "source": record.provenance.source,
        "as_of": record.provenance.as_of.isoformat(),
    }


def _instance(record: InstanceRecord, catalog: Catalog) -> dict[str, Any]:
    """With the latest known prices in the region where it is first offered."""
    spec = record.spec
    regions = catalog.regions(record.slug)
    prices = [
        price
        for region in regions[:1]
        for purchase in sorted(catalog.purchases(record.slug, region), key=list(PURCHASES).index)
        if (price := catalog.price(record.slug, region, purchase)) is not None
    ]
    return {
        "slug": spec.slug,
        "provider": spec.provider,
        "family": spec.family,
        "accelerator": spec.accelerator.slug,
        "accelerators_per_node": spec.accelerators_per_node,
        "memory_bytes_per_accelerator": spec.accelerator.memory_bytes,
        "internode_bytes_per_s": spec.internode_bytes_per_s,
        "vcpus": spec.vcpus,
        "host_memory_bytes": spec.host_memory_bytes,
        "regions": list(regions),
        "prices": [_price(price) for price in prices],
        "source": record.provenance.source,
        "as_of": record.provenance.as_of.isoformat(),
    }


def _price(price: PriceRecord) -> dict[str, Any]:
    return {
        "region": price.region,
        "purchase": price.purchase,
        "usd_per_hour": price.usd_per_hour,
        "valid_from": price.valid_from.isoformat(),
        "as_of": price.provenance.as_of.isoformat(),
        "source": price.provenance.source,
    }


def _accelerator(record: AcceleratorRecord) -> dict[str, Any]:
    spec = record.spec
    return {
        "slug": spec.slug,
        "name": spec.name,
        "vendor": spec.vendor,
        "architecture": spec.architecture,
        "memory_bytes": spec.memory_bytes,
        "memory_bandwidth_bytes_per_s": spec.memory_bandwidth_bytes_per_s,
        "dense_flops_per_s": {
            precision: unit_flops_per_s(spec, precision) or None for precision in get_args(ComputePrecision)
        },
        "link": spec.link,
        "link_bytes_per_s": spec.link_bytes_per_s,
        "power_watts": spec.power_watts,
        "mig_capable": spec.mig_capable,
        "ranks_per_accelerator": spec.ranks_per_accelerator,
        "source": record.provenance.source,
        "as_of": record.provenance.as_of.isoformat(),
    }
