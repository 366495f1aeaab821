"""What other estimators report on the same published runs, and what they report overall."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from planner.accuracy.calibration import DATA_DIRECTORY

PEERS_FILE = DATA_DIRECTORY / "runs" / "peers.csv"
#: What Calculon's own test prints below its table, from predictions that it does not round.
CALCULON_SUMMARY = "its own summary: mean 3.65 %, largest 8.87 %"
#: Peers that report an error, but not row by row on the runs compared here: name, figure, source.
ELSEWHERE = (
    (
        "vTrain (Bang et al. 2023, arXiv 2312.12391)",
        "8.37 % mean on one node of 8 A100 and 14.73 % on up to 512 A100, after profiling on the machine",
        "KAIST's announcement, read 2026-11-25",
    ),
    (
        "Zhang et al. 2025 (arXiv 2509.22832)",
        "4.98 % mean on Perlmutter (A100), 9.38 % on Vista (GH200), after sampling operators on the machine",
        "its abstract, read 2026-11-25",
    ),
    (
        "llm-analysis (cli99/llm-analysis)",
        "none; the achieved TFLOP/s is an input, so the answer is given to it",
        "examples/megatron-turing-nlg/README.md, read 2026-11-25",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFigure:
    """A peer's prediction of one run, in seconds per step."""

    peer: str
    row_id: str
    predicted_s: float
    source: str
    as_of: str


def read_peers() -> dict[str, PeerFigure]:
    """The peer's predictions by our name of the run."""
    with PEERS_FILE.open(encoding="utf-8", newline="") as file:
        return {
            row["row_id"]: PeerFigure(
                peer=row["peer"],
                row_id=row["row_id"],
                predicted_s=float(row["predicted_s"]),
                source=row["source"],
                as_of=row["as_of"],
            )
            for row in csv.DictReader(file)
        }
