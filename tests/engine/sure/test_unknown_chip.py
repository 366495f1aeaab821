"""A chip of which no run was measured is never timed as another kind in silence."""

from __future__ import annotations

import math

import pytest

from planner.engine.grid.build import architecture_index
from planner.engine.grid.plan_grid import ARCHITECTURES
from planner.engine.sure.intervals import UNKNOWN_CHIP_SPREAD
from tests.engine.questions import answer, question


@pytest.mark.parametrize("architecture", ["cdna2", "gaudi3", "tpu_v5p", "rubin"])
def test_unknown_kinds_have_a_place_of_their_own(architecture: str) -> None:
    assert ARCHITECTURES[architecture_index(architecture)] == "other"


@pytest.mark.parametrize("accelerator", ["mi250x", "gaudi3", "tpu-v5p"])
def test_its_range_is_wide_and_the_answer_says_why(accelerator: str) -> None:
    cluster = {
        "accelerator": accelerator,
        "accelerators_per_node": 8,
        "nodes": 4,
        "internode_gbps_per_node": 3200,
    }
    found = answer(question(cluster=cluster))
    low, high = found.time.total_interval_s
    assert low <= found.time.total_s * math.exp(-UNKNOWN_CHIP_SPREAD) * 1.001
    assert high >= found.time.total_s * math.exp(UNKNOWN_CHIP_SPREAD) * 0.999
    assert any("no run on this kind was measured" in warning.message for warning in found.warnings)


def test_blocks_that_nobody_measured_widen_the_range_too() -> None:
    mamba = {"model_type": "mamba", "hidden_size": 2560, "num_hidden_layers": 64, "vocab_size": 50280}
    found = answer(question(model={"hf_config": mamba}))
    assert found.time.total_interval_s[1] >= found.time.total_s * math.exp(UNKNOWN_CHIP_SPREAD) * 0.999
    assert any("state-space or linear-attention" in warning.message for warning in found.warnings)
