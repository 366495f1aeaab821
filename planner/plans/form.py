"""The planning form: the fields that a page shows, filled with a state, and the errors beside them.

It holds nothing of its own but the state it was made with; the contract's errors are shown beside the field
that they name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from datetime import date
from typing import Any

from django import forms
from django.forms import BoundField
from django.http import QueryDict
from django.utils.functional import cached_property

from planner.catalog.facts.catalog import Catalog
from planner.contract.fields import CLUSTER, ESTIMATE
from planner.contract.workload_fields import WORKLOAD
from planner.engine.question.errors import PlanError
from planner.engine.question.request import Cluster
from planner.plans import picker
from planner.plans.choices import (
    BUDGET,
    CHOICES,
    DEFAULTS,
    GOAL,
    GROUPS,
    NAMES,
    OPEN,
    PROVIDER,
    WAY,
    form_field,
)
from planner.plans.state import FormState, address_of, contract_request, form_state
from planner.plans.terms import TERMS

#: Contract path -> form field, for errors; the longest path that an error's field begins with wins.
ERROR_FIELDS: dict[str, str] = {
    **{field.path: field.query for table in ESTIMATE for field in table.fields if field.query},
    # What has no field of its own is shown at the first field of its section, or at what it is made from.
    "": "model",
    "budget_usd": BUDGET,
    "cluster.any": PROVIDER,
    "cluster.any.purchases": "buy",
    "workload": "tokens",
    "workload.dataset_tokens": "tokens",
    "workload.samples": "tokens",
    "workload.ppo": "rollout",
    "workload.ppo.generation": "engine",
    "workload.ppo.actor": "model",
    "workload.ppo.reference": "model",
    "cluster": "instance",
    "layout": "tp",
    "layout.activation_recompute": "recompute",
}


class ScenarioForm(forms.Form):
    """One plan as a person writes it. What is missing has a default or an error of the contract."""

    def __init__(self, state: FormState, catalog: Catalog) -> None:
        self.state = state
        self.catalog = catalog
        # Django copies all fields for every form; an answer needs none of them, so they are made when shown.
        self.base_fields = {}  # type: ignore[misc]
        super().__init__(data=state.values)
        del self.base_fields, self.fields

    @cached_property
    def fields(self) -> dict[str, forms.Field]:  # type: ignore[override]  # a plain attribute in Django
        """The fields with what they offer in this state."""
        state, catalog = self.state, self.catalog
        fields = deepcopy(type(self).base_fields)
        for name, field in fields.items():
            described = f"help-{name} error-{name}"
            field.term = TERMS.get(name, "")  # type: ignore[attr-defined]  # for the field's hint
            field.widget.attrs["aria-describedby"] = described
            offered = CHOICES.get(name)
            if isinstance(field, forms.ChoiceField) and offered and state.values[name] not in dict(offered):
                # An unknown choice stays as typed; the contract says what is wrong with it.
                field.choices = [*offered, (state.values[name], state.values[name])]
        region, bought = state.values["region"], state.values["buy"]
        regions = picker.region_choices(catalog, state.values["instance"], purchase=bought, chosen=region)
        chip = picker.chip_of(catalog, chip=state.chip, instance=state.values["instance"])
        offers = {
            "region": regions,
            "chip": picker.chip_choices(catalog),
            "mig": picker.profile_choices(catalog, chip, chosen=state.values["mig"]),
            "card_like": picker.like_choices(catalog),
        }
        for name, choices in offers.items():
            widget = fields[name].widget
            assert isinstance(widget, forms.Select)
            widget.choices = choices
        return fields

    def __getitem__(self, name: str) -> BoundField:
        """A field by its name. Templates ask so for everything first, which is no reason to make them."""
        if name not in type(self).base_fields:
            raise KeyError(name)
        return super().__getitem__(name)

    @classmethod
    def of_query(cls, query: QueryDict, catalog: Catalog, changed: Collection[str] = ()) -> ScenarioForm:
        """The form that an address or a posted form fills; ``changed``: what the reader changed last."""
        return cls(form_state({name: query.get(name, "") for name in query}, catalog, changed), catalog)

    @property
    def by_goal(self) -> bool:
        """Whether machines are looked for by budget and deadline, rather than named."""
        return self.values[WAY] == GOAL

    @property
    def untouched(self) -> bool:
        """Whether the form is the example that the empty page shows."""
        return not self.state.changed

    @property
    def values(self) -> Mapping[str, str]:
        return self.state.values

    @property
    def ignored(self) -> tuple[str, ...]:
        return self.state.ignored

    @property
    def own_model(self) -> bool:
        """Whether the model is pasted or described, so that the page says what was recognised."""
        return self.state.config is not None or not isinstance(self.request()["model"], str)

    @cached_property
    def groups(self) -> dict[str, list[BoundField]]:
        """The fields of each fold."""
        return {group: [self[name] for name in names] for group, names in GROUPS.items()}

    def request(self) -> dict[str, Any]:
        """The contract's request.  Raises PlanError where the pasted config cannot be read as JSON."""
        return contract_request(self.state)

    def asked(self) -> dict[str, Any]:
        """The request without what the reader left at its default in the form's folds."""
        request = self.request()
        for table in (WORKLOAD, CLUSTER):
            for field in table.fields:
                folded = field.query and field.query not in OPEN
                if folded and self.values[field.query] == self.state.default(field.query):
                    request[table.section].pop(field.name, None)
        return request

    def query(self, **changes: str) -> str:
        """The address that holds this scenario, defaults left out; ``changes`` override fields first."""
        return address_of(self.state, **changes)

    def machines_named(self, cluster: Cluster) -> dict[str, str]:
        """Field changes after which the form names the machines that a goal found; none where it does."""
        if not self.by_goal:
            return {}
        return {
            WAY: DEFAULTS[WAY],
            PROVIDER: "",
            "instance": cluster.instance_type or "",
            "region": cluster.region or "",
            "nodes": str(cluster.nodes or 1),
        }

    def add_plan_errors(self, errors: Iterable[PlanError]) -> None:
        """Put each of the contract's errors beside the field that it names."""
        for error in errors:
            self.add_error(
                self.field_of(error.field, error.value), sentence(f"{error.message} {error.remedy}")
            )

    @staticmethod
    def field_of(path: str, value: Any = None) -> str:
        """The form field that a dotted path is about; of a section, the first part that its value names."""
        if isinstance(value, dict):
            path = next((f"{path}.{part}" for part in value if f"{path}.{part}" in ERROR_FIELDS), path)
        steps = path.split(".")
        while steps and ".".join(steps) not in ERROR_FIELDS:
            steps.pop()
        return ERROR_FIELDS[".".join(steps)]


# The fields are the contract's. Django collects declared ones when a class is made; these are put in after.
ScenarioForm.base_fields = {name: form_field(name) for name in NAMES}


def sentence(text: str) -> str:
    """With a capital: the engine's messages may go on from a field's name."""
    return text.strip()[:1].upper() + text.strip()[1:]


def valid_day(text: str) -> date | None:
    """A day as written in an address, None where it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
