"""The fullest that the allocator gets, by hand, from plain numbers for each moment."""

from __future__ import annotations

import numpy as np
import pytest

from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.reserve import SHIFTED_LOSS_BYTES, VARYING_CACHE_SHARE, Reuse, seen_bytes

LIFE = dict.fromkeys(("casts", "activations", "graph", "step", "gradients", "backward", "always"), 0.0)
NONE = dict.fromkeys(
    ("reserve_share", "state_reserve_share", "idle_reserve_share", "backward_reserve_share"), 0.0
)


def seen(
    at: tuple[float, float, float, float],
    *,
    room: float = 0.0,
    by_size: float = 1.0,
    varying: float = 0.0,
    life: dict[str, float],
    **shares: float,
) -> float:
    found = seen_bytes(
        tuple(np.asarray(value) for value in at),
        {name: np.asarray(value) for name, value in (LIFE | life).items()},
        early=np.asarray(0.25),
        gathered=np.asarray(10.0),
        retained=np.asarray(20.0),
        reuse=Reuse(*(np.asarray(each) for each in (room, 1.0, by_size, varying, 0.1))),
        constants=MemoryConstants(**NONE | shares),
    )
    return float(found)


@pytest.mark.parametrize("at", [(9.0, 1, 1, 1), (1, 9.0, 1, 1), (1, 1, 9.0, 1), (1, 1, 1, 9.0)])
def test_the_fullest_of_four_moments_counts(at: tuple[float, float, float, float]) -> None:
    assert seen(at, life={}) == 9.0


def test_the_loss_has_room_for_its_passing_copies() -> None:
    """Logits in fp32, their gradient, that padded, and its 16-bit cast: 14 bytes."""
    assert SHIFTED_LOSS_BYTES == 4 + 4 + 4 + 2
    assert seen((9, 1, 1, 1), room=5.0, life={}) == 14.0


def test_each_kind_of_reserve_has_its_share() -> None:
    life = {"activations": 100.0, "backward": 10.0, "gradients": 40.0, "step": 8.0}
    # At the loss: half of what moves, a fifth of the backward pass's, a tenth of 30 absent gradients and 8.
    shares = {"reserve_share": 0.5, "backward_reserve_share": 0.2, "idle_reserve_share": 0.1}
    assert seen((1000, 0, 0, 0), life=life, **shares) == pytest.approx(1000 + 50 + 2 + 3.8)
    # At the backward pass: half of what moves and passes.
    assert seen((0, 1000, 0, 0), life=life, **shares) == pytest.approx(1000 + 55 + 3.8)


def test_expandable_segments_leave_holes_alone() -> None:
    """Half of what moves, and what another stream gathered; idle blocks of other sizes serve again."""
    life = {"activations": 100.0, "backward": 10.0, "gradients": 40.0, "step": 8.0}
    shares = {"reserve_share": 0.5, "backward_reserve_share": 0.2, "idle_reserve_share": 0.1}
    shares |= {"gather_reserve_share": 0.5, "crossing_reserve_share": 0.1}
    assert seen((1000, 0, 0, 0), by_size=0.0, life=life, **shares) == pytest.approx(1000 + 50 + 5)


def test_states_gathers_and_crossings_come_on_top() -> None:
    shares = {"state_reserve_share": 0.01, "gather_reserve_share": 0.5, "crossing_reserve_share": 0.1}
    assert seen((1000, 0, 0, 0), life={"activations": 100.0}, **shares) == pytest.approx(1000 + 10 + 5 + 12)


def test_blocks_of_each_length_wait_beside_what_stays() -> None:
    """Of 1,000 bytes 400 stay between steps: 600 come and go."""
    assert seen((1000, 1, 1, 1), varying=0.5, life={"always": 400.0}) == pytest.approx(
        1000 + 0.5 * VARYING_CACHE_SHARE * 600
    )
