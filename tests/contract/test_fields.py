"""The contract's declarations: tied to the engine's records and literals, and complete in what they say."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.contract.field import Field
from planner.contract.fields import BY_QUERY, ESTIMATE, LAYOUT, TABLES
from planner.contract.layout import read_layout
from planner.contract.parse import parse_plan_request
from planner.contract.rl_fields import GENERATION, PPO
from planner.contract.running_fields import MOE, SEQUENCES
from planner.contract.section import Problems
from planner.contract.shape_fields import ARCHITECTURES, NORMS, POSITIONS, SHAPE
from planner.contract.shape_fields import MIXERS as SHAPE_MIXERS
from planner.contract.workload_fields import WORKLOAD
from planner.engine.question import request, sale, search_request, specs, words
from planner.engine.question.errors import PlanErrors
from planner.engine.shape import explicit, own_hybrid
from planner.engine.shape.explicit import EXPLICIT_FIELDS
from tests.contract.conftest import bent

EVERY = [field for table in TABLES for field in table.fields]
TIED = [
    (words.TASKS, request.Task),
    (words.PRECISIONS, specs.ComputePrecision),
    (words.OPTIMIZERS, request.Optimizer),
    (words.ATTENTIONS, request.Attention),
    (words.RECOMPUTES, request.Recompute),
    (words.RECOMPUTE_CHOICES, request.RecomputeChoice),
    (words.OFFLOADS, request.Offload),
    (words.FRAMEWORKS, request.Framework),
    (words.MASTER_WEIGHTS, request.MasterWeights),
    (words.STATE_PRECISIONS, request.StatePrecision),
    (words.OPTIMIZER_KERNELS, request.OptimizerKernel),
    (words.LOSSES, request.Loss),
    (words.LOSS_PRECISIONS, request.LossPrecision),
    (words.LOGITS_KEPT, request.LogitsKept),
    (words.ATTENTION_KERNELS, request.AttentionKernel),
    (words.KERNELS, request.Kernels),
    (words.SEQUENCE_KINDS, request.SequenceKind),
    (words.FABRICS, request.Fabric),
    (words.DISPATCHERS, request.Dispatcher),
    (words.BALANCES, request.Balance),
    (words.FROZEN_PRECISIONS, request.FrozenPrecision),
    (words.SHARDINGS, request.Sharding),
    (words.ALGORITHMS, request.Algorithm),
    (words.ENGINES, request.Engine),
    (words.ENGINE_PRECISIONS, request.EnginePrecision),
    (words.PLACEMENTS, request.Placement),
    (words.PURCHASES, request.Purchase),
    (words.OBJECTIVES, search_request.Objective),
    (words.PAYMENT_OPTIONS, sale.PaymentOption),
    (words.GRADIENT_SYNCS, request.GradientSync),
    (words.ADAPTER_WRAPPINGS, request.AdapterWrapping),
    (words.PRIMARY_WEIGHTS, request.PrimaryWeights),
    (words.RECOMPUTE_MODULES, request.RecomputeModule),
    (words.TRAINING_OBJECTIVES, request.TrainingObjective),
]


@pytest.mark.parametrize(("table", "literal"), TIED, ids=[str(literal) for _, literal in TIED])
def test_words_and_types_name_the_same_values(table: words.Words, literal: Any) -> None:
    assert tuple(table) == get_args(literal)
    assert all(word.label and word.in_sentence() for word in table.values())


def test_every_table_of_words_is_tied_to_a_type() -> None:
    tables = {name for name in vars(words) if name.isupper() and name != "AUTO"}
    assert len(tables) == len(TIED)


@pytest.mark.parametrize("field", EVERY, ids=lambda field: field.path)
def test_every_field_says_what_it_is(field: Field) -> None:
    assert field.label
    assert field.help.endswith(".")
    assert (field.choices is not None) >= (field.kind == "choice")
    assert (field.maximum is not None) >= (field.kind in ("whole", "number", "nodes"))
    if field.choices is not None and field.default is not None:
        several = field.default if field.kind == "choices" else (field.default,)
        assert set(several) <= set(field.choices)


def test_layout_and_workload_are_the_engines_records() -> None:
    assert LAYOUT.names == tuple(field.name for field in fields(request.LayoutRequest))
    assert LAYOUT.names == tuple(field.name for field in fields(request.Layout))
    assert set(WORKLOAD.names) - {"epochs", "dataset_tokens"} == {
        field.name for field in fields(request.Workload)
    }
    assert SEQUENCES.names == tuple(field.name for field in fields(request.Sequences))
    assert MOE.names == tuple(field.name for field in fields(request.Experts))
    assert set(PPO.names) == {field.name for field in fields(request.PpoWorkload)}
    assert set(GENERATION.names) == {field.name for field in fields(request.GenerationRequest)}


def test_defaults_are_the_engines() -> None:
    defaults = {field.name: field.default for field in fields(request.Workload)}
    for field in WORKLOAD.fields:
        if field.default is not None:
            assert defaults[field.name] == field.default, field.path


def test_short_names_are_given_once() -> None:
    named = [field for table in ESTIMATE for field in table.fields if field.query]
    assert len(BY_QUERY) == len(named)


@pytest.mark.parametrize(
    "field", [f for f in LAYOUT.fields if f.kind == "whole"], ids=lambda field: field.path
)
def test_bounds_are_kept(field: Field) -> None:
    for value in (field.minimum - 1, field.limit + 1):
        problems = Problems()
        read_layout({field.name: value}, problems)
        assert [error.field for error in problems.errors] == [field.path]


@pytest.mark.parametrize(
    "field", [f for f in WORKLOAD.fields if f.kind == "choice"], ids=lambda field: field.path
)
def test_every_choice_is_read_and_no_other(field: Field, catalog: Catalog) -> None:
    for value in field.values:
        task_needs_more = field.name == "task" and value == "ppo"
        chip_lacks = value in ("fp8", "tf32") and field.name == "precision"
        if not (task_needs_more or chip_lacks):
            parse_plan_request(bent({field.path: value}), catalog)
    with pytest.raises(PlanErrors) as wrong:
        parse_plan_request(bent({field.path: "nonsense"}), catalog)
    assert field.path in [error.field for error in wrong.value.errors]


def test_the_shape_s_fields_are_the_engines() -> None:
    assert {*SHAPE.names, "name"} == set(EXPLICIT_FIELDS)
    assert tuple(ARCHITECTURES) == explicit.ARCHITECTURES
    assert tuple(POSITIONS) == explicit.POSITION_EMBEDDINGS
    assert tuple(NORMS) == explicit.NORMS
    assert tuple(SHAPE_MIXERS) == own_hybrid.MIXERS
