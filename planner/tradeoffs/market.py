"""What the trade-offs page looks at: allowed machines, purchases, stacks and sizes, from an address and back.

Makes questions of ``search`` from a scenario and these limits. No database and no clock here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlencode

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.catalog.facts.records import PROVIDER_NAMES
from planner.contract.cluster import provider_regions
from planner.contract.price_fields import INTERRUPTION_FIELDS
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.words import FRAMEWORKS, PRECISIONS, PURCHASES

#: Parameters of the address that are lists, each as many times as it has values.
LISTS = ("providers", "regions", "families", "purchases", "stacks", "precisions", "own")
SINGLE = ("least_nodes", "most_nodes", "margin", "had")
NAMES = (*LISTS, *SINGLE)
#: Every region of each provider, rather than its default.
ALL_REGIONS = "all"
#: Ways to pay that are looked at unless others are named: those without a commitment of years.
USUAL_PURCHASES = ("on_demand", "spot", "capacity_block")
PRECISIONS_OFFERED = ("bf16", "fp16", "fp8")
#: Sizes of clusters that are tried: twice and one and a half times the ones before, as clusters are bought.
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
USUAL_SIZES = (1, 2, 4, 8, 16, 32, 64)
LEAST, MOST = 1, 64
MOST_QUESTIONS = 8
MOST_MARGIN = 90.0
MOST_OWN = 40
#: Plans that a search lists beside the front.
LISTED = 150


@dataclass(frozen=True, slots=True)
class Owned:
    """Machines that one has. slug: an instance type, or an accelerator with ``per_node`` of them in a host.

    hosts: how many.  per_node: 0 for an instance type.
    """

    slug: str
    hosts: int
    per_node: int = 0

    def __str__(self) -> str:
        """As it stands in an address: ``p5.48xlarge:4`` or ``a100-80gb-sxm*8:4``."""
        return f"{self.slug}{f'*{self.per_node}' if self.per_node else ''}:{self.hosts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What is allowed. Empty lists: all, or the usual.

    margin_percent: how far time and cost have to stay below a deadline and a budget.  had: only what is known
    to be offered, and no cluster larger than is sold.  own: only these machines.
    """

    providers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    purchases: tuple[str, ...] = ()
    stacks: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    own: tuple[Owned, ...] = ()
    least_nodes: int = LEAST
    most_nodes: int = MOST
    margin_percent: float = 0.0
    had: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether anything is allowed less, or more, than usual."""
        return any(getattr(self, item.name) != item.default for item in fields(self))

    @property
    def margin(self) -> float:
        """What a deadline or a budget is multiplied by."""
        return 1.0 - self.margin_percent / 100.0

    def query(self) -> str:
        """The part of an address that says this, "" where all is as usual."""
        pairs: list[tuple[str, str]] = []
        for name in LISTS:
            pairs += [(name, str(value)) for value in getattr(self, name)]
        if self.least_nodes != LEAST:
            pairs.append(("least_nodes", str(self.least_nodes)))
        if self.most_nodes != MOST:
            pairs.append(("most_nodes", str(self.most_nodes)))
        if self.margin_percent:
            pairs.append(("margin", f"{self.margin_percent:g}"))
        if self.had:
            pairs.append(("had", "on"))
        return urlencode(pairs)


def read_market(given: Mapping[str, Sequence[str]], catalog: Catalog) -> Market:
    """What an address allows. given: its lists of values.  Raises PlanErrors for what is not known."""
    problems: list[PlanError] = []
    known = known_names(catalog)
    lists: dict[str, tuple[str, ...]] = {}
    for name, offered in known.items():
        said = _values(given.get(name, ()))
        for value in said:
            if value not in offered:
                some = ", ".join(list(offered)[:12])
                problems.append(PlanError(name, value, "This is not known here.", f"Known are {some}."))
        lists[name] = tuple(value for value in said if value in offered)
    least = _whole(given, "least_nodes", LEAST, problems)
    most = _whole(given, "most_nodes", max(MOST, least), problems)
    if least > most:
        problems.append(PlanError("most_nodes", most, f"This is fewer than the least, {least}.", "Raise it."))
    margin = _margin(given, problems)
    own = tuple(_owned(text, catalog, problems) for text in _values(given.get("own", ()))[:MOST_OWN])
    if problems:
        raise PlanErrors(problems)
    return Market(
        **lists,
        own=tuple(each for each in own if each is not None),
        least_nodes=least,
        most_nodes=most,
        margin_percent=margin,
        had=_first(given, "had") == "on",
    )


def known_names(catalog: Catalog) -> dict[str, Mapping[str, str]]:
    """What each list may name, with its words."""
    records = catalog.instances()
    slugs = dict.fromkeys(record.spec.provider for record in records)
    providers = {slug: PROVIDER_NAMES.get(slug, slug) for slug in slugs}
    regions = {region: region for provider in providers for region in provider_regions(catalog, provider)}
    families: dict[str, str] = {}
    for record in sorted(records, key=lambda each: (each.spec.provider, each.spec.family)):
        families.setdefault(record.spec.family, f"{record.spec.family} ({record.spec.accelerator.name})")
    return {
        "providers": providers,
        "regions": {ALL_REGIONS: "every region", **regions},
        "families": families,
        "purchases": {value: word.label for value, word in PURCHASES.items()},
        "stacks": {value: word.label for value, word in FRAMEWORKS.items()},
        "precisions": {value: PRECISIONS[value].label for value in PRECISIONS_OFFERED},
    }


def sizes(market: Market, mine: int | None = None) -> list[int]:
    """Numbers of nodes to try. mine: the reader's own, tried too where it is allowed."""
    least, most = market.least_nodes, market.most_nodes
    usual = (least, most) == (LEAST, MOST)
    tried = USUAL_SIZES if usual else (*SIZES, least, most)
    own = (mine,) if mine else ()
    return sorted({size for size in (*tried, *own) if least <= size <= most})


