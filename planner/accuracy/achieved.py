"""What measured runs reached of their chips: the table that ``make validate`` writes, joined to the report.

A rate is the run's own (model FLOPs over its published step), so that no constant of ours is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from planner.accuracy.calibration import DATA_DIRECTORY, read
from planner.accuracy.report import STEP, ValidatedRun, read_report
from planner.engine.question.specs import ModelSpec

ACHIEVED_FILE = DATA_DIRECTORY / "achieved.json"
COLUMNS = ("name", "shape", "parameters", "per_node", "sequence_length", "precision", "tflops")


@dataclass(frozen=True, slots=True, kw_only=True)
class AchievedRun:
    """One measured run. run: one of its published figures, its step time where there is one.

    shape: as ``shape_of``.  parameters, per_node (chips of a node), sequence_length: counts.
    tflops: model TFLOP/s of one chip, None where no step time is published.
    """

    run: ValidatedRun
    shape: str
    parameters: int
    per_node: int
    sequence_length: int
    precision: str
    tflops: float | None


def shape_of(model: ModelSpec) -> str:
    """What runs of one shape have in common; sources pad vocabularies and stretch positions."""
    sizes = (
        model.layers, model.decoder_layers, model.hidden_size, model.attention_heads, model.kv_heads,
        model.ffn_size, model.experts, model.expert_ffn_size,
    )  # fmt: skip
    return " ".join([model.architecture, *map(str, sizes)])


@lru_cache(maxsize=1)
def achieved_runs() -> tuple[AchievedRun, ...]:
    """Every run of the table that the report has too; none where one of them was never written."""
    report = read_report()
    if report is None or not ACHIEVED_FILE.exists():
        return ()
    figures: dict[str, ValidatedRun] = {}
    for run in report.runs:
        if run.name not in figures or run.figure == STEP:
            figures[run.name] = run
    table = read(ACHIEVED_FILE)
    found = []
    for values in table["rows"]:
        row = dict(zip(table["columns"], values, strict=True))
        published = figures.get(row.pop("name"))
        if published is not None:
            found.append(AchievedRun(run=published, **row))
    return tuple(found)
