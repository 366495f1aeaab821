"""Questions of partitions in, answers out: the one way that command, API and page share."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.contract.jsontext import read_json
from planner.contract.render import render_error
from planner.contract.section import Section
from planner.engine.question.errors import PlanError, PlanErrors
from planner.mig import words
from planner.mig.demands import Sizer
from planner.mig.exports.kubernetes import device_plugin, dra, gpu_operator
from planner.mig.exports.layouts import HostLayout, afterwards, host_layouts, present
from planner.mig.exports.mig_parted import mig_parted
from planner.mig.exports.slurm import slurm
from planner.mig.placement.chip import MEDIA_ENGINES, Chip, Profile
from planner.mig.placement.enumeration import count, count_compute
from planner.mig.placement.openness import fragmentation
from planner.mig.placement.plan import improving, plan
from planner.mig.placement.question import Answer, Placement
from planner.mig.placement.steps import Step, steps
from planner.mig.prices import cheapest, share, shared_out, unused_usd_per_hour
from planner.mig.request import Enumeration, Planning, read_request
from planner.mig.right_sizing import RightSizing, render_right_sizes
from planner.mig.sizing import job_profiles

log = logging.getLogger(__name__)

Json = dict[str, Any]
EXPORTERS: dict[str, Callable[[Sequence[HostLayout]], str]] = {
    "mig_parted": mig_parted,
    "gpu_operator": gpu_operator,
    "device_plugin": device_plugin,
    "dra": dra,
    "slurm": slurm,
}


def mig_text(text: str | bytes, catalog: Catalog) -> Iterator[Json]:
    """The lines that answer JSON text, as ``mig_lines``; text that cannot be read has an ``error`` too."""
    try:
        data = read_json(text)
    except PlanError as unreadable:
        return iter((render_error(unreadable),))
    return mig_lines(data, catalog)


def mig_json(data: Any, catalog: Catalog) -> Json:
    """The contract's response of ``mig`` to one JSON value; an ``error`` where it makes no sense."""
    return _guarded(data, lambda: _answer(read_question(data, catalog), catalog))


def mig_lines(data: Any, catalog: Catalog) -> Iterator[Json]:
    """As ``mig_json``; where the question asks for a stream, layouts in ``progress`` come before, each better
    than the one before or with more proven of it.
    """
    if not (isinstance(data, dict) and data.get("stream") is True):
        yield mig_json(data, catalog)
        return
    found: list[Planning] = []

    def read() -> Json:
        question = read_question(data, catalog)
        if not isinstance(question, Planning):
            return _answer(question, catalog)
        found.append(question)
        return {}

    refused = _guarded(data, read)
    if not found:
        yield refused
        return
    asked = found[0]
    shown: Json = {}
    for answer in improving(asked.question):
        if shown:
            yield {"id": asked.id, "progress": shown}
        shown = _guarded(data, partial(render_plan, asked, answer))
    yield shown


def _guarded(data: Any, answer: Callable[[], Json]) -> Json:
    request_id = data.get("id") if isinstance(data, dict) else None
    try:
        return answer()
    except (PlanError, PlanErrors) as problem:
        return render_error(problem, request_id=request_id)
    except Exception:  # the doorway: whatever goes wrong behind it, the asker gets an answer and no trace
        log.exception("A question of partitions could not be answered")
        fault = PlanError(
            "", None, "This question could not be answered; the fault is ours.", "Report it with the request."
        )
        return render_error(fault, request_id=request_id)


def _answer(question: Enumeration | Planning | RightSizing, catalog: Catalog) -> Json:
    if isinstance(question, Enumeration):
        return render_enumeration(question, catalog)
    if isinstance(question, RightSizing):
        return render_right_sizes(question, catalog)
    return render_plan(question, plan(question.question))


def read_question(data: Any, catalog: Catalog) -> Enumeration | Planning | RightSizing:
    """The question that a JSON value holds.  Raises PlanErrors."""
    return read_request(data, catalog, _sizer(catalog))


def _sizer(catalog: Catalog) -> Sizer:
    """What sizes the jobs of one question, equal ones once; after so many different ones no more."""
    known: dict[tuple[str, str, float], tuple[str, ...]] = {}

    def sized(job: Section, chip: Chip, chance: float) -> tuple[str, ...]:
        key = (json.dumps(job.data, sort_keys=True), chip.slug, chance)
        if key not in known and len({text for text, _, _ in known} | {key[0]}) > words.MAX_JOBS:
            job.problems.add(job.path, None, *words.TOO_MANY_JOBS)
            return ()
        if key not in known:
            known[key] = job_profiles(job, chip, catalog, chance)
        return known[key]

    return sized


