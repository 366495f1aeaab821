"""Owned hosts of one kind as clusters to plan on: counted in whole hosts, never as a sum of free GPUs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inventory.pages.prices import Pricing, kind_of
from inventory.store.models import Gpu, Host
from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import InstanceRecord
from planner.engine.question.request import Cluster
from planner.tradeoffs.market import Owned


@dataclass(frozen=True, slots=True)
class Pool:
    """Owned hosts of one kind.

    They have the same chip, the same number of chips, and the same network as far as is known.
    """

    accelerator: str
    gpus_per_host: int
    hosts: tuple[Host, ...]
    free: tuple[Host, ...]
    instance: InstanceRecord | None
    assumed_instance: bool

    def cluster(self, catalog: Catalog, nodes: int) -> Cluster:
        """`nodes` of these hosts as a cluster to plan on. Owned machines cost nothing to rent."""
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
    """The fleet's hosts by kind. `hosts` come with their GPUs; mixed hosts and unknown chips are left out."""
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


def is_free(host: Host, now: datetime) -> bool:
    """Whether a whole host could start a run now, by its last report.

    It is free when it was probed lately, none of its GPUs is lost or faulty, all are idle, and none is split
    by MIG.
    """
    if host.stale_at is None or host.stale_at <= now or host.failures:
        return False
    return all(
        gpu.idle_since is not None
        and not gpu.faults
        and gpu.state == Gpu.State.PRESENT
        and gpu.mig_mode is not True
        for gpu in host.gpus.all()
    )


def owned_address(owned: Sequence[Pool]) -> list[str]:
    """The pools as the trade-offs page reads them from an address: instance types, or hosts of a chip."""
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for pool in owned:
        key = (pool.accelerator, pool.gpus_per_host) if pool.instance is None else (pool.instance.slug, 0)
        counts[key] += len(pool.hosts)
    return [str(Owned(slug, hosts, per_node)) for (slug, per_node), hosts in counts.items()]
