"""Reading the catalog from the database. Writes nothing.

``current_catalog`` is what every plan is made with: the rows, or the shipped files where there are no rows.
"""

from __future__ import annotations

import copy
from typing import Any
from uuid import UUID

from django.db import DatabaseError, ProgrammingError

from planner.catalog import rows
from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogRow,
    CatalogStamp,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)

_built: tuple[UUID, Catalog] | None = None


def current_catalog() -> Catalog:
    """The catalog as it stands this moment.

    One query where nothing has changed since this process last asked, seven where something has. The shipped
    catalog where the tables are missing, empty or out of reach: a plan needs no database.
    """
    global _built
    try:
        stamp = CatalogStamp.objects.values_list("value", flat=True).first()
    except DatabaseError as failure:
        return shipped_instead(failure)
    if stamp is None:
        return load_shipped_catalog()
    if _built is None or _built[0] != stamp:
        try:
            _built = (stamp, catalog_of_rows())
        except DatabaseError:  # tables of another version: migrations are still to be applied
            return load_shipped_catalog()
    catalog = _built[1]
    return catalog if catalog.accelerators() else load_shipped_catalog()


def shipped_instead(failure: DatabaseError) -> Catalog:
    """The shipped catalog for a database that failed; it says so, unless there just are no tables yet."""
    shipped = load_shipped_catalog()
    said = str(failure).lower()
    if isinstance(failure, ProgrammingError) or "no such table" in said or "does not exist" in said:
        return shipped
    instead = copy.copy(shipped)
    instead.stands_in_for = "The catalog's database cannot be read"
    return instead


def catalog_stamp() -> UUID | None:
    """What changes whenever the catalog does; None where there is none in the database."""
    try:
        return CatalogStamp.objects.values_list("value", flat=True).first()
    except DatabaseError:
        return None


def catalog_of_rows() -> Catalog:
    """The catalog that the rows make, without those withdrawn or that hang on a withdrawn one."""
    accelerators = [rows.accelerator_record(row) for row in _rows(Accelerator)]
    specs = {record.slug: record.spec for record in accelerators}
    instances = [
        rows.instance_record(row, specs) for row in _rows(InstanceType) if row["accelerator_id"] in specs
    ]
    sold = {record.slug for record in instances}
    return Catalog(
        accelerators=accelerators,
        instances=instances,
        prices=[rows.price_record(row) for row in _rows(Price) if row["instance_type_id"] in sold],
        availability=[
            rows.availability_record(row) for row in _rows(Availability) if row["instance_type_id"] in sold
        ],
        mig_profiles=[
            rows.mig_profile_record(row) for row in _rows(MigProfile) if row["accelerator_id"] in specs
        ],
        models=[rows.model_record(row) for row in _rows(TransformerModel)],
    )


def _rows(table: type[CatalogRow]) -> list[dict[str, Any]]:
    """Rows in the order they came, without what only the loader and the admin read."""
    unused = {"id", "shipped", "withdrawn", "changed_at", "kept_by", "computed_from"}
    names = [field.attname for field in table._meta.concrete_fields if field.name not in unused]
    return list(table.objects.filter(withdrawn=False).order_by("pk").values(*names))
