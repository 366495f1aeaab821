"""What the fleet is worth to a plan: idle dollars, and have against need.

The one place where fleet and planning meet; it uses the planner's public functions and gives them
clusters made of hosts that exist. A cluster is counted in whole hosts of one kind, never in a sum
of free GPUs: two halves of two hosts are not one host.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from inventory.matching import accelerator_slug
from inventory.models import Gpu, Host
from inventory.selectors import HostKind
from inventory.snapshot import Reading
from planner.catalog.calibration import shipped_calibration
from planner.catalog.catalog import Catalog, UnknownSlugError
from planner.catalog.records import InstanceRecord, PriceRecord
from planner.contract.parse import parse_plan_request
from planner.engine.errors import PlanErrors
from planner.engine.estimate import estimate_many
from planner.engine.request import Cluster, LayoutRequest, PlanRequest
from planner.engine.result import PlanResult

HOURS_A_DAY = 24
# Of the A100, H100, H200 and B200.
USUAL_MEMORY_SLICES = 8


@dataclass(frozen=True, slots=True)
class Price:
    """What one GPU of a host would cost by the hour, and which row of the catalog says so."""

    usd_per_gpu_hour: float
    instance_type: str
    record: PriceRecord
    assumed: bool


class Pricing:
    """Prices of owned hosts by the catalog: by their instance type where it is set, else by their GPUs."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    @cached_property
    def slugs(self) -> frozenset[str]:
        return frozenset(record.slug for record in self.catalog.accelerators())

    def slug_of(self, gpu_name: str) -> str | None:
        return accelerator_slug(gpu_name, self.slugs)

    def instance_of(self, kind: HostKind) -> tuple[InstanceRecord, bool] | None:
        """The instance type, and whether that is assumed; None where the catalog has none like it."""
        if kind.instance_type:
            try:
                return self.catalog.instance(kind.instance_type), False
            except UnknownSlugError:
                return None
        slug = self.slug_of(kind.gpu_name)
        alike = [r for r in self.catalog.instances() if slug is not None and r.spec.accelerator.slug == slug]
        if not alike:
            return None
        # The same number of GPUs first; among those one with a price, the cheapest per GPU.
        return min(
            alike,
            key=lambda r: (
                r.spec.accelerators_per_node != kind.gpus,
                self._usd_per_gpu_hour(r, kind.region),
                r.slug,
            ),
        ), True

    def of(self, kind: HostKind) -> Price | None:
        """On-demand price of one GPU-hour on such a host; None where the catalog knows none."""
        found = self.instance_of(kind)
        if found is None:
            return None
        record, assumed = found
        price = self._price(record, kind.region)
        if price is None:
            return None
        return Price(price.usd_per_hour / record.spec.accelerators_per_node, record.slug, price, assumed)

    def _usd_per_gpu_hour(self, record: InstanceRecord, region: str) -> float:
        price = self._price(record, region)
        return math.inf if price is None else price.usd_per_hour / record.spec.accelerators_per_node

    def _price(self, record: InstanceRecord, region: str) -> PriceRecord | None:
        for place in (region, *self.catalog.regions(record.slug)):
            if place and (price := self.catalog.price(record.slug, place, "on_demand")) is not None:
                return price
        return None


@dataclass(frozen=True, slots=True)
class IdleCost:
    """`usd_per_day` of `priced` idle GPUs; `unpriced` ones have no price in the catalog."""

    usd_per_day: float
    priced: int
    unpriced: int
    prices: tuple[Price, ...]


def idle_cost(idle: Iterable[tuple[HostKind, int]], pricing: Pricing) -> IdleCost:
    """What idle GPUs would cost to rent, by the day, at list prices on demand. `idle`: kinds with counts."""
    total, priced, unpriced = 0.0, 0, 0
    used: dict[str, Price] = {}
    for kind, count in idle:
        price = pricing.of(kind)
        if price is None:
            unpriced += count
            continue
        priced += count
        total += count * price.usd_per_gpu_hour * HOURS_A_DAY
        used[price.instance_type] = price
    return IdleCost(total, priced, unpriced, tuple(used[slug] for slug in sorted(used)))


