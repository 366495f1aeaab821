"""Reads the shipped data files into a checked Catalog.

A cell that cannot be read is an error of the file and raises with the file's name and line. The files use the
units of their sources (MiB, TFLOPS, Gbit/s), the records SI units.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import (
    AcceleratorRecord,
    AvailabilityRecord,
    InstanceRecord,
    MigProfileRecord,
    ModelRecord,
    PriceRecord,
    Provenance,
)
from planner.engine.question.errors import HeadroomError
from planner.engine.question.specs import AcceleratorSpec, InstanceSpec, MigProfileSpec
from planner.engine.question.words import PAYMENT_OPTIONS, PURCHASES

DATA_DIRECTORY = Path(__file__).parent / "data"

MIB = 2**20
GIB = 2**30
GIGA = 1e9
TERA = 1e12
BITS_PER_BYTE = 8

Row = dict[str, str]
_Record = TypeVar("_Record")
_Value = TypeVar("_Value")


class CatalogDataError(HeadroomError, ValueError):
    """A shipped data file contains something that makes no sense. The message names file and line."""


@lru_cache(maxsize=1)
def load_shipped_catalog() -> Catalog:
    """The catalog as shipped, read once per process. Raises CatalogDataError where a file is at fault."""
    return load_catalog(DATA_DIRECTORY)


def load_catalog(directory: Path) -> Catalog:
    """The catalog in one directory of data files."""
    sources = Sources(directory)
    accelerators = {
        record.slug: record for record in read_rows(directory, "accelerators.csv", _accelerator, sources)
    }
    specs = {slug: record.spec for slug, record in accelerators.items()}

    def instance(row: Row, sources: Sources) -> InstanceRecord:
        return _instance(row, sources, specs)

    return Catalog(
        accelerators=accelerators.values(),
        instances=read_rows(directory, "instances.csv", instance, sources),
        prices=read_rows(directory, "prices.csv", _price, sources),
        availability=read_rows(directory, "availability.csv", _availability, sources),
        mig_profiles=read_rows(directory, "mig_profiles.csv", _mig_profile, sources),
        models=_read_models(directory / "models"),
    )


def as_of_date(text: str) -> date:
    """A day from ``2026-07-20``, or the first day of ``2026-07`` or ``2026``."""
    return date.fromisoformat({4: text + "-01-01", 7: text + "-01"}.get(len(text), text))


class Sources:
    """Citations by key, so that a long one is written once. Rows that share one share the Provenance too."""

    def __init__(self, directory: Path) -> None:
        with (directory / "sources.csv").open(encoding="utf-8", newline="") as file:
            self._citations = {row["key"]: row["citation"] for row in csv.DictReader(file)}
        self._made: dict[tuple[str, str, str], Provenance] = {}

    def provenance(self, row: Row) -> Provenance:
        key = (row["source"], row["as_of"], row["note"])
        if key not in self._made:
            source, as_of, note = key
            self._made[key] = Provenance(source=self._citations[source], as_of=as_of_date(as_of), note=note)
        return self._made[key]


def read_rows(
    directory: Path, name: str, record: Callable[[Row, Sources], _Record], sources: Sources
) -> list[_Record]:
    """Every row of one file as a record. Raises CatalogDataError naming the first row at fault."""
    records = []
    with (directory / name).open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                records.append(record(row, sources))
            except (KeyError, TypeError, ValueError) as error:
                raise CatalogDataError(f"{name}, line {number}: {error!r} in {row}") from error
    return records


def _accelerator(row: Row, sources: Sources) -> AcceleratorRecord:
    return AcceleratorRecord(
        spec=AcceleratorSpec(
            slug=row["slug"],
            name=row["name"],
            vendor=row["vendor"],
            architecture=row["architecture"],
            memory_bytes=int(row["memory_mib"]) * MIB,
            memory_bandwidth_bytes_per_s=float(row["memory_bandwidth_gb_per_s"]) * GIGA,
            fp32_flops_per_s=_peak(row["fp32_tflops"]),
            tf32_flops_per_s=_peak(row["tf32_tflops"]),
            bf16_flops_per_s=_peak(row["bf16_tflops"]),
            fp16_flops_per_s=_peak(row["fp16_tflops"]),
            fp8_flops_per_s=_peak(row["fp8_tflops"]),
            link=row["link"],
            link_bytes_per_s=float(row["link_gb_per_s_per_direction"]) * GIGA,
            power_watts=_optional(float, row["power_watts"]),
            mig_capable=_YES_NO[row["mig_capable"]],
            ranks_per_accelerator=int(row["ranks_per_accelerator"]),
        ),
        label_gb=int(row["label_gb"]),
        int8_ops_per_s=_peak(row["int8_tops"]),
        fp4_flops_per_s=_peak(row["fp4_tflops"]),
        provenance=sources.provenance(row),
    )


def _instance(row: Row, sources: Sources, accelerators: Mapping[str, AcceleratorSpec]) -> InstanceRecord:
    accelerator = accelerators[row["accelerator"]]
    link_gb_per_s = _optional(float, row["link_gb_per_s_per_direction"])
    link_bytes_per_s = None if link_gb_per_s is None else link_gb_per_s * GIGA
    if link_bytes_per_s is not None:
        accelerator = replace(accelerator, link_bytes_per_s=link_bytes_per_s)
    local_storage_gb = _optional(int, row["local_storage_gb"])
    return InstanceRecord(
        spec=InstanceSpec(
            slug=row["slug"],
            provider=row["provider"],
            family=row["family"],
            accelerator=accelerator,
            accelerators_per_node=int(row["accelerators_per_node"]),
            internode_bytes_per_s=float(row["internode_gbit_per_s"]) * GIGA / BITS_PER_BYTE,
            vcpus=_optional(int, row["vcpus"]),
            host_memory_bytes=int(row["host_memory_gib"]) * GIB,
        ),
        link_bytes_per_s=link_bytes_per_s,
        local_storage_bytes=None if local_storage_gb is None else int(local_storage_gb * GIGA),
        ultracluster_max_accelerators=_optional(int, row["ultracluster_max_accelerators"]),
        provenance=sources.provenance(row),
    )


def _price(row: Row, sources: Sources) -> PriceRecord:
    if row["purchase"] not in PURCHASES:
        raise ValueError(f"unknown purchase {row['purchase']!r}")
    return PriceRecord(
        instance_slug=row["instance"],
        region=row["region"],
        purchase=row["purchase"],
        usd_per_hour=float(row["usd_per_hour"]),
        valid_from=date.fromisoformat(row["valid_from"]),
        valid_to=_optional(date.fromisoformat, row["valid_to"]),
        usd_per_hour_low=_optional(float, row["usd_per_hour_low"]),
        usd_per_hour_high=_optional(float, row["usd_per_hour_high"]),
        payment_option=_payment(row["payment_option"]),
        provenance=sources.provenance(row),
    )


def _payment(text: str) -> str:
    if text and text not in PAYMENT_OPTIONS:
        raise ValueError(f"unknown payment option {text!r}")
    return text


def _availability(row: Row, sources: Sources) -> AvailabilityRecord:
    return AvailabilityRecord(
        instance_slug=row["instance"],
        region=row["region"],
        zones=tuple(row["zones"].split()),
        provenance=sources.provenance(row),
    )


def _mig_profile(row: Row, sources: Sources) -> MigProfileRecord:
    return MigProfileRecord(
        spec=MigProfileSpec(
            accelerator_slug=row["accelerator"],
            profile=row["profile"],
            compute_slices=int(row["compute_slices"]),
            memory_slices=int(row["memory_slices"]),
            memory_bytes=int(row["memory_mib"]) * MIB,
            max_instances=int(row["max_instances"]),
            placement_size=int(row["placement_size"]),
            placement_starts=tuple(int(start) for start in row["placement_starts"].split()),
        ),
        profile_id=int(row["profile_id"]),
        min_driver=row["min_driver"],
        copy_engines=_optional(int, row["copy_engines"]),
        decoders=_optional(int, row["decoders"]),
        encoders=_optional(int, row["encoders"]),
        jpeg_engines=_optional(int, row["jpeg_engines"]),
        ofa_engines=_optional(int, row["ofa_engines"]),
        provenance=sources.provenance(row),
    )


def _read_models(directory: Path) -> list[ModelRecord]:
    """Models from one JSON file per family, families by file name, models in the order of their file."""
    models = []
    for path in sorted(directory.glob("*.json")):
        for entry in json.loads(path.read_text(encoding="utf-8")):
            try:
                models.append(_model(entry, family=path.stem))
            except (KeyError, TypeError, ValueError) as error:
                raise CatalogDataError(f"{path.name}, model {entry.get('slug')!r}: {error!r}") from error
    return models


def _model(entry: dict[str, Any], *, family: str) -> ModelRecord:
    if ("hf_config" in entry) == ("architecture" in entry):
        raise ValueError("exactly one of hf_config and architecture must be given")
    return ModelRecord(
        slug=entry["slug"],
        name=entry["name"],
        family=family,
        publisher=entry["publisher"],
        hf_config=entry.get("hf_config"),
        architecture=entry.get("architecture"),
        parameters=entry.get("parameters"),
        parameters_source=entry.get("parameters_source", ""),
        max_context=entry.get("max_context"),
        provenance=Provenance(
            source=entry["source"], as_of=as_of_date(entry["as_of"]), note=entry.get("note", "")
        ),
    )


_YES_NO = {"yes": True, "no": False}


def _peak(tera_per_s: str) -> float:
    """A peak rate in operations per second; an empty cell means the chip has no such unit."""
    return float(tera_per_s) * TERA if tera_per_s else 0.0


def _optional(parse: Callable[[str], _Value], text: str) -> _Value | None:
    return parse(text) if text else None
