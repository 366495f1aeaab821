"""Changes that make a plan fit: each does, one of a kind, the easiest first."""

from __future__ import annotations

from typing import Any

import pytest

from planner.engine.answer.remedies import MOST_REMEDIES
from tests.engine.questions import answer, patched, question

CARD = {"accelerator": "a10g", "accelerators_per_node": 1, "nodes": 1, "internode_gbps_per_node": 25}
LORA: dict[str, Any] = {"task": "lora", "sequence_length": 3584, "global_batch_size": 16}


def test_each_remedy_fits_as_it_says() -> None:
    request = question(model="llama-3.1-8b", cluster=CARD, **LORA)
    result = answer(request)
    assert not result.fits
    found = result.remedies
    assert 3 <= len(found) <= MOST_REMEDIES
    for remedy in found:
        changed = answer(patched(request, remedy.request_patch))
        assert changed.fits, remedy.change
        assert changed.memory.fit_probability == pytest.approx(remedy.fit_probability)
        assert changed.time.total_s == pytest.approx(remedy.total_s)


def test_the_easiest_stand_first_and_more_machines_last() -> None:
    found = answer(question(model="llama-3.1-8b", cluster=CARD, **LORA | {"sequence_length": 3072})).remedies
    assert "loss" in found[0].change
    assert "nodes" in found[-1].change


def test_a_layout_that_was_asked_for_is_changed_before_anything_else() -> None:
    asked = {"tensor_parallel": 1, "micro_batch_size": 32, "activation_recompute": "none"}
    request = question(model="llama-2-7b", layout=asked, global_batch_size=1024)
    result = answer(request)
    assert not result.fits
    found = result.remedies
    assert set(found[0].request_patch) == {"layout"}
    assert answer(patched(request, found[0].request_patch)).fits
