"""Launch settings: how each training stack is told the plan that was answered, in that stack's own keys.

For the page that shows a plan. A stack that cannot do the plan exactly (its task, its degrees, its
sharding, precision, optimizer, adapters) gives no table but the reason. Knows the engine's records and
``data/``, where every key stands with the file of the stack's repository in which it was read; knows nothing
of Django, of pages, or of files that a launch would need beside these settings.
"""

from __future__ import annotations

from planner.launch.choose import launch_tables, why_not
from planner.launch.records import LaunchTable, Setting

__all__ = ["LaunchTable", "Setting", "launch_tables", "why_not"]
