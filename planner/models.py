"""Where Django looks for this app's tables: gathers those of its packages."""

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
    "Availability",
    "CatalogStamp",
    "InstanceType",
    "MigProfile",
    "Price",
    "Scenario",
    "SearchJob",
    "SearchPart",
    "TransformerModel",
]
