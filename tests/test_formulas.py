"""docs/formulas.md is written from the code, and is of the code as it stands."""

import re

from scripts import formulas


def test_the_document_is_fresh() -> None:
    written = formulas.DOCUMENT.read_text(encoding="utf-8")
    assert written == formulas.document(), "docs/formulas.md is stale: run `make docs`"


def test_every_link_in_the_contents_has_its_heading() -> None:
    text = formulas.document()
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) == headings


def test_every_fitted_constant_is_listed_with_its_prior_and_its_source() -> None:
    lines = formulas.document().split("## Fitted constants")[1].splitlines()
    for unknown in formulas.UNKNOWNS:
        name = f"| `{unknown.name}`" + (f" {unknown.key} |" if unknown.key else " |")
        (line,) = (line for line in lines if line.startswith(name))
        assert f"| {unknown.meaning} | {unknown.unit} | {unknown.value:g} |" in line
        assert line.endswith(f"| {unknown.source} |")


def test_placeholders_lose_their_format() -> None:
    assert formulas.placeholders("{memory.total:.5g} bytes of {grid.nodes:.0f}") == "*total* bytes of *nodes*"


def test_a_short_formula_is_shown_and_a_long_one_told() -> None:
    from planner.engine.time import flops, step

    assert "return 2.0 * tokens * weights / tensor_parallel" in formulas.formula(flops.linear_flops)
    assert "```" not in formulas.formula(step.fullest_stage)
