"""What a rank holds is the same on every machine of one architecture; what it needs is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.choose.layout import candidate_sets
from planner.engine.grid.build import cluster_numbers, grid_over_layouts
from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.needed import HOST_SHORT, held_per_rank, needed_per_rank, total_per_rank
from planner.engine.memory.peak import memory_per_rank

WORKLOADS: dict[str, dict[str, Any]] = {
    "pretraining": {"model": "llama-3.1-8b"},
    "experts": {"model": "mixtral-8x7b", "framework": "megatron"},
    "adapters": {"model": "llama-3.1-8b", "task": "qlora", "framework": "fsdp"},
    "offload": {"model": "llama-3.1-8b", "framework": "deepspeed", "offload": ["optimizer", "activations"]},
    "encoder_decoder": {"model": "t5-large", "sequence_length": 512},
}


def grid_of(name: str, **cluster: Any) -> PlanGrid:
    given = {"task": "pretraining", "tokens": 1e9, "sequence_length": 2048, "global_batch_size": 64}
    given |= WORKLOADS[name]
    model = given.pop("model")
    machine = {"instance_type": "p5.48xlarge", "nodes": 2}
    question = parse_plan_request(
        {"model": model, "workload": given, "cluster": machine}, load_shipped_catalog()
    )
    question = replace(question, cluster=replace(question.cluster, **cluster))
    layouts = next(candidate_sets(question, (16,)))
    return grid_over_layouts(question, layouts.arrays)


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_of_the_machine_only_the_architecture_is_read(name: str) -> None:
    grid = grid_of(name)
    catalog = load_shipped_catalog()
    numbers = cluster_numbers(catalog_cluster(catalog), "bf16")
    others = {
        field: 1.7 * getattr(grid, field) + 3.0
        for field in numbers
        if field not in ("architecture", "ranks_per_accelerator")
    }
    held, elsewhere = (held_per_rank(each, MemoryConstants()) for each in (grid, replace(grid, **others)))
    for field in ("allocated", "wished_reserve", "unusable", "host"):
        assert np.array_equal(getattr(held, field), getattr(elsewhere, field)), field


def catalog_cluster(catalog: Any) -> Any:
    question = parse_plan_request(
        {
            "model": "gpt2",
            "workload": {
                "task": "pretraining",
                "tokens": 1e9,
                "sequence_length": 512,
                "global_batch_size": 8,
            },
            "cluster": {"instance_type": "p5.48xlarge", "nodes": 1},
        },
        catalog,
    )
    return question.cluster


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_what_is_known_to_be_held_changes_no_digit(name: str) -> None:
    grid, constants = grid_of(name), MemoryConstants()
    held = held_per_rank(grid, constants).over(grid.tensor_parallel.size)
    assert np.array_equal(needed_per_rank(grid, constants, held), needed_per_rank(grid, constants))


def test_a_host_that_is_too_small_never_fits() -> None:
    small = grid_of("offload", host_memory_bytes=1e9)
    large = grid_of("offload", host_memory_bytes=1e15)
    needed = needed_per_rank(large, MemoryConstants())
    assert np.array_equal(needed_per_rank(small, MemoryConstants()), HOST_SHORT * needed)


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_what_is_needed_is_as_in_the_whole_answer_and_fits_where_the_total_does(name: str) -> None:
    grid, constants = grid_of(name, host_memory_bytes=1e15), MemoryConstants()
    needed, total = needed_per_rank(grid, constants), total_per_rank(grid, constants)
    assert np.array_equal(needed, memory_per_rank(grid, constants).needed)
    assert np.array_equal(needed > grid.memory_bytes, total > grid.memory_bytes)
