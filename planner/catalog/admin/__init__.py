"""Admin pages of the catalog: is this fact right, who says so, since when?"""

from planner.catalog.admin import machines, transformer_models

__all__ = ["machines", "transformer_models"]
