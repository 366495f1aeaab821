"""What a scenario leaves to defaults, as far as it matters, and the same run by each training stack.

Every default of the workload is changed to each of its other values in one grid, at the plan's own layout.
Those that move time, memory or cost by more than a share are shown, and for these the run is planned anew, so
that what is said of a change is what happens when it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from planner.contract.field import Field
from planner.contract.parse import parse_plan_request
from planner.contract.workload_fields import WORKLOAD
from planner.engine.grid.recipe import frozen_precision, memory_recipe
from planner.engine.layout.refusals import stacks_offered, total_ranks
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Framework, PlanRequest, Workload
from planner.engine.question.result import PlanResult
from planner.plans.answers import answer_at, answer_each
from planner.plans.form import ScenarioForm
from planner.plans.room import VERDICTS
from planner.web import formats

#: A default that moves neither time nor memory by more is not shown. Cost goes with time on one cluster.
SHARE = 0.05
#: As many as one reads, each with as many other values.
MOST_FIELDS, MOST_VALUES = 12, 3
#: Fields that are no assumption: what is asked, and what the plan's layout is chosen with.
NOT_ASSUMED = frozenset(
    {"primary_weights", "task", "activation_recompute", "offload", "objective", "recompute_modules"}
)
#: Other precisions that one would take up: what leaves 16 bits for more bits is no question of defaults.
PRECISIONS = ("bf16", "fp16", "fp8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another value of a field. query: the address of the scenario with it.  result: the run then.

    says: what it does to time and memory, in words.
    """

    value: str
    label: str
    query: str
    result: PlanResult
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """A default that matters. value: what it stands for, in words.  effect: the largest share that another
    value moves time or memory by. others: the values that matter, the quickest run first.
    """

    name: str
    label: str
    value: str
    effect: float
    others: tuple[Alternative, ...]


def assumptions(form: ScenarioForm, request: PlanRequest, plan: PlanResult) -> list[Assumption]:
    """The defaults that move time, memory or cost by more than ``SHARE``, the largest effect first."""
    tried = [
        (field, value, changed)
        for field in assumed_fields(form, request)
        for value in other_values(field, request)
        if (changed := _with(form, field, value)) is not None
    ]
    roughly = answer_at(plan.layout, [changed for _, _, changed in tried])
    effects: dict[str, list[tuple[float, Field, Any, PlanRequest]]] = {}
    for (field, value, changed), result in zip(tried, roughly, strict=True):
        moved = _effect(plan, result)
        if moved > SHARE:
            effects.setdefault(field.name, []).append((moved, field, value, changed))
    largest = sorted(effects.values(), key=lambda found: -max(each[0] for each in found))[:MOST_FIELDS]
    kept = [sorted(found, key=lambda each: -each[0])[:MOST_VALUES] for found in largest]
    answers = iter(answer_each([changed for found in kept for *_, changed in found]))
    shown = [_assumption(form, request, plan, found, [next(answers) for _ in found]) for found in kept]
    return sorted((each for each in shown if each is not None), key=lambda each: -each.effect)


def _assumption(
    form: ScenarioForm,
    request: PlanRequest,
    plan: PlanResult,
    found: list[tuple[float, Field, Any, PlanRequest]],
    answers: list[PlanResult | PlanErrors],
) -> Assumption | None:
    """One field with its other values, planned anew; None where a layout of its own makes up for each."""
    field = found[0][1]
    others = [
        Alternative(
            value=_written(value),
            label=value_label(field, value),
            query=form.query(**{field.query: _written(value)}),
            result=answer,
            says=change_in_words(plan, answer),
        )
        for (_, _, value, _), answer in zip(found, answers, strict=True)
        if isinstance(answer, PlanResult) and _effect(plan, answer) > SHARE
    ]
    if not others:
        return None
    return Assumption(
        name=field.name,
        label=field.label,
        value=assumed_value(field, request.workload),
        effect=max(_effect(plan, other.result) for other in others),
        others=tuple(sorted(others, key=lambda other: other.result.time.total_s)),
    )


