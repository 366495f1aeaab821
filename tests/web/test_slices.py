"""GPUs drawn as slices: what nothing takes is drawn as free, in columns that the stylesheet has."""

from __future__ import annotations

import re
from pathlib import Path

from planner.web.slices import COLUMNS, COMPUTE_COLUMNS, Block, columns_for, packed, with_free_slices


def test_free_slices_stand_between_the_instances() -> None:
    drawn = with_free_slices([Block(5, 4, "3g.20gb", "", "made"), Block(1, 2, "2g.10gb", "", "made")], 8)
    assert [(block.start, block.span, block.css) for block in drawn] == [
        *((1, 2, "made"), (3, 1, "free"), (4, 1, "free"), (5, 4, "made")),
    ]
    assert drawn[1].words == "memory slice 2: free"


def test_a_gpu_is_drawn_in_columns_that_there_are() -> None:
    assert [columns_for(count) for count in (1, 4, 7, 8, 12)] == [4, 4, 8, 8, 12]
    styled = re.findall(r"\.slices\.of-(\d+)", Path("static/web/slices.css").read_text())
    assert {*map(int, styled)} == {*COLUMNS, *COMPUTE_COLUMNS}
    assert columns_for(7, COMPUTE_COLUMNS) == 7


def test_every_place_and_span_has_a_style() -> None:
    css = Path("static/web/slices.css").read_text()
    for number in range(1, max(COLUMNS) + 1):
        assert f".at-{number} {{" in css
        assert f".span-{number} {{" in css


def test_compute_slices_stand_one_after_the_other() -> None:
    drawn = packed([(3, "3", "3g", "made"), (1, "1", "1g", "idle")], 7)
    assert [(block.start, block.span, block.css) for block in drawn] == [
        *((1, 3, "made"), (4, 1, "idle"), (5, 1, "free"), (6, 1, "free"), (7, 1, "free")),
    ]
    assert drawn[-1].words == "compute slice 6: free"


def test_a_label_may_break_after_its_compute_slices() -> None:
    assert Block(1, 1, "1g.5gb", "", "made").parts == ("1g.", "5gb")
    assert Block(1, 1, "", "", "free").parts == ("",)
