"""The grid says of each field what it means, in which unit and shape; named values stand for bare indices."""

import pytest

from planner.engine.grid import plan_grid
from planner.engine.grid.plan_grid import FIELD_NAMES, RECOMPUTES, SHARDINGS
from scripts.formulas import GridField, grid_fields

UNITS = {
    "FLOP", "FLOP/s", "USD/h", "block", "byte", "byte/parameter", "byte/s", "chunk", "element", "expert",
    "flag", "group", "head", "index", "input",
    "micro-batch", "module", "node", "parameter", "rank", "ratio", "sequence", "stage", "token",
    "weight",
}  # fmt: skip


def test_every_field_is_told() -> None:
    assert [field.name for field in grid_fields()] == list(FIELD_NAMES)


@pytest.mark.parametrize("field", grid_fields(), ids=lambda field: field.name)
def test_a_field_has_a_meaning_a_unit_and_a_shape(field: GridField) -> None:
    assert len(field.meaning.split()) > 1 or field.meaning == "machines"
    assert field.unit in UNITS
    assert field.shape in ("()", "(plans,)")
    if field.name.endswith("_bytes"):
        assert field.unit.startswith("byte")
    if field.name.endswith("_per_s"):
        assert field.unit.endswith("/s")


def test_named_values_are_the_places_of_the_choices() -> None:
    sharding = [plan_grid.NO_SHARDING, plan_grid.ZERO_1, plan_grid.ZERO_2, plan_grid.ZERO_3]
    recompute = [plan_grid.NO_RECOMPUTE, plan_grid.SELECTIVE_RECOMPUTE, plan_grid.FULL_RECOMPUTE]
    assert [SHARDINGS[int(value)] for value in sharding] == ["none", "zero1", "zero2", "zero3"]
    assert [RECOMPUTES[int(value)] for value in recompute] == ["none", "selective", "full"]
