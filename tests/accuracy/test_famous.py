"""Famous runs are asked as their publications tell them, and each row names where it is from."""

from __future__ import annotations

from datetime import date

import pytest

from planner.accuracy.famous import Famous, famous_runs
from planner.accuracy.totals import median_error
from planner.accuracy.validate.document import famous_figures, hours


def test_every_row_is_a_question_with_a_source_and_a_date() -> None:
    found = famous_runs()
    assert len({each.name for each in found}) == len(found) >= 20
    for each in found:
        assert each.source and date.fromisoformat(each.as_of)
        assert each.kind in ("pretraining", "encoder", "finetuning")
        assert each.low < each.predicted_hours < each.high
        assert each.fits, each.name


def test_phases_of_a_run_add_up() -> None:
    bert = next(each for each in famous_runs() if each.name.startswith("BERT-large"))
    assert bert.machines.startswith("1,472")
    assert 0.2 < bert.predicted_hours < 3.0


def test_the_document_says_how_many_ranges_hold() -> None:
    found, said = famous_runs(), famous_figures()
    assert said["famous_held"] == f"{sum(each.covered for each in found)} of {len(found)}"
    assert all(each.name in said["famous"] for each in found)


@pytest.mark.parametrize(("value", "text"), [(0.783, "0.783"), (24.0, "24"), (2160.4, "2,160")])
def test_hours_are_short(value: float, text: str) -> None:
    assert hours(value) == text


def test_errors_are_shares_of_what_is_published() -> None:
    def run(published: float) -> Famous:
        return Famous(
            name="a", kind="encoder", machines="", published_hours=published, predicted_hours=2.0,
            low=1.5, high=3.0, fits=True, source="", as_of="", note="",
        )  # fmt: skip

    assert run(4.0).error == -0.5 and not run(4.0).covered and run(1.6).covered
    assert median_error((run(4.0), run(2.0), run(1.0))) == 0.5
