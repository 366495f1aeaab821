"""Steps of a run: whole ones, the last filled up."""

from planner.engine.run.length import steps_of, total_steps
from tests.engine.questions import question


def test_the_last_step_is_filled_up() -> None:
    assert steps_of(1000.0, 100) == 10
    assert steps_of(1001.0, 100) == 11


def test_a_run_has_a_step() -> None:
    assert steps_of(1.0, 1e6) == 1


def test_rounding_adds_no_step() -> None:
    """0.1 x 3 is a little more than 0.3: three steps of a tenth are three, not four."""
    assert steps_of(0.1 * 3, 0.1) == 3


def test_a_request_in_steps() -> None:
    """1e11 tokens in batches of 256 x 2,048 = 524,288 tokens: 190,734.86 steps."""
    assert total_steps(question(tokens=1e11, global_batch_size=256, sequence_length=2048)) == 190_735
