"""The shapes of the catalog's models: from a record to the engine's ModelSpec."""

from __future__ import annotations

from planner.catalog.facts.records import ModelRecord
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.explicit import model_from_explicit
from planner.engine.shape.hf_config import model_from_hf_config

_built: dict[str, tuple[ModelRecord, ModelSpec]] = {}


def model_of_record(record: ModelRecord) -> ModelSpec:
    """The shape of a catalog model, built once per record.

    Raises as ``built_model`` does.
    """
    known = _built.get(record.slug)
    if known is None or known[0] is not record:
        known = _built[record.slug] = (record, built_model(record))
    return known[1]


def built_model(record: ModelRecord) -> ModelSpec:
    """The shape that a record describes.  Raises PlanError or PlanErrors where it makes no sense."""
    if record.hf_config is not None:
        return model_from_hf_config(record.hf_config, name=record.name)
    return model_from_explicit(record.architecture or {}, name=record.name)
