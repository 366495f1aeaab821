"""What all tests share: how Chromium is found, and what is skipped where it cannot be had."""

import os
import shutil
from typing import Any

import pytest


def chromium_path() -> str | None:
    """The system's Chromium, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, saying why."""
    reasons = {}
    if chromium_path() is None:
        reasons["browser"] = "no Chromium on this machine; as root, `make chromium` installs Debian's"
    if shutil.which("nvidia-smi") is None:
        reasons["gpu"] = "no NVIDIA GPU on this machine"
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Launch the system's Chromium; its sandbox refuses to run as root."""
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    return {"executable_path": chromium_path(), "args": [*arguments, "--disable-dev-shm-usage"]}
