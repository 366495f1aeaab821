"""Rows for the readers' pages. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from auditlog.models import LogEntry
from django.db.models import Q, QuerySet

from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogRow,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)

#: Filters of the price explorer and where they look.
FILTERS: Mapping[str, str] = {
    "provider": "instance_type__provider",
    "accelerator": "instance_type__accelerator__slug",
    "instance": "instance_type__slug",
    "region": "region",
    "purchase": "purchase",
}
LOGGED_SHOWN = 20


def prices(chosen: Mapping[str, str], day: date) -> QuerySet[Price]:
    """Prices in force on a day, by the filters that are chosen, the cheapest chip-hour first is left to
    callers."""
    found = Price.objects.filter(withdrawn=False, valid_from__lte=day, instance_type__withdrawn=False).filter(
        Q(valid_to=None) | Q(valid_to__gt=day)
    )
    for name, path in FILTERS.items():
        if chosen.get(name):
            found = found.filter(**{path: chosen[name]})
    return found.select_related("instance_type", "instance_type__accelerator").order_by(
        "instance_type__slug", "region", "purchase", "-valid_from"
    )


def choices() -> dict[str, list[str]]:
    """What each filter can be set to."""
    held = Price.objects.filter(withdrawn=False)
    return {
        name: list(held.order_by(path).values_list(path, flat=True).distinct())
        for name, path in FILTERS.items()
    }


def price(pk: int) -> Price | None:
    """One price, withdrawn or not."""
    return Price.objects.select_related("instance_type").filter(pk=pk).first()


def price_history(slug: str, region: str) -> list[Price]:
    """Every price of a machine in a region, the oldest first."""
    return list(
        Price.objects.filter(instance_type__slug=slug, region=region, withdrawn=False).order_by("valid_from")
    )


def instance(slug: str) -> InstanceType | None:
    """A machine with its chip."""
    return InstanceType.objects.select_related("accelerator").filter(slug=slug).first()


def instances() -> list[InstanceType]:
    """Every machine that is not withdrawn, by provider."""
    found = InstanceType.objects.filter(withdrawn=False).select_related("accelerator")
    return list(found.order_by("provider", "slug"))


def accelerator(slug: str) -> Accelerator | None:
    """A chip."""
    return Accelerator.objects.filter(slug=slug).first()


def accelerators() -> list[Accelerator]:
    """Every chip that is not withdrawn."""
    return list(Accelerator.objects.filter(withdrawn=False).order_by("vendor", "slug"))


def machines_of(chip: Accelerator) -> list[InstanceType]:
    """The machines that have this chip."""
    return list(InstanceType.objects.filter(accelerator=chip, withdrawn=False).order_by("slug"))


def mig_profiles(chip: Accelerator) -> list[MigProfile]:
    """The chip's MIG profiles."""
    return list(MigProfile.objects.filter(accelerator=chip, withdrawn=False).order_by("pk"))


def offers(slug: str) -> list[Availability]:
    """Regions that offer a machine."""
    return list(Availability.objects.filter(instance_type__slug=slug, withdrawn=False).order_by("region"))


def model(slug: str) -> TransformerModel | None:
    """A model."""
    return TransformerModel.objects.filter(slug=slug).first()


def models() -> list[TransformerModel]:
    """Every model that is not withdrawn."""
    return list(TransformerModel.objects.filter(withdrawn=False).order_by("publisher", "slug"))


def log_of(row: CatalogRow) -> list[dict[str, Any]]:
    """Who changed a row: the newest entries."""
    entries = LogEntry.objects.get_for_object(row).select_related("actor")[:LOGGED_SHOWN]
    return [
        {
            "at": entry.timestamp,
            "who": entry.actor.get_username() if entry.actor else "the program",
            "changes": [
                (name, before, after) for name, (before, after) in (entry.changes_dict or {}).items()
            ],
        }
        for entry in entries
    ]
