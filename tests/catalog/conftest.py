"""What tests of the catalog share."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

RULES = import_module("planner.migrations.0005_acceptance_rules")


@pytest.fixture(autouse=True)
def acceptance_rules(request: pytest.FixtureRequest) -> None:
    """The rules that the migration brings, which any test that empties the tables takes away."""
    if request.node.get_closest_marker("django_db") is not None:
        request.getfixturevalue("db")
        RULES.add_rules(apps, None)
