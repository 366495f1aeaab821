"""Which field of the partitions page a problem of its question belongs to, so that it is said beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from planner.engine.question.errors import PlanError
from planner.mig.state import State

FIELDS: Mapping[str, tuple[str, str]] = {
    "accelerator": ("chip", "GPU"),
    "instance_type": ("chip", "GPU"),
    "count": ("n", "Number"),
    "existing": ("on", "Present instances"),
    "mig_mode": ("on", "Present instances"),
    "host": ("at", "Host and GPUs"),
    "indices": ("at", "Host and GPUs"),
    "usd_per_gpu_hour": ("usd", "Price"),
}
"""Fields of an entry of ``gpus``: their part of the page's ids, and their label."""
WANTED: Mapping[str, tuple[str, str]] = {"count": ("count", "Number"), "label": ("label", "Label")}
WHOLE: Mapping[str, tuple[str, str]] = {
    "objective": ("mig-objective", "Aim"),
    "profiles": ("mig-profiles", "Plan with"),
    "gpus": ("n-0", "GPUs"),
    "demands": ("count-0", "Demands"),
}
AS_TEXT: Mapping[str, str] = {
    "count": "not a whole number. Write one from 1 on, as 4.",
    "usd_per_gpu_hour": "not a price. Write dollars an hour, as 2.50, or nothing for the list price.",
}
"""What a field's text is not, where it is no number: a page has no quotes to leave out."""
LEAST_TOO = 'Or say the least that serves, as "18 GB, 2 slices".'


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field. id: the control's, "" where none is to blame.  label: where it stands."""

    id: str
    label: str
    text: str


def problems(errors: Iterable[PlanError], state: State) -> list[Problem]:
    """Every problem with the control that it is about."""
    return [_problem(error, state) for error in errors]


def by_control(found: Iterable[Problem]) -> dict[str, str]:
    """What is wrong with each control, in one text."""
    texts: dict[str, list[str]] = defaultdict(list)
    for problem in found:
        if problem.id:
            texts[problem.id].append(problem.text)
    return {control: " ".join(said) for control, said in texts.items()}


def _problem(error: PlanError, state: State) -> Problem:
    text = " ".join(part for part in (error.message, error.remedy) if part)
    field = error.field.rpartition(".")[2]
    if field in AS_TEXT and isinstance(error.value, str):
        text = f'"{error.value}" is {AS_TEXT[field]}'
    section, *rest = error.field.split(".")
    rows = {"gpus": state.planned, "demands": state.asked}.get(section, [])
    if rest and rest[0].isdigit() and int(rest[0]) < len(rows):
        index = rows[int(rest[0])]
        field = rest[1] if len(rest) > 1 else ""
        if section == "gpus":
            name, label = FIELDS.get(field, ("chip", "GPU"))
            return Problem(f"{name}-{index}", f"GPUs, row {index + 1}, {label}", text)
        name, label = WANTED.get(field, ("want", "Each needs"))
        if field == "profile":
            text = f"{text} {LEAST_TOO}"
        return Problem(f"{name}-{index}", f"Demands, row {index + 1}, {label}", text)
    control, label = WHOLE.get(section, ("", ""))
    return Problem(control, label, text)