# --- have against need ---


@dataclass(frozen=True, slots=True)
class Pool:
    """Owned hosts of one kind: the same chip, as many of them, and the same network as far as is known."""

    accelerator: str
    gpus_per_host: int
    hosts: tuple[Host, ...]
    free: tuple[Host, ...]
    instance: InstanceRecord | None
    assumed_instance: bool

    def cluster(self, catalog: Catalog, nodes: int) -> Cluster:
        """`nodes` of these hosts as a cluster to plan on. One's own machines cost nothing to rent."""
        if self.instance is not None:
            spec = self.instance.spec
            chip, network = spec.accelerator, spec.internode_bytes_per_s
        else:
            chip, network = catalog.accelerator(self.accelerator).spec, 0.0
        return Cluster(
            accelerator=chip,
            accelerators_per_node=self.gpus_per_host,
            nodes=nodes,
            internode_bytes_per_s=network,
            instance_type=None if self.instance is None else self.instance.slug,
        )


def pools(hosts: Sequence[Host], pricing: Pricing, *, now: datetime) -> list[Pool]:
    """The fleet's hosts by kind. `hosts` come with their GPUs; mixed hosts and unknown chips are left out.

    A host is free when it has been heard of lately, none of its GPUs is lost or faulty, all are idle,
    and none is cut by MIG.
    """
    by_kind: dict[tuple[str, int, str], list[Host]] = defaultdict(list)
    for host in hosts:
        slugs = {pricing.slug_of(gpu.name) for gpu in host.gpus.all()}
        slug = slugs.pop() if len(slugs) == 1 else None
        if slug is not None:
            by_kind[slug, len(host.gpus.all()), host.instance_type].append(host)
    found = []
    for (slug, gpus, _), alike in sorted(by_kind.items()):
        chosen = pricing.instance_of(kind_of(alike[0]))
        instance, assumed = chosen if chosen is not None else (None, True)
        free = tuple(host for host in alike if is_free(host, now))
        found.append(Pool(slug, gpus, tuple(alike), free, instance, assumed))
    return found


def kind_of(host: Host) -> HostKind:
    """The kind of a host whose GPUs are all alike; `host` comes with them."""
    gpus = list(host.gpus.all())
    return HostKind(gpus[0].name if gpus else "", len(gpus), host.instance_type, host.region)


def is_free(host: Host, now: datetime) -> bool:
    """Whether a whole host could start a run now, as far as its last word says."""
    if host.stale_at is None or host.stale_at <= now or host.failures:
        return False
    return all(
        gpu.idle_since is not None
        and not gpu.faults
        and gpu.state == Gpu.State.PRESENT
        and gpu.mig_mode is not True
        for gpu in host.gpus.all()
    )


@dataclass(frozen=True, slots=True)
class Match:
    """A plan on a pool: with the fewest hosts it fits on, now and if the busy ones were free."""

    pool: Pool
    needed: int | None
    result: PlanResult | None
    problem: str

    @property
    def fits_now(self) -> bool:
        return self.needed is not None and self.needed <= len(self.pool.free)

    @property
    def fits_owned(self) -> bool:
        return self.needed is not None and self.needed <= len(self.pool.hosts)

    @property
    def missing_now(self) -> int:
        """Free hosts that lack for a start now; 0 where it fits, or could not whatever were free."""
        return 0 if self.needed is None else max(0, self.needed - len(self.pool.free))


def have_against_need(request: PlanRequest, owned: Sequence[Pool], catalog: Catalog) -> list[Match]:
    """The plan on each pool, layout chosen anew, on the fewest hosts that fit: ready ones first."""
    matches = [_match(request, pool, catalog) for pool in owned]
    return sorted(
        matches,
        key=lambda m: (
            not m.fits_now,
            not m.fits_owned,
            m.result is None,
            m.result.time.total_s if m.result is not None else 0.0,
        ),
    )


