"""Changes that make a plan fit: each does, one of a kind, the easiest first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.engine.answer.remedies import MOST_REMEDIES, remedies
from planner.engine.question.request import LayoutRequest, PlanRequest
from planner.engine.question.result import Remedy
from tests.engine.questions import answer, question

CARD = {"accelerator": "a10g", "accelerators_per_node": 1, "nodes": 1, "internode_gbps_per_node": 25}
LORA: dict[str, Any] = {"task": "lora", "sequence_length": 4096, "global_batch_size": 16}


def patched(request: PlanRequest, remedy: Remedy) -> PlanRequest:
    """The question with the remedy's patch put over it, as whoever applies it would."""
    patch = remedy.request_patch
    workload = replace(request.workload, **patch.get("workload", {}))
    cluster = replace(request.cluster, **patch.get("cluster", {}))
    layout = request.layout
    if "layout" in patch:
        layout = LayoutRequest() if patch["layout"] == "auto" else LayoutRequest(**patch["layout"])
    return replace(request, workload=workload, cluster=cluster, layout=layout)


def test_each_remedy_fits_as_it_says() -> None:
    request = question(model="llama-3.1-8b", cluster=CARD, **LORA)
    assert not answer(request).fits
    found = remedies(request, shipped_calibration())
    assert 3 <= len(found) <= MOST_REMEDIES
    for remedy in found:
        changed = answer(patched(request, remedy))
        assert changed.fits, remedy.change
        assert changed.memory.fit_probability == pytest.approx(remedy.fit_probability)
        assert changed.time.total_s == pytest.approx(remedy.total_s)


def test_the_easiest_stand_first_and_more_machines_last() -> None:
    found = remedies(question(model="llama-3.1-8b", cluster=CARD, **LORA), shipped_calibration())
    assert "loss" in found[0].change
    assert "nodes" in found[-1].change


def test_a_layout_that_was_asked_for_is_changed_before_anything_else() -> None:
    asked = {"tensor_parallel": 1, "micro_batch_size": 32, "activation_recompute": "none"}
    request = question(model="llama-2-7b", layout=asked, global_batch_size=1024)
    assert not answer(request).fits
    found = remedies(request, shipped_calibration())
    assert set(found[0].request_patch) == {"layout"}
    assert answer(patched(request, found[0])).fits
