"""How many steps a run takes, by hand."""

import pytest

from planner.engine.run.length import SECONDS_PER_DAY, total_steps
from tests.engine.questions import question


@pytest.mark.parametrize(
    ("tokens", "steps"),
    [(1, 1), (2048 * 256, 1), (2048 * 256 + 1, 2), (2048 * 256 * 10, 10), (2048 * 256 * 9.5, 10), (1e11, 190_735)],
)
def test_the_last_step_may_be_a_part_of_a_batch(tokens: float, steps: int) -> None:
    assert total_steps(question(tokens=tokens, sequence_length=2048, global_batch_size=256)) == steps


def test_a_day_has_its_seconds() -> None:
    assert SECONDS_PER_DAY == 24 * 60 * 60
