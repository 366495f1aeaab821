"""The ``model`` of a request: a name in the catalog, a pasted Hugging Face config, or an explicit shape.

The engine reads the shapes; here their problems get the path of the field where they occur.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.catalog.facts.shapes import model_of_record
from planner.contract.fields import PASTED_MODEL
from planner.contract.jsontext import excerpt
from planner.contract.section import Problems, Section, described, suggestion
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.explicit import cross_check_parameters, model_from_explicit
from planner.engine.shape.hf_config import assumed_defaults, model_from_hf_config, reading_notes
from planner.engine.shape.parameters import targeted_modules
from planner.engine.shape.read_as import plain_name

MAX_SLUG = 100
FORMS = 'Give a catalog name such as "llama-3.1-8b", {"hf_config": {…}}, or layers, hidden_size and so on.'

NAMING_FAMILIES = (
    "gpt2",
    "opt",
    "gpt_neox",
    "mpt",
    "phi",
    "phi3",
    "starcoder2",
    "mixtral",
    "gptj",
    "bert",
    "distilbert",
    "t5",
    "vit",
)


def read_model(data: Any, path: str, catalog: Catalog, problems: Problems) -> ModelSpec | None:
    """The model at ``path``; None after a problem, which is noted in ``problems``."""
    if isinstance(data, str):
        return _catalog_model(data, path, catalog, problems)
    if not isinstance(data, dict):
        problems.add(path, data, f"Expected a model here, not {described(data)}.", FORMS)
        return None
    if "hf_config" in data:
        return _pasted_model(data, path, problems)
    name = Section(data, path, problems).text("name")
    model = _shaped(path, problems, lambda: _named(model_from_explicit(data, excerpt(name or ""), path)))
    stated = data.get("params_total")
    if model is not None and isinstance(stated, int | float):
        difference = cross_check_parameters(model, int(stated))
        if difference is not None:
            problems.note(*difference)
    return model


def _catalog_model(slug: str, path: str, catalog: Catalog, problems: Problems) -> ModelSpec | None:
    try:
        record = catalog.model(slug[:MAX_SLUG])
    except UnknownSlugError as unknown:
        problems.add(
            path, slug, "No model of this name is in the catalog.", suggestion(unknown.suggestions, FORMS)
        )
        return None
    if not record.read_back:
        problems.note(
            "model_not_read_back",
            f"The catalog's shape of {record.name} was written down as remembered and not compared with its "
            "published file: paste its config.json to be sure.",
        )
    return _shaped(path, problems, lambda: model_of_record(record))


def _pasted_model(data: dict[str, Any], path: str, problems: Problems) -> ModelSpec | None:
    section = Section(data, path, problems)
    section.only(
        PASTED_MODEL.names, dict.fromkeys(data, "Remove it: the pasted config describes the whole model.")
    )
    config = data["hf_config"]
    if not isinstance(config, dict):
        section.fail(
            "hf_config",
            f"Expected the content of a config.json here, not {described(config)}.",
            "Paste the file as it is, braces included, without quotes around it.",
        )
        return None
    field = f"{path}.hf_config"
    model = _shaped(
        field,
        problems,
        lambda: _named(
            model_from_hf_config(config, name=section.text("name") or _own_name(config), field=field)
        ),
    )
    assumed = assumed_defaults(config) if model is not None else ()
    if assumed:
        taken = ", ".join(f"{key} {value:,}" for key, value in assumed)
        problems.note(
            "assumed_defaults", f"Not in the config, so the family's usual values were used: {taken}."
        )
    for code, message in reading_notes(config) if model is not None else ():
        problems.note(code, message)
    return model


def _own_name(config: dict[str, Any]) -> str:
    """What the config calls its model, without the folders before it."""
    named = config.get("_name_or_path")
    return (
        excerpt(named.rstrip("/").rpartition("/")[2]) if isinstance(named, str) and named.strip("/") else ""
    )


def _named(model: ModelSpec) -> ModelSpec:
    """A model that nobody named is called by its family and size, so that a report does not say "custom"."""
    return model if model.name else replace(model, name=plain_name(model))


def _shaped(path: str, problems: Problems, build: Callable[[], ModelSpec]) -> ModelSpec | None:
    """The model that ``build`` makes; its problems are noted, with ``path`` where they name none."""
    try:
        return build()
    except PlanErrors as several:
        problems.take(several.errors, path)
    except PlanError as one:
        problems.take([one], path)
    return None


def with_named_layers(model: ModelSpec, targets: tuple[str, ...]) -> ModelSpec:
    """The model with the layer names of the family that has all of ``targets``.

    An explicit shape has no layer names of its own. It is returned unchanged where its usual names are
    enough, or where no family has all of them.
    """
    if model.family != "explicit":
        return model
    for family in (model.family, *NAMING_FAMILIES):
        candidate = replace(model, family=family)
        try:
            for target in targets:
                targeted_modules(candidate, (target,))
        except PlanError:
            continue
        return candidate
    return model
