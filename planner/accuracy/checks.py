"""System check: the engine has no answer without its constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks

from planner.accuracy.calibration import shipped_calibration


@checks.register("catalog")
def shipped_calibration_can_be_read(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """E002: the fitted constants that ship with the project can be read."""
    found: list[checks.CheckMessage] = []
    try:
        shipped_calibration()
    except (OSError, ValueError, KeyError, TypeError) as fault:
        found.append(
            checks.Error(
                f"The shipped calibration cannot be read: {fault!r}",
                hint="Run make calibrate.",
                id="planner.E002",
            )
        )
    return found
