"""The state of the planning form: what an address says, completed once, and what follows from it.

Everything is worked out when the state is made; what comes after are functions of it: the contract's request,
and the address back. Knows nothing of HTML. What a value means, and whether it makes sense, is said by
``planner.contract`` alone: nothing is put into a question that the form does not show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.contract.card_fields import CARD
from planner.contract.cluster import provider_regions
from planner.contract.field import Field
from planner.contract.fields import CLUSTER, DEADLINE, LAYOUT, PASTED_MODEL
from planner.contract.model import read_model
from planner.contract.price_fields import BUDGET
from planner.contract.rl_fields import GENERATION, PPO
from planner.contract.running_fields import MOE, SEQUENCES
from planner.contract.section import Problems
from planner.contract.shape_fields import SHAPE
from planner.contract.workload import patches
from planner.contract.workload_fields import WORKLOAD
from planner.engine.question.errors import PlanError
from planner.plans.choices import DEFAULTS, UNIT
from planner.plans.pasted_config import (
    MAX_CONFIG_BYTES,
    SHOWN_CHARACTERS,
    is_explicit,
    read_config,
    shape_keys,
)

USUAL_LENGTH = 8192
USUAL_CONFIG_LENGTH = 2048
LONGEST_KEYS = ("max_position_embeddings", "n_positions", "max_positions")
MULTIPLIERS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
MULTIPLIERS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
SPELLED_NUMBER = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([kmgt]i|[kmbgt]?)$", re.IGNORECASE)
#: What an address or a posted form may hold beside fields. usual: the length that the form had filled in;
#: unfold: the fold that a reader without a script opens.
ELSE = frozenset({"csrfmiddlewaretoken", "preset", "sort", "spread", "usual", "unfold"}) | {
    *("as_of", "constants", "was"),
    *("column", "beside"),
    *("only_provider", "only_chip", "only_region", "only_verdict", "only_goal"),
    *("most_days", "most_usd", "most_chip_hour", "most_m_tokens"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormState:
    """values: every field's text.  ignored: names that are not fields.

    chip: the accelerator of machines of one's own, which may stand in the field of the instance type too; ""
    where an instance type is named.
    config: the pasted configuration, None where there is none or ``unreadable`` says why it cannot be read.
    usual_length: the text that fills the sequence length where none was given.
    """

    values: Mapping[str, str]
    chip: str
    config: Mapping[str, Any] | None
    unreadable: PlanError | None
    usual_length: str
    ignored: tuple[str, ...]

    @property
    def changed(self) -> frozenset[str]:
        """The fields that differ from the example."""
        return frozenset(name for name in DEFAULTS if self.values[name] != self.default(name))

    def default(self, name: str) -> str:
        """What a field holds where an address says nothing of it."""
        return self.usual_length if name == "seq" else DEFAULTS[name]

    @property
    def model(self) -> str | dict[str, Any]:
        """The contract's model: a pasted config wins over one's own shape, and that over a name."""
        return _model(self)


def form_state(given: Mapping[str, str], catalog: Catalog, changed: Collection[str] = ()) -> FormState:
    """The state that an address or a posted form stands for.

    changed: fields that the reader changed last. With another machine, a region that its provider does not
    have means nothing; with another model, a length that was the last one's gives way to its own.
    """
    said = {name: text.strip() for name, text in given.items()}
    if said.get("model"):
        said["model"] = named_model(said["model"], catalog)
    if said.get("seq") == said.get("usual"):
        said.pop("seq", None)
    values = {name: said.get(name, default) for name, default in DEFAULTS.items()}
    named = values["instance"] if _is_chip(values["instance"], catalog) else ""
    if "instance" in changed:
        # What was picked last counts: a type puts machines of one's own aside. A card that nobody rents out
        # stands alone in a machine at first.
        values["chip"] = ""
        if named and not _sold(named, catalog):
            values |= {"per_node": said.get("per_node", "1"), "nodes": "1"}
    config, unreadable = _pasted(values["config"])
    if unreadable is not None and len(values["config"]) > MAX_CONFIG_BYTES:
        values["config"] = values["config"][:SHOWN_CHARACTERS] + "…"
    usual = usual_length(values["model"], config, catalog)
    values["seq"] = values["seq"] or usual
    if "instance" in changed and _foreign(values["region"], values["instance"], catalog):
        values["region"] = ""
    return FormState(
        values=MappingProxyType(values),
        chip=values["chip"] or named,
        config=config,
        unreadable=unreadable,
        usual_length=usual,
        ignored=tuple(sorted(set(said) - set(DEFAULTS) - ELSE)),
    )


def address_of(state: FormState, **changes: str) -> str:
    """The query that holds this scenario, defaults left out; ``changes`` override fields first."""
    values = {**state.values}
    if state.config is not None:
        values |= {"config": json.dumps(shape_keys(state.config), separators=(",", ":")), "model": ""}
    values |= changes
    return urlencode([(name, values[name]) for name in DEFAULTS if values[name] != state.default(name)])


def contract_request(state: FormState) -> dict[str, Any]:
    """The contract's request.  Raises PlanError where the pasted config cannot be read as JSON."""
    if state.unreadable is not None:
        raise state.unreadable
    layout = _said(state, LAYOUT.fields)
    return {
        "model": state.model,
        "workload": _workload(state),
        "cluster": _cluster(state),
        **({"layout": layout} if layout else {}),
        **_said(state, [DEADLINE, BUDGET]),
    }


