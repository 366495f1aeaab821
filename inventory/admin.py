"""Where Django looks for this app's admin pages: gathers those of its packages."""

from inventory.store import admin

__all__ = ["admin"]
