"""GPUs drawn as slices: what nothing takes is drawn as free, in columns that the stylesheet has."""

from __future__ import annotations

import re
from pathlib import Path

from planner.web.slices import COLUMNS, Block, columns_for, with_free_slices


def test_free_slices_stand_between_the_instances() -> None:
    drawn = with_free_slices([Block(5, 4, "3g.20gb", "", "made"), Block(1, 2, "2g.10gb", "", "made")], 8)
    assert [(block.start, block.span, block.css) for block in drawn] == [
        *((1, 2, "made"), (3, 1, "free"), (4, 1, "free"), (5, 4, "made")),
    ]
    assert drawn[1].words == "memory slice 2: free"


def test_a_gpu_is_drawn_in_columns_that_there_are() -> None:
    assert [columns_for(count) for count in (1, 4, 7, 8, 12)] == [4, 4, 8, 8, 12]
    styled = re.findall(r"\.slices\.of-(\d+)", Path("static/web/slices.css").read_text())
    assert tuple(map(int, styled)) == COLUMNS
