"""What tests of the catalog share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.services import load_catalog

RULES = import_module("planner.migrations.0005_acceptance_rules")


@pytest.fixture(autouse=True)
def acceptance_rules(request: pytest.FixtureRequest) -> None:
    """The rules that the migration brings, which any test that empties the tables takes away."""
    if request.node.get_closest_marker("django_db") is not None:
        request.getfixturevalue("db")
        RULES.add_rules(apps, None)


@contextmanager
def loaded(blocker: Any, catalog: Catalog) -> Iterator[None]:
    """A catalog in the tables while a module's tests run; each one's changes are taken back to it."""
    with blocker.unblock(), transaction.atomic():
        load_catalog(catalog)
        with blocker.block():
            yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def shipped_catalog(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The shipped catalog in the tables."""
    with loaded(django_db_blocker, load_shipped_catalog()):
        yield
