"""Writes docs/formulas.md from the engine's docstrings, explanation templates and constants: ``make docs``.

Nothing in the document is written by hand, so it cannot drift from the code; a test fails when it is stale.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from planner.accuracy.calibration import MEMORY_FILE, TIMING_FILE
from planner.accuracy.fit.least_squares import UNKNOWNS, Unknown
from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.memory.peak import MEMORY_TEMPLATES, MemoryConstants
from planner.engine.run.explain import RUN_TEMPLATES
from planner.engine.time.explain import STEP_TEMPLATES
from planner.engine.trace import TermTemplate

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "formulas.md"
#: Modules that hold formulas, by chapter, in the order in which a plan passes through them.
CHAPTERS = (
    ("Parameters", ("shape.parameters", "shape.layers")),
    ("Floating-point operations", ("time.flops",)),
    (
        "Memory",
        (
            "memory.peak",
            "memory.states",
            "memory.activations",
            "memory.buffers",
            "memory.reserve",
            "memory.held",
        ),
    ),
    ("Compute time", ("time.kernels", "time.attention", "time.block", "time.experts", "time.compute")),
    ("Communication", ("time.collectives", "time.overlap")),
    ("Step time", ("time.step",)),
    (
        "Reinforcement learning",
        (
            "rl.lengths",
            "rl.rollout",
            "rl.decode",
            "rl.generation",
            "rl.synchronization",
            "rl.scoring",
            "rl.pools",
            "rl.memory",
            "rl.ppo",
        ),
    ),
    ("The run", ("run.length", "run.throughput", "run.money")),
    ("Ranges", ("sure.intervals",)),
)
#: Longer functions are procedures, which their docstrings explain better than their code.
LONGEST_SHOWN = 14
INTRODUCTION = """# Formulas

*Written by `make docs` from the docstrings of `planner/engine`, the templates of the explanations and the
fitted constants. Each answer of Headroom shows the same formulas with its numbers put in.*

Arrays have one value per plan, shape `(plans,)`. Units are seconds, bytes, FLOPs (a multiply-add is two) and
dollars; rates are the vendor's peak times a fitted share. How well this predicts measured runs:
[validation](validation.md). What memory counts: [memory](memory.md). Terms: [glossary](glossary.md).
"""


def document() -> str:
    parts = [INTRODUCTION, contents()]
    for title, names in CHAPTERS:
        parts.append(f"## {title}\n")
        for name in names:
            parts += module_lines(importlib.import_module(f"planner.engine.{name}"))
    parts += ["## Fields of a plan\n", grid_lines()]
    parts += ["## Terms of an explanation\n", terms_lines(), "## Fitted constants\n", *constants_lines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def contents() -> str:
    titles = [
        *(title for title, _ in CHAPTERS),
        "Fields of a plan",
        "Terms of an explanation",
        "Fitted constants",
    ]
    links = (f"[{title}](#{title.lower().replace(' ', '-')})" for title in titles)
    return " · ".join(links) + "\n"


def module_lines(module: ModuleType) -> list[str]:
    """One module: what it is for, then its public functions with their formulas."""
    path = f"{module.__name__.replace('.', '/')}.py"
    return [f"*`{path}`*\n", prose(module.__doc__ or ""), *map(formula, functions(module))]


def functions(module: ModuleType) -> Iterator[Any]:
    """The module's own public functions, in the order of the file."""
    for name, value in vars(module).items():
        function = inspect.unwrap(value) if callable(value) else None
        if inspect.isfunction(function) and function.__module__ == module.__name__ and name[0] != "_":
            yield function


def formula(function: Any) -> str:
    """Its parameters, docstring and, where they are few, statements; nothing where it has neither."""
    lines, words = body(function), prose(function.__doc__ or "")
    if not lines and not words.strip():
        return ""
    parameters = ", ".join(inspect.signature(function).parameters)
    shown = "" if not lines else f"```python\n{lines}\n```\n"
    return f"### `{function.__name__}({parameters})`\n\n{words}\n{shown}"


