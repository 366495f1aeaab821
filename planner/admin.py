"""Where Django looks for this app's admin pages: those of its rooms."""

from planner.catalog.admin import machines, transformer_models

__all__ = ["machines", "transformer_models"]
