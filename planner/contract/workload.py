"""The ``workload`` of a request: what the model is trained on, how, and for how long.

Knows the model (vision models count patches, adapters name its layers) but not the machines.
"""

from __future__ import annotations

from planner.contract.precision import USUAL
from planner.contract.rl import check_rows
from planner.contract.running import check_kernels, read_experts, read_sequences
from planner.contract.section import Section, described, near
from planner.contract.workload_fields import ADAPTERS, LENGTH_REMEDY, MAX_LORA_TARGETS, WORKLOAD
from planner.engine.question.errors import PlanError
from planner.engine.question.request import PpoWorkload, Sequences, Workload
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.parameters import ALL_LINEAR, linear_modules, targeted_modules
from planner.engine.shape.saved import saved_parameters

LENGTHS = ("tokens", "epochs", "dataset_tokens", "samples")
#: Precisions of a frozen base that bitsandbytes gives it.
QUANTIZED_LAYERS = ("int8", "int4", "nf4")
#: Fields that are read with others in view; the rest stand for themselves.
READ_APART = (
    "task",
    *LENGTHS,
    "sequence_length",
    "decoder_sequence_length",
    "global_batch_size",
    "lora_targets",
    "modules_to_save",
    "sequences",
    "moe",
    "ppo",
)


def read_workload(section: Section, *, model: ModelSpec | None, ppo: PpoWorkload | None) -> Workload:
    """The workload; ``ppo`` was read before it, as it may name the model."""
    section.only(WORKLOAD.names, WORKLOAD.hints)
    task = section.read(WORKLOAD["task"])
    sequence_length = _sequence_length(section, model)
    batch = section.read(WORKLOAD["global_batch_size"])
    paired = section.data.get("objective") in ("dpo", "reward") and task not in ("pretraining", "ppo")
    answers = 2 if paired else 1
    sequences = read_sequences(section, sequence_length)
    tokens, samples = _length_of_run(section, sample_length(sequences, sequence_length) * answers)
    _check_ppo(section, task, ppo, sequence_length)
    _check_adapters(section, task)
    _check_expert_tensors(section, task, model)
    _check_positions(section, model, sequence_length)
    decoder_length = _decoder_length(section, model, sequence_length)
    check_kernels(section, sequence_length)
    plain = section.read_all(field for field in WORKLOAD.fields if field.name not in READ_APART)
    return Workload(
        task=task,
        tokens=tokens,
        samples=samples,
        sequence_length=sequence_length,
        decoder_sequence_length=decoder_length,
        global_batch_size=batch,
        lora_targets=_lora_targets(section, task, model),
        modules_to_save=_modules_to_save(section, task, model),
        sequences=sequences,
        moe=read_experts(section, model),
        ppo=ppo if task == "ppo" else None,
        **plain | {"precision": plain["precision"] or USUAL},
    )


def sample_length(sequences: Sequences | None, row_tokens: int) -> float:
    """Tokens of one sample: the mean of the real lengths where it was given, else its row.

    row_tokens: tokens of one row, into which several samples may be packed.
    """
    if sequences is None or sequences.mean_tokens is None or sequences.kind == "full":
        return float(row_tokens)
    return min(sequences.mean_tokens, float(row_tokens))


