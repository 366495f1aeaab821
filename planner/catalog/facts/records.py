"""What the catalog holds: the engine's specs with their source and date.

Frozen records, built from the shipped files (``loader``) or from database rows, and independent of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from planner.engine.question.sale import Blocks
from planner.engine.question.specs import AcceleratorSpec, InstanceSpec, MigProfileSpec

PROVIDER_NAMES: Mapping[str, str] = {
    "aws": "Amazon Web Services",
    "gcp": "Google Cloud",
    "azure": "Microsoft Azure",
}
DEFAULT_REGIONS: Mapping[str, str] = {"aws": "us-east-1", "gcp": "us-central1", "azure": "eastus"}
"""The region meant where none is named, by provider: the JSON contract's choice."""


STALE_PRICE_DAYS = 90
"""A price not seen for longer than this is called stale, on every page and in every answer."""


def is_stale(seen: date, day: date) -> bool:
    """Whether a price last seen on one day is too old to be relied on for another."""
    return (day - seen).days > STALE_PRICE_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a row is from.

    as_of: the day on which the source said so.  note: what to know when using the row.
    """

    source: str
    as_of: date
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorRecord:
    """One chip. label_gb: the memory on its label, for people (the spec has what the driver reports).

    int8_ops_per_s, fp4_flops_per_s: dense peaks that the engine does not use, 0.0 where there are none.
    """

    spec: AcceleratorSpec
    label_gb: int
    provenance: Provenance
    int8_ops_per_s: float = 0.0
    fp4_flops_per_s: float = 0.0

    @property
    def slug(self) -> str:
        """The accelerator's slug."""
        return self.spec.slug


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """One kind of machine.

    link_bytes_per_s: one direction per chip, where this machine connects its chips differently from the
    accelerator's own row (None: as that row says); already applied in ``spec.accelerator``.
    local_storage_bytes: drives in the machine.  ultracluster_max_accelerators: the largest cluster sold.
    """

    spec: InstanceSpec
    provenance: Provenance
    link_bytes_per_s: float | None = None
    local_storage_bytes: int | None = None
    ultracluster_max_accelerators: int | None = None

    @property
    def slug(self) -> str:
        """The instance type's slug."""
        return self.spec.slug


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRecord:
    """USD for one instance-hour, Linux, in force from valid_from until the day before valid_to (None: still).

    valid_from: the first day on which the source shows the price, so no earlier day is claimed.
    ``provenance.as_of`` is the last day on which it was seen.
    usd_per_hour_low, usd_per_hour_high: of the cheapest and dearest zone, where the region's zones differ and
    the price is their median (None: one price a region, or zones unknown).
    payment_option: how a commitment or block is paid, "" where the source does not say or nothing is owed.
    negotiated: agreed with the seller; stands in place of the list price.
    """

    instance_slug: str
    region: str
    purchase: str
    usd_per_hour: float
    valid_from: date
    provenance: Provenance
    valid_to: date | None = None
    usd_per_hour_low: float | None = None
    usd_per_hour_high: float | None = None
    payment_option: str = ""
    negotiated: bool = False

    def in_force(self, day: date) -> bool:
        """Whether the price applied on ``day``."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRule:
    """How one provider bills one way to pay: ``sale``'s terms without any price."""

    provider: str
    purchase: str
    provenance: Provenance
    minimum_s: float = 0.0
    commitment_years: int = 0
    blocks: Blocks | None = None
    interruptions_per_node_day: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotInterruptionRecord:
    """Share of the machines of a type and region that are taken back in a month, in per cent."""

    instance_slug: str
    region: str
    percent_a_month: float
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityRecord:
    """Standard deviation of the logarithm of a kind of price after a year."""

    purchase: str
    log_change_a_year: float
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityRecord:
    """Where an instance is offered. zones: names within the region, empty where only the region is known."""

    instance_slug: str
    region: str
    zones: tuple[str, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class MigProfileRecord:
    """A kind of GPU instance.

    min_driver: branch such as R470.  copy_engines, decoders (NVDEC), encoders (NVENC), jpeg_engines,
    ofa_engines (optical flow): counts, None where no source lists them.
    """

    spec: MigProfileSpec
    profile_id: int
    provenance: Provenance
    min_driver: str = ""
    copy_engines: int | None = None
    decoders: int | None = None
    encoders: int | None = None
    jpeg_engines: int | None = None
    ofa_engines: int | None = None


#: Part of the source of a model whose shape no public copy was found to confirm.
NOT_READ_BACK = "as remembered, not read back"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A published model: exactly one of hf_config and architecture describes its shape.

    hf_config: the keys of its Hugging Face ``config.json`` that determine shapes, as published.
    architecture: the JSON contract's explicit form, for models that have no such file.
    parameters: published or counted total of the model as Hugging Face builds it, None where no source
    states it exactly; parameters_source says who counted.  max_context: tokens (vision: patches + 1).
    A shape that was not read back from a copy of the model's file says so in its source (``NOT_READ_BACK``).
    """

    slug: str
    name: str
    family: str
    publisher: str
    provenance: Provenance
    hf_config: Mapping[str, Any] | None = None
    architecture: Mapping[str, Any] | None = None
    parameters: int | None = None
    parameters_source: str = ""
    max_context: int | None = None

    @property
    def read_back(self) -> bool:
        """Whether every size was compared with a public copy of the model's file or table."""
        return NOT_READ_BACK not in self.provenance.source
