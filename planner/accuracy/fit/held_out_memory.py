"""Memory errors on runs that the fit had not seen, figure by figure: the data file beside the constants.

Written by the memory fit, which refits the constants without each group, and without each source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from planner.accuracy.calibration import MEMORY_FILE

HELD_OUT_MEMORY_FILE = MEMORY_FILE.with_name("held_out_memory.json")


def figure_name(row_id: str, kind: str) -> str:
    """Name of one published figure. A run may publish several of one peak: ``run/allocated``,
    ``run/nvidia-smi``.
    """
    return f"{row_id}/{kind}"


def write(names: Iterable[str], by_group: Iterable[float], by_source: Iterable[float]) -> None:
    """Write log(predicted / measured) of each figure with its group, and with its source, left out."""
    lines = ",\n".join(
        f" {json.dumps(name)}: {json.dumps([round(float(near), 4), round(float(far), 4)])}"
        for name, near, far in zip(names, by_group, by_source, strict=True)
    )
    HELD_OUT_MEMORY_FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
