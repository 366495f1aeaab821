"""The conductor: a question in, the whole answer out. It holds no formula of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from planner.engine.answer.explain import explanation, records_of
from planner.engine.answer.records import (
    billed_nodes,
    cost_of,
    memory_of,
    one_plan,
    parameters_of,
    time_of,
    work_of,
)
from planner.engine.answer.remarks import reason, warnings_of
from planner.engine.choose.plan import Choice, choose, evaluate_choice
from planner.engine.choose.remedies import nearest_fit
from planner.engine.evaluate import Evaluation
from planner.engine.memory.explain import recipe_term
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.shape.read_as import read_as
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.intervals import what_is_far


def estimate(
    request: PlanRequest, calibration: Calibration, alternatives: Sequence[Cluster] = ()
) -> PlanResult:
    """Memory, time and cost of one plan, with intervals and the trace of every number.

    alternatives: machines to look at, in this order, when the plan fits in no way on its own.
    Raises PlanErrors for a question that makes no sense. A plan that does not fit is a result.
    """
    choice = choose(request, calibration)
    return answer(choice, evaluate_choice(choice, calibration), calibration, alternatives)


def estimate_many(requests: Iterable[PlanRequest], calibration: Calibration) -> list[PlanResult | PlanErrors]:
    """Each request's result, or the errors of a question that makes no sense, in the order given."""
    answers: list[PlanResult | PlanErrors] = []
    for request in requests:
        try:
            answers.append(estimate(request, calibration))
        except PlanErrors as errors:
            answers.append(errors)
        except PlanError as error:
            answers.append(PlanErrors([error]))
    return answers


def answer(
    choice: Choice, result: Evaluation, calibration: Calibration, alternatives: Sequence[Cluster]
) -> PlanResult:
    """Turn the grid of one into the contract's answer."""
    request, plan = choice.request, one_plan(result)
    far = what_is_far(plan.grid, calibration.intervals, ppo=request.workload.ppo is not None)
    work = work_of(choice, plan)
    parameters = parameters_of(plan.grid)
    memory = memory_of(plan, request, far=far, calibration=calibration)
    time = time_of(plan, request, work=work, far=far, calibration=calibration)
    cost = cost_of(plan, request, time)
    records = records_of(
        plan, request.workload, work=work, parameters=parameters, memory=memory, time=time, cost=cost
    )
    fits = bool(plan.fits)
    return PlanResult(
        id=request.id,
        fits=fits,
        reason=None if fits else reason(memory, choice.layout),
        nearest_fit=None if fits else nearest_fit(choice, calibration, alternatives),
        layout=choice.layout,
        layout_chosen=choice.open_fields,
        cluster=request.cluster,
        accelerators=billed_nodes(request.cluster) * request.cluster.accelerators_per_node,
        parameters=parameters,
        memory=memory,
        time=time,
        cost=cost,
        explanation=explanation(records, recipe_term(request.workload, plan.grid)),
        warnings=warnings_of(choice, plan.grid, total_s=time.total_s, far=far),
        model_read_as=read_as(request.model),
    )
