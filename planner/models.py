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

__all__ = [
    "Accelerator",
    "Availability",
    "CatalogStamp",
    "InstanceType",
    "MigProfile",
    "Price",
    "TransformerModel",
]
