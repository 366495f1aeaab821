"""What if: the plan with one knob turned at a time, each beside what it does to memory, time and cost.

A row is made of form fields, so that applying it gives exactly the plan that the row shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from planner.contract.parse import parse_plan_request
from planner.contract.precision import unit_flops_per_s
from planner.contract.workload_fields import ADAPTERS
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.result import Verdict as VerdictKind
from planner.engine.question.specs import ComputePrecision
from planner.engine.question.words import FRAMEWORKS, PRECISIONS, RECOMPUTES
from planner.plans.answers import answer_each
from planner.plans.assumptions import stack_names
from planner.plans.form import ScenarioForm, sentence
from planner.plans.room import in_ten, room
from planner.plans.state import contract_request, form_state
from planner.web import formats

#: Below this share of the plan's own, a difference is called none.
SAME_SHARE = 0.002
PRECISIONS_TRIED: tuple[ComputePrecision, ...] = ("bf16", "fp8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One turn of one knob. kind: the verdict, "error" where it makes no sense.  room: the verdict in words.

    time, cost: as they would be.  time_change, cost_change: against the plan.  query: the plan's address.
    """

    setting: str
    kind: VerdictKind | str
    room: str
    query: str
    time: str = ""
    time_change: str = ""
    cost: str = ""
    cost_change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """One knob with its rows. now: its setting in the plan."""

    name: str
    now: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Turn:
    knob: str
    now: str
    setting: str
    changes: dict[str, str]


def what_if(form: ScenarioForm, question: PlanRequest, result: PlanResult, *, today: date) -> list[Knob]:
    """Every knob with what turning it would do."""
    turns = list(_turns(question, result))
    named = form.machines_named(result.cluster)
    asked: dict[int, PlanRequest] = {}
    refused: dict[int, str] = {}
    for index, turn in enumerate(turns):
        state = form_state({**form.values, **named, **turn.changes}, form.catalog)
        try:
            asked[index] = parse_plan_request(contract_request(state), form.catalog, today=today)
        except PlanError as one:
            refused[index] = one.message
        except PlanErrors as several:
            refused[index] = several.errors[0].message
    answers = dict(zip(asked, answer_each(asked.values()), strict=True))
    knobs: dict[str, Knob] = {}
    for index, turn in enumerate(turns):
        answer = answers.get(index)
        query = form.query(**(named | turn.changes))
        if isinstance(answer, PlanResult):
            row = _row(turn.setting, answer, result, query)
        elif turn.knob == "Nodes" and answer is None:
            continue  # of one's own machines, without the network that several need
        else:
            why = refused[index] if answer is None else answer.errors[0].message
            row = Row(setting=turn.setting, kind="error", room=sentence(why), query="")
        before = knobs.get(turn.knob)
        rows = (*before.rows, row) if before else (row,)
        knobs[turn.knob] = Knob(name=turn.knob, now=turn.now, rows=rows)
    return list(knobs.values())


def _turns(question: PlanRequest, result: PlanResult) -> Iterator[_Turn]:
    workload, layout, cluster = question.workload, result.layout, result.cluster
    if question.model.architecture != "vision_encoder":
        now = workload.sequence_length
        for length in (now // 2, now * 2):
            yield _Turn("Sequence length", f"{now:,}", f"{length:,}", {"seq": str(length)})
    now = layout.micro_batch_size
    for size in (now // 2, now * 2):
        if size:
            yield _Turn("Micro-batch", f"{now:,}", f"{size:,}", {"mbs": str(size), "ga": ""})
    if workload.task in ADAPTERS and workload.lora_rank:
        now = workload.lora_rank
        for rank in (now // 2, now * 2, now * 4):
            if rank:
                yield _Turn("LoRA rank", f"{now:,}", f"{rank:,}", {"rank": str(rank)})
    for kind, word in RECOMPUTES.items():
        if kind != layout.activation_recompute:
            spoken = RECOMPUTES[layout.activation_recompute].label
            yield _Turn("Recompute", spoken, word.label, {"recompute": kind})
    for precision in PRECISIONS_TRIED:
        if precision != workload.precision and unit_flops_per_s(cluster.accelerator, precision) > 0:
            spoken = PRECISIONS[workload.precision].label
            yield _Turn("Precision", spoken, PRECISIONS[precision].label, {"precision": precision})
    for stack in stack_names(question, result):
        if stack != workload.framework:
            spoken = FRAMEWORKS[workload.framework].label
            yield _Turn("Stack", spoken, FRAMEWORKS[stack].label, {"framework": stack})
    if cluster.mig_profile is None:
        now = cluster.nodes or 1
        for nodes in (now - 1, now + 1):
            if nodes:
                yield _Turn(
                    "Nodes", f"{now:,}", f"{nodes:,}", {"nodes": str(nodes), "dp": "", "ga": "", "group": ""}
                )


def _row(setting: str, answer: PlanResult, plan: PlanResult, query: str) -> Row:
    tight = f"tight, {in_ten(answer.memory.fit_probability)} of 10"
    return Row(
        setting=setting,
        kind=answer.verdict,
        room=tight if answer.verdict == "tight" else room(answer),
        query=query,
        time=formats.duration(answer.time.total_s).text,
        time_change=_change(answer.time.total_s, plan.time.total_s),
        cost="" if answer.cost is None else formats.dollars(answer.cost.usd).text,
        cost_change=_change(answer.cost.usd, plan.cost.usd) if answer.cost and plan.cost else "",
    )


def _change(value: float, before: float) -> str:
    """A difference as a share with its sign: "-4.2 %"; "same" where there is none to speak of."""
    if before <= 0 or abs(value - before) < SAME_SHARE * before:
        return "same"
    share = (value - before) / before
    sign = "+" if share > 0 else "\N{MINUS SIGN}"
    return f"{sign}{formats.significant(abs(share) * 100, 2)} %"
