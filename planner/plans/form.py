"""The planning form: from an address (or a posted form) to the contract's request, and back to an address.

A field's name is its query parameter, short and readable, so that the address holds the whole scenario. The
form reads spellings people use (1T, 1,000,000); what a value means, and whether it makes sense, is said by
``planner.contract`` alone, whose errors are shown beside the field that they name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.http import urlencode

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.contract.cluster import provider_regions
from planner.engine.question.errors import PlanError
from planner.plans.choices import CHOICES, DEFAULTS, PRESETS
from planner.plans.pasted_config import read_config, shape_keys

USUAL_SEQUENCE_LENGTH = 8192
USUAL_CONFIG_LENGTH = 2048
MULTIPLIERS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
SPELLED_NUMBER = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([kmbgt]?)$", re.IGNORECASE)

#: Form field -> dotted path of the contract.  Kinds of value: see ``_value``.
WORKLOAD = {
    "task": "task",
    "seq": "sequence_length",
    "target": "decoder_sequence_length",
    "batch": "global_batch_size",
    "precision": "precision",
    "optimizer": "optimizer",
    "attention": "attention",
    "recompute": "activation_recompute",
    "offload": "offload",
    "compile": "compile",
    "overlap": "overlap_communication",
    "framework": "framework",
    "master": "master_weights",
    "gradients": "gradient_precision",
    "states": "optimizer_state_precision",
    "kernel": "optimizer_kernel",
    "loss": "loss",
    "rank": "lora_rank",
    "targets": "lora_targets",
    "frozen": "frozen_precision",
    "qhead": "quantized_head",
}
ADAPTER_ONLY = ("rank", "targets", "frozen", "qhead")
PPO = {"rollout": "rollout_tokens", "ppo_epochs": "ppo_epochs", "critic": "critic", "reward": "reward"}
INSTANCE = {
    "instance": "instance_type",
    "region": "region",
    "buy": "purchase",
    "nodes": "nodes",
    "mig": "mig_profile",
    "price_on": "price_as_of",
}
OWN_MACHINES = {
    "chip": "accelerator",
    "per_node": "accelerators_per_node",
    "nodes": "nodes",
    "gbps": "internode_gbps_per_node",
    "usd": "usd_per_node_hour",
    "mig": "mig_profile",
}
LAYOUT = {
    "tp": "tensor_parallel",
    "sp": "sequence_parallel",
    "pp": "pipeline_parallel",
    "vp": "interleaved_stages",
    "cp": "context_parallel",
    "ep": "expert_parallel",
    "dp": "data_parallel",
    "sharding": "sharding",
    "group": "sharding_group",
    "mbs": "micro_batch_size",
    "ga": "gradient_accumulation",
}
TEXT = {"model", "critic", "reward", "region", "instance", "chip", "mig", "price_on"} | set(CHOICES)
FLAGS = {"compile", "overlap", "sp", "qhead"}
#: Contract path -> form field, for errors; the longest path that an error's field begins with wins.
ERROR_FIELDS = {
    "": "model",
    "model": "model",
    "model.hf_config": "config",
    **{f"workload.{path}": field for field, path in WORKLOAD.items()},
    "workload": "tokens",
    "workload.tokens": "tokens",
    "workload.dataset_tokens": "tokens",
    "workload.samples": "tokens",
    "workload.epochs": "epochs",
    **{f"workload.ppo.{path}": field for field, path in PPO.items()},
    "workload.ppo": "rollout",
    "workload.ppo.actor": "model",
    "workload.ppo.reference": "model",
    "cluster": "instance",
    **{f"cluster.{path}": field for field, path in (OWN_MACHINES | INSTANCE).items()},
    "layout": "tp",
    **{f"layout.{path}": field for field, path in LAYOUT.items()},
    "layout.activation_recompute": "recompute",
    "deadline_days": "deadline",
}


class ScenarioForm(forms.Form):
    """One plan as a person writes it. What is missing has a default or an error of the contract."""

    # Numbers are text on purpose: "1T" is a number here, and what is not one stays as it was typed.
    model = forms.CharField(
        label="Model", widget=forms.TextInput(attrs={"list": "models", "data-slash": True})
    )
    config = forms.CharField(label="Hugging Face config.json", widget=forms.Textarea(attrs={"rows": 7}))
    task = forms.CharField(widget=forms.HiddenInput)
    tokens = forms.CharField(label="Training data")
    unit = forms.ChoiceField(label="Unit", choices=CHOICES["unit"])
    epochs = forms.CharField(label="Epochs")
    seq = forms.CharField(label="Sequence length")
    target = forms.CharField(label="Target length")
    batch = forms.CharField(label="Global batch")
    rank = forms.CharField(label="LoRA rank")
    targets = forms.CharField(label="LoRA layers")
    frozen = forms.ChoiceField(label="Frozen weights", choices=CHOICES["frozen"])
    qhead = forms.ChoiceField(label="Quantised head", choices=CHOICES["qhead"])
    rollout = forms.CharField(label="Generated tokens")
    ppo_epochs = forms.CharField(label="PPO epochs")
    critic = forms.CharField(label="Critic", widget=forms.TextInput(attrs={"list": "models"}))
    reward = forms.CharField(label="Reward model", widget=forms.TextInput(attrs={"list": "models"}))
    instance = forms.CharField(label="Instance type")
    region = forms.CharField(label="Region", widget=forms.Select)
    buy = forms.ChoiceField(label="Purchase", choices=CHOICES["buy"])
    nodes = forms.CharField(label="Nodes")
    deadline = forms.CharField(label="Deadline in days")
    price_on = forms.CharField(label="Prices as of", widget=forms.TextInput(attrs={"placeholder": "today"}))
    mig = forms.CharField(label="MIG profile")
    chip = forms.CharField(label="Accelerator", widget=forms.Select)
    per_node = forms.CharField(label="Per node")
    gbps = forms.CharField(label="Network, Gbit/s a node")
    usd = forms.CharField(label="Dollars a node-hour")
    tp = forms.CharField(label="Tensor")
    pp = forms.CharField(label="Pipeline")
    vp = forms.CharField(label="Interleaved")
    cp = forms.CharField(label="Context")
    ep = forms.CharField(label="Expert")
    dp = forms.CharField(label="Data")
    sp = forms.ChoiceField(label="Sequence parallel", choices=CHOICES["sp"])
    sharding = forms.ChoiceField(label="Sharding", choices=CHOICES["sharding"])
    group = forms.CharField(label="Sharding group")
    mbs = forms.CharField(label="Micro-batch")
    ga = forms.CharField(label="Accumulation")
    precision = forms.ChoiceField(label="Precision", choices=CHOICES["precision"])
    optimizer = forms.ChoiceField(label="Optimizer", choices=CHOICES["optimizer"])
    attention = forms.ChoiceField(label="Attention", choices=CHOICES["attention"])
    recompute = forms.ChoiceField(label="Recompute", choices=CHOICES["recompute"])
    framework = forms.ChoiceField(label="Framework", choices=CHOICES["framework"])
    offload = forms.ChoiceField(label="Offload", choices=CHOICES["offload"])
    compile = forms.ChoiceField(label="torch.compile", choices=CHOICES["compile"])
    overlap = forms.ChoiceField(label="Overlap", choices=CHOICES["overlap"])
    master = forms.ChoiceField(label="Master weights", choices=CHOICES["master"])
    gradients = forms.ChoiceField(label="Gradients", choices=CHOICES["gradients"])
    states = forms.ChoiceField(label="Optimizer states", choices=CHOICES["states"])
    kernel = forms.ChoiceField(label="Optimizer kernel", choices=CHOICES["kernel"])
    loss = forms.ChoiceField(label="Loss", choices=CHOICES["loss"])

    def __init__(self, given: Mapping[str, str], catalog: Catalog) -> None:
        """given: what the reader said, by field; the rest takes the example's values."""
        self.catalog = catalog
        self.values: dict[str, str] = {
            **DEFAULTS,
            **{name: given[name] for name in self.base_fields if name in given},
        }
        super().__init__(data=self.values)
        self.ignored = sorted(
            set(given) - set(self.base_fields) - {"csrfmiddlewaretoken", "preset", "sort", "spread"}
        )
        for name, field in self.fields.items():
            field.required = False
            field.widget.attrs |= {"autocomplete": "off", "aria-describedby": f"error-{name}"}
            offered = CHOICES.get(name)
            if isinstance(field, forms.ChoiceField) and offered and self.values[name] not in dict(offered):
                # An unknown choice stays as typed; the contract says what is wrong with it.
                field.choices = [*offered, (self.values[name], self.values[name])]
        self._config: dict[str, Any] | None = None
        self.fields["seq"].widget.attrs["placeholder"] = str(
            self._usual_sequence().get("sequence_length", "by image")
        )

    @classmethod
    def of_query(cls, query: QueryDict, catalog: Catalog) -> ScenarioForm:
        """The form that an address or a posted form fills; a preset in it overrides its workload."""
        given = {name: query.get(name, "").strip() for name in query}
        if given.get("model"):
            given["model"] = named_model(given["model"], catalog)
        return cls(given | PRESETS.get(given.get("preset", ""), {}), catalog)

    def request(self) -> dict[str, Any]:
        """The contract's request.  Raises PlanError where the pasted config cannot be read as JSON."""
        return {
            "model": self._model(),
            "workload": self._workload(),
            "cluster": self._cluster(),
            **({"layout": layout} if (layout := self._section(LAYOUT)) else {}),
            **self._section({"deadline": "deadline_days"}),
        }

    def query(self, **changes: str) -> str:
        """The address that holds this scenario, defaults left out; ``changes`` override fields first."""
        values = self.values | changes
        if values["config"] and self._config is not None and "config" not in changes:
            values |= {"config": json.dumps(shape_keys(self._config), separators=(",", ":")), "model": ""}
        return urlencode(
            [(name, values[name]) for name in self.base_fields if values[name] != DEFAULTS[name]]
        )

    def forget_foreign_region(self) -> None:
        """Another machine was picked: a region that its provider does not have means nothing now."""
        try:
            provider = self.catalog.instance(self.values["instance"]).spec.provider
        except UnknownSlugError:
            return
        if self.values["region"] not in provider_regions(self.catalog, provider):
            self.values["region"] = ""

    def changed_fields(self) -> set[str]:
        """The fields that differ from the example."""
        return {name for name in self.base_fields if self.values[name] != DEFAULTS[name]}

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

    def _model(self) -> str | dict[str, Any]:
        if not self.values["config"]:
            return self.values["model"]
        self._config = read_config(self.values["config"])
        return {"hf_config": self._config}

    def _workload(self) -> dict[str, Any]:
        adapters = self.values["task"] in ("lora", "qlora")
        fields = {name: path for name, path in WORKLOAD.items() if adapters or name not in ADAPTER_ONLY}
        workload = self._section(fields)
        if "seq" not in self._said():
            workload |= self._usual_sequence()
        if "precision" not in self._said():
            workload["precision"] = self._usual_precision()
        amount, epochs = self._value("tokens"), self._value("epochs")
        if self.values["unit"] == "samples":
            whole = isinstance(amount, int | float) and isinstance(epochs, int | float)
            workload["samples"] = amount * epochs if whole else amount
        elif epochs in ("", 1):
            workload["tokens"] = amount
        else:
            workload |= {"dataset_tokens": amount, "epochs": epochs}
        if self.values["task"] == "ppo":
            workload["ppo"] = self._ppo()
        # A blank amount is a missing one, which the contract has its own words for.
        return {name: value for name, value in workload.items() if value != ""}

    def _ppo(self) -> dict[str, Any]:
        actor = self._model()
        named = {"same": actor, "none": None, "": actor}
        models = {
            role: named.get(self.values[role].lower(), self.values[role]) for role in ("critic", "reward")
        }
        return {**self._section(PPO), "actor": actor, "reference": actor, **models}

    def _cluster(self) -> dict[str, Any]:
        own = bool(self.values["chip"])
        return self._section(OWN_MACHINES if own else INSTANCE)

    def _section(self, fields: Mapping[str, str]) -> dict[str, Any]:
        return {path: self._value(name) for name, path in fields.items() if self.values[name] != ""}

    def _said(self) -> set[str]:
        return {name for name, value in self.values.items() if value != ""}

    def _value(self, name: str) -> Any:
        text = self.values[name]
        if name == "targets":
            return [part for part in re.split(r"[\s,]+", text) if part]
        if name in FLAGS:
            return {"on": True, "off": False}.get(text, text)
        return text if name in TEXT else spelled_number(text)

    def _usual_precision(self) -> str:
        """bf16, or fp16 where the chosen chip has no unit for it."""
        try:
            if self.values["chip"]:
                chip = self.catalog.accelerator(self.values["chip"]).spec
            else:
                chip = self.catalog.instance(self.values["instance"]).spec.accelerator
        except UnknownSlugError:
            return "bf16"
        return "bf16" if chip.bf16_flops_per_s > 0 or chip.fp16_flops_per_s <= 0 else "fp16"

    def _usual_sequence(self) -> dict[str, int]:
        """The model's own length, up to the usual one; images have theirs from their shape."""
        if self._config is not None:
            longest = self._config.get("max_position_embeddings") or self._config.get("n_positions")
            if self._config.get("image_size"):
                return {}
            length = longest if isinstance(longest, int) and longest > 0 else USUAL_CONFIG_LENGTH
            return {"sequence_length": min(length, USUAL_SEQUENCE_LENGTH)}
        try:
            record = self.catalog.model(self.values["model"])
        except UnknownSlugError:
            return {"sequence_length": USUAL_CONFIG_LENGTH}
        if record.family == "vit":
            return {}
        return {"sequence_length": min(record.max_context or USUAL_CONFIG_LENGTH, USUAL_SEQUENCE_LENGTH)}


def named_model(typed: str, catalog: Catalog) -> str:
    """The catalog's slug where a model's published name was typed; otherwise what was typed."""
    wanted = typed.lower()
    names = {record.name.lower(): record.slug for record in catalog.models()}
    return names.get(wanted, wanted if wanted in names.values() else typed)


def sentence(text: str) -> str:
    """With a capital: the engine's messages may go on from a field's name."""
    return text.strip()[:1].upper() + text.strip()[1:]


def spelled_number(text: str) -> int | float | str:
    """1T, 300B, 1.5e12, 1,000,000 or 16 as a number, whole where it is; what is no number stays text."""
    plain = re.sub(r"(?<=\d)[,_ \u00a0](?=\d{3})", "", text.strip())
    match = SPELLED_NUMBER.match(plain)
    if match is None or len(plain) > 40:
        return text
    value = float(match[1]) * MULTIPLIERS[match[2].lower()]
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def valid_day(text: str) -> date | None:
    """A day as written in an address, None where it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
