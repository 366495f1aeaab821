"""The fleet's own tests on PostgreSQL, with those of concurrency that only it can run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.config.test_postgres import database_url

__all__ = ["database_url"]

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow
FILES = (
    "test_concurrency",
    "test_recording",
    "test_retention",
    "test_probes",
    "test_delivery",
    "test_pages",
    "test_fuzz",
)


def test_the_fleet_on_postgresql(database_url: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [f"tests/inventory/{name}.py" for name in FILES]
    environment = {**os.environ, "TEST_DATABASE_URL": database_url}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout
