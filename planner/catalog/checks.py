"""System checks: what would make plans wrong or empty, said at start-up rather than on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks

from planner.catalog.facts.loader import CatalogDataError, load_shipped_catalog


@checks.register("catalog")
def shipped_catalog_can_be_read(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """E001: the data files of the catalog that ship with the project are whole."""
    found: list[checks.CheckMessage] = []
    try:
        load_shipped_catalog()
    except (CatalogDataError, OSError) as fault:
        found.append(
            checks.Error(
                f"The shipped catalog cannot be read: {fault}",
                hint="Restore planner/catalog/facts/data.",
                id="planner.E001",
            )
        )
    return found


@checks.register("catalog", checks.Tags.database)
def catalog_is_loaded(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """W001: the database has a catalog; without one, plans use the shipped files and no edit shows."""
    from planner.catalog import selectors  # models are ready only when checks run

    if not databases or selectors.catalog_stamp() is not None:
        return []
    return [
        checks.Warning(
            "The database holds no catalog: plans use the shipped files.",
            hint="Run manage.py migrate and manage.py load_catalog.",
            id="planner.W001",
        )
    ]