def questions(
    market: Market, asked: Mapping[str, Any], catalog: Catalog, mine: int | None = None
) -> list[dict[str, Any]]:
    """The contract's questions of ``search``: one for each stack in each precision.

    asked: the contract's request of the scenario.  mine: the plan's own number of nodes.  Raises PlanErrors
    where that would be more questions than MOST_QUESTIONS, or nothing is left.
    """
    workload = dict(asked["workload"])
    stacks = market.stacks or (workload.get("framework"),)
    precisions = market.precisions or (workload.get("precision"),)
    if len(stacks) * len(precisions) > MOST_QUESTIONS:
        count = len(stacks) * len(precisions)
        raise PlanErrors(
            [
                PlanError(
                    "stacks",
                    count,
                    f"{count} pairs of stack and precision are more than {MOST_QUESTIONS}.",
                    "Choose fewer of them.",
                )
            ]
        )
    machines = owned_clusters(market, catalog) if market.own else _any(market, asked, catalog, mine)
    found = []
    for stack in stacks:
        for precision in precisions:
            said = {"framework": stack, "precision": precision}
            found.append(
                {
                    "model": asked["model"],
                    "workload": workload | {name: value for name, value in said.items() if value},
                    "cluster": machines,
                    "objective": "balanced",
                    "limit": LISTED,
                }
            )
    return found


def owned_clusters(market: Market, catalog: Catalog) -> list[dict[str, Any]]:
    """The machines one has, in every number that is tried. Raises PlanErrors where none is left."""
    found: list[dict[str, Any]] = []
    for each in market.own:
        most = min(each.hosts, market.most_nodes)
        for nodes in sorted({*(size for size in SIZES if market.least_nodes <= size <= most), most}):
            if nodes < market.least_nodes:
                continue
            if each.per_node:
                found.append(
                    {
                        "accelerator": each.slug,
                        "accelerators_per_node": each.per_node,
                        "nodes": nodes,
                        "internode_gbps_per_node": UNKNOWN_NETWORK_GBPS,
                    }
                )
            else:
                found.append({"instance_type": each.slug, "nodes": nodes, "purchase": "on_demand"})
    if not found:
        problem = "None of the machines you own is allowed in so many nodes."
        raise PlanErrors([PlanError("own", len(market.own), problem, "Lower the least number of nodes.")])
    return found


