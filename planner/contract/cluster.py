"""The ``cluster`` of a request: an instance type that one can buy, or accelerators described freely.

Looks prices up in the catalog as of the day asked for; no price known is no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast
from weakref import WeakKeyDictionary

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.catalog.facts.records import PriceRecord
from planner.catalog.facts.selling import sale_of
from planner.contract.fields import CLUSTER, OTHER_DESCRIPTION, OWN_CARD, OWN_MACHINES, TWO_FORMS
from planner.contract.market_fields import MAX_NODES
from planner.contract.own_accelerator import read_own_accelerator
from planner.contract.price_fields import INTERRUPTION_FIELDS
from planner.contract.render import BYTES_PER_S_IN_GBPS
from planner.contract.section import Problems, Section, near, suggestion
from planner.engine.question.request import Cluster, Purchase
from planner.engine.question.sale import Interruptions, PriceSpread, Sale
from planner.engine.question.specs import AcceleratorSpec, InstanceSpec
from planner.engine.run.interruptions import RESTART_S, WRITE_S

MAX_SLUG = 100
SECONDS_PER_MINUTE = 60.0
OWN_PRICE = "given in the request"
LIMITS = (
    "host_memory_bytes",
    "host_memory_bandwidth_bytes_per_s",
    "power_limit_watts",
    "matmul_flops_per_s",
    "fabric",
)
USUAL_NAMES = "Use the provider's name, such as p5.48xlarge or a2-megagpu-16g."
#: How long before its first record a list price is taken to have held.  Judgement: machines are sold for
#: years before they are replaced, and P4d's price of its launch in November 2020 held until June 2025.
OLDEST_PRICE_STANDS_IN = timedelta(days=3 * 365)
REGION_UNAVAILABLE = "region_unavailable"


def read_cluster(
    data: Any, catalog: Catalog, problems: Problems, *, path: str = "cluster", beside: tuple[str, ...] = ()
) -> Cluster | None:
    """The cluster at ``path``; None where its machines cannot be told. Every problem is noted.

    beside: names of fields that stand in the same object and are read by the caller.
    """
    section = Section(data, path, problems)
    if not section.sound:
        return None
    if section.has("instance_type") and section.has("accelerator"):
        section.fail(
            "accelerator", "The cluster is described twice, by instance type and by accelerator.", TWO_FORMS
        )
        return None
    if section.has("accelerator"):
        _only(section, "accelerator", beside)
        return _free_cluster(section, catalog)
    if section.has("instance_type"):
        _only(section, "instance_type", beside)
        return _bought_cluster(section, catalog)
    section.only((*CLUSTER.names, *beside), CLUSTER.hints)
    section.missing("instance_type", TWO_FORMS)
    return None


def _only(section: Section, described_by: str, beside: tuple[str, ...]) -> None:
    """The fields of one description; to those of the other, why they have no place here."""
    names = [field.name for field in CLUSTER.fields if field.beside in ("", described_by)]
    others = [name for name in CLUSTER.names if name not in names]
    told = dict.fromkeys(others, OTHER_DESCRIPTION[described_by])
    # A merge patch may leave null where the other description stood; null counts as left out.
    left_out = [name for name in others if name in section.data and section.data[name] is None]
    section.only((*names, *beside, *left_out), {**CLUSTER.hints, **told})


def read_nodes(section: Section) -> int | None:
    """Whole nodes up to ``MAX_NODES``; None for ``"auto"``."""
    if section.data.get("nodes") == "auto":
        return None
    if isinstance(section.data.get("nodes"), str):
        section.fail("nodes", 'A whole number or "auto" is wanted here.', "Write the number without quotes.")
        return 1
    if not section.has("nodes"):
        section.missing("nodes", CLUSTER["nodes"].remedy)
        return 1
    return section.optional_whole("nodes", maximum=MAX_NODES) or 1


def instance_named(section: Section, name: str, catalog: Catalog) -> InstanceSpec | None:
    slug = section.text(name)
    if slug is None:
        return None
    try:
        return catalog.instance(slug[:MAX_SLUG]).spec
    except UnknownSlugError as unknown:
        section.fail(
            name,
            "No instance type of this name is in the catalog.",
            f"{suggestion(unknown.suggestions, USUAL_NAMES)} {OWN_MACHINES}",
        )
        return None


def accelerator_named(section: Section, name: str, catalog: Catalog) -> AcceleratorSpec | None:
    if isinstance(section.data.get(name), dict):
        return read_own_accelerator(section.data[name], section.at(name), catalog, section.problems)
    slug = section.text(name)
    if slug is None:
        return None
    try:
        return catalog.accelerator(slug[:MAX_SLUG]).spec
    except UnknownSlugError as unknown:
        known = ", ".join(record.slug for record in catalog.accelerators())
        section.fail(
            name,
            "No accelerator of this name is in the catalog.",
            f"{suggestion(unknown.suggestions, f'The catalog has {known}.')} {OWN_CARD}",
        )
        return None


def priced_cluster(
    instance: InstanceSpec,
    catalog: Catalog,
    *,
    region: str,
    purchase: str,
    nodes: int | None,
    as_of: date | None,
    asked: Cluster | None = None,
) -> Cluster:
    """The cluster of one instance type with its price in force on a day (None: the latest known).

    ``price_as_of`` is the last day on which the price was seen, or the day asked for if that is earlier.
    asked: a cluster whose discount holds here too where the provider is the same, whose own price does where
    the machine is, and whose figures of interruptions do everywhere.
    """
    price = catalog.price(instance.slug, region, purchase, as_of)
    seen = None if price is None else price.provenance.as_of
    if price is None and as_of is not None and purchase == "on_demand":
        # List prices begin with our oldest source, not with the machine; providers cut them, and seldom
        # raise them, so the oldest one stands in for the days before it, and the answer says so.
        oldest = catalog.oldest_list_price(instance.slug, region)
        if oldest is not None and as_of < oldest.valid_from <= as_of + OLDEST_PRICE_STANDS_IN:
            price, seen = oldest, oldest.valid_from
    cluster = Cluster(
        accelerator=instance.accelerator,
        accelerators_per_node=instance.accelerators_per_node,
        nodes=nodes,
        internode_bytes_per_s=instance.internode_bytes_per_s,
        usd_per_node_hour=None if price is None else price.usd_per_hour,
        instance_type=instance.slug,
        provider=instance.provider,
        region=region,
        purchase=cast(Purchase, purchase),
        price_source=None if price is None else price.provenance.source,
        price_as_of=_known_on(price, seen, as_of),
        price_asked_as_of=as_of,
        sale=sale_of(instance, catalog, region=region, purchase=purchase, price=price, as_of=as_of),
        instance_host_memory_bytes=instance.host_memory_bytes,
    )
    return cluster if asked is None else sold_as(cluster, asked)


#: The offers of each catalog at their latest prices, which hold as long as the catalog does: a search of the
#: whole market reads thousands of them.
_latest_offers: WeakKeyDictionary[Catalog, dict[tuple[str, str, str], Cluster]] = WeakKeyDictionary()


def latest_offer(instance: InstanceSpec, catalog: Catalog, region: str, purchase: str) -> Cluster:
    """As ``priced_cluster`` at the latest price known, its number of nodes open."""
    known = _latest_offers.setdefault(catalog, {})
    key = instance.slug, region, purchase
    if key not in known:
        known[key] = priced_cluster(
            instance, catalog, region=region, purchase=purchase, nodes=None, as_of=None
        )
    return known[key]


def _known_on(price: PriceRecord | None, seen: date | None, as_of: date | None) -> date | None:
    """The last day on which a price was seen, but no later than the day asked for where it held by then."""
    if price is None or seen is None or as_of is None or as_of < price.valid_from:
        return seen
    return min(seen, as_of)


def sold_as(cluster: Cluster, asked: Cluster) -> Cluster:
    """A cluster on the terms of another one, as far as they go for it."""
    sale = asked.sale
    if sale.own_price and asked.instance_type == cluster.instance_type:
        cluster = at_own_price(cluster, cast(float, asked.usd_per_node_hour))
    if sale.discount_percent is not None and asked.provider == cluster.provider:
        cluster = discounted(cluster, sale.discount_percent)
    given = () if sale.interruptions is None else sale.interruptions.given
    if sale.interruptions is None or not given:
        return cluster
    own = {
        "interruptions_per_node_day": sale.interruptions.per_node_day,
        "checkpoint_minutes": (sale.interruptions.checkpoint_s or 0.0) / SECONDS_PER_MINUTE,
        "restart_minutes": sale.interruptions.restart_s / SECONDS_PER_MINUTE,
        "goodput": sale.interruptions.kept_share,
    }
    return interrupted(cluster, {name: own[name] for name in given})


def at_own_price(cluster: Cluster, usd_per_node_hour: float) -> Cluster:
    """At a price of the buyer's own: it is neither old nor uncertain, and nothing is unsold at it."""
    sale = replace(
        cluster.sale,
        own_price=True,
        price_note="",
        not_sold="",
        spread=PriceSpread(),
        moved_to_usd=None,
        moved_on=None,
    )
    return replace(
        cluster,
        usd_per_node_hour=usd_per_node_hour,
        price_source=OWN_PRICE,
        price_as_of=None,
        sale=sale,
    )