def patches(model: ModelSpec) -> int:
    """Tokens of one image: its patches and the class token (Dosovitskiy et al. 2021, section 3.1)."""
    return (model.image_size // max(model.patch_size, 1)) ** 2 + 1


def _sequence_length(section: Section, model: ModelSpec | None) -> int:
    vision = model is not None and model.architecture == "vision_encoder"
    if model is not None and vision and not section.has("sequence_length"):
        return patches(model)
    length: int = section.read(WORKLOAD["sequence_length"])
    return length


def _decoder_length(section: Section, model: ModelSpec | None, sequence_length: int) -> int:
    name = "decoder_sequence_length"
    given: int | None = section.read(WORKLOAD[name])
    if model is None or model.architecture == "encoder_decoder":
        return given or sequence_length
    if given is not None:
        section.fail(
            name,
            f"Only an encoder-decoder has a target of its own, and {model.name} is none.",
            "Remove it; sequence_length says it all.",
        )
    return 0


def _length_of_run(section: Section, sample_tokens: float) -> tuple[float, float | None]:
    """(tokens of the whole run, samples where it was asked in samples)."""
    tokens, epochs, dataset_tokens, samples = (section.read(WORKLOAD[name]) for name in LENGTHS)
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
        return samples * sample_tokens, samples
    if epochs is not None and dataset_tokens is not None:
        return epochs * dataset_tokens, None
    return tokens or 1.0, None


def _check_ppo(section: Section, task: str, ppo: PpoWorkload | None, sequence_length: int) -> None:
    if section.has("ppo") and section.ok("task") and task != "ppo":
        section.fail(
            "ppo", f'The task is "{task}", which has no use for it.', 'Remove it, or set task to "ppo".'
        )
    elif task == "ppo" and not section.has("ppo"):
        section.missing("ppo", WORKLOAD["ppo"].remedy)
    elif ppo is not None and section.ok("sequence_length"):
        check_rows(section, ppo, sequence_length)


def _check_adapters(section: Section, task: str) -> None:
    unused = [field.name for field in WORKLOAD.fields if field.tasks == ADAPTERS and section.has(field.name)]
    if unused and section.ok("task") and task not in ADAPTERS:
        section.problems.note(
            "unused_field", f"{', '.join(unused)} only matter for lora and qlora; the task is {task}."
        )


def _check_expert_tensors(section: Section, task: str, model: ModelSpec | None) -> None:
    """A note on experts that quantising linear layers leaves in 16 bit.

    transformers 5 keeps a block's experts in two tensors, and bitsandbytes quantises linear layers alone
    (axolotl, docs/expert_quantization.qmd: 127 GiB against 23 GiB for GLM-4.7-Flash; read on 2026-11-29).
    """
    quantized = section.data.get("frozen_precision", "nf4" if task == "qlora" else None)
    if model is None or not model.experts or task not in ADAPTERS or quantized not in QUANTIZED_LAYERS:
        return
    if model.parts is not None:
        experts = sum(group.blocks * group.channel.routed_parameters for group in model.parts.groups)
    else:
        matrices = 3 if model.gated_ffn else 2
        routed = (model.layers - model.dense_layers) * model.experts
        experts = routed * matrices * model.hidden_size * model.expert_ffn_size
    section.problems.note(
        "experts_may_stay_16_bit",
        "The experts are taken as quantized. bitsandbytes quantizes linear layers alone, and transformers 5 "
        "keeps experts as bare tensors: unless the stack quantizes these too (Unsloth, axolotl's "
        f"quantize_moe_experts, transformers 4), they are {2 * experts / 2**30:,.0f} GiB in 16 bit.",
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
    if given in (None, ALL_LINEAR, [ALL_LINEAR]):
        return None if given is None else (ALL_LINEAR,)
    listed = isinstance(given, list) and 0 < len(given) <= MAX_LORA_TARGETS
    if not listed or not all(isinstance(name, str) for name in given):
        section.fail(
            "lora_targets",
            f"A list of 1 to {MAX_LORA_TARGETS} layer names is wanted here, not {described(given)}.",
            f'Write for example ["q_proj", "v_proj"], "{ALL_LINEAR}", or leave it out for all linear layers '
            "of the blocks.",
        )
        return None
    if model is not None and task in ADAPTERS:
        for index, name in enumerate(given):
            _check_target(section, f"lora_targets.{index}", name, model)
    return tuple(dict.fromkeys(given))


def _modules_to_save(section: Section, task: str, model: ModelSpec | None) -> tuple[str, ...] | None:
    """Names of layers, in the order given; of this model's where it is known."""
    given = section.data.get("modules_to_save")
    if given is None or given == []:
        return None
    limit = int(WORKLOAD["modules_to_save"].limit)
    if not isinstance(given, list) or len(given) > limit or not all(isinstance(one, str) for one in given):
        section.fail(
            "modules_to_save",
            f"A list of at most {limit} layer names is wanted here, not {described(given)}.",
            'Write for example ["embed_tokens", "lm_head"].',
        )
        return None
    if model is not None and task in ADAPTERS:
        for index, name in enumerate(given):
            try:
                saved_parameters(model, (name,))
            except PlanError as unknown:
                at = section.at(f"modules_to_save.{index}")
                section.problems.add(at, name, unknown.message, unknown.remedy)
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