def usual_length(model: str, config: Mapping[str, Any] | None, catalog: Catalog) -> str:
    """The model's own sequence length, up to the usual one; of images, as many tokens as they have."""
    if config is not None:
        pasted = dict(config) if is_explicit(config) else {"hf_config": dict(config)}
        shape = read_model(pasted, "model", catalog, Problems())
        if shape is not None and shape.architecture == "vision_encoder":
            return str(patches(shape))
        longest = next((config[key] for key in LONGEST_KEYS if config.get(key)), None)
        known = longest if isinstance(longest, int) and longest > 0 else USUAL_CONFIG_LENGTH
        return str(min(known, USUAL_LENGTH))
    try:
        record = catalog.model(model)
    except UnknownSlugError:
        return str(USUAL_CONFIG_LENGTH)
    if record.family == "vit":
        shape = read_model(model, "model", catalog, Problems())
        return "" if shape is None else str(patches(shape))
    return str(min(record.max_context or USUAL_CONFIG_LENGTH, USUAL_LENGTH))


def _pasted(text: str) -> tuple[Mapping[str, Any] | None, PlanError | None]:
    if not text:
        return None, None
    try:
        return MappingProxyType(read_config(text)), None
    except PlanError as problem:
        return None, problem


def _is_chip(name: str, catalog: Catalog) -> bool:
    """Whether the field of the instance type holds an accelerator, for machines of one's own."""
    return any(record.slug == name for record in catalog.accelerators())


def _sold(chip: str, catalog: Catalog) -> bool:
    return any(record.spec.accelerator.slug == chip for record in catalog.instances())


def _foreign(region: str, instance: str, catalog: Catalog) -> bool:
    try:
        provider = catalog.instance(instance).spec.provider
    except UnknownSlugError:
        return False
    return region not in provider_regions(catalog, provider)


def _model(state: FormState) -> str | dict[str, Any]:
    named = _said(state, [PASTED_MODEL["name"]])
    if state.config is not None:
        pasted = dict(state.config)
        return {**pasted, **named} if is_explicit(pasted) else {"hf_config": pasted, **named}
    shape = _shape(state)
    return {**shape, **named} if shape else state.values["model"]


def _shape(state: FormState) -> dict[str, Any]:
    """The architecture in the form's fields, where any size was given."""
    if not any(state.values[field.query] for field in SHAPE.fields if field.kind == "whole"):
        return {}
    return {"architecture": "decoder", **_said(state, SHAPE.fields)}


def _cluster(state: FormState) -> dict[str, Any]:
    """A card of one's own wins over a chosen chip, and machines of one's own over an instance type."""
    card = _said(state, CARD.fields)
    description = "accelerator" if state.chip or card else "instance_type"
    said = _said(state, (field for field in CLUSTER.fields if field.beside in ("", description)))
    chip = {"accelerator": state.chip} if state.chip else {}
    return said | chip | ({"accelerator": card} if card else {})


def _workload(state: FormState) -> dict[str, Any]:
    """Fields of other tasks are hidden in the form, and left out; the run's length has its own unit."""
    task = state.values["task"]
    fields = (field for field in WORKLOAD.fields if not field.tasks or task in field.tasks)
    workload = _said(state, fields)
    tokens, epochs = workload.pop("tokens", None), workload.pop("epochs", None)
    if state.values[UNIT] == "samples":
        whole = isinstance(tokens, int | float) and isinstance(epochs, int | float)
        length = {"samples": tokens * epochs if whole else tokens}
    elif epochs in (None, 1):
        length = {"tokens": tokens}
    else:
        length = {"dataset_tokens": tokens, "epochs": epochs}
    # A blank amount is a missing one, which the contract has its own words for.
    workload |= {name: value for name, value in length.items() if value is not None}
    if task == "ppo":
        workload["ppo"] = _ppo(state)
    parts = {"sequences": _said(state, SEQUENCES.fields), "moe": _said(state, MOE.fields)}
    return workload | {name: part for name, part in parts.items() if part}


def _ppo(state: FormState) -> dict[str, Any]:
    actor = state.model
    named = {"same": actor, "none": None, "": actor}
    models = {
        field.name: named.get(state.values[field.query].lower(), state.values[field.query])
        for field in PPO.fields
        if field.kind == "model" and field.query
    }
    round_of_it = _said(state, (field for field in PPO.fields if field.kind != "model"))
    engine = _said(state, GENERATION.fields)
    return {**round_of_it, **models, **({"generation": engine} if engine else {})}


def _said(state: FormState, fields: Iterable[Field]) -> dict[str, Any]:
    """What the form says of these fields, by the contract's names."""
    return {
        field.name: _value(field, state.values[field.query])
        for field in fields
        if field.query and state.values[field.query] != ""
    }


def _value(field: Field, text: str) -> Any:
    match field.kind:
        case "names" | "choices":
            return [part for part in re.split(r"[\s,]+", text) if part]
        case "flag":
            return {"on": True, "off": False}.get(text, text)
        case "whole" | "number" | "share" | "nodes":
            return spelled_number(text)
        case _:
            return text


def named_model(typed: str, catalog: Catalog) -> str:
    """The catalog's slug where a model's published name was typed; otherwise what was typed."""
    wanted = typed.lower()
    names = {record.name.lower(): record.slug for record in catalog.models()}
    return names.get(wanted, wanted if wanted in names.values() else typed)


def spelled_number(text: str) -> int | float | str:
    """1T, 300B, 80Gi, 1.5e12, 1,000,000 or 16 as a number, whole where it is; others stay text."""
    plain = re.sub(r"(?<=\d)[,_ \u00a0](?=\d{3})", "", text.strip())
    match = SPELLED_NUMBER.match(plain)
    if match is None or len(plain) > 40:
        return text
    value = float(match[1]) * MULTIPLIERS[match[2].lower()]
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
