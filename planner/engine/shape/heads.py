"""What ``architectures`` says of a model's head: a classifier in its place, or none.

Decoders count with their language-model head and encoders as the base model, unless the class named there
ends otherwise. Knows class names only by their endings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from planner.engine.question.specs import ModelSpec

LABELS_USUAL: Final = 2  # transformers' PretrainedConfig.num_labels
MOST_LABELS: Final = 10_000_000
LANGUAGE_MODEL_ENDINGS: Final = (
    "ForCausalLM",
    "LMHeadModel",
    "ForConditionalGeneration",
    "ForMaskedLM",
    "ForPreTraining",
    "ForImageClassification",
    "ForVision2Seq",
    "ChatGLMModel",  # its class holds the output layer
)
#: Families whose sequence classifier is dense, non-linearity, output, in place of the pooler.
DENSE_CLASSIFIERS: Final = ("roberta", "xlm-roberta", "camembert", "electra")


def class_named(config: Mapping[str, Any]) -> str:
    """The first of ``architectures``, or an empty text."""
    named = config.get("architectures")
    return named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""


def with_head(model: ModelSpec, config: Mapping[str, Any]) -> tuple[ModelSpec, str]:
    """The model with the head that ``architectures`` names, and a sentence that says so where it differs."""
    name = class_named(config)
    if not name or model.architecture == "vision_encoder":
        return model, ""
    if name.endswith("EncoderModel") and model.architecture == "encoder_decoder" and model.parts is None:
        return _encoder_alone(model), f"{name}: the encoder alone, without decoder and head."
    if name.endswith(LANGUAGE_MODEL_ENDINGS):
        return model, ""
    labels = _labels(config)
    if name.endswith("ForSequenceClassification"):
        return _classified(
            model, labels, "sequence"
        ), f"{name}: a classifier of {labels} in place of the head."
    if name.endswith("ForTokenClassification"):
        return _classified(model, labels, "token"), f"{name}: a classifier of {labels} in place of the head."
    if name.endswith("ForQuestionAnswering"):
        return _classified(model, 2, "token"), f"{name}: the start and end of an answer in place of the head."
    if "Reward" in name or name.endswith("ValueModel"):
        return _classified(model, 1, "sequence"), f"{name}: one value in place of the head."
    if name.endswith("Model") and model.architecture == "decoder":
        return _without_head(model), f"{name}: counted without a language-model head."
    if name.endswith("Model"):
        return model, ""
    return model, f"{name} is not known; counted with the head that is usual in its family."


def scoring(model: ModelSpec) -> ModelSpec:
    """The model as a reward model: one value in place of its vocabulary's head; one that has none stays.

    Source: transformers' *ForSequenceClassification with num_labels 1, as TRL's RewardTrainer loads it.
    """
    bare = model.architecture != "decoder" or dict(model.extras).get("headless", 0)
    return model if bare else _classified(model, 1, "sequence")


def _labels(config: Mapping[str, Any]) -> int:
    named = config.get("id2label")
    if isinstance(named, Mapping) and named:
        return len(named)
    count = config.get("num_labels")
    if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= MOST_LABELS:
        return count
    return LABELS_USUAL


def _without_head(model: ModelSpec) -> ModelSpec:
    if model.parts is None:
        return replace(model, extras=(*model.extras, ("headless", 1)))
    parts, vocab = model.parts, model.vocab_size
    bias = vocab if any(matrix.bias and matrix.outputs == vocab for matrix in parts.outside) else 0
    untied = parts.head_matmul - parts.tied_head
    bare = replace(
        parts,
        head=parts.head - untied - bias,
        tied_head=0,
        head_matmul=0,
        outside=tuple(matrix for matrix in parts.outside if matrix.outputs != vocab),
    )
    return replace(model, parts=bare)


def _classified(model: ModelSpec, labels: int, kind: str) -> ModelSpec:
    """A linear layer to the labels; a decoder's sequence classifier has no bias, the others do."""
    hidden = model.hidden_size
    if model.architecture == "decoder":
        bare = _without_head(model)
        return _with_classifier(bare, hidden * labels + (labels if kind == "token" else 0))
    if model.architecture != "encoder" or model.parts is not None:
        return model
    classifier = (hidden + 1) * labels
    extras = dict(model.extras)
    if kind == "sequence":
        if model.family in DENSE_CLASSIFIERS:
            extras.pop("pooler_size", None)
            classifier += (hidden + 1) * hidden
        if model.family == "distilbert":
            classifier += (hidden + 1) * hidden
        if model.family == "modernbert":
            classifier += hidden * hidden + hidden
    else:
        extras.pop("pooler_size", None)
    return _with_classifier(replace(model, extras=tuple(extras.items())), classifier)


def _with_classifier(model: ModelSpec, parameters: int) -> ModelSpec:
    if model.parts is None:
        return replace(model, extras=(*model.extras, ("classifier_parameters", parameters)))
    return replace(model, parts=replace(model.parts, head=model.parts.head + parameters))


def _encoder_alone(model: ModelSpec) -> ModelSpec:
    """T5's encoder: its token table, one relative-position table, its final norm."""
    extras = {**dict(model.extras), "final_norms": 1}
    return replace(
        model,
        architecture="encoder",
        decoder_layers=0,
        tied_embeddings=False,
        extras=tuple(extras.items()),
    )
