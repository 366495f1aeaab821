"""How quick a search is, from one machine to a thousand million plans: writes docs/performance.md.

Times are processor seconds of one core, the least of some rounds, so that other work on the machine counts
little.
"""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.contract.search import parse_search_request
from planner.engine.answer.estimate import estimate
from planner.engine.answer.search import answer_of
from planner.engine.answer.searching import kept_of
from planner.engine.question.words import PURCHASES
from planner.engine.sure.calibration import Calibration

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
WORKLOAD = {"task": "pretraining", "tokens": 1e12, "sequence_length": 8192, "global_batch_size": 1024}
LAYOUT = [
    "tensor_parallel",
    "sequence_parallel",
    "pipeline_parallel",
    "interleaved_stages",
    "context_parallel",
]
LAYOUT += ["expert_parallel", "sharding", "micro_batch_size", "activation_recompute"]
SIZES = [1, 2, 4, 8, 16, 32, 64]
MIB = 2**20


PAGE = """\
# Performance

Made by `make bench-search` on {today}: one core of {machine}, Python {python}, numpy {numpy}; processor
seconds, the least of three rounds. Llama 3.1 8B, from the JSON of the question to the answer with its plans
estimated.

| search | clusters | plans | ruled out by bounds | seconds | plans a second | peak MiB |
|---|---|---|---|---|---|---|
{rows}

With bounds, time grows with the {slope:.2f}th power of the number of plans (the slope in log-log axes);
memory does not grow with it. Machines that differ in price alone are evaluated once, and sizes that a bound
rules out are counted without being laid out. One estimate with its open layout and explanation takes
{alone_ms:.0f} ms.

A search with bounds gives the same front and the same list as one that looks at every layout:
`tests/engine/answer/test_pruning.py` holds them against each other on questions drawn at random, and
`tests/engine/choose/test_bound.py` holds the bound against every layout of every model of the catalog.
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One search: what it was, layouts it meant and how many of them bounds ruled out, seconds, peak MiB."""

    name: str
    clusters: int
    plans: int
    ruled_out: int
    seconds: float
    peak_mib: float


def questions(catalog: Catalog) -> Mapping[str, dict[str, Any]]:
    """From one kind of machine to the whole market by every stack and precision."""
    regions = sorted({region for record in catalog.instances() for region in catalog.regions(record.slug)})
    market = {"regions": regions, "purchases": list(PURCHASES)}
    return {
        "one machine, 7 sizes": {"any": {"accelerators": ["h100-sxm"], "providers": ["aws"], "nodes": SIZES}},
        "the catalog, 7 sizes, every layout counted": {"any": {"nodes": SIZES}, "exact": True},
        "the catalog, 7 sizes": {"any": {"nodes": SIZES}},
        "every region and purchase, 7 sizes": {"any": {**market, "nodes": SIZES}},
        "every region and purchase, 1 to 64 nodes": {"any": {**market, "nodes": list(range(1, 65))}},
        "the same by every stack and precision": {
            "any": {**market, "nodes": list(range(1, 65))},
            "vary": [*LAYOUT, "framework", "precision"],
        },
    }


def measured(name: str, data: Mapping[str, Any], catalog: Catalog, calibration: Calibration) -> Measured:
    """The least of three rounds, from the JSON to the answer."""
    question = {"model": "llama-3.1-8b", "workload": WORKLOAD, "cluster": {"any": data["any"]}}
    question |= {key: value for key, value in data.items() if key != "any"}
    counts, clusters = None, 0

    def once() -> None:
        nonlocal counts, clusters
        request = parse_search_request(question, catalog)
        kept = kept_of(request, calibration)
        answer_of(request, calibration, kept)
        counts, clusters = kept.counts, len(request.clusters)

    seconds = least(3, once)
    assert counts is not None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB
    return Measured(name, clusters, counts.looked_at, counts.bound, seconds, peak)


def least(times: int, work: Callable[[], Any]) -> float:
    """The least processor seconds of so many rounds."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def one_plan_s(catalog: Catalog, calibration: Calibration) -> float:
    """Seconds of one estimate with its explanation, for comparison."""
    cluster = {"instance_type": "p5.48xlarge", "nodes": 16}
    request = parse_plan_request({"model": "llama-3.1-8b", "workload": WORKLOAD, "cluster": cluster}, catalog)
    return least(10, lambda: estimate(request, calibration))


def row_text(row: Measured) -> str:
    """One line of the table."""
    cells = (
        row.name,
        f"{row.clusters:,}",
        f"{row.plans:.3g}",
        f"{row.ruled_out / row.plans:.1%}",
        f"{row.seconds:.2f}",
        f"{row.plans / row.seconds:.2g}",
        f"{row.peak_mib:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def document(rows: list[Measured], alone_s: float) -> str:
    """The page: a table, and how time grows with plans."""
    bounded = [row for row in rows if "counted" not in row.name]
    sizes, times = ([np.log10(getattr(row, name)) for row in bounded] for name in ("plans", "seconds"))
    slope = float(np.polyfit(sizes, times, 1)[0])
    return PAGE.format(
        today=date.today().isoformat(),
        machine=platform.machine(),
        python=platform.python_version(),
        numpy=np.__version__,
        rows="\n".join(row_text(row) for row in rows),
        slope=slope,
        alone_ms=alone_s * 1e3,
    )


def main() -> None:
    """Measure, and write the page."""
    catalog, calibration = load_shipped_catalog(), shipped_calibration()
    alone_s = one_plan_s(catalog, calibration)
    rows = []
    for name, data in questions(catalog).items():
        rows.append(measured(name, data, catalog, calibration))
        print(f"{rows[-1].plans:12,} plans {rows[-1].seconds:8.2f} s  {name}", flush=True)
    DOCUMENT.write_text(document(rows, alone_s), encoding="utf-8")
    print(f"wrote docs/{DOCUMENT.name}")


if __name__ == "__main__":
    main()
