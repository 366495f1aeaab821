"""What the planning form offers: its fields with their help, made from the contract's; example; presets.

A field's name is its query parameter. What it means, what it may be and what is said of it is declared in
``planner.contract.fields``; here stands only what a form has and a contract has not.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

from django import forms

from planner.catalog.facts.records import PROVIDER_NAMES
from planner.contract.card_fields import CARD
from planner.contract.field import Field
from planner.contract.fields import BY_QUERY, CLUSTER, LAYOUT
from planner.contract.price_fields import PRICE_FIELDS
from planner.contract.rl_fields import GENERATION, PPO
from planner.contract.section import NOTHING
from planner.contract.shape_fields import SHAPE
from planner.contract.workload_fields import ADAPTERS, WORKLOAD

Choices = list[tuple[str, str]]
UNIT, WAY, BUDGET, PROVIDER = "unit", "by", "budget", "provider"
FLAG = {True: ("on", "On"), False: ("off", "Off")}
#: With a goal, machines are looked for rather than named.
GOAL = "goal"


class Own(NamedTuple):
    """A field that the form has and the contract's estimate has not."""

    label: str
    help: str
    unit: str = ""
    otherwise: str = ""


OWN: dict[str, Own] = {
    UNIT: Own("Unit", "Whether training data is counted in tokens or in samples, such as images."),
    WAY: Own(
        "Start from",
        "Machines that you name, or a goal: a budget, a number of days or both, for which machines are "
        "looked for in the whole catalog.",
    ),
    PROVIDER: Own("Provider", "Whose machines are looked at."),
}
#: Each stands after another: the unit counts the training data, the rest is the goal's.
AFTER = {"tokens": (UNIT,), "instance": (WAY, PROVIDER)}
NAMES: tuple[str, ...] = tuple(name for query in BY_QUERY for name in (query, *AFTER.get(query, ())))
PICKER = {"data-combobox": True, "spellcheck": "false", "autocapitalize": "off"}
WIDGETS: dict[str, Any] = {
    "model": lambda: forms.TextInput(attrs=PICKER | {"list": "models", "data-slash": True}),
    "instance": lambda: forms.TextInput(attrs=PICKER | {"list": "machines"}),
    "config": lambda: forms.Textarea(attrs={"rows": 7}),
    "task": forms.HiddenInput,
    "critic": lambda: forms.TextInput(attrs=PICKER | {"list": "models"}),
    "reward": lambda: forms.TextInput(attrs=PICKER | {"list": "models"}),
    "region": forms.Select,
    "chip": forms.Select,
    "mig": forms.Select,
    "card_like": forms.Select,
}


def offered(field: Field) -> Choices:
    """The choices of a field, as (value, label): first the one that stands where nothing is said."""
    left_out = [("", field.otherwise)] if field.default is None and not field.required else []
    if field.kind == "flag":
        flags = [FLAG[field.default is not False], FLAG[field.default is False]]
        return [*left_out, *flags]
    if field.kind == "choices":
        return several(field)
    return [*left_out, *((value, word.label) for value, word in (field.choices or {}).items())]


def several(field: Field) -> Choices:
    """Every set of the choices, as (values joined by commas, labels): first none of them."""
    words = {value: word.label for value, word in (field.choices or {}).items() if value != NOTHING}
    sets = [each for size in range(1, len(words) + 1) for each in combinations(words, size)]
    none = (field.choices or {})[NOTHING].label
    return [("", none), *((",".join(each), ", ".join(words[value] for value in each)) for each in sets)]


CHOICES: dict[str, Choices] = {
    UNIT: [("tokens", "tokens"), ("samples", "samples")],
    WAY: [("machines", "These machines"), (GOAL, "Budget or days")],
    PROVIDER: [("", "Any"), *PROVIDER_NAMES.items()],
    **{
        name: offered(field)
        for name, field in BY_QUERY.items()
        if field.kind in ("choice", "choices", "flag")
    },
}

#: What everyone asks of adapters; the rest is folded away.
OF_ADAPTERS_FIRST = ("rank", "targets")
#: What reinforcement learning cannot do without; the rest of its round is folded away.
OF_ROUND_FIRST = ("critic", "reward", "rollout", "answers")
#: The form's folds, each with its fields; what is in none stands in the open.
GROUPS: dict[str, tuple[str, ...]] = {
    "adapters": OF_ADAPTERS_FIRST,
    "adapters_more": tuple(
        field.query
        for field in WORKLOAD.fields
        if field.tasks == ADAPTERS and field.query not in OF_ADAPTERS_FIRST
    ),
    "ppo": OF_ROUND_FIRST,
    "round": tuple(field.query for field in PPO.fields if field.query and field.query not in OF_ROUND_FIRST),
    "engine": tuple(field.query for field in GENERATION.fields),
    "own": tuple(field.query for field in CLUSTER.fields if field.beside == "accelerator"),
    "shape": tuple(field.query for field in SHAPE.fields),
    "price": (*(field.query for field in PRICE_FIELDS), CLUSTER["price_as_of"].query),
    "card": tuple(field.query for field in CARD.fields),
    "layout": (*(field.query for field in LAYOUT.fields if field.query), "recompute"),
}
OPEN = (
    *("model", "config", "name", "task", "tokens", UNIT, "epochs", "seq", "batch"),
    *("instance", "region", "buy", "nodes", "mig", "deadline", WAY, BUDGET, PROVIDER),
)
GROUPS["advanced"] = tuple(
    name for name in NAMES if name not in OPEN and not any(name in group for group in GROUPS.values())
)

#: The empty page: a real plan, Llama 3.1 8B on 1T tokens with 16 x p5.48xlarge.
EXAMPLE = {
    "model": "llama-3.1-8b",
    "task": "pretraining",
    "tokens": "1T",
    UNIT: "tokens",
    WAY: "machines",
    "epochs": "1",
    "batch": "1024",
    "rollout": "512",
    "critic": "same",
    "reward": "same",
    "instance": "p5.48xlarge",
    "nodes": "16",
    "per_node": "8",
}


def _default(name: str) -> str:
    value = BY_QUERY[name].default if name in BY_QUERY else None
    if isinstance(value, bool):
        return FLAG[value][0]
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


#: What a field holds where an address says nothing of it. An empty sequence length is filled in by the model.
DEFAULTS: dict[str, str] = {name: EXAMPLE.get(name, _default(name)) for name in NAMES}


class TextField(forms.CharField):
    """Text, or a number as people write it. unit: what it counts, shown beneath it."""

    def __init__(self, *, unit: str, **said: Any) -> None:
        super().__init__(**said)
        self.unit = unit


def form_field(name: str) -> forms.Field:
    """One field of the form. Numbers are text on purpose: "1T" is a number here, and what is none stays."""
    field: Field | Own = OWN[name] if name in OWN else BY_QUERY[name]
    said: dict[str, Any] = {"label": field.label, "help_text": field.help, "required": False}
    if name == WAY:
        return forms.ChoiceField(choices=CHOICES[WAY], widget=forms.RadioSelect, **said)
    if name in WIDGETS:
        said["widget"] = WIDGETS[name]()
    elif name in CHOICES:
        return forms.ChoiceField(choices=CHOICES[name], **said)
    elif field.otherwise and getattr(field, "section", "") != LAYOUT.section:
        said["widget"] = forms.TextInput(attrs={"placeholder": field.otherwise})
    # Training data has its unit in a field of its own.
    return TextField(unit="" if name == "tokens" else field.unit, **said)


#: Every field of reinforcement learning.
OF_RL = (*GROUPS["ppo"], *GROUPS["round"], *GROUPS["engine"])
