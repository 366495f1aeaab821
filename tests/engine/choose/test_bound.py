"""The bound of a kind of machine is never above what any layout on it takes, for every kind of run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from planner.contract.search import parse_search_request
from planner.engine.answer.blocks import Evaluated, evaluate_blocks, laid_out
from planner.engine.choose.bound import batch_bounds_s, filled_at_least, layout_bounds_s, step_bound_s
from planner.engine.choose.space import pieces_of
from planner.engine.grid.build import grid_over_layouts
from planner.engine.memory.needed import needed_per_rank
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.sure.calibration import Calibration
from planner.engine.time.constants import TimingConstants
from planner.engine.time.step import step_time
from tests.engine.questions import catalog

PRETRAINING = {"task": "pretraining", "tokens": 1e10, "sequence_length": 2048, "global_batch_size": 96}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "decoder": ("llama-2-7b", PRETRAINING),
    "decoder by megatron": ("llama-2-7b", PRETRAINING | {"framework": "megatron"}),
    "compiled": ("mistral-7b", PRETRAINING | {"compile": True, "framework": "torchtitan"}),
    "unfused attention": ("gpt2", PRETRAINING | {"attention": "standard", "sequence_length": 1024}),
    "experts": ("mixtral-8x7b", PRETRAINING),
    "latent attention": ("deepseek-v3", PRETRAINING),
    "window": ("gpt-oss-120b", PRETRAINING),
    "encoder": ("bert-base-uncased", PRETRAINING | {"sequence_length": 512}),
    "encoder-decoder": ("t5-small", PRETRAINING | {"sequence_length": 512, "decoder_sequence_length": 128}),
    "adapters": ("llama-3.1-8b", PRETRAINING | {"task": "lora"}),
    "quantised base": ("llama-3.1-8b", PRETRAINING | {"task": "qlora"}),
    "pairs": ("llama-3.1-8b", PRETRAINING | {"task": "full_finetuning", "objective": "dpo"}),
    "padded": (
        "llama-2-7b",
        PRETRAINING | {"sequences": {"kind": "padded_to_longest", "mean_tokens": 700, "max_tokens": 2048}},
    ),
    "grouped experts": ("mixtral-8x7b", PRETRAINING | {"moe": {"grouped_matmul": True, "balance": "forced"}}),
    "autocast": ("llama-2-7b", PRETRAINING | {"autocast": True}),
    "fp32": ("gpt2", PRETRAINING | {"precision": "fp32", "sequence_length": 1024}),
}
MACHINES = [
    {"instance_type": "p5.48xlarge", "nodes": 3},
    {"instance_type": "p5.48xlarge", "nodes": 4},
    {"instance_type": "p4d.24xlarge", "nodes": 1},
    {"instance_type": "g5.48xlarge", "nodes": 2},
    {"instance_type": "trn1.32xlarge", "nodes": 1},
]


def bound_s(
    asked: PlanRequest, nodes: list[float], ranks: list[float], constants: TimingConstants
) -> np.ndarray[Any, Any]:
    """The bound of one kind of machine in some numbers of nodes."""
    (batch_s,) = batch_bounds_s([asked], constants)
    return step_bound_s(asked, batch_s, np.array(nodes), np.array(ranks), constants)


def layouts_above_the_bound(model: str, workload: dict[str, Any], calibration: Calibration) -> int:
    """How many layouts were held against the bound, none of which was faster."""
    looked_at = 0
    data = {"model": model, "workload": workload, "cluster": MACHINES}
    for piece in pieces_of(parse_search_request(data, catalog())):
        for size, nodes in enumerate(piece.sizes):
            candidates = piece.candidates(size)
            if not len(candidates):
                continue
            arrays = laid_out(piece, [(size, candidates)])
            # Of all layouts, also those that do not fit: what fits elsewhere is bounded too.
            grid = grid_over_layouts(piece.asked, arrays)
            steps = step_time(grid, calibration.timing).step
            ranks = float(arrays["tensor_parallel"][0] * arrays["pipeline_parallel"][0])
            ranks *= float(arrays["context_parallel"][0] * arrays["data_parallel"][0])
            bound = bound_s(piece.asked, [float(nodes)], [ranks], calibration.timing)[0]
            assert 0.0 < bound <= steps.min(), (model, piece.asked.cluster.instance_type)
            own = layout_bounds_s(piece.asked, arrays, calibration.timing)
            assert np.all((own > 0.0) & (own <= steps)), (model, piece.asked.cluster.instance_type)
            needed = needed_per_rank(grid, calibration.memory) / grid.memory_bytes
            least = filled_at_least(piece.asked, arrays, calibration.memory)
            assert np.all((least > 0.0) & (least <= needed)), (model, piece.asked.cluster.instance_type)
            looked_at += len(candidates)
    return looked_at


@pytest.mark.parametrize("run", RUNS)
def test_no_layout_is_faster_than_the_bound(run: str, calibration: Calibration) -> None:
    assert layouts_above_the_bound(*RUNS[run], calibration) > 100


@pytest.mark.parametrize(
    "start", [pytest.param(part, marks=[pytest.mark.slow] if part else []) for part in range(24)]
)
def test_so_it_is_for_every_model_of_the_catalog(start: int, calibration: Calibration) -> None:
    models = [record.slug for record in catalog().models()][start::24]
    assert models
    for model in models:
        images = {"task": "pretraining", "samples": 1e6, "global_batch_size": 96}
        text = PRETRAINING | {"sequence_length": 512}
        try:
            layouts_above_the_bound(model, text, calibration)
        except PlanErrors:  # models of images or sound have no sequence length of their own
            layouts_above_the_bound(model, images, calibration)


def test_the_bound_is_near_enough_to_be_of_use(calibration: Calibration) -> None:
    """On a machine that suits the run, the best layout is within twice the bound."""
    data = {
        "model": "llama-2-7b",
        "workload": PRETRAINING | {"global_batch_size": 1024},
        "cluster": MACHINES[1],
    }
    (piece,) = pieces_of(parse_search_request(data, catalog()))
    arrays = laid_out(piece, [(0, piece.candidates(0))])
    found = Evaluated.none(len(arrays["nodes"]))
    assert list(evaluate_blocks(piece.asked, arrays, found, calibration))
    bound = bound_s(piece.asked, [4.0], [32.0], calibration.timing)[0]
    assert found.step_s.min() < 2.0 * bound
    # A layout's own bound leaves out little of it.
    fits = np.flatnonzero(found.fits)
    own = layout_bounds_s(piece.asked, arrays, calibration.timing)[fits]
    assert np.median(found.step_s[fits] / own) < 1.3


def test_the_bound_halves_with_twice_the_ranks(calibration: Calibration) -> None:
    data = {"model": "llama-2-7b", "workload": PRETRAINING, "cluster": MACHINES[1]}
    (piece,) = pieces_of(parse_search_request(data, catalog()))
    constants = replace(calibration.timing, step_slack_s=0.0 * calibration.timing.step_slack_s, jitter=0.0)
    one, two = bound_s(piece.asked, [1.0, 1.0], [8.0, 16.0], constants)
    assert two == pytest.approx(one / 2.0)
    slow, slower = bound_s(piece.asked, [1.0, 64.0], [8.0, 8.0], calibration.timing)
    assert slower > slow  # jitter grows with the nodes


def test_reinforcement_learning_has_no_bound(calibration: Calibration) -> None:
    ppo = {"critic": "gpt2", "reference": None, "reward": "gpt2", "rollout_tokens": 512}
    workload = PRETRAINING | {"task": "ppo", "ppo": ppo}
    data = {"model": "gpt2", "workload": workload | {"sequence_length": 1024}, "cluster": MACHINES[1]}
    (piece,) = pieces_of(parse_search_request(data, catalog()))
    assert bound_s(piece.asked, [4.0], [32.0], calibration.timing) == [0.0]
