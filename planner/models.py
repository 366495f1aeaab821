"""Where Django looks for this app's tables: gathers those of its packages."""

from planner.catalog.changes.models import (
    AcceptanceRule,
    Change,
    ChangeSet,
    ExchangeRate,
    RefreshRun,
    SpotDay,
)
from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogStamp,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)
from planner.tradeoffs.models import Scenario, SearchJob, SearchPart

__all__ = [
    "Accelerator",
    "AcceptanceRule",
    "Availability",
    "CatalogStamp",
    "Change",
    "ChangeSet",
    "ExchangeRate",
    "InstanceType",
    "MigProfile",
    "Price",
    "RefreshRun",
    "Scenario",
    "SearchJob",
    "SearchPart",
    "SpotDay",
    "TransformerModel",
]