def discounted(cluster: Cluster, percent: float) -> Cluster:
    """With what a contract takes off the list price."""
    listed = cluster.usd_per_node_hour
    sale = replace(cluster.sale, discount_percent=percent, list_usd_per_node_hour=listed)
    paid = None if listed is None else listed * (1.0 - percent / 100.0)
    return replace(cluster, usd_per_node_hour=paid, sale=sale)


def interrupted(cluster: Cluster, said: Mapping[str, float]) -> Cluster:
    """With what a question says of interruptions. said: by the names of the fields."""
    known = cluster.sale.interruptions
    if not said or (known is None and not {"interruptions_per_node_day", "goodput"} & set(said)):
        return cluster
    known = known or Interruptions(per_node_day=0.0, write_s=WRITE_S, restart_s=RESTART_S)
    per_node_day = said.get("interruptions_per_node_day")
    checkpoint, restart = said.get("checkpoint_minutes"), said.get("restart_minutes")
    found = replace(
        known,
        per_node_day=known.per_node_day if per_node_day is None else per_node_day,
        source=known.source if per_node_day is None else OWN_PRICE,
        checkpoint_s=known.checkpoint_s if checkpoint is None else checkpoint * SECONDS_PER_MINUTE,
        restart_s=known.restart_s if restart is None else restart * SECONDS_PER_MINUTE,
        kept_share=said.get("goodput", known.kept_share),
        given=tuple(said),
    )
    return replace(cluster, sale=replace(cluster.sale, interruptions=found))


