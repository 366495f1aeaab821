"""How quick a search is, from one machine to a thousand million plans: a section of docs/performance.md.

`python -m scripts.bench_search --peer PATH` runs a checkout of Calculon beside it (calculon-ai/calculon on
GitHub; it needs psutil). Times are processor seconds of one core, the least of some rounds, so that other
work on the machine counts little.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.contract.search import parse_search_request
from planner.engine.answer.blocks import BLOCK, evaluate_block
from planner.engine.answer.estimate import estimate
from planner.engine.answer.search import answer_of
from planner.engine.answer.searching import kept_of
from planner.engine.layout.enumeration import axes_of, candidates_on, degrees_on
from planner.engine.question.request import LayoutRequest
from planner.engine.question.words import PURCHASES
from planner.engine.sure.calibration import Calibration
from scripts.loglog import loglog_svg
from scripts.sections import PERFORMANCE, ROOT, put

PICTURE = ROOT / "docs" / "performance.svg"
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
## Searches

Made by `make bench-search` on {today}: one core of {machine}, Python {python}, numpy {numpy}; processor
seconds, the least of three rounds. Llama 3.1 8B, from the JSON of the question to the answer with its plans
estimated.

| search | clusters | plans | ruled out by bounds | seconds | plans a second | peak MiB |
|---|---|---|---|---|---|---|
{rows}

![Seconds against plans, in log-log axes](performance.svg)

With bounds, time grows with the {slope:.2f}th power of the number of plans (the slope in log-log axes);
memory does not grow with it. Machines that differ in price alone are evaluated once, sizes that a bound rules
out are counted without being laid out, and of the others only the layouts are looked at whose own bound is
below what was found. One estimate with its explanation takes {given_ms:.1f} ms, with its layout open
{alone_ms:.1f} ms. In a grid of 4,096, memory and time of {grid_plans:,.0f} plans a second are computed.
{beside}
A search with bounds gives the same front and the same list as one that looks at every layout:
`tests/engine/answer/test_pruning.py` holds them against each other on questions drawn at random, and
`tests/engine/choose/test_bound.py` holds the bounds against every layout of every model of the catalog.
"""
BESIDE = """
Beside Calculon ({commit}), in the same run: its search looks at {peer_plans:,} layouts of {model} on {gpus}
A100 in {peer_s:.1f} s, {peer_rate:,.0f} a second; Headroom looks at all {our_plans:,} of its own layouts of
the same model and machines in {our_s:.3f} s, {our_rate:,.0f} a second: {ratio:,.0f} times as many. What is
counted in a layout differs; the rates are of layouts looked at, those that do not divide left out.
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
        "one chip, 7 sizes, every layout counted": {
            "any": {"accelerators": ["h100-sxm"], "nodes": SIZES},
            "exact": True,
        },
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


def one_plan_s(catalog: Catalog, calibration: Calibration) -> tuple[float, float]:
    """Seconds of one estimate with its explanation, its layout given and open."""
    cluster = {"instance_type": "p5.48xlarge", "nodes": 16}
    request = parse_plan_request({"model": "llama-3.1-8b", "workload": WORKLOAD, "cluster": cluster}, catalog)
    layout = estimate(request, calibration).layout
    named = LayoutRequest(**{name: getattr(layout, name) for name in LayoutRequest.__slots__})
    given = replace(request, layout=named)
    return least(50, lambda: estimate(given, calibration)), least(10, lambda: estimate(request, calibration))


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


@dataclass(frozen=True, slots=True)
class Peer:
    """What a peer and we looked at on the same machines: layouts, and processor seconds."""

    commit: str
    peer_plans: int
    peer_s: float
    our_plans: int
    our_s: float


#: What both look at: a model of the peer's, on one node.
PEER_MODEL, PEER_GPUS, PEER_BATCH = "megatron-5B", 2, 32
#: Run in the peer's checkout: its own search over the ways to split the model, without its start.
PEER_CODE = """
import sys, time, calculon
from calculon.llm import *
from calculon.llm.optimal_execution import OptimalExecution
model, gpus, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
app = Llm.Application(calculon.io.read_json_file(f"models/{model}.json"))
system = System(calculon.io.read_json_file("systems/a100_80g.json"))
count, began = 0, time.process_time()
for splits in ((gpus, 1, 1), (1, gpus, 1), (1, 1, gpus)):
    count += OptimalExecution.search(
        False, 1, False, gpus, batch, "float16", app, system, *splits, 1, batch, "full", False, "ar", [True],
        False, True, True)[1]
