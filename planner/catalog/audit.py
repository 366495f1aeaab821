"""Who changed what in the catalog, when, from which value to which: django-auditlog's entries.

Rows that are saved one by one are logged: edits in the admin, imports, accepted changes. Loads of an
edition write
in bulk and are change sets instead.
"""

from __future__ import annotations

from auditlog.registry import auditlog

from planner.catalog.changes.models import AcceptanceRule
from planner.catalog.models import (
    Accelerator,
    Availability,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)

LOGGED = (Accelerator, InstanceType, Price, Availability, MigProfile, TransformerModel)


def keep_log() -> None:
    """Have every table of the catalog, and the rules, logged from now on."""
    for table in LOGGED:
        auditlog.register(table, exclude_fields=["shipped", "changed_at"])
    auditlog.register(AcceptanceRule)
