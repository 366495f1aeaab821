"""The entries of the pickers: the catalog's models, machines and profiles in a few words each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.catalog.facts.records import PROVIDER_NAMES, InstanceRecord
from planner.engine.question.specs import ModelSpec
from planner.web import formats


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """How machines are bought. region: "" for the provider's default.  as_of: day of the prices, None for
    now.
    """

    region: str
    purchase: str
    as_of: date | None


#: The heading of cards that machines of one's own may have.
OWN_MACHINES = "My own machines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One entry of a picker. slug: what it fills in.  label: its first line.  note: its second.

    group: the heading that it stands under.  price: at its right, perhaps "".
    """

    slug: str
    label: str
    note: str
    group: str
    price: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOption:
    """One instance type. price: in ``region``, for the chosen way to pay.  per_gpu: the same for one chip."""

    slug: str
    accelerators: str
    memory: str
    network: str
    price: str
    per_gpu: str
    region: str

    @property
    def note(self) -> str:
        """What it holds, in a line."""
        return f"{self.accelerators}, {self.memory}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a model is made of: its name, and pairs of what and how many."""

    name: str
    facts: tuple[tuple[str, str], ...]


def machine_options(catalog: Catalog, sale: Sale) -> tuple[Option, ...]:
    """Every instance type, by provider, with its price for one accelerator; then cards of one's own."""
    options: dict[str, list[Option]] = {}
    for record in catalog.instances():
        machine = machine_option(record, catalog, sale)
        group = PROVIDER_NAMES.get(record.spec.provider, record.spec.provider)
        options.setdefault(group, []).append(
            Option(
                slug=machine.slug, label=machine.slug, note=machine.note, group=group, price=machine.per_gpu
            )
        )
    cards = [
        Option(
            slug=record.slug,
            label=record.spec.name,
            note=f"{formats.trimmed(record.spec.memory_bytes / formats.GIB)} GiB, in machines of your own",
            group=OWN_MACHINES,
        )
        for record in catalog.accelerators()
    ]
    return (*(option for group in options.values() for option in group), *cards)


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
    each = None if price is None else formats.dollars_per_hour(price.usd_per_hour / count)
    return MachineOption(
        slug=record.slug,
        accelerators=f"{count} × {chip.name}",
        memory=f"{formats.trimmed(chip.memory_bytes / formats.GIB)} GiB each",
        network=f"{formats.trimmed(gbps)} Gbit/s",
        price="no price" if price is None else str(formats.dollars_per_hour(price.usd_per_hour)),
        per_gpu="no price" if each is None else f"{each.text.removesuffix('/h')}/GPU-h",
        region=where,
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


def model_options(catalog: Catalog) -> tuple[Option, ...]:
    """The catalog's models, by publisher and size as listed."""
    options: dict[str, list[Option]] = {}
    for record in catalog.models():
        size = "" if record.parameters is None else f"{formats.count(record.parameters)} parameters"
        context = "" if record.max_context is None else f"context {record.max_context:,}"
        options.setdefault(record.publisher, []).append(
            Option(
                slug=record.slug,
                label=record.name,
                note=", ".join(part for part in (record.slug, size, context) if part),
                group=record.publisher,
            )
        )
    return tuple(option for group in options.values() for option in group)


def model_card(model: ModelSpec, parameters: int, active: int) -> ModelCard:
    """A model in a few figures. parameters, active: counts, of all and of those that a token meets."""
    facts = [("parameters", formats.count(parameters).text)]
    if active != parameters:
        facts.append(("active", formats.count(active).text))
    layers = f"{model.layers:,}"
    if model.decoder_layers:
        layers += f" + {model.decoder_layers:,}"
    facts.append(("layers", layers))
    facts.append(("width", f"{model.hidden_size:,}"))
    if model.attention_heads:
        shared = f" ({model.kv_heads:,} key-value)" if model.kv_heads != model.attention_heads else ""
        facts.append(("heads", f"{model.attention_heads:,}{shared}"))
    if model.experts:
        facts.append(("experts", f"{model.experts:,}, {model.experts_per_token:,} a token"))
    if model.vocab_size:
        facts.append(("vocabulary", f"{model.vocab_size:,}"))
    if model.max_positions:
        facts.append(("context", f"{model.max_positions:,}"))
    return ModelCard(name=model.name, facts=tuple(facts))


def chip_choices(catalog: Catalog) -> list[tuple[str, str]]:
    """Accelerators for a user's own machines."""
    return [
        ("", "As named above"),
        *((record.slug, record.spec.name) for record in catalog.accelerators()),
    ]


def chip_of(catalog: Catalog, *, chip: str, instance: str) -> str:
    """The slug of the accelerator planned with: the one named, else the instance type's; "" for none."""
    if chip:
        return chip
    try:
        return catalog.instance(instance).spec.accelerator.slug
    except UnknownSlugError:
        return ""


def profile_choices(catalog: Catalog, chip: str, *, chosen: str) -> list[tuple[str, str]]:
    """The MIG profiles of one chip with their memory and share; whole chips first."""
    try:
        whole = catalog.accelerator(chip).spec.memory_bytes if chip else None
        records = catalog.mig_profiles(chip)
    except UnknownSlugError:
        whole, records = None, ()
    first = "Whole chips" if whole is None else f"Whole, {formats.gib(whole)}"
    choices = [("", first if records else "None on this chip")]
    for record in records:
        spec = record.spec
        shares = f"{spec.max_instances} a chip"
        choices.append((spec.profile, f"{spec.profile}, {formats.gib(spec.memory_bytes)}, up to {shares}"))
    if chosen not in dict(choices):
        choices.append((chosen, chosen))
    return choices


def like_choices(catalog: Catalog) -> list[tuple[str, str]]:
    """Accelerators that a card of a user's own may be like."""
    return [("", "none"), *((record.slug, record.spec.name) for record in catalog.accelerators())]
