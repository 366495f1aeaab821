"""Memory errors on runs that the fit had not seen, figure by figure; part of ``make calibrate``.

Refits the memory constants without each group, and without each source, and records log(predicted / measured)
of the runs left out, beside the data file of the shipped constants.
"""

from __future__ import annotations

import json

from planner.accuracy.calibration import MEMORY_FILE
from planner.accuracy.fit import memory

HELD_OUT_MEMORY_FILE = MEMORY_FILE.with_name("held_out_memory.json")


def figure_name(row_id: str, kind: str) -> str:
    """Name of one published figure. A run may publish several of one peak: ``run/allocated``,
    ``run/nvidia-smi``.
    """
    return f"{row_id}/{kind}"


def main() -> None:
    """Refit, and write the residuals of the runs left out."""
    figures = memory.published_figures()
    by_group = memory.held_out_residuals(figures, "group")
    by_source = memory.held_out_residuals(figures, "source")
    held_out = {
        figure_name(figures.rows[int(plan)]["row_id"], memory.KINDS[int(kind)]): [
            round(float(near), 4),
            round(float(far), 4),
        ]
        for plan, kind, near, far in zip(figures.plan, figures.kind, by_group, by_source, strict=True)
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(pair)}" for name, pair in held_out.items())
    HELD_OUT_MEMORY_FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"wrote {HELD_OUT_MEMORY_FILE.name}: {len(held_out)} figures")


if __name__ == "__main__":
    main()