def provider_regions(catalog: Catalog, provider: str) -> list[str]:
    """Every region of a provider that the catalog knows, its default first."""
    slugs = [record.slug for record in catalog.instances() if record.spec.provider == provider]
    default = catalog.default_region(provider)
    return list(dict.fromkeys([default, *(region for slug in slugs for region in catalog.regions(slug))]))


def _bought_cluster(section: Section, catalog: Catalog) -> Cluster | None:
    instance = instance_named(section, "instance_type", catalog)
    nodes = read_nodes(section)
    purchase = section.read(CLUSTER["purchase"])
    as_of = section.read(CLUSTER["price_as_of"])
    region = section.read(CLUSTER["region"])
    if instance is None:
        return None
    if region is not None:
        _check_region(section, instance, region, catalog)
    cluster = priced_cluster(
        instance,
        catalog,
        region=region or catalog.default_region(instance.provider),
        purchase=purchase,
        nodes=nodes,
        as_of=as_of,
    )
    return _with_mig(section, _with_limits(section, _on_own_terms(section, cluster)), catalog)


def _on_own_terms(section: Section, cluster: Cluster) -> Cluster:
    """With the price, the discount and the interruptions that the question gives."""
    usd, percent = section.read(CLUSTER["usd_per_node_hour"]), section.read(CLUSTER["discount_percent"])
    if usd is not None and percent is not None:
        section.fail(
            "discount_percent",
            "A price of your own has no discount.",
            "Keep one: usd_per_node_hour as you pay it, or discount_percent off the list price.",
        )
    elif usd is not None:
        cluster = at_own_price(cluster, usd)
    elif percent is not None:
        cluster = discounted(cluster, percent)
    return interrupted(cluster, said_of_interruptions(section))


