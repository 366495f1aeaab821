"""The catalog's accelerators as chips to place instances on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import MigProfileRecord
from planner.mig.placement.chip import MEDIA_ENGINES, Chip, Profile, with_driver

RESETS_FOR_MODE = frozenset({"ampere"})
"""Architectures whose GPUs are reset when MIG mode is switched; since Hopper it takes effect at once.
Source: NVIDIA MIG User Guide, "Enable MIG Mode"."""


def chip_of(catalog: Catalog, slug: str, driver: str = "") -> Chip | None:
    """The accelerator as MIG divides it, with a driver version; None where it has no MIG profiles.

    Raises UnknownSlugError for an accelerator that the catalog lacks.
    """
    record = catalog.accelerator(slug)
    rows = catalog.mig_profiles(record.slug)
    if not rows:
        return None
    return _chip(record.slug, record.spec.name, record.spec.architecture, rows, driver)


BEFORE_MODE: Mapping[str, str] = {
    "rtx-pro-6000-workstation": "Its display mode has to be compute first (DisplayModeSelector), and its "
    "vBIOS 98.02.55.00.00 or later."
}
"""What chips need before MIG can be enabled: NVIDIA MIG User Guide (version 580), "Additional Prerequisites
for RTX PRO Blackwell GPUs"."""


@lru_cache(maxsize=256)
def _chip(slug: str, name: str, architecture: str, rows: tuple[MigProfileRecord, ...], driver: str) -> Chip:
    profiles = tuple(_profile(row) for row in rows)
    resets = architecture.lower() in RESETS_FOR_MODE
    chip = Chip(slug, name, profiles, resets_for_mode=resets, before_mode=BEFORE_MODE.get(slug, ""))
    return with_driver(chip, driver)


def _profile(row: MigProfileRecord) -> Profile:
    spec = row.spec
    return Profile(
        name=spec.profile,
        number=row.profile_id,
        compute_slices=spec.compute_slices,
        size=spec.placement_size,
        starts=spec.placement_starts,
        max_instances=spec.max_instances,
        memory_bytes=spec.memory_bytes,
        engines={kind: count for kind in MEDIA_ENGINES if (count := getattr(row, kind)) is not None},
        copy_engines=row.copy_engines,
        min_driver=row.min_driver,
    )


def divisible(catalog: Catalog) -> tuple[Chip, ...]:
    """Every accelerator of the catalog that MIG divides."""
    chips = (chip_of(catalog, record.slug) for record in catalog.accelerators())
    return tuple(chip for chip in chips if chip is not None)