def assumed_fields(form: ScenarioForm, request: PlanRequest) -> Iterator[Field]:
    """Fields of the workload with choices, or switches, that the scenario leaves at their defaults."""
    for field in WORKLOAD.fields:
        choosable = field.kind in ("choice", "flag") and bool(field.query) and field.name not in NOT_ASSUMED
        of_task = not field.tasks or request.workload.task in field.tasks
        if choosable and of_task and form.values[field.query] == form.state.default(field.query):
            yield field


def other_values(field: Field, request: PlanRequest) -> tuple[Any, ...]:
    """The values that people give a field in such a run, but for its default."""
    values: tuple[Any, ...] = (True, False) if field.kind == "flag" else field.values
    if field.name == "precision":
        values = PRECISIONS
    elif field.name == "framework":
        values = stack_names(request)
    return tuple(value for value in values if value != field.default)


def assumed_value(field: Field, workload: Workload) -> str:
    """What a default stands for in this workload, in words."""
    value = getattr(workload, field.name)
    if value is None:
        recipe = memory_recipe(workload)
        known = {
            "master_weights": recipe.master_weights,
            "loss": recipe.loss,
            "optimizer_kernel": recipe.optimizer_kernel,
            "frozen_precision": frozen_precision(workload),
            "gradient_precision": {4.0: "fp32", 2.0: "bf16"}.get(recipe.gradient_bytes),
        }
        value = known.get(field.name)
    return value_label(field, value) if value is not None else (field.otherwise or "as usual").lower()


def value_label(field: Field, value: Any) -> str:
    """A value of the field for people."""
    if isinstance(value, bool):
        return "on" if value else "off"
    word = (field.choices or {}).get(value)
    return str(value) if word is None else word.in_sentence()


def stack_names(request: PlanRequest, plan: PlanResult | None = None) -> tuple[Framework, ...]:
    """Stacks that people run such a task with on such a chip and that have what is asked for."""
    ranks = None if plan is None else total_ranks(plan.cluster, plan.cluster.nodes or 1)
    return stacks_offered(request, ranks)


def stacks(form: ScenarioForm, request: PlanRequest, plan: PlanResult) -> list[Alternative]:
    """The same run by each stack that people run its task with, the quickest first."""
    own = request.workload.framework
    field = WORKLOAD["framework"]
    asked = [
        (name, changed)
        for name in dict.fromkeys((own, *stack_names(request, plan)))
        if (changed := request if name == own else _with(form, field, name)) is not None
    ]
    answers = answer_each([changed for _, changed in asked])
    found = [
        Alternative(
            value=name,
            label=value_label(field, name),
            query=form.query(**{field.query: name}),
            result=answer,
            says=change_in_words(plan, answer),
        )
        for (name, _), answer in zip(asked, answers, strict=True)
        if isinstance(answer, PlanResult)
    ]
    return sorted(found, key=lambda each: (not each.result.fits, each.result.time.total_s))


def _with(form: ScenarioForm, field: Field, value: Any) -> PlanRequest | None:
    """The scenario with another value of a workload field; None where that makes no sense."""
    asked = form.request()
    asked["workload"] = {**asked["workload"], field.name: value}
    try:
        return parse_plan_request(asked, form.catalog)
    except (PlanError, PlanErrors):
        return None


def _written(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def change_in_words(plan: PlanResult, other: PlanResult) -> str:
    """``12 % less time, 5 % more memory``; what moves by under a per cent is left out."""
    before, after = plan.memory.per_accelerator_bytes.total, other.memory.per_accelerator_bytes.total
    shares = {"time": other.time.total_s / plan.time.total_s - 1.0, "memory": after / before - 1.0}
    told = [
        f"{formats.percent(abs(share))} {'more' if share > 0 else 'less'} {name}"
        for name, share in shares.items()
        if abs(share) >= 0.01
    ]
    fit = "" if other.verdict == plan.verdict else f" ({VERDICTS[other.verdict]})"
    return ", ".join(told or ["no change"]) + fit


def _effect(plan: PlanResult, other: PlanResult) -> float:
    """The larger share by which time or memory moves."""
    before, after = plan.memory.per_accelerator_bytes.total, other.memory.per_accelerator_bytes.total
    return max(abs(other.time.total_s / plan.time.total_s - 1.0), abs(after / before - 1.0))