def said_of_interruptions(section: Section) -> dict[str, float]:
    """What a question says of machines that are taken back, by the names of the fields."""
    read = {name: section.read(CLUSTER[name]) for name in INTERRUPTION_FIELDS}
    said = {name: value for name, value in read.items() if value is not None}
    lasting = [name for name in ("checkpoint_minutes", "restart_minutes") if name in said]
    spot = section.data.get("purchase") == "spot"
    if lasting and not spot and not said.get("interruptions_per_node_day"):
        section.problems.note(
            "unused_field",
            f"{' and '.join(lasting)} only matter where machines are interrupted: on spot, or with "
            "interruptions_per_node_day.",
        )
    return said


def _free_cluster(section: Section, catalog: Catalog) -> Cluster | None:
    accelerator = accelerator_named(section, "accelerator", catalog)
    nodes = read_nodes(section)
    per_node = section.read(CLUSTER["accelerators_per_node"])
    network = section.read(CLUSTER["internode_gbps_per_node"])
    usd = section.read(CLUSTER["usd_per_node_hour"])
    as_of = section.read(CLUSTER["price_as_of"])
    if not section.has("internode_gbps_per_node") and nodes != 1:
        section.missing("internode_gbps_per_node", CLUSTER["internode_gbps_per_node"].remedy)
    if accelerator is None:
        return None
    cluster = Cluster(
        accelerator=accelerator,
        accelerators_per_node=per_node,
        nodes=nodes,
        # One node alone has no use for the network: its own link stands in.
        internode_bytes_per_s=accelerator.link_bytes_per_s
        if network is None
        else network * BYTES_PER_S_IN_GBPS,
        usd_per_node_hour=usd,
        price_source=None if usd is None else OWN_PRICE,
        price_as_of=as_of,
        price_asked_as_of=as_of,
        sale=Sale(own_price=usd is not None),
    )
    cluster = interrupted(cluster, said_of_interruptions(section))
    return _with_mig(section, _with_limits(section, cluster), catalog)


def _with_limits(section: Section, cluster: Cluster) -> Cluster:
    """Host memory, power limit, measured rate and network kind, which stand beside either description."""
    return replace(cluster, **section.read_all(CLUSTER[name] for name in LIMITS))


def _check_region(section: Section, instance: InstanceSpec, region: str, catalog: Catalog) -> None:
    if region in catalog.regions(instance.slug):
        return
    known = provider_regions(catalog, instance.provider)
    if region not in known:
        section.fail(
            "region",
            f"{instance.provider} has no region of this name in the catalog.",
            suggestion(near(region, known), f"Use for example {known[0]}."),
        )
    else:
        section.problems.note(REGION_UNAVAILABLE, f"{instance.slug} is not known to be offered in {region}.")


def _with_mig(section: Section, cluster: Cluster, catalog: Catalog) -> Cluster:
    name = section.text("mig_profile")
    if name is None:
        return cluster
    chip = cluster.accelerator
    known = [record.spec.profile for record in catalog.mig_profiles(chip.slug)]
    if not known:
        section.fail(
            "mig_profile",
            f"{chip.name} cannot be split by MIG.",
            "Remove it, or choose for example an A100 or H100.",
        )
        return cluster
    if name not in known:
        section.fail(
            "mig_profile",
            f"{chip.name} has no MIG profile of this name.",
            f"{suggestion(near(name, known), '')} It has {', '.join(known)}.".strip(),
        )
        return cluster
    return replace(cluster, mig_profile=catalog.mig_profile(chip.slug, name).spec)
