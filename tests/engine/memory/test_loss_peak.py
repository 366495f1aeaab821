"""Bytes per logit of a loss on whole logits against what PyTorch holds at once."""

from __future__ import annotations

import pytest

from planner.engine.memory.buffers import bytes_per_logit
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.traits import traits_of
from tests.engine.bare import bare_grid, framework, number

#: What torch 2.13 held on the CPU, beside the hidden states' few bytes.
HELD = {"none": 12.0, "16_bit": 14.0, "fp32": 16.0}
KEPT_BYTES = {"none": 0.0, "16_bit": 2.0, "fp32": 4.0}


@pytest.mark.parametrize("kept", HELD)
def test_logits_that_the_loop_keeps_come_on_top(kept: str) -> None:
    grid = bare_grid(framework=framework("fsdp"), finetuning=1, kept_logit_bytes=KEPT_BYTES[kept])
    assert number(bytes_per_logit(grid, traits_of(grid), MemoryConstants())) == HELD[kept]


@pytest.mark.slow
@pytest.mark.parametrize("kept", HELD)
def test_torch_holds_as_much(kept: str) -> None:
    pytest.importorskip("torch", reason="the oracle needs requirements-oracle.txt")
    from tests.engine.memory.loss_peak import peak_bytes_per_logit

    assert peak_bytes_per_logit(kept) == pytest.approx(HELD[kept], rel=0.01)