def body(function: Any) -> str:
    """The statements below the docstring, where they are few."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    statements = definition.body[1:] if function.__doc__ else definition.body
    if not statements:
        return ""
    first, last = statements[0].lineno, statements[-1].end_lineno
    lines = source.splitlines()
    # Comments between the docstring and the first statement belong to the formula.
    while lines[first - 2].lstrip().startswith("#"):
        first -= 1
    chosen = lines[first - 1 : last]
    return "" if len(chosen) > LONGEST_SHOWN else textwrap.dedent("\n".join(chosen))


def prose(docstring: str) -> str:
    """A docstring as Markdown: its literals in code spans, nothing of it taken for HTML."""
    text = inspect.cleandoc(docstring).replace("``", "`").replace("<", "&lt;")
    return text + "\n"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, lines)]) + "\n"


class GridField(NamedTuple):
    """One field of PlanGrid, as the comment beside it tells it."""

    name: str
    meaning: str
    unit: str
    shape: str


def grid_fields() -> list[GridField]:
    """The fields whose comment has a meaning, a unit and a shape."""
    told = re.findall(
        r"^    (\w+): Array  #: (.+) \[([^,\]]+), (\(.*\))\]$", inspect.getsource(PlanGrid), re.M
    )
    return [GridField(*each) for each in told]


def grid_lines() -> str:
    text = "What the formulas call `grid.` something. " + " ".join((PlanGrid.__doc__ or "").split()[8:])
    lines = [(f"`{each.name}`", each.meaning, each.unit, f"`{each.shape}`") for each in grid_fields()]
    return f"{text}\n\n" + table(("Field", "Meaning", "Unit", "Shape"), lines)


def terms_lines() -> str:
    text = "The terms that explanations name. Terms marked + that have the same parent add up to it.\n\n"
    templates = (*STEP_TEMPLATES, *RUN_TEMPLATES, *MEMORY_TEMPLATES)
    return text + table(
        ("Term", "Part of", "Unit", "Formula", "Source"),
        [
            (f"`{each.name}`", part_of(each), each.unit, placeholders(each.formula), each.source)
            for each in templates
        ],
    )


def part_of(template: TermTemplate) -> str:
    return "" if template.parent is None else f"`{template.parent}`{' +' if template.part else ''}"


def placeholders(template: str) -> str:
    """``{step.name:.3g}`` as *name*: the number that stands there in an answer."""
    return re.sub(r"\{\w+\.(?:terms\[)?(\w+(?:\[\d\])?)\]?(?::[^}]*)?\}", r"*\1*", template)


def constants_lines() -> list[str]:
    timing = json.loads(TIMING_FILE.read_text(encoding="utf-8"))
    memory = json.loads(MEMORY_FILE.read_text(encoding="utf-8"))
    fitted = timing["constants"]
    of_time, of_memory = timing["provenance"], memory["provenance"]
    return [
        f"Of step time, fitted on {of_time['fitted_on']} by `make calibrate` to {of_time['runs']} measured"
        " step times. A constant pays for leaving its prior in units of the spread (one standard deviation of"
        " its logarithm) and stays within its bounds.\n",
        table(
            ("Constant", "Meaning", "Unit", "Prior", "Spread", "Bounds", "Fitted", "Source of the prior"),
            [
                (
                    f"`{each.name}`" + (f" {each.key}" if each.key else ""),
                    each.meaning,
                    each.unit,
                    f"{each.value:g}",
                    f"{each.spread:g}",
                    f"{each.low:g} to {each.high:g}",
                    f"{fitted_value(fitted, each):g}",
                    each.source,
                )
                for each in UNKNOWNS
            ],
        ),
        f"Of memory, fitted on {of_memory['fitted_on']} to {of_memory['runs']} runs that publish memory.\n",
        prose(MemoryConstants.__doc__ or ""),
        memory_lines(memory),
    ]


def fitted_value(fitted: dict[str, Any], unknown: Unknown) -> float:
    value = fitted[unknown.name]
    return float(value[unknown.key] if unknown.key else value)


def memory_lines(memory: dict[str, Any]) -> str:
    priors = memory["provenance"]["priors"]

    def shown(name: str) -> str:
        value = memory["constants"][name]
        # Per architecture: one value for all GPUs, none where there is no CUDA.
        return f"{max(value) if isinstance(value, list) else value:g}"

    return table(
        ("Constant", "Unit", "Prior", "Spread", "Fitted", "Source of the prior"),
        [
            (
                f"`{name}`",
                "byte" if name.endswith("_bytes") else "share",
                f"{prior['value']:g}",
                f"{prior['spread']:g}",
                shown(name),
                prior["source"],
            )
            for name, prior in priors.items()
        ],
    )


def main() -> None:
    DOCUMENT.write_text(document(), encoding="utf-8")
    print(f"wrote docs/{DOCUMENT.name}")


if __name__ == "__main__":
    main()
