"""Whether a change left every answer as it was: for whoever makes the engine quicker, not for ``make test``.

`python -m scripts.same_answers --keep FILE` before the change writes the answers to some three thousand
questions: the measured runs, the public bills, questions drawn from the corners of the contract, searches,
and those of each JSON Lines file named with ``--more`` (lines that are requests, or have one as ``request``).
`python -m scripts.same_answers --against FILE` after it compares to one part in 10⁹ and names what differs.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from planner.accuracy.calibration import shipped_calibration
from planner.accuracy.runs import FURTHER, MEASURED, read_rows
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_error, render_result
from planner.contract.search import parse_search_request
from planner.engine.answer.estimate import estimate
from planner.engine.answer.search import search
from planner.engine.evaluate import evaluate
from planner.engine.grid.build import grid_over_layouts
from planner.engine.layout.enumeration import axes_of, candidates_on, degrees_on
from planner.engine.question.errors import PlanErrors
from tests.engine.questions import TEXT_MODELS, odd_data, question

ALIKE = 1e-9
ODD_QUESTIONS = 1800
SEARCHES = 24
GRIDS = 60


def requests(more: list[Path]) -> Iterator[tuple[str, Any]]:
    """(name, JSON request) of every question to ``estimate``."""
    for path in (MEASURED, FURTHER):
        for row in read_rows(path):
            yield row["row_id"], row["request"]
    for path in more:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            data = json.loads(line)
            yield f"{path.stem} {number}", data.get("request", data)
    for seed in range(ODD_QUESTIONS):
        yield f"odd {seed}", odd_data(random.Random(seed))


def answers(more: list[Path]) -> Iterator[tuple[str, Any]]:
    """(name, answer) of every question; errors are answers."""
    catalog, calibration = load_shipped_catalog(), shipped_calibration()
    for name, data in requests(more):
        try:
            yield name, render_result(estimate(parse_plan_request(data, catalog), calibration))
        except PlanErrors as problems:
            yield name, render_error(problems)
    for seed in range(SEARCHES):
        draw = random.Random(seed)
        data = {
            "model": draw.choice(TEXT_MODELS),
            "workload": {
                "task": draw.choice(["pretraining", "full_finetuning", "lora", "qlora"]),
                "tokens": 1e10,
                "sequence_length": draw.choice([512, 4096, 32768]),
                "global_batch_size": draw.choice([16, 96, 512]),
            },
            "cluster": {"any": {"nodes": draw.choice([[1, 2, 4], [8, 16, 64]])}},
            "objective": draw.choice(["cost", "time", "balanced"]),
        }
        found = search(parse_search_request(data, catalog), calibration)
        best = None if found.best is None else render_result(found.best)
        yield (
            f"search {seed}",
            [best, [repr(each) for each in found.top], [repr(each) for each in found.pareto]],
        )
    yield from grids()


def grids() -> Iterator[tuple[str, Any]]:
    """The figures of every layout of some questions, computed in one grid each."""
    calibration = shipped_calibration()
    for seed in range(GRIDS):
        draw = random.Random(seed)
        request = question(
            model=draw.choice(TEXT_MODELS),
            task=draw.choice(["pretraining", "full_finetuning", "lora", "qlora"]),
            framework=draw.choice(["generic", "megatron", "fsdp", "deepspeed", "torchtitan"]),
            sequence_length=draw.choice([512, 8192]),
            cluster={"nodes": draw.choice([1, 2, 8])},
        )
        axes = axes_of(request)
        ranks = 8 * (request.cluster.nodes or 1)
        layouts = candidates_on(axes, request, degrees_on(axes, request, ranks)).arrays
        count = len(next(iter(layouts.values())))
        if not count:
            continue
        each = np.random.default_rng(seed).permutation(count)[:3000]
        layouts = {name: values[each] for name, values in layouts.items()}
        found = evaluate(grid_over_layouts(request, layouts), calibration)
        yield (
            f"grid {seed}",
            {
                "memory": found.memory.total.tolist(),
                "step": np.broadcast_to(found.step.step, each.shape).tolist(),
                "optimizer": np.broadcast_to(found.step.optimizer, each.shape).tolist(),
            },
        )


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Places where two answers differ, numbers by more than ALIKE."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        for name in before:
            yield from differences(before[name], after[name], f"{place}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif isinstance(before, float) and isinstance(after, float | int):
        if not abs(before - after) <= ALIKE * max(abs(before), abs(after)) and before != after:
            yield f"{place}: {before!r} -> {after!r}"
    elif before != after:
        yield f"{place}: {str(before)[:120]!r} -> {str(after)[:120]!r}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="write the answers to this file")
    parser.add_argument("--against", type=Path, help="compare with the answers in this file")
    parser.add_argument(
        "--more", type=Path, nargs="*", default=[], help="JSON Lines files of further requests"
    )
    asked = parser.parse_args()
    found = list(answers(asked.more))
    print(f"{len(found)} answers")
    if asked.keep:
        asked.keep.write_bytes(pickle.dumps(found))
    if asked.against:
        kept = dict(pickle.loads(asked.against.read_bytes()))  # noqa: S301 - a file of one's own
        places: Counter[str] = Counter()
        exact = 0
        for name, answer in found:
            wrong = list(differences(kept.pop(name), answer))
            exact += not wrong
            for line in wrong[:3]:
                print(f"{name}{line}")
            places.update(line.split(":")[0].split("[")[0] for line in wrong)
        print(f"{exact} alike, {len(found) - exact} differ, {len(kept)} missing", dict(places))
        raise SystemExit(bool(places or kept))


if __name__ == "__main__":
    main()
