"""What bounds leave out is never missed: the same front and the same list as with every layout looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.contract.search import parse_search_request
from planner.engine.answer.blocks import Evaluated, evaluate_blocks, laid_out
from planner.engine.answer.kept import Kept, Rows
from planner.engine.answer.searching import search_steps
from planner.engine.choose.space import pieces_of
from planner.engine.question.search_request import SearchRequest
from planner.engine.run.length import total_steps
from planner.engine.sure.calibration import Calibration
from tests.engine.questions import catalog

CHIPS = (
    "h100-sxm",
    "a100-sxm-40gb",
    "a100-sxm-80gb",
    "h200-sxm",
    "b200",
    "l4",
    "a10g",
    "v100-sxm-16gb",
    "t4",
)
REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "us-central1", "europe-west4")
PURCHASES = ("on_demand", "spot", "savings_1y", "reserved_3y", "capacity_block")
MODELS = ("gpt2", "llama-2-7b", "mixtral-8x7b", "bert-base-uncased", "t5-small")


def some(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)


QUESTIONS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "workload": st.fixed_dictionaries(
            {
                "task": st.sampled_from(["pretraining", "full_finetuning"]),
                "tokens": st.sampled_from([1e9, 1e11]),
                "sequence_length": st.just(512),
                "global_batch_size": st.sampled_from([64, 96, 512]),
            }
        ),
        "cluster": st.fixed_dictionaries(
            {
                "any": st.fixed_dictionaries(
                    {
                        "accelerators": st.one_of(st.none(), some(CHIPS)),
                        "regions": some(REGIONS),
                        "purchases": some(PURCHASES),
                        "nodes": st.lists(
                            st.sampled_from([1, 2, 3, 4, 8, 16]), min_size=1, max_size=4, unique=True
                        ),
                        "discounts": st.sampled_from([None, {"aws": 25.0}, {"gcp": 40.0, "aws": 3.0}]),
                        "own_prices": st.sampled_from([None, {"p4d.24xlarge": 12.0, "p5.48xlarge": 30.0}]),
                        "available_only": st.booleans(),
                    }
                )
            }
        ),
        "objective": st.sampled_from(["cost", "time", "balanced"]),
        "limit": st.sampled_from([1, 3, 20]),
        "vary": st.sampled_from(
            [["micro_batch_size", "sharding"], ["tensor_parallel", "pipeline_parallel"], None]
        ),
        "frameworks": st.sampled_from([None, ["megatron", "fsdp"]]),
        "precisions": st.sampled_from([None, ["bf16", "fp8"]]),
    }
)


def searched(request: SearchRequest, calibration: Calibration, *, exact: bool) -> Kept:
    *_, last = search_steps(request, calibration, pieces_of(request), exact=exact)
    assert last.done == last.plans == last.kept.counts.looked_at
    return last.kept


def numbers(rows: Rows) -> list[tuple[Any, ...]]:
    return [(a, None if b != b else b) for a, b in zip(rows.total_s.tolist(), rows.usd.tolist(), strict=True)]


def accounted(kept: Kept) -> int:
    counts = kept.counts
    rejected = (
        counts.indivisible + counts.no_memory + counts.late + counts.dear + counts.unsold + counts.bound
    )
    return counts.fitting + rejected


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=QUESTIONS, limits=st.sampled_from([(None, None), (30.0, None), (None, 2e4), (10.0, 1e5)]))
def test_bounds_change_no_answer(
    question: dict[str, Any], limits: tuple[float | None, float | None], calibration: Calibration
) -> None:
    data = {name: value for name, value in question.items() if value is not None}
    data["cluster"] = {"any": {k: v for k, v in question["cluster"]["any"].items() if v is not None}}
    try:
        request = parse_search_request(data, catalog())
    except Exception:  # nothing in the catalog is all of this at once
        return
    request = replace(request, deadline_days=limits[0], budget_usd=limits[1])
    whole = searched(request, calibration, exact=True)
    pruned = searched(request, calibration, exact=False)
    assert numbers(pruned.front) == numbers(whole.front)
    assert numbers(pruned.top()) == numbers(whole.top())
    assert pruned.top().cluster.tolist() == whole.top().cluster.tolist()
    assert (whole.counts.bound, accounted(whole)) == (0, whole.counts.looked_at)
    assert accounted(pruned) == pruned.counts.looked_at == whole.counts.looked_at


def test_bounds_leave_most_of_the_market_out(calibration: Calibration) -> None:
    data = {
        "model": "llama-3.1-8b",
        "workload": {
            "task": "pretraining",
            "tokens": 1e11,
            "sequence_length": 4096,
            "global_batch_size": 512,
        },
        "cluster": {"any": {"nodes": [1, 2, 4, 8, 16]}},
    }
    kept = searched(parse_search_request(data, catalog()), calibration, exact=False)
    assert kept.counts.bound > 0.5 * kept.counts.looked_at


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_parts_that_know_of_each_others_fronts_find_the_same(cut: int, calibration: Calibration) -> None:
    data = {
        "model": "llama-2-7b",
        "workload": {
            "task": "pretraining",
            "tokens": 1e11,
            "sequence_length": 2048,
            "global_batch_size": 128,
        },
        "cluster": {"any": {"accelerators": list(CHIPS), "nodes": [1, 2, 4]}},
    }
    request = parse_search_request(data, catalog())
    pieces = pieces_of(request)
    joined = Kept(request.objective, request.limit)
    for start in range(cut):
        *_, last = search_steps(request, calibration, pieces[start::cut], rivals=joined, exact=False)
        joined.join(last.kept)
    assert joined.counts.looked_at == sum(piece.evaluated for piece in pieces)
    whole = searched(request, calibration, exact=True)
    assert numbers(joined.front) == numbers(whole.front)
    assert numbers(joined.top()) == numbers(whole.top())


@pytest.mark.parametrize(("machine", "nodes"), [("g5.48xlarge", 1), ("p4d.24xlarge", 2)])
def test_what_is_known_not_to_fit_is_counted_as_if_it_were_looked_at(
    machine: str, nodes: int, calibration: Calibration
) -> None:
    """On the first machine nothing fits: the layout that lacks least is the same too."""
    data = {
        "model": "llama-2-13b",
        "workload": {
            "task": "pretraining",
            "tokens": 1e11,
            "sequence_length": 4096,
            "global_batch_size": 64,
        },
        "cluster": [{"instance_type": machine, "nodes": nodes}],
    }
    request = parse_search_request(data, catalog())
    (piece,) = pieces_of(request)
    candidates = piece.candidates(0)
    arrays = laid_out(piece, [(0, candidates)])
    each = Evaluated.none(len(candidates))
    assert list(evaluate_blocks(piece.asked, arrays, each, calibration))
    kept = searched(request, calibration, exact=True)
    assert kept.counts.no_memory == np.count_nonzero(~each.fits)
    assert kept.counts.fitting == np.count_nonzero(each.fits)
    for found in (kept, searched(request, calibration, exact=False)):
        if each.fits.any():
            assert found.front.total_s[0] == total_steps(piece.asked) * each.step_s.min()
        else:
            assert found.nearest_share == each.share.min()
