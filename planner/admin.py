"""Where Django looks for this app's admin pages: gathers those of its packages."""

from planner.catalog.admin import machines, transformer_models

__all__ = ["machines", "transformer_models"]
