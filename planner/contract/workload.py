"""The ``workload`` of a request: what the model is trained on, how, and for how long.

Knows the model (vision models count patches, adapters name its layers) but not the machines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, get_args

from planner.contract.section import Section, described, near
from planner.engine.question.errors import PlanError
from planner.engine.question.request import (
    Attention,
    Framework,
    FrozenPrecision,
    Loss,
    MasterWeights,
    Offload,
    Optimizer,
    OptimizerKernel,
    PpoWorkload,
    RecomputeChoice,
    StatePrecision,
    Task,
    Workload,
)
from planner.engine.question.specs import ComputePrecision, ModelSpec
from planner.engine.shape.parameters import linear_modules, targeted_modules

MAX_TOKENS = 1e18
MAX_SEQUENCE_LENGTH = 100_000_000
MAX_BATCH_SEQUENCES = 100_000_000
MAX_LORA_RANK = 65_536
MAX_LORA_TARGETS = 100
ADAPTER_TASKS = ("lora", "qlora")
LENGTHS = ("tokens", "epochs", "dataset_tokens", "samples")
ADAPTER_FIELDS = ("lora_rank", "lora_targets", "frozen_precision", "quantized_head")
FIELDS = (
    "task",
    *LENGTHS,
    "sequence_length",
    "decoder_sequence_length",
    "global_batch_size",
    "precision",
    "optimizer",
    "attention",
    "activation_recompute",
    "offload",
    "compile",
    "overlap_communication",
    "framework",
    "master_weights",
    "gradient_precision",
    "optimizer_state_precision",
    "optimizer_kernel",
    "loss",
    *ADAPTER_FIELDS,
    "ppo",
)
HINTS = {
    "batch_size": "Use global_batch_size, counted in sequences.",
    "micro_batch_size": "It belongs to the layout: layout.micro_batch_size.",
    "gradient_accumulation": "It belongs to the layout: layout.gradient_accumulation.",
    "sharding": "It belongs to the layout: layout.sharding.",
    "dtype": "Use precision.",
}
LENGTH_REMEDY = (
    "Give exactly one of: tokens; epochs with dataset_tokens; samples (one sample is one sequence)."
)

ReadModel = Callable[[Any, str], ModelSpec | None]
"""Reads a model at a dotted path; None after a problem."""


def read_workload(section: Section, *, model: ModelSpec | None, ppo: PpoWorkload | None) -> Workload:
    """The workload; ``ppo`` was read before it, as it may name the model."""
    section.only(FIELDS, HINTS)
    task = _required_choice(section, "task", get_args(Task))
    sequence_length = _sequence_length(section, model)
    batch = section.whole("global_batch_size", maximum=MAX_BATCH_SEQUENCES)
    tokens, samples = _length_of_run(section, sequence_length)
    _check_ppo(section, task, ppo, sequence_length)
    _check_adapters(section, task)
    _check_positions(section, model, sequence_length)
    return Workload(
        task=cast(Task, task),
        tokens=tokens,
        samples=samples,
        sequence_length=sequence_length,
        decoder_sequence_length=_decoder_length(section, model, sequence_length),
        global_batch_size=batch,
        precision=cast(ComputePrecision, section.choice("precision", get_args(ComputePrecision)) or "bf16"),
        optimizer=cast(Optimizer, section.choice("optimizer", get_args(Optimizer)) or "adamw"),
        attention=cast(Attention, section.choice("attention", get_args(Attention)) or "flash"),
        activation_recompute=cast(
            RecomputeChoice, section.choice("activation_recompute", get_args(RecomputeChoice)) or "auto"
        ),
        offload=cast(Offload, section.choice("offload", get_args(Offload)) or "none"),
        compile=section.flag("compile") or False,
        overlap_communication=section.flag("overlap_communication") is not False,
        framework=cast(Framework, section.choice("framework", get_args(Framework)) or "generic"),
        master_weights=cast(MasterWeights | None, section.choice("master_weights", get_args(MasterWeights))),
        gradient_precision=_state_precision(section, "gradient_precision"),
        optimizer_state_precision=_state_precision(section, "optimizer_state_precision"),
        optimizer_kernel=cast(
            OptimizerKernel | None, section.choice("optimizer_kernel", get_args(OptimizerKernel))
        ),
        loss=cast(Loss | None, section.choice("loss", get_args(Loss))),
        frozen_precision=cast(
            FrozenPrecision | None, section.choice("frozen_precision", get_args(FrozenPrecision))
        ),
        quantized_head=section.flag("quantized_head"),
        lora_rank=section.whole("lora_rank", maximum=MAX_LORA_RANK, default=16),
        lora_targets=_lora_targets(section, task, model),
        ppo=ppo if task == "ppo" else None,
    )


def read_ppo(section: Section, model: ModelSpec | None, read_model: ReadModel) -> PpoWorkload | None:
    """The models of PPO. The actor is the request's model unless named; the reference, unless named or null,
    is a frozen copy of the actor. Returns None after a problem with the actor, or where there is no block."""
    other_task = section.data.get("task") in get_args(Task) and section.data.get("task") != "ppo"
    if not section.has("ppo") or other_task:
        return None
    block = Section(section.data["ppo"], section.at("ppo"), section.problems)
    block.only(("actor", "critic", "reference", "reward", "rollout_tokens", "ppo_epochs"))
    named = {
        role: read_model(block.data[role], block.at(role)) if block.has(role) else None
        for role in ("actor", "critic", "reference", "reward")
    }
    actor = named["actor"] or model
    if actor is not None and actor.architecture not in ("decoder", "encoder_decoder"):
        block.problems.add(
            block.at("actor") if block.has("actor") else "model",
            actor.name,
            f"Only a decoder writes answers to be rewarded, and {actor.name} is none.",
            'Name a model that generates, for example "llama-3.1-8b".',
        )
    reference = named["reference"]
    if "reference" not in block.data:
        reference = actor
        section.problems.note(
            "assumed_reference", "No reference model was named: a frozen copy of the actor is counted as one."
        )
    rollout_tokens = block.whole("rollout_tokens", maximum=MAX_SEQUENCE_LENGTH)
    ppo_epochs = block.whole("ppo_epochs", maximum=1000, default=1)
    if actor is None:
        if not block.has("actor"):
            block.missing("actor", 'Name the model that is trained, for example "llama-3.1-8b".')
        return None
    return PpoWorkload(
        actor=actor,
        critic=named["critic"],
        reference=reference,
        reward=named["reward"],
        rollout_tokens=rollout_tokens,
        ppo_epochs=ppo_epochs,
    )


def _required_choice(section: Section, name: str, options: tuple[str, ...]) -> str:
    chosen = section.choice(name, options)
    if chosen is None and not section.has(name):
        section.missing(name, f"Choose one of {', '.join(options)}.")
    return chosen or options[0]


def _state_precision(section: Section, name: str) -> StatePrecision | None:
    return cast(StatePrecision | None, section.choice(name, get_args(StatePrecision)))


def patches(model: ModelSpec) -> int:
    """Tokens of one image: its patches and the class token (Dosovitskiy et al. 2021, section 3.1)."""
    return (model.image_size // max(model.patch_size, 1)) ** 2 + 1


def _sequence_length(section: Section, model: ModelSpec | None) -> int:
    vision = model is not None and model.architecture == "vision_encoder"
    if model is not None and vision and not section.has("sequence_length"):
        return patches(model)
    return section.whole("sequence_length", maximum=MAX_SEQUENCE_LENGTH)


def _decoder_length(section: Section, model: ModelSpec | None, sequence_length: int) -> int:
    name = "decoder_sequence_length"
    given = section.optional_whole(name, maximum=MAX_SEQUENCE_LENGTH)
    if model is None or model.architecture == "encoder_decoder":
        return given or sequence_length
    if given is not None:
        section.fail(
            name,
            f"Only an encoder-decoder has a target of its own, and {model.name} is none.",
            "Remove it; sequence_length says it all.",
        )
    return 0


def _length_of_run(section: Section, sequence_length: int) -> tuple[float, float | None]:
    """(tokens of the whole run, samples where it was asked in samples)."""
    tokens = section.positive("tokens", maximum=MAX_TOKENS)
    epochs = section.positive("epochs", maximum=1e9)
    dataset_tokens = section.positive("dataset_tokens", maximum=MAX_TOKENS)
    samples = section.positive("samples", maximum=MAX_TOKENS)
    by_epochs = section.has("epochs") or section.has("dataset_tokens")
    ways = [section.has("tokens"), by_epochs, section.has("samples")]
    if sum(ways) == 0:
        section.missing("tokens", LENGTH_REMEDY)
    elif sum(ways) > 1:
        given = [name for name in LENGTHS if section.has(name)]
        section.fail(
            given[1], f"The length of the run is given twice, as {' and '.join(given)}.", LENGTH_REMEDY
        )
    elif by_epochs:
        for name, other in (("epochs", "dataset_tokens"), ("dataset_tokens", "epochs")):
            if not section.has(name):
                section.missing(name, f"{other} needs it: the run's tokens are epochs x dataset_tokens.")
    if samples is not None:
        return samples * sequence_length, samples
    if epochs is not None and dataset_tokens is not None:
        return epochs * dataset_tokens, None
    return tokens or 1.0, None


def _check_ppo(section: Section, task: str, ppo: PpoWorkload | None, sequence_length: int) -> None:
    if section.has("ppo") and section.ok("task") and task != "ppo":
        section.fail(
            "ppo", f'The task is "{task}", which has no use for it.', 'Remove it, or set task to "ppo".'
        )
    elif task == "ppo" and not section.has("ppo"):
        section.missing(
            "ppo",
            "Give actor, critic, reference, reward (null where there is none) and rollout_tokens.",
        )
    elif ppo is not None and section.ok("sequence_length") and ppo.rollout_tokens > sequence_length:
        section.problems.add(
            section.at("ppo.rollout_tokens"),
            ppo.rollout_tokens,
            f"More tokens are generated than the {sequence_length:,} of prompt and response together.",
            "Lower it, or raise workload.sequence_length.",
        )


def _check_adapters(section: Section, task: str) -> None:
    unused = [name for name in ADAPTER_FIELDS if section.has(name)]
    if unused and section.ok("task") and task not in ADAPTER_TASKS:
        section.problems.note(
            "unused_field", f"{', '.join(unused)} only matter for lora and qlora; the task is {task}."
        )


def _check_positions(section: Section, model: ModelSpec | None, sequence_length: int) -> None:
    if model is None or model.architecture == "vision_encoder" or not section.ok("sequence_length"):
        return
    if 0 < model.max_positions < sequence_length and model.position_embedding in ("learned", "rope"):
        section.problems.note(
            "beyond_positions",
            f"{sequence_length:,} tokens exceed the {model.max_positions:,} positions of {model.name}; "
            "the figures assume that these are extended at no cost.",
        )


def _lora_targets(section: Section, task: str, model: ModelSpec | None) -> tuple[str, ...] | None:
    given = section.data.get("lora_targets")
    if given is None:
        return None
    listed = isinstance(given, list) and 0 < len(given) <= MAX_LORA_TARGETS
    if not listed or not all(isinstance(name, str) for name in given):
        section.fail(
            "lora_targets",
            f"A list of 1 to {MAX_LORA_TARGETS} layer names is wanted here, not {described(given)}.",
            'Write for example ["q_proj", "v_proj"], or leave it out for all linear layers of the blocks.',
        )
        return None
    if model is not None and task in ADAPTER_TASKS:
        for index, name in enumerate(given):
            _check_target(section, f"lora_targets.{index}", name, model)
    return tuple(dict.fromkeys(given))


def _check_target(section: Section, field: str, name: str, model: ModelSpec) -> None:
    try:
        targeted_modules(model, (name,))
    except PlanError as unknown:
        names = [module.name for module in linear_modules(model)]
        remedy = " ".join(
            [*(f"Did you mean {close}?" for close in near(name, names, count=1)), unknown.remedy]
        )
        section.problems.add(section.at(field), name, unknown.message, remedy)
