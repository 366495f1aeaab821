"""Every field of the contract moves what it should, the way it should: memory, step, run, bill and range."""

from __future__ import annotations

import pytest

from planner.contract.card_fields import CARD
from planner.contract.fields import ESTIMATE
from planner.engine.question.result import PlanResult
from tests.engine.answer.bases import ABSENT, BASES, answered, base_answer, with_field
from tests.engine.answer.moves import HOLDERS, MOVES, Move

#: What is left of rounding where nothing should move.
ROUNDING = 1e-9


def quantities(result: PlanResult) -> dict[str, float]:
    memory, time = result.memory, result.time
    low, high = time.step_interval_s
    host = memory.host_bytes
    return {
        "memory": memory.per_accelerator_bytes.total,
        "resident": memory.resident_bytes,
        "usable": memory.usable_bytes,
        "chance": memory.fit_probability,
        "host": host,
        # What of the host's memory is left for more.
        "offered": (memory.host_usable_bytes or 0.0) - host,
        "step": time.step_s,
        "total": time.total_s,
        "usd": result.cost.usd if result.cost else 0.0,
        "width": high / low,
        "parameters": result.parameters.total,
        "trained": result.parameters.trainable,
    }


def changed(base: str, changes: dict[str, object]) -> dict[str, object]:
    question = BASES[base]
    for path, value in changes.items():
        question = with_field(question, path, value)
    return question


@pytest.mark.parametrize("move", MOVES, ids=str)
def test_a_field_moves_what_it_should(move: Move) -> None:
    start = base_answer(move.base) if not move.before else answered(changed(move.base, move.before))
    question = with_field(changed(move.base, move.before), move.path, move.value)
    was, now = quantities(start), quantities(answered(question))
    wrong = []
    for word in move.says.split():
        name, sign = (word[:-1], word[-1]) if word[-1] in "+-=" else (word, "")
        change = now[name] / was[name] - 1.0 if was[name] else float(now[name] > 0.0)
        right = {"+": change > ROUNDING, "-": change < -ROUNDING, "=": abs(change) <= ROUNDING}
        if not right.get(sign, abs(change) > ROUNDING):
            wrong.append(f"{word}: {was[name]:.6g} -> {now[name]:.6g}")
    assert not wrong


def test_every_field_is_tried() -> None:
    """A field that no row tries may move nothing at all."""
    fields = {field.path for table in (*ESTIMATE, CARD) for field in table.fields}
    tried = {move.path for move in MOVES}
    assert fields - tried - HOLDERS - {"cluster.accelerator"} == set()
    assert tried <= fields


def test_every_field_moves_something_or_says_why_not() -> None:
    for path in {move.path for move in MOVES}:
        rows = [move for move in MOVES if move.path == path]
        still = [move for move in rows if set(move.says.split()) <= {"memory=", "step=", "usd=", "total="}]
        assert all(move.why for move in still), path
        assert len(still) < len(rows) or path in ("deadline_days", "budget_usd", "model.params_total"), path


def test_what_is_absent_is_taken_away() -> None:
    assert "tokens" not in with_field(BASES["fsdp"], "workload.tokens", ABSENT)["workload"]
