"""The contract's ``search``: JSON to ``SearchRequest``.

Everything about model, workload and clusters is read as ``estimate`` reads it, so that a plan found by a
search and sent to ``estimate`` is the same question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, cast

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import InstanceRecord
from planner.contract.cluster import (
    at_own_price,
    discounted,
    interrupted,
    latest_offer,
    priced_cluster,
    provider_regions,
    read_cluster,
    said_of_interruptions,
)
from planner.contract.fields import CLUSTER, LAYOUT_VARIABLES, SEARCH
from planner.contract.market_fields import ANY, MAX_LISTED, MAX_NODES
from planner.contract.parse import (
    note_stale_price,
    open_request,
    parse_plan_request,
    precision_asked,
    read_model_and_workload,
)
from planner.contract.precision import (
    check_precision,
    unit_flops_per_s,
    usual_precision,
    with_usual_precision,
)
from planner.contract.section import Problems, Section, described, near, suggestion
from planner.engine.choose.space import workloads_of
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Cluster, PlanRequest, Workload
from planner.engine.question.search_request import Market, SearchRequest, Variable

DEFAULT_NODES: tuple[int, ...] = ANY["nodes"].default
#: They are made when looked at, so that a million take no memory.
MAX_CLUSTERS = 2_000_000
#: Plans that one question may hold against its answer.
MAX_HELD = 50
#: What ``vary`` tries where it names the precision: those in which models are trained today.
USUAL_PRECISIONS = ("bf16", "fp16", "fp8")


@dataclass(frozen=True, slots=True)
class _OwnTerms:
    """What the buyer's own terms are: only what can be had, per cent by provider, dollars a node-hour by
    instance type, and what is said of interruptions.
    """

    available_only: bool
    discounts: dict[str, float]
    own_prices: dict[str, float]
    interruptions: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Filters:
    """What ``any`` narrows down to; None is no narrowing."""

    providers: list[str] | None
    regions: list[str] | None
    accelerators: list[str] | None
    families: list[str] | None
    purchases: list[str] | None
    nodes: tuple[int, ...]
    as_of: date | None
    terms: _OwnTerms


def parse_search_request(data: Any, catalog: Catalog, *, today: date | None = None) -> SearchRequest:
    """The question that one JSON value asks; ``today`` as for ``parse_plan_request``.  Raises PlanErrors."""
    problems = Problems()
    section = open_request(data, problems)
    section.only(SEARCH.names, SEARCH.hints)
    model, workload = read_model_and_workload(section, catalog)
    if workload is not None and not precision_asked(section):
        workload = _in_usual_precision(section, catalog, workload)
    max_nodes, objective, deadline_days, budget_usd, limit = (
        section.read(SEARCH[name])
        for name in ("max_nodes", "objective", "deadline_days", "budget_usd", "limit")
    )
    vary = _names(section, "vary", SEARCH["vary"].values) or list(LAYOUT_VARIABLES)
    frameworks = _tried(section, "framework", vary, SEARCH["frameworks"].values)
    precisions = _tried(section, "precision", vary, USUAL_PRECISIONS)
    exact = section.read(SEARCH["exact"])
    section.read(SEARCH["stream"])
    clusters = _clusters(section, catalog, workload, max_nodes)
    for cluster in clusters.offers if isinstance(clusters, Market) else clusters:
        note_stale_price(cluster, today, problems)
    held = _why_not(section, catalog, today)
    problems.raise_if_any()
    assert model is not None
    assert workload is not None
    return SearchRequest(
        model=model,
        workload=workload,
        clusters=clusters,
        objective=objective,
        vary=cast(tuple[Variable, ...], tuple(vary)),
        variants=workloads_of(workload, frameworks, precisions),
        exact=exact,
        why_not=held,
        deadline_days=deadline_days,
        budget_usd=budget_usd,
        limit=limit,
        id=section.data.get("id"),
        notes=tuple(problems.notes[:MAX_LISTED]),
        today=today,
    )


def _clusters(
    section: Section, catalog: Catalog, workload: Workload | None, max_nodes: int
) -> Sequence[Cluster]:
    """The clusters to look at, none alike; ``nodes: "auto"`` stands for the usual sizes."""
    given = section.data.get("cluster")
    if given is None:
        section.missing("cluster", SEARCH["cluster"].remedy)
        return ()
    if isinstance(given, dict) and "any" in given:
        return _any_clusters(section, given, catalog, workload, max_nodes)
    listed = [given] if isinstance(given, dict) else given
    if not isinstance(listed, list) or not listed:
        remedy = SEARCH["cluster"].remedy
        section.fail("cluster", f"Clusters are wanted here, not {described(given)}.", remedy)
        return ()
    if len(listed) > MAX_LISTED:
        section.fail("cluster", f"{len(listed):,} clusters are too many.", f"List at most {MAX_LISTED}.")
        return ()
    found: dict[Cluster, None] = {}
    for index, data in enumerate(listed):
        path = "cluster" if isinstance(given, dict) else f"cluster.{index}"
        cluster = read_cluster(data, catalog, section.problems, path=path)
        if cluster is None:
            continue
        if workload is not None:
            check_precision(workload, cluster.accelerator, section.problems, field=path)
        sizes = DEFAULT_NODES if cluster.nodes is None else (cluster.nodes,)
        found |= {replace(cluster, nodes=nodes): None for nodes in sizes if nodes <= max_nodes}
    if not found and not section.problems.errors:
        section.fail(
            "max_nodes",
            "Every cluster asked for has more nodes.",
            "Raise max_nodes or list smaller clusters.",
        )
    return tuple(found)


def _in_usual_precision(section: Section, catalog: Catalog, workload: Workload) -> Workload:
    """As ``estimate`` plans it where all the machines listed lack the usual precision; else as it is."""
    given = section.data.get("cluster")
    listed = given if isinstance(given, list) else [given]
    aside = Problems()
    chips = [
        cluster.accelerator
        for data in listed[:MAX_LISTED]
        if isinstance(data, dict) and "any" not in data and (cluster := read_cluster(data, catalog, aside))
    ]
    alike = chips and all(usual_precision(chip) == usual_precision(chips[0]) for chip in chips)
    return with_usual_precision(workload, chips[0], section.problems) if alike else workload


def _any_clusters(
    section: Section, given: dict[str, Any], catalog: Catalog, workload: Workload | None, max_nodes: int
) -> Sequence[Cluster]:
    outer = Section(given, section.at("cluster"), section.problems)
    outer.only(("any",))
    filters = _read_filters(Section(given["any"], outer.at("any"), section.problems), catalog)
    if section.problems.errors:
        return ()
    sizes = tuple(nodes for nodes in filters.nodes if nodes <= max_nodes)
    instances = [
        record
        for record in catalog.instances()
        if (filters.providers is None or record.spec.provider in filters.providers)
        and (filters.accelerators is None or record.spec.accelerator.slug in filters.accelerators)
        and (filters.families is None or record.spec.family in filters.families)
        and (workload is None or unit_flops_per_s(record.spec.accelerator, workload.precision) > 0)
    ]
    offers = [offer for record in instances for offer in _offers(record, catalog, filters)]
    if len(offers) * len(sizes) > MAX_CLUSTERS:
        outer.fail(
            "any",
            f"This means {len(offers) * len(sizes):,} clusters.",
            _narrower(len(offers), len(sizes)),
        )
        return ()
    clusters = Market(tuple(offers), sizes)
    if not clusters:
        outer.fail(
            "any",
            "Nothing in the catalog is all of this at once.",
            "Leave a filter out, raise max_nodes, or choose a precision that these accelerators have.",
        )
    return clusters


def _narrower(offers: int, sizes: int) -> str:
    """What to leave out of a market that is too large: the axis with most values."""
    if sizes > offers:
        return f"Name fewer node counts than {sizes:,}."
    return f"Narrow regions, purchases or accelerators: they mean {offers:,} offers."


def _offers(record: InstanceRecord, catalog: Catalog, filters: _Filters) -> list[Cluster]:
    """One machine as it can be had: what was asked for and is priced or offered there, on the buyer's terms.

    Regions not named: the provider's default, or the first that has it where the default has not.
    Purchases not named: on demand, or a capacity block where that alone is sold. At a price of the buyer's
    own there is one offer.
    """
    slug, terms = record.slug, filters.terms
    regions = [
        region
        for region in catalog.regions(slug)
        if (filters.regions is None or region in filters.regions)
        and (not terms.available_only or catalog.known_to_be_offered(slug, region))
    ]
    if filters.regions is None or slug in terms.own_prices:
        regions = regions[:1]
    offers: list[Cluster] = []
    for region in regions:
        wanted = filters.purchases
        if wanted is None:
            block_only = catalog.purchases(slug, region) == ("capacity_block",)
            wanted = ["capacity_block"] if block_only else [CLUSTER["purchase"].default]
        if slug in terms.own_prices:
            usual = CLUSTER["purchase"].default
            wanted = [usual] if usual in wanted else wanted[:1]
        for purchase in wanted:
            if filters.as_of is None:
                offer = latest_offer(record.spec, catalog, region, purchase)
                priced = offer.usd_per_node_hour is not None
            else:
                priced = catalog.price(slug, region, purchase, filters.as_of) is not None
                offer = priced_cluster(
                    record.spec, catalog, region=region, purchase=purchase, nodes=None, as_of=filters.as_of
                )
            if filters.purchases is None or priced or slug in terms.own_prices:
                offers.append(_on_terms(offer, record, terms))
    return offers


def _on_terms(offer: Cluster, record: InstanceRecord, terms: _OwnTerms) -> Cluster:
    """An offer of the catalog on the buyer's own terms."""
    if record.slug in terms.own_prices:
        offer = at_own_price(offer, terms.own_prices[record.slug])
    elif record.spec.provider in terms.discounts:
        offer = discounted(offer, terms.discounts[record.spec.provider])
    offer = interrupted(offer, terms.interruptions)
    largest = record.ultracluster_max_accelerators
    if terms.available_only and largest is not None:
        most = max(1, largest // record.spec.accelerators_per_node)
        offer = replace(offer, sale=replace(offer.sale, most_nodes=most))
    return offer


def _read_filters(section: Section, catalog: Catalog) -> _Filters:
    section.only(ANY.names)
    providers = sorted({record.spec.provider for record in catalog.instances()})
    regions = [region for provider in providers for region in provider_regions(catalog, provider)]
    machines = [record.slug for record in catalog.instances()]
    nodes = _node_counts(section)
    return _Filters(
        providers=_names(section, "providers", providers),
        regions=_names(section, "regions", regions),
        accelerators=_names(section, "accelerators", [record.slug for record in catalog.accelerators()]),
        families=_names(section, "families", sorted({each.spec.family for each in catalog.instances()})),
        purchases=_names(section, "purchases", ANY["purchases"].values),
        nodes=nodes,
        as_of=section.read(ANY["price_as_of"]),
        terms=_OwnTerms(
            available_only=section.read(ANY["available_only"]),
            discounts=_numbers(section, "discounts", providers, CLUSTER["discount_percent"].limit),
            own_prices=_numbers(section, "own_prices", machines, CLUSTER["usd_per_node_hour"].limit),
            interruptions=said_of_interruptions(section),
        ),
    )


def _why_not(section: Section, catalog: Catalog, today: date | None) -> tuple[PlanRequest, ...]:
    """The plans to be held against the answer, read as ``estimate`` reads them."""
    given = section.data.get("why_not")
    if given is None or section.problems.errors:
        return ()
    if not isinstance(given, list) or len(given) > MAX_HELD:
        remedy = 'Write [{"cluster": {...}, "layout": {...}}].'
        section.fail("why_not", f"A list of at most {MAX_HELD} plans is wanted here.", remedy)
        return ()
    held: list[PlanRequest] = []
    for index, data in enumerate(given):
        inner = Section(data, section.at(f"why_not.{index}"), section.problems)
        inner.only(("cluster", "layout"))
        if section.problems.errors:
            return ()
        question = {name: section.data[name] for name in ("model", "workload") if name in section.data}
        try:
            held.append(parse_plan_request(question | data, catalog, today=today))
        except PlanErrors as wrong:
            for error in wrong.errors:
                field = section.at(f"why_not.{index}.{error.field}")
                section.problems.add(field, error.value, error.message, error.remedy)
    return tuple(held)


def _tried(section: Section, name: str, vary: list[str], usual: tuple[str, ...]) -> list[str]:
    """The stacks or precisions to try: those listed, or the usual ones where ``vary`` names the axis."""
    listed = _names(section, f"{name}s", SEARCH[f"{name}s"].values)
    return listed if listed is not None else list(usual) if name in vary else []


def _numbers(section: Section, name: str, known: Sequence[str], maximum: float) -> dict[str, float]:
    """An object of positive numbers by known names; empty where absent."""
    if not section.has(name):
        return {}
    inner = Section(section.data[name], section.at(name), section.problems)
    inner.only(known)
    read = {each: inner.positive(each, maximum=maximum) for each in inner.data if each in known}
    return {each: value for each, value in read.items() if value is not None}


def _node_counts(section: Section) -> tuple[int, ...]:
    given = section.data.get("nodes")
    if given is None:
        return DEFAULT_NODES
    if not isinstance(given, list) or not 0 < len(given) <= MAX_LISTED:
        section.fail(
            "nodes", f"A list of node counts is wanted here, not {described(given)}.", "Write [1, 2, 4, 8]."
        )
        return ()
    counts = Section(
        {str(index): value for index, value in enumerate(given)}, section.at("nodes"), section.problems
    )
    return tuple(dict.fromkeys(counts.optional_whole(name, maximum=MAX_NODES) or 1 for name in counts.data))


def _names(section: Section, name: str, known: tuple[str, ...] | list[str]) -> list[str] | None:
    """A list of known names, or None where absent."""
    given = section.data.get(name)
    if given is None:
        return None
    if not isinstance(given, list) or not 0 < len(given) <= MAX_LISTED:
        section.fail(
            name,
            f"A list of names is wanted here, not {described(given)}.",
            "Write it in brackets, or leave it out.",
        )
        return None
    for index, value in enumerate(given):
        if value not in known:
            shown = ", ".join(list(known)[:20])
            section.problems.add(
                section.at(f"{name}.{index}"),
                value,
                f"{described(value)} is not known here.".capitalize()
                if not isinstance(value, str)
                else "This name is not known here.",
                suggestion(near(value, known), f"Known are {shown}."),
            )
    return [value for value in given if value in known]