print(count, time.process_time() - began)
"""


def beside_peer(checkout: Path, catalog: Catalog, calibration: Calibration) -> Peer:
    """Layouts of one model on one node, by Calculon's search and, all of them, by ours."""
    said = subprocess.run(
        [sys.executable, "-c", PEER_CODE, PEER_MODEL, str(PEER_GPUS), str(PEER_BATCH)],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    peer_plans, peer_s = said.stdout.split()[-2:]
    shape = {"architecture": "decoder", "layers": 24, "hidden_size": 4096, "attention_heads": 32}
    shape |= {"ffn_size": 16384, "vocab_size": 51200, "max_positions": 2048}
    machines = {"accelerator": "a100-sxm-80gb", "accelerators_per_node": PEER_GPUS, "nodes": 1}
    workload = {"sequence_length": 2048, "global_batch_size": PEER_BATCH, "precision": "fp16"}
    question = {"model": shape, "workload": WORKLOAD | workload, "cluster": [machines], "exact": True}
    request = parse_search_request(question, catalog)
    counts = kept_of(request, calibration).counts
    our_s = least(10, lambda: kept_of(request, calibration))
    ours = counts.looked_at - counts.indivisible
    return Peer(commit_of(checkout), int(peer_plans), float(peer_s), ours, our_s)


def commit_of(checkout: Path) -> str:
    """The commit that is checked out, "a copy" where it is no checkout."""
    asked = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return f"commit {said.stdout.strip()}" if said.returncode == 0 else "a copy of it"


def grid_plans_a_second(catalog: Catalog, calibration: Calibration) -> float:
    """Plans whose memory and time one core computes in a second, in a grid of 4,096."""
    cluster = {"instance_type": "p5.48xlarge", "nodes": 16}
    request = parse_plan_request({"model": "llama-3.1-8b", "workload": WORKLOAD, "cluster": cluster}, catalog)
    axes = axes_of(request)
    arrays = candidates_on(axes, request, degrees_on(axes, request, 128)).arrays
    block = {name: np.resize(values, BLOCK) for name, values in arrays.items()} | {
        "nodes": np.full(BLOCK, 16.0)
    }
    return BLOCK / least(30, lambda: evaluate_block(request, block, calibration))


def document(
    rows: list[Measured], *, given_s: float, alone_s: float, grid_plans: float, peer: Peer | None
) -> str:
    """The section: a table, how time grows with plans, and a peer beside it."""
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
        given_ms=given_s * 1e3,
        alone_ms=alone_s * 1e3,
        grid_plans=round(grid_plans, -3),
        beside="" if peer is None else peer_text(peer),
    )


def peer_text(peer: Peer) -> str:
    """The sentences on a peer."""
    peer_rate, our_rate = peer.peer_plans / peer.peer_s, peer.our_plans / peer.our_s
    return BESIDE.format(
        commit=peer.commit,
        peer_plans=peer.peer_plans,
        model=PEER_MODEL,
        gpus=PEER_GPUS,
        peer_s=peer.peer_s,
        peer_rate=peer_rate,
        our_plans=peer.our_plans,
        our_s=peer.our_s,
        our_rate=our_rate,
        ratio=our_rate / peer_rate,
    )


def picture(rows: list[Measured]) -> str:
    """Seconds against plans, searches with bounds and those that count every layout."""
    series = {
        "with bounds": [(float(row.plans), row.seconds) for row in rows if "counted" not in row.name],
        "every layout counted": [(float(row.plans), row.seconds) for row in rows if "counted" in row.name],
    }
    return loglog_svg(series, x="layouts of the question", y="processor seconds")


def main() -> None:
    """Measure, and write the section and its picture."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--peer", type=Path, help="a checkout of Calculon to run beside")
    given = asked.parse_args()
    catalog, calibration = load_shipped_catalog(), shipped_calibration()
    given_s, alone_s = one_plan_s(catalog, calibration)
    grid_plans = grid_plans_a_second(catalog, calibration)
    print(f"one plan {given_s * 1e3:.2f} ms, open {alone_s * 1e3:.2f} ms, {grid_plans:,.0f} plans a second")
    rows = []
    for name, data in questions(catalog).items():
        rows.append(measured(name, data, catalog, calibration))
        print(f"{rows[-1].plans:12,} plans {rows[-1].seconds:8.2f} s  {name}", flush=True)
    peer = None if given.peer is None else beside_peer(given.peer.resolve(), catalog, calibration)
    text = document(rows, given_s=given_s, alone_s=alone_s, grid_plans=grid_plans, peer=peer)
    put(PERFORMANCE, "searches", text)
    PICTURE.write_text(picture(rows), encoding="utf-8")
    print(f"wrote docs/{PERFORMANCE.name} and {PICTURE.name}")


if __name__ == "__main__":
    main()
