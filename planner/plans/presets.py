"""Presets: buttons that fill the workload, and the machines that such a run is usually begun on.

Which of a preset's machines it takes depends on the model: the first, smallest one on which the run fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.engine.question.errors import PlanError, PlanErrors
from planner.plans.answers import answer_each
from planner.plans.choices import DEFAULTS, GROUPS, OF_RL, UNIT, WAY
from planner.plans.state import FormState, contract_request, form_state


class Preset(NamedTuple):
    """A button that fills the workload. says: what it stands for, shown on hover."""

    name: str
    label: str
    says: str


PRESET_BUTTONS = (
    Preset("pretraining", "Pretrain", "From scratch on 1T tokens, 1,024 sequences a batch"),
    Preset(
        "full_finetuning", "Fine-tune on my data", "All weights, 100M tokens of your own, three times over"
    ),
    Preset("lora", "LoRA", "Adapters of rank 16 on frozen weights, 100M tokens, three times over"),
    Preset("qlora", "QLoRA", "Adapters on 4-bit frozen weights, 100M tokens, three times over"),
    Preset("ppo", "PPO", "Reinforcement learning with a critic and a reward model of the same size"),
)

_WORKLOAD = (
    "tokens",
    UNIT,
    "epochs",
    "seq",
    "target",
    "batch",
    *GROUPS["adapters"],
    *GROUPS["adapters_more"],
    *OF_RL,
)
_USUAL = {name: DEFAULTS[name] for name in _WORKLOAD}
_TUNING = {"tokens": "100M", "epochs": "3", "seq": "", "batch": "64"}

PRESETS: dict[str, dict[str, str]] = {
    "pretraining": _USUAL | {"task": "pretraining"},
    "full_finetuning": _USUAL | _TUNING | {"task": "full_finetuning"},
    "lora": _USUAL | _TUNING | {"task": "lora"},
    "qlora": _USUAL | _TUNING | {"task": "qlora"},
    "ppo": _USUAL | {"task": "ppo", "tokens": "100M", "seq": "1024", "batch": "128"},
}

#: The machines that a preset looks at: instance type and number of nodes, the smallest first. "auto": the
#: fewest that fit. Judgement: one card of 24 to 48 GB, one node of eight, then several of the example's.
MACHINES: dict[str, tuple[tuple[str, str], ...]] = {
    "pretraining": (("p5.48xlarge", "16"), ("p5.48xlarge", "auto")),
    "full_finetuning": (("p5.48xlarge", "1"), ("p5.48xlarge", "auto")),
    "lora": (
        ("g6e.xlarge", "1"), ("g6e.12xlarge", "1"), ("g6e.48xlarge", "1"), ("p5.48xlarge", "1"),
        ("p5.48xlarge", "auto"),
    ),
    "qlora": (
        ("g6.xlarge", "1"), ("g6e.xlarge", "1"), ("g6e.12xlarge", "1"), ("g6e.48xlarge", "1"),
        ("p5.48xlarge", "1"), ("p5.48xlarge", "auto"),
    ),
    "ppo": (("p5.48xlarge", "2"), ("p5.48xlarge", "auto")),
}  # fmt: skip
#: What a machine brings along, and loses with another one.
_OF_MACHINES = (
    "region",
    "chip",
    "mig",
    "deadline",
    *(name for name in GROUPS["layout"] if name != "recompute"),
)


def preset_state(given: Mapping[str, str], catalog: Catalog, *, today: date) -> FormState:
    """The state of a form whose preset was pressed: its workload, on the smallest of its machines that fits.

    A run that starts from a goal, or on machines of one's own, keeps them. Where none fits, the last
    machine stands; where the model makes no sense, the first.
    """
    name = given.get("preset", "")
    filled = {**given, **PRESETS.get(name, {})}
    state = form_state(filled, catalog)
    own = bool(state.chip) or any(state.values[field] for field in GROUPS["card"])
    if name not in MACHINES or own or state.values[WAY] != DEFAULTS[WAY]:
        return state
    filled |= {field: DEFAULTS[field] for field in _OF_MACHINES}
    for instance, nodes in MACHINES[name]:
        state = form_state(filled | {"instance": instance, "nodes": nodes}, catalog)
        if _settled(state, catalog, today=today):
            break
    return state


def _settled(state: FormState, catalog: Catalog, *, today: date) -> bool:
    """Whether the run fits, or makes no sense on any machine."""
    try:
        request = parse_plan_request(contract_request(state), catalog, today=today)
    except (PlanError, PlanErrors):
        return True
    (answer,) = answer_each([request])
    return not isinstance(answer, PlanErrors) and answer.verdict == "fits"
