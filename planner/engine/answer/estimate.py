"""The conductor: a question in, the whole answer out. It holds no formula of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from planner.engine.answer.explain import explanation, records_of
from planner.engine.answer.records import Figures, billed_nodes, figures_of, one_plan
from planner.engine.answer.remarks import (
    host_warnings,
    meets_budget,
    meets_deadline,
    reason,
    unavailable,
    warnings_of,
)
from planner.engine.answer.remedies import remedies
from planner.engine.choose.plan import Choice, choose, choose_each, evaluate_choice, evaluate_choices
from planner.engine.memory.explain import recipe_term
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Layout, PlanRequest
from planner.engine.question.result import Evidence, PlanResult, Term
from planner.engine.shape.read_as import read_as
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.evidence import evidence_near
from planner.engine.time.explain import running_terms


def estimate(
    request: PlanRequest, calibration: Calibration, alternatives: Iterable[PlanRequest] = ()
) -> PlanResult:
    """Memory, time and cost of one plan, with intervals, the trace of every number and, where it does not fit
    or is tight, the changes that make it fit.

    alternatives: the question on other machines, to look at then, in this order.
    Raises PlanErrors for a question that makes no sense. A plan that does not fit is a result.
    """
    choice = choose(request, calibration)
    plan = one_plan(evaluate_choice(choice, calibration))
    found = figures_of(choice, plan, calibration)
    explained = replace(
        result_of(choice, found),
        explanation=explanation_of(choice, found, calibration),
        evidence=evidence_of(choice, found, calibration),
    )
    if explained.verdict == "fits":
        return explained
    return replace(explained, remedies=remedies(request, choice, explained, calibration, alternatives))


def estimate_many(
    requests: Iterable[PlanRequest], calibration: Calibration, *, most_remedies: int = 0
) -> list[PlanResult | PlanErrors]:
    """Each request's figures, or the errors of a question that makes no sense, in the order given.

    All of them are computed in one grid, without explanations. most_remedies: as many changes, at most, are
    looked for where a plan does not fit, one plan after another.
    """
    asked = tuple(requests)
    choices = choose_each(asked, calibration)
    sound = [choice for choice in choices if isinstance(choice, Choice)]
    plans = iter(evaluate_choices(sound, calibration))
    answers: list[PlanResult | PlanErrors] = []
    for request, choice in zip(asked, choices, strict=True):
        if isinstance(choice, PlanErrors):
            answers.append(choice)
            continue
        result = result_of(choice, figures_of(choice, one_plan(next(plans)), calibration))
        if most_remedies and not result.fits:
            found = remedies(request, choice, result, calibration, most=most_remedies)
            result = replace(result, remedies=found)
        answers.append(result)
    return answers


def estimate_at(
    layout: Layout, requests: Sequence[PlanRequest], calibration: Calibration
) -> list[PlanResult]:
    """The figures of several questions at one complete layout on the same ranks, whether or not they ask for
    it: what a change of the workload does by itself. Without explanations and remedies.
    """
    choices = [Choice(request=request, layout=layout, open_fields=()) for request in requests]
    plans = evaluate_choices(choices, calibration)
    return [
        result_of(choice, figures_of(choice, one_plan(plan), calibration))
        for choice, plan in zip(choices, plans, strict=True)
    ]


def result_of(choice: Choice, found: Figures) -> PlanResult:
    """The figures as the contract's answer, without explanation and remedies."""
    request, memory = choice.request, found.memory
    fits = bool(found.plan.fits)
    return PlanResult(
        id=request.id,
        fits=fits,
        reason=None if fits else reason(memory, choice.layout),
        layout=choice.layout,
        layout_chosen=choice.open_fields,
        cluster=request.cluster,
        accelerators=billed_nodes(request.cluster) * request.cluster.accelerators_per_node,
        parameters=found.parameters,
        memory=memory,
        time=found.time,
        cost=found.cost,
        explanation=(),
        warnings=(
            *warnings_of(choice, found.plan.grid, time=found.time, cost=found.cost, far=found.far),
            *host_warnings(request.workload, memory),
        ),
        unavailable=unavailable(request, found.time),
        meets_deadline=meets_deadline(request, found.time),
        meets_budget=meets_budget(request, found.cost),
        generation=found.generation,
        model_read_as=read_as(request.model),
    )


def evidence_of(choice: Choice, found: Figures, calibration: Calibration) -> Evidence:
    """What was measured near the plan."""
    cluster = choice.request.cluster
    return evidence_near(
        choice.request,
        calibration.measured,
        parameters=float(found.parameters.total),
        accelerators=float(billed_nodes(cluster) * cluster.accelerators_per_node),
    )


def explanation_of(choice: Choice, found: Figures, calibration: Calibration) -> tuple[Term, ...]:
    """The trace of every figure."""
    workload, grid = choice.request.workload, found.plan.grid
    running = running_terms(workload, grid, calibration.timing)
    return explanation(records_of(found, workload), (recipe_term(workload, grid), *running))
