"""Catalog records as database rows and back: units, names and keys, in one place.

Files and rows have the sources' units, records have SI. A row made from a record and read back gives the
very same numbers. Knows the models' fields, and asks the database nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import BITS_PER_BYTE, GIB, GIGA, MIB, TERA
from planner.catalog.facts.records import (
    AcceleratorRecord,
    AvailabilityRecord,
    InstanceRecord,
    MigProfileRecord,
    ModelRecord,
    PriceRecord,
    Provenance,
)
from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogRow,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)
from planner.engine.question.specs import AcceleratorSpec, InstanceSpec, MigProfileSpec

KEYS: dict[type[CatalogRow], tuple[str, ...]] = {
    Accelerator: ("slug",),
    InstanceType: ("slug",),
    Price: ("instance_type_id", "region", "purchase", "valid_from"),
    Availability: ("instance_type_id", "region"),
    MigProfile: ("accelerator_id", "profile"),
    TransformerModel: ("slug",),
}
"""What tells one row of a table from another, tables in the order in which they refer to one another."""

ALSO_ONCE: dict[type[CatalogRow], tuple[str, ...]] = {MigProfile: ("accelerator_id", "profile_id")}
"""What only one row in force may have besides its key."""

Values = dict[str, Any]


def shipped_values(catalog: Catalog) -> dict[type[CatalogRow], list[Values]]:
    """Every record of a catalog as the values of one row, by table."""
    return {
        Accelerator: [accelerator_values(record) for record in catalog.accelerators()],
        InstanceType: [instance_values(record) for record in catalog.instances()],
        Price: [price_values(record) for record in catalog.prices()],
        Availability: [availability_values(record) for record in catalog.availability()],
        MigProfile: [mig_profile_values(record) for record in catalog.mig_profiles()],
        TransformerModel: [model_values(record) for record in catalog.models()],
    }


def accelerator_values(record: AcceleratorRecord) -> Values:
    spec = record.spec
    return _provenance(record.provenance) | {
        "slug": spec.slug,
        "name": spec.name,
        "vendor": spec.vendor,
        "architecture": spec.architecture,
        "memory_mib": spec.memory_bytes // MIB,
        "label_gb": record.label_gb,
        "memory_bandwidth_gb_per_s": _in(spec.memory_bandwidth_bytes_per_s, GIGA),
        "fp32_tflops": _peak_in_tera(spec.fp32_flops_per_s),
        "tf32_tflops": _peak_in_tera(spec.tf32_flops_per_s),
        "bf16_tflops": _peak_in_tera(spec.bf16_flops_per_s),
        "fp16_tflops": _peak_in_tera(spec.fp16_flops_per_s),
        "fp8_tflops": _peak_in_tera(spec.fp8_flops_per_s),
        "int8_tops": _peak_in_tera(record.int8_ops_per_s),
        "fp4_tflops": _peak_in_tera(record.fp4_flops_per_s),
        "link": spec.link,
        "link_gb_per_s_per_direction": _in(spec.link_bytes_per_s, GIGA),
        "power_watts": spec.power_watts,
        "mig_capable": spec.mig_capable,
        "ranks_per_accelerator": spec.ranks_per_accelerator,
    }


def instance_values(record: InstanceRecord) -> Values:
    spec = record.spec
    return _provenance(record.provenance) | {
        "slug": spec.slug,
        "provider": spec.provider,
        "family": spec.family,
        "accelerator_id": spec.accelerator.slug,
        "accelerators_per_node": spec.accelerators_per_node,
        "internode_gbit_per_s": _in(spec.internode_bytes_per_s * BITS_PER_BYTE, GIGA),
        "link_gb_per_s_per_direction": None
        if record.link_bytes_per_s is None
        else _in(record.link_bytes_per_s, GIGA),
        "vcpus": spec.vcpus,
        "host_memory_gib": None if spec.host_memory_bytes is None else _in(spec.host_memory_bytes, GIB),
        "local_storage_gb": None
        if record.local_storage_bytes is None
        else round(record.local_storage_bytes / GIGA),
        "ultracluster_max_accelerators": record.ultracluster_max_accelerators,
    }


def price_values(record: PriceRecord) -> Values:
    return _provenance(record.provenance) | {
        "instance_type_id": record.instance_slug,
        "region": record.region,
        "purchase": record.purchase,
        "usd_per_hour": _dollars(record.usd_per_hour),
        "usd_per_hour_low": _dollars(record.usd_per_hour_low),
        "usd_per_hour_high": _dollars(record.usd_per_hour_high),
        "payment_option": record.payment_option,
        "valid_from": record.valid_from,
        "valid_to": record.valid_to,
    }


def availability_values(record: AvailabilityRecord) -> Values:
    return _provenance(record.provenance) | {
        "instance_type_id": record.instance_slug,
        "region": record.region,
        "zones": " ".join(record.zones),
    }


def mig_profile_values(record: MigProfileRecord) -> Values:
    spec = record.spec
    return _provenance(record.provenance) | {
        "accelerator_id": spec.accelerator_slug,
        "profile": spec.profile,
        "profile_id": record.profile_id,
        "compute_slices": spec.compute_slices,
        "memory_slices": spec.memory_slices,
        "memory_mib": spec.memory_bytes // MIB,
        "max_instances": spec.max_instances,
        "placement_size": spec.placement_size,
        "placement_starts": " ".join(str(start) for start in spec.placement_starts),
        "min_driver": record.min_driver,
        "copy_engines": record.copy_engines,
        "decoders": record.decoders,
        "encoders": record.encoders,
        "jpeg_engines": record.jpeg_engines,
        "ofa_engines": record.ofa_engines,
    }


def model_values(record: ModelRecord) -> Values:
    form = TransformerModel.Form.ARCHITECTURE if record.hf_config is None else TransformerModel.Form.HF_CONFIG
    return _provenance(record.provenance) | {
        "slug": record.slug,
        "name": record.name,
        "family": record.family,
        "publisher": record.publisher,
        "form": str(form),
        "config": dict(record.hf_config or record.architecture or {}),
        "parameters": record.parameters,
        "parameters_source": record.parameters_source,
        "max_context": record.max_context,
    }


def accelerator_record(row: Values) -> AcceleratorRecord:
    return AcceleratorRecord(
        spec=AcceleratorSpec(
            slug=row["slug"],
            name=row["name"],
            vendor=row["vendor"],
            architecture=row["architecture"],
            memory_bytes=row["memory_mib"] * MIB,
            memory_bandwidth_bytes_per_s=row["memory_bandwidth_gb_per_s"] * GIGA,
            fp32_flops_per_s=_peak(row["fp32_tflops"]),
            tf32_flops_per_s=_peak(row["tf32_tflops"]),
            bf16_flops_per_s=_peak(row["bf16_tflops"]),
            fp16_flops_per_s=_peak(row["fp16_tflops"]),
            fp8_flops_per_s=_peak(row["fp8_tflops"]),
            link=row["link"],
            link_bytes_per_s=row["link_gb_per_s_per_direction"] * GIGA,
            power_watts=row["power_watts"],
            mig_capable=row["mig_capable"],
            ranks_per_accelerator=row["ranks_per_accelerator"],
        ),
        label_gb=row["label_gb"],
        int8_ops_per_s=_peak(row["int8_tops"]),
        fp4_flops_per_s=_peak(row["fp4_tflops"]),
        provenance=_provenance_of(row),
    )


def instance_record(row: Values, accelerators: Mapping[str, AcceleratorSpec]) -> InstanceRecord:
    accelerator = accelerators[row["accelerator_id"]]
    link = row["link_gb_per_s_per_direction"]
    link_bytes_per_s = None if link is None else link * GIGA
    if link_bytes_per_s is not None:
        accelerator = replace(accelerator, link_bytes_per_s=link_bytes_per_s)
    host_memory, storage = row["host_memory_gib"], row["local_storage_gb"]
    return InstanceRecord(
        spec=InstanceSpec(
            slug=row["slug"],
            provider=row["provider"],
            family=row["family"],
            accelerator=accelerator,
            accelerators_per_node=row["accelerators_per_node"],
            internode_bytes_per_s=row["internode_gbit_per_s"] * GIGA / BITS_PER_BYTE,
            vcpus=row["vcpus"],
            host_memory_bytes=None if host_memory is None else int(host_memory * GIB),
        ),
        link_bytes_per_s=link_bytes_per_s,
        local_storage_bytes=None if storage is None else int(storage * GIGA),
        ultracluster_max_accelerators=row["ultracluster_max_accelerators"],
        provenance=_provenance_of(row),
    )


def price_record(row: Values) -> PriceRecord:
    return PriceRecord(
        instance_slug=row["instance_type_id"],
        region=row["region"],
        purchase=row["purchase"],
        usd_per_hour=float(row["usd_per_hour"]),
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        usd_per_hour_low=_number_of(row["usd_per_hour_low"]),
        usd_per_hour_high=_number_of(row["usd_per_hour_high"]),
        payment_option=row["payment_option"],
        negotiated=row.get("negotiated", False),
        provenance=_provenance_of(row),
    )


def availability_record(row: Values) -> AvailabilityRecord:
    return AvailabilityRecord(
        instance_slug=row["instance_type_id"],
        region=row["region"],
        zones=tuple(row["zones"].split()),
        provenance=_provenance_of(row),
    )


def mig_profile_record(row: Values) -> MigProfileRecord:
    return MigProfileRecord(
        spec=MigProfileSpec(
            accelerator_slug=row["accelerator_id"],
            profile=row["profile"],
            compute_slices=row["compute_slices"],
            memory_slices=row["memory_slices"],
            memory_bytes=row["memory_mib"] * MIB,
            max_instances=row["max_instances"],
            placement_size=row["placement_size"],
            placement_starts=tuple(int(start) for start in row["placement_starts"].split()),
        ),
        profile_id=row["profile_id"],
        min_driver=row["min_driver"],
        copy_engines=row["copy_engines"],
        decoders=row["decoders"],
        encoders=row["encoders"],
        jpeg_engines=row["jpeg_engines"],
        ofa_engines=row["ofa_engines"],
        provenance=_provenance_of(row),
    )


def model_record(row: Values) -> ModelRecord:
    pasted = row["form"] == TransformerModel.Form.HF_CONFIG
    return ModelRecord(
        slug=row["slug"],
        name=row["name"],
        family=row["family"],
        publisher=row["publisher"],
        hf_config=row["config"] if pasted else None,
        architecture=None if pasted else row["config"],
        parameters=row["parameters"],
        parameters_source=row["parameters_source"],
        max_context=row["max_context"],
        provenance=_provenance_of(row),
    )


def _dollars(usd: float | None) -> Decimal | None:
    return None if usd is None else Decimal(repr(usd)).quantize(Decimal("0.000001"))


def _number_of(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _provenance(provenance: Provenance) -> Values:
    return {"source": provenance.source, "as_of": provenance.as_of, "note": provenance.note}


def _provenance_of(row: Values) -> Provenance:
    as_of, seen_on = row["as_of"], row.get("seen_on")
    return Provenance(source=row["source"], as_of=max(as_of, seen_on) if seen_on else as_of, note=row["note"])


def _in(value: float, unit: float) -> float:
    """A quantity in a source's unit, rounded to where the multiplication by the unit is undone exactly."""
    return round(value / unit, 6)


def _peak(tera_per_s: float | None) -> float:
    return 0.0 if tera_per_s is None else tera_per_s * TERA


def _peak_in_tera(per_s: float) -> float | None:
    return _in(per_s, TERA) if per_s else None