def _match(request: PlanRequest, pool: Pool, catalog: Catalog) -> Match:
    """All hosts first: where those do not fit, fewer do not either; then halves to the fewest that do."""

    def ask(nodes: int) -> PlanResult | PlanErrors:
        cluster = pool.cluster(catalog, nodes)
        question = replace(request, cluster=cluster, layout=LayoutRequest(), deadline_days=None, notes=())
        return estimate_many([question], shipped_calibration())[0]

    most = len(pool.hosts)
    answer = ask(most)
    if isinstance(answer, PlanErrors):
        return Match(pool, None, None, answer.errors[0].message)
    if not answer.fits:
        return Match(pool, None, answer, answer.reason or "It does not fit.")
    low, high, best = 1, most, answer
    while low < high:
        middle = (low + high) // 2
        found = ask(middle)
        if isinstance(found, PlanResult) and found.fits:
            high, best = middle, found
        else:
            low = middle + 1
    return Match(pool, high, best, "")


def memory_slices(gpu_name: Reading[str], pricing: Pricing) -> int:
    """How many memory slices MIG cuts such a GPU into: 8, save where the catalog's profiles end sooner."""
    slug = pricing.slug_of(gpu_name) if isinstance(gpu_name, str) else None
    specs = [record.spec for record in pricing.catalog.mig_profiles(slug)] if slug else []
    return max((spec.memory_slices for spec in specs), default=USUAL_MEMORY_SLICES)


# --- what could I train here ---

# Public models from small to large, of the kinds people ask about; those the catalog lacks are left out.
MODELS_TO_TRY = (
    "bert-large-uncased",
    "gpt2",
    "llama-3.2-1b",
    "llama-3.2-3b",
    "llama-2-7b",
    "llama-3.1-8b",
    "mistral-7b",
    "llama-2-13b",
    "qwen3-30b-a3b",
    "mixtral-8x7b",
    "llama-3.1-70b",
    "llama-3.1-405b",
)
TASKS_TO_TRY = ("pretraining", "full_finetuning", "lora", "qlora")
# A question needs a batch and a length; whether it fits depends on the length, which the page names.
SEQUENCE_LENGTH_TO_TRY = 2048
ENCODER_LENGTH_TO_TRY = 512


@dataclass(frozen=True, slots=True)
class Trainable:
    """A model on one host: for each kind of run its result, or None where the question makes no sense."""

    model: str
    answers: dict[str, PlanResult | None]


def trainable(pool: Pool, catalog: Catalog) -> list[Trainable]:
    """What fits on one host of the pool: well-known models and kinds of run, layouts chosen by the engine."""
    known = {record.slug for record in catalog.models()}
    asked = [(model, task) for model in MODELS_TO_TRY if model in known for task in TASKS_TO_TRY]
    answers = {pair: _try(*pair, pool, catalog) for pair in asked}
    return [
        Trainable(model, {task: answers[model, task] for task in TASKS_TO_TRY})
        for model in dict.fromkeys(model for model, _ in asked)
    ]


def _try(model: str, task: str, pool: Pool, catalog: Catalog) -> PlanResult | None:
    """bf16 where the chip has it, else fp16."""
    chip = catalog.accelerator(pool.accelerator).spec
    encoder = model.startswith("bert")
    question = {
        "model": model,
        "workload": {
            "task": task,
            "tokens": 1e9,
            "sequence_length": ENCODER_LENGTH_TO_TRY if encoder else SEQUENCE_LENGTH_TO_TRY,
            "global_batch_size": 64,
            "precision": "bf16" if chip.bf16_flops_per_s > 0 else "fp16",
        },
        "cluster": {
            "accelerator": pool.accelerator,
            "accelerators_per_node": pool.gpus_per_host,
            "nodes": 1,
            "internode_gbps_per_node": 100,
        },
    }
    try:
        request = parse_plan_request(question, catalog)
    except PlanErrors:
        return None
    answer = estimate_many([replace(request, cluster=pool.cluster(catalog, 1))], shipped_calibration())[0]
    return answer if isinstance(answer, PlanResult) else None
