"""Where Django looks for this app's admin pages: those of its rooms."""

from inventory.store import admin

__all__ = ["admin"]