def render_enumeration(asked: Enumeration, catalog: Catalog) -> Json:
    """How many configurations there are, and the profiles that they are made of with their prices."""
    found = count(asked.chip, asked.names)
    priced = cheapest(catalog, asked.chip.slug)
    return {
        "id": asked.id,
        "enumerate": asked.chip.slug,
        "valid_configurations": found.valid,
        "maximal_configurations": found.maximal,
        "maximal_multisets": found.maximal_multisets,
        "compute_slices": asked.chip.compute_slices,
        "memory_slices": asked.chip.memory_slices,
        "usd_per_gpu_hour": None if priced is None else priced[1],
        "price_of": None if priced is None else priced[0],
        "profiles": [
            {
                "profile": profile.name,
                "profile_id": profile.number,
                "compute_slices": profile.compute_slices,
                "memory_slices": profile.size,
                "memory_bytes": profile.memory_bytes,
                "starts": list(profile.starts),
                "max_instances": profile.max_instances,
                **{kind: profile.engines.get(kind) for kind in MEDIA_ENGINES},
                "copy_engines": profile.copy_engines,
                "min_driver": profile.min_driver or None,
                "compute_instance_configurations": (within := count_compute(profile.compute_slices)).valid,
                "maximal_compute_instance_configurations": within.maximal,
                "maximal_compute_instance_multisets": within.maximal_multisets,
                **render_price(asked.chip, profile, None if priced is None else priced[1]),
            }
            for profile in (asked.chip.by_name[name] for name in asked.names)
        ],
    }


def render_price(chip: Chip, profile: Profile, usd_per_gpu_hour: float | None) -> Json:
    """What an instance costs as its part of the GPU, and what stays unused where there are as many as fit."""
    part = share(chip, profile)
    return {
        "share_of_gpu": part,
        "usd_per_hour": None if usd_per_gpu_hour is None else usd_per_gpu_hour * part,
        "unused_share_of_gpu": shared_out(chip, [profile.name] * profile.max_instances)[1],
    }


def render_plan(asked: Planning, answer: Answer) -> Json:
    """The contract's response to a question of a layout."""
    question = asked.question
    layouts = host_layouts(question.gpus, answer)
    way = steps(question.gpus, answer)
    before = fragmentation(present(question.gpus))
    after = fragmentation(afterwards(question.gpus, answer))
    rendered: Json = {
        "id": asked.id,
        "objective": question.objective,
        "gpus_used": answer.gpus_used,
        "placements": [_placement(placement) for placement in answer.placements],
        "staying": [_place(each) | {"in_use": each.in_use} for each in answer.staying],
        "destroyed": [_place(each) for each in answer.destroyed],
        "unplaced": [
            {"demand": each.demand, "count": each.count, "reason": each.reason} for each in answer.unplaced
        ],
        "nearest_change": answer.nearest_change,
        "nearest_changes": [
            {
                "kind": change.kind,
                "count": change.count,
                "gpus": [{"accelerator": slug, "count": count} for slug, count in change.gpus],
                "proven": change.proven,
            }
            for change in answer.nearest_changes
        ],
        "served": answer.served,
        "created": answer.created,
        "fewest_destroyed": answer.fewest_destroyed,
        "usd_per_hour": answer.usd_per_hour,
        "unused_usd_per_hour": unused_usd_per_hour(question.gpus, answer),
        "value": _plain(answer.value),
        "optimal": answer.optimal,
        "bound": _plain(answer.bound),
        "elapsed_s": answer.elapsed_s,
        "fragmentation": {"before": round(before.share, 6), "after": round(after.share, 6)},
        "commands": commands(way),
        "steps": [
            {
                "kind": step.kind,
                "host": step.host or None,
                "gpus": list(step.indices),
                "command": step.command,
                "words": step.words,
                "resets_gpu": step.resets_gpu,
            }
            for step in way
        ],
        "mig_parted": mig_parted(layouts),
    }
    for name in asked.exports:
        rendered.setdefault("exports", {})[name] = EXPORTERS[name](layouts)
    return rendered


def commands(way: Sequence[Step]) -> list[str]:
    """The commands in their order; those of several hosts say where to run them."""
    hosts = {step.host for step in way}
    if len(hosts) < 2:
        return [step.command for step in way]
    return [f"{step.command}  # on {step.host}" for step in way]


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _place(placement: Placement) -> Json:
    return {"gpu": placement.gpu, "profile": placement.place.profile, "start": placement.place.start}


def _placement(placement: Placement) -> Json:
    state = "kept" if placement.kept else "created"
    return _place(placement) | {"demand": placement.demand, "state": state}