#: A network of owned hosts of which nothing is known.  A judgement: one 100 Gbit/s card a host.
UNKNOWN_NETWORK_GBPS = 100.0


def _any(market: Market, asked: Mapping[str, Any], catalog: Catalog, mine: int | None) -> dict[str, Any]:
    filters: dict[str, Any] = {
        "purchases": list(market.purchases or USUAL_PURCHASES),
        "nodes": sizes(market, mine),
    }
    if market.providers:
        filters["providers"] = list(market.providers)
    if market.families:
        filters["families"] = list(market.families)
    if ALL_REGIONS in market.regions:
        providers = market.providers or tuple(dict.fromkeys(r.spec.provider for r in catalog.instances()))
        filters["regions"] = [region for each in providers for region in provider_regions(catalog, each)]
    elif market.regions:
        filters["regions"] = list(market.regions)
    if market.had:
        filters["available_only"] = True
    return {"any": filters | own_terms(asked.get("cluster") or {}, catalog)}


def own_terms(cluster: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """What the scenario's machines say of prices and interruptions, for the whole market: a discount holds
    for its provider, a price of one's own for its machine.
    """
    kept = ("price_as_of", *INTERRUPTION_FIELDS)
    terms: dict[str, Any] = {name: cluster[name] for name in kept if cluster.get(name)}
    slug = cluster.get("instance_type")
    if slug and cluster.get("discount_percent"):
        provider = catalog.instance(slug).spec.provider
        terms["discounts"] = {provider: cluster["discount_percent"]}
    if slug and cluster.get("usd_per_node_hour"):
        terms["own_prices"] = {slug: cluster["usd_per_node_hour"]}
    return terms


def _values(given: Iterable[str]) -> tuple[str, ...]:
    parts = (part.strip() for text in given for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _first(given: Mapping[str, Sequence[str]], name: str) -> str:
    values = given.get(name) or ("",)
    return values[-1].strip()


def _whole(given: Mapping[str, Sequence[str]], name: str, default: int, problems: list[PlanError]) -> int:
    text = _first(given, name).replace(",", "")
    if not text:
        return default
    if text.isdecimal() and 1 <= int(text) <= SIZES[-1]:
        return int(text)
    problems.append(
        PlanError(name, text, "A number of nodes is wanted here.", f"Write a number from 1 to {SIZES[-1]:,}.")
    )
    return default


def _margin(given: Mapping[str, Sequence[str]], problems: list[PlanError]) -> float:
    text = _first(given, "margin").removesuffix("%").strip()
    try:
        value = float(text or 0)
    except ValueError:
        value = -1.0
    if 0.0 <= value <= MOST_MARGIN:
        return value
    problems.append(
        PlanError("margin", text, "A share is wanted here.", f"Write per cents from 0 to {MOST_MARGIN:g}.")
    )
    return 0.0


def _owned(text: str, catalog: Catalog, problems: list[PlanError]) -> Owned | None:
    name, _, count = text.rpartition(":")
    slug, star, per_node = name.partition("*")
    whole = count.isdecimal() and 0 < int(count) <= 100_000
    try:
        if star:
            catalog.accelerator(slug)
        else:
            catalog.instance(slug)
    except UnknownSlugError:
        whole = False
    if not whole or (star and not (per_node.isdecimal() and 0 < int(per_node) <= 1024)):
        remedy = "Write a machine and a count, as p5.48xlarge:4, or h100-80gb-sxm*8:4 for hosts of your own."
        problems.append(PlanError("own", text, "These are no machines that are known here.", remedy))
        return None
    return Owned(slug, int(count), int(per_node) if star else 0)
