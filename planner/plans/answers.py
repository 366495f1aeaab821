"""Questions in, answers out: the one way to an answer that command, API, page and fleet share.

Reads the clock and the catalog, so that the engine need not. Changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from django.utils import timezone

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.contract.cluster import priced_cluster
from planner.contract.jsontext import read_json
from planner.contract.parse import parse_plan_request
from planner.contract.precision import ASSUMED_PRECISION, unit_flops_per_s, usual_precision
from planner.contract.render import render_error, render_result
from planner.engine.answer.estimate import estimate, estimate_at, estimate_many
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, Layout, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.specs import MigProfileSpec

Answer = dict[str, Any]

log = logging.getLogger(__name__)


def estimate_plan(data: Any, catalog: Catalog, *, today: date | None = None) -> PlanResult:
    """The answer to one JSON question.  Raises PlanErrors where it makes no sense."""
    request = parse_plan_request(data, catalog, today=today or timezone.localdate())
    return answer_plan(request, catalog)


def answer_plan(request: PlanRequest, catalog: Catalog) -> PlanResult:
    """The answer to a question that was read; other machines are among the remedies where it does not fit.

    Raises PlanErrors for a layout that cannot exist.
    """
    try:
        return estimate(request, shipped_calibration(), elsewhere(request, catalog))
    except PlanError as one:
        raise PlanErrors([one]) from one


def answer_each(requests: Iterable[PlanRequest], *, most_remedies: int = 0) -> list[PlanResult | PlanErrors]:
    """The figures of each of many questions, or what is wrong with it, without explanations.

    most_remedies: changes looked for where a plan does not fit; other machines are not looked at.
    """
    return estimate_many(requests, shipped_calibration(), most_remedies=most_remedies)


def answer_at(layout: Layout, requests: Sequence[PlanRequest]) -> list[PlanResult]:
    """The figures of each question at one complete layout, without explanations and remedies."""
    return estimate_at(layout, requests, shipped_calibration())


def elsewhere(request: PlanRequest, catalog: Catalog) -> Iterator[PlanRequest]:
    """The question on each of ``alternatives``, where no precision was named in that which the chip has.

    Nothing is looked up before the first is asked for: most plans fit.
    """
    assumed = any(code == ASSUMED_PRECISION for code, _ in request.notes)
    for cluster in alternatives(request, catalog):
        precision = usual_precision(cluster.accelerator) if assumed else request.workload.precision
        workload = replace(request.workload, precision=precision)
        yield replace(request, cluster=cluster, workload=workload)


def alternatives(request: PlanRequest, catalog: Catalog) -> list[Cluster]:
    """Machines with more memory per node, of the same number, sold in the same way: the cheapest first.

    Left out is what costs more than another and holds no more, neither on a chip nor on a node.
    In the region asked for, else in the provider's default; other providers where this one has nothing.
    """
    asked = request.cluster
    # Where no precision was named, each machine would be planned in its own.
    assumed = any(code == ASSUMED_PRECISION for code, _ in request.notes)
    node_bytes = asked.accelerators_per_node * asked.accelerator.memory_bytes
    found: list[Cluster] = []
    for record in catalog.instances():
        chip = record.spec.accelerator
        larger = record.spec.accelerators_per_node * chip.memory_bytes > node_bytes
        precision = usual_precision(chip) if assumed else request.workload.precision
        if not larger or unit_flops_per_s(chip, precision) <= 0:
            continue
        regions = catalog.regions(record.slug)
        if not regions:
            continue
        found.append(
            priced_cluster(
                record.spec,
                catalog,
                region=asked.region if asked.region in regions else regions[0],
                purchase=asked.purchase or "on_demand",
                nodes=asked.nodes or 1,
                as_of=asked.price_asked_as_of,
                asked=asked,
            )
        )
    priced = [cluster for cluster in found if cluster.usd_per_node_hour is not None]
    same_provider = [cluster for cluster in priced if asked.provider in (None, cluster.provider)]
    kept: list[Cluster] = []
    for cluster in sorted(same_provider or priced, key=lambda cluster: cluster.usd_per_node_hour or 0.0):
        if not any(_holds_as_much(cheaper, cluster) for cheaper in kept):
            kept.append(cluster)
    return [*larger_partitions(asked, catalog), *kept]


def larger_partitions(asked: Cluster, catalog: Catalog) -> list[Cluster]:
    """The same machines with larger GPU instances, the next larger first.

    Of one size of memory that with most compute. Empty where the plan has no partition.
    """
    own = asked.mig_profile
    if own is None:
        return []
    by_memory: dict[int, MigProfileSpec] = {}
    for record in catalog.mig_profiles(asked.accelerator.slug):
        profile = record.spec
        least = by_memory.get(profile.memory_bytes)
        if profile.memory_bytes > own.memory_bytes and (
            least is None or profile.compute_slices > least.compute_slices
        ):
            by_memory[profile.memory_bytes] = profile
    return [replace(asked, mig_profile=by_memory[size], nodes=asked.nodes or 1) for size in sorted(by_memory)]


def _holds_as_much(cheaper: Cluster, cluster: Cluster) -> bool:
    """Whether nothing would fit on a node of ``cluster`` for want of memory on one of ``cheaper``."""
    chips = cheaper.accelerator.memory_bytes, cluster.accelerator.memory_bytes
    counts = cheaper.accelerators_per_node, cluster.accelerators_per_node
    return chips[0] >= chips[1] and chips[0] * counts[0] >= chips[1] * counts[1]


def estimate_json(data: Any, catalog: Catalog, *, today: date | None = None) -> Answer:
    """The contract's response of ``estimate`` to one JSON value; an ``error`` where it makes no sense."""
    return answered(data, lambda: render_result(estimate_plan(data, catalog, today=today)))


def estimate_text(text: str | bytes, catalog: Catalog) -> Answer:
    """As ``estimate_json``, of JSON text; text that cannot be read is answered with an ``error`` too."""
    return _answered_text(text, catalog, estimate_json)


def _answered_text(text: str | bytes, catalog: Catalog, answer: Callable[[Any, Catalog], Answer]) -> Answer:
    try:
        data = read_json(text)
    except PlanError as unreadable:
        return render_error(unreadable)
    return answer(data, catalog)


def answered(data: Any, answer: Callable[[], Answer]) -> Answer:
    """The answer, or what is wrong with the question; a fault of ours is logged and said in words."""
    (only,) = answered_each(data, lambda: iter((answer(),)))
    return only


def answered_each(data: Any, lines: Callable[[], Iterator[Answer]]) -> Iterator[Answer]:
    """As ``answered``, of an answer of several lines; what goes wrong in the middle is the last of them."""
    request_id = data.get("id") if isinstance(data, dict) else None
    try:
        yield from lines()
    except (PlanError, PlanErrors) as problem:
        yield render_error(problem, request_id=request_id)
    except Exception:  # the doorway: whatever goes wrong behind it, the asker gets an answer and no trace
        log.exception("A question could not be answered")
        fault = PlanError(
            "",
            None,
            "This question could not be answered; the fault is ours.",
            "Report it with the request.",
        )
        yield render_error(fault, request_id=request_id)
