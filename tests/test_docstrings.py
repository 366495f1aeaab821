"""Docstrings of the engine: every public function and class has one, and formulas say what their numbers are.

A formula is a function that returns a number or an array.  Its docstring names a unit or a shape, every
argument that is itself a number or an array, and, in the packages where formulas are from papers, a source.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[1] / "planner" / "engine"
FORMULAS = ("time", "memory", "rl", "run", "sure")
SOURCED = ("time", "memory", "rl")
NUMBERS = {"Array", "Flags", "NDArray", "float", "int"}
UNIT = re.compile(
    r"\b(seconds?|bytes?|bits?|elements?|FLOPs?|FLOP/s|dollars?|USD|tokens?|sequences?|layers?|positions?|"
    r"ranks?|nodes?|counts?|shares?|ratios?|factors?|flags?|index|indices|shape|widths?|logarithms?)\b|\(plans,\)",
    re.IGNORECASE,
)
SOURCE = re.compile(r"\bsources?:|\bet al\. \d{4}|\bour own (count|choice)\b", re.IGNORECASE)

#: Still without a docstring; nothing may be added here.
WITHOUT = {
    "answer/estimate: memory_of",
    "answer/estimate: cost_of",
    "answer/estimate: reason",
    "answer/estimate: warnings_of",
    "answer/estimate: idle_warning",
    "answer/estimate: deadline_warning",
    "grid/plan_grid: PlanGrid.ranks",
    "grid/plan_grid: PlanGrid.with_fields",
    "shape/hf/gpt_like: read_gpt2",
    "shape/hf/gpt_like: read_gpt_neo",
    "shape/hf/gpt_like: read_gpt_neox",
    "shape/hf/gpt_like: read_bloom",
    "shape/hf/gpt_like: read_starcoder2",
    "shape/hf/mixtures: read_mixtral",
    "shape/hf/shapes: layer_count",
    "shape/layers: BlockLinear.weights",
    "shape/layers: BlockLinear.biases",
    "shape/reading: SpecReader.problem",
    "shape/reading: SpecReader.text",
    "shape/reading: SpecReader.mapping",
}

Definition = ast.FunctionDef | ast.ClassDef


def definitions(body: list[ast.stmt], outer: str = "") -> Iterator[tuple[str, Definition]]:
    """Public functions, classes and their methods, by dotted name."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{outer}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, f"{node.name}.")


def public(*packages: str) -> Iterator[tuple[str, Definition]]:
    folders = [ENGINE / name for name in packages] or [ENGINE]
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        module = file.relative_to(ENGINE).with_suffix("").as_posix()
        for name, node in definitions(ast.parse(file.read_text(encoding="utf-8")).body):
            yield f"{module}: {name}", node


def is_number(annotation: ast.expr | None) -> bool:
    """Whether a type is a number or an array of them, optional or with others in a tuple."""
    if annotation is None:
        return False
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    return bool(names & NUMBERS) and not names - NUMBERS - {"tuple", "np", "Any"}


def formulas(*packages: str) -> list[tuple[str, ast.FunctionDef]]:
    return [
        (name, node)
        for name, node in public(*packages)
        if isinstance(node, ast.FunctionDef) and is_number(node.returns)
    ]


def words(node: Definition) -> str:
    return ast.get_docstring(node) or ""


def test_everything_public_in_the_engine_has_a_docstring() -> None:
    missing = [name for name, node in public() if not words(node) and name not in WITHOUT]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("name", "node"), formulas(*FORMULAS), ids=lambda value: value if isinstance(value, str) else ""
)
class TestFormulas:
    def test_it_names_a_unit_or_a_shape(self, name: str, node: ast.FunctionDef) -> None:
        assert UNIT.search(words(node)), f"{name} says neither unit nor shape"

    def test_it_names_its_numbers(self, name: str, node: ast.FunctionDef) -> None:
        arguments = [*node.args.args, *node.args.kwonlyargs]
        numbers = [argument.arg for argument in arguments if is_number(argument.annotation)]
        silent = [argument for argument in numbers if not re.search(rf"\b{argument}\b", words(node))]
        assert not silent, f"{name} does not say what {', '.join(silent)} is"


@pytest.mark.parametrize(
    ("name", "node"), formulas(*SOURCED), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_formula_names_its_source(name: str, node: ast.FunctionDef) -> None:
    assert SOURCE.search(words(node)), f"{name} names no source"
