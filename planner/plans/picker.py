"""The entries of the machine picker and the model list: the catalog's rows in a few words each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.catalog.facts.records import PROVIDER_NAMES, InstanceRecord
from planner.web import formats


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """How machines are bought. region: "" for the provider's default.  as_of: day of the prices, None for
    now.
    """

    region: str
    purchase: str
    as_of: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOption:
    """One instance type. price: in ``region``, for the chosen way to pay.  text: what the filter searches."""

    slug: str
    accelerators: str
    memory: str
    network: str
    price: str
    region: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineGroup:
    """The instance types of one provider."""

    name: str
    options: tuple[MachineOption, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOption:
    """One model in the list."""

    slug: str
    label: str


def machine_groups(catalog: Catalog, sale: Sale) -> tuple[MachineGroup, ...]:
    """Every instance type, by provider, with its price."""
    groups: dict[str, list[MachineOption]] = {}
    for record in catalog.instances():
        option = machine_option(record, catalog, sale)
        groups.setdefault(record.spec.provider, []).append(option)
    return tuple(
        MachineGroup(name=PROVIDER_NAMES.get(provider, provider), options=tuple(options))
        for provider, options in groups.items()
    )


def chosen_machine(catalog: Catalog, slug: str, sale: Sale) -> MachineOption | None:
    """The picked instance type, None where the catalog has no such name."""
    try:
        record = catalog.instance(slug)
    except UnknownSlugError:
        return None
    return machine_option(record, catalog, sale)


def machine_option(record: InstanceRecord, catalog: Catalog, sale: Sale) -> MachineOption:
    """One instance type as a picker entry."""
    spec, chip = record.spec, record.spec.accelerator
    where = (
        sale.region if sale.region in catalog.regions(record.slug) else catalog.default_region(spec.provider)
    )
    price = catalog.price(record.slug, where, sale.purchase, sale.as_of)
    count = spec.accelerators_per_node
    gbps = spec.internode_bytes_per_s * 8 / 1e9
    accelerators = f"{count} × {chip.name}"
    memory = f"{formats.gib(chip.memory_bytes * count)} in total"
    return MachineOption(
        slug=record.slug,
        accelerators=accelerators,
        memory=memory,
        network=f"{formats.trimmed(gbps)} Gbit/s",
        price="no price" if price is None else str(formats.dollars_per_hour(price.usd_per_hour)),
        region=where,
        text=f"{record.slug} {accelerators} {chip.slug} {spec.provider} {spec.family} {memory}".lower(),
    )


def region_choices(catalog: Catalog, slug: str, *, purchase: str, chosen: str) -> list[tuple[str, str]]:
    """Regions of one instance type with their price, the provider's default first."""
    try:
        record = catalog.instance(slug)
    except UnknownSlugError:
        return [("", "Default")] + ([(chosen, chosen)] if chosen else [])
    default = catalog.default_region(record.spec.provider)
    choices = [("", f"{default} (default)")]
    for region in catalog.regions(slug):
        if region == default:
            continue
        price = catalog.price(slug, region, purchase, None)
        known = "" if price is None else f", {formats.dollars_per_hour(price.usd_per_hour)}"
        choices.append((region, f"{region}{known}"))
    if chosen not in dict(choices):
        choices.append((chosen, chosen))
    return choices


def model_options(catalog: Catalog) -> tuple[ModelOption, ...]:
    """The catalog's models, by publisher and size as listed."""
    return tuple(
        ModelOption(
            slug=record.slug,
            label=record.name
            if record.parameters is None
            else f"{record.name}, {formats.count(record.parameters)} parameters",
        )
        for record in catalog.models()
    )


def chip_choices(catalog: Catalog) -> list[tuple[str, str]]:
    """Accelerators for a user's own machines."""
    return [
        ("", "None: use the instance type"),
        *((record.slug, record.spec.name) for record in catalog.accelerators()),
    ]


def like_choices(catalog: Catalog) -> list[tuple[str, str]]:
    """Accelerators that a card of a user's own may be like."""
    return [("", "none"), *((record.slug, record.spec.name) for record in catalog.accelerators())]
