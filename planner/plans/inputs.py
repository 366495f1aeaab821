"""What a plan was asked with and what it assumed, field by field: for exports, paper and who signs.

Every field of the contract stands either among the asked ones or, with its default, among the assumed ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from planner.contract.field import Field, Table
from planner.contract.fields import CLUSTER, ESTIMATE, LAYOUT
from planner.contract.workload_fields import WORKLOAD
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans.assumptions import assumed_value, value_label
from planner.web import formats

#: Fields by the path that errors name, over all objects of a question.
FIELDS = {field.path: field for table in ESTIMATE for field in table.fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One field as asked or assumed. path: the contract's name of it.  value: exact, as text."""

    path: str
    label: str
    value: str
    unit: str
    asked: bool

    @property
    def shown(self) -> str:
        """The value with its unit as people read it: choices in words, numbers in groups or as counts."""
        field = FIELDS.get(self.path)
        if field is not None and field.kind == "choice":
            return value_label(field, self.value)
        try:
            if self.unit.startswith("dollars"):
                return f"{formats.dollars(float(self.value))}{self.unit.removeprefix('dollars')}"
            text = str(formats.count(float(self.value)))
        except ValueError:
            text = self.value
        return f"{text} {self.unit}".rstrip()


def inputs(asked: Mapping[str, Any], request: PlanRequest, result: PlanResult) -> list[Input]:
    """All fields that bear on the plan, the asked ones first. asked: the question in the contract's words."""
    given = list(asked_fields(asked))
    said = {each.path for each in given}
    assumed = [
        *_assumed(WORKLOAD, request.workload, said, request.workload.task, request),
        *_assumed(CLUSTER, request.cluster, said, request.workload.task, request),
        *_assumed(LAYOUT, result.layout, said, request.workload.task, request),
    ]
    return given + assumed


def asked_fields(asked: Mapping[str, Any], path: str = "") -> Iterator[Input]:
    """The leaves of a question, by their dotted path."""
    for name, value in asked.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            yield from asked_fields(value, here)
            continue
        field = FIELDS.get(here)
        yield Input(
            path=here,
            label=field.label if field is not None else name.replace("_", " "),
            value=_text(value),
            unit=unit_of(field),
            asked=True,
        )


def assumed_line(asked: Mapping[str, Any], request: PlanRequest, result: PlanResult) -> str:
    """The workload's choices that were left to their defaults, in one line: ``optimizer AdamW, ...``."""
    said = {each.path for each in asked_fields(asked)}
    left = _assumed(WORKLOAD, request.workload, said, request.workload.task, request)
    choices = [each for each in left if FIELDS[each.path].kind == "choice"]
    return ", ".join(f"{each.label.lower()} {each.value}" for each in choices)


def _assumed(table: Table, record: Any, said: set[str], task: str, request: PlanRequest) -> Iterator[Input]:
    for field in table.fields:
        of_task = not field.tasks or task in field.tasks
        if (
            field.path in said
            or not of_task
            or field.name in ("tokens", "samples", "epochs", "dataset_tokens")
        ):
            continue
        value = getattr(record, field.name, None)
        if value == 0 and not isinstance(value, bool):
            continue  # what a plan does not have
        if table is WORKLOAD and field.kind in ("choice", "flag") and hasattr(record, field.name):
            text = assumed_value(field, request.workload)
        elif isinstance(value, str | int | float | bool | date):
            text = value_label(field, value) if field.kind in ("choice", "flag") else _text(value)
        else:
            continue
        yield Input(path=field.path, label=field.label, value=text, unit=unit_of(field), asked=False)


def unit_of(field: Field | None) -> str:
    """The unit, where it is one: what a form says beside a number may be another value instead."""
    return "" if field is None or field.unit.startswith("or ") else field.unit


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
