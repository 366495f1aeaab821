"""The same code on PostgreSQL: only DATABASE_URL differs.  A real server, on a socket."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import cluster

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
#: Files that only read shipped data are left out: there are thousands of rows.
CATALOG = ("changes", "pages", "refresh/test_refreshing.py", "test_exchange.py", "test_load_catalog.py")
#: What reads and writes tables, a room a run; what only draws pages says nothing new there.
ROOMS = {
    "accounts": ["tests/accounts"],
    "api": ["tests/api/test_tokens.py", "tests/api/test_scenarios.py", "tests/api/test_v1.py"],
    "catalog": [f"tests/catalog/{name}" for name in CATALOG],
    "fleet": ["tests/inventory/store", "tests/inventory/pages", "tests/inventory/wire/test_fuzz.py"],
    "tradeoffs": ["tests/tradeoffs/jobs", "tests/tradeoffs/scenarios"],
}


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """The url of a PostgreSQL database."""
    with cluster() as (url, _):
        yield url


def run(database_url: str, data: Path, *command: str) -> str:
    """What a command of the project prints on this database."""
    environment = {"PATH": os.environ["PATH"], "HEADROOM_DATA": str(data), "DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment | {"TEST_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_setting_up_twice(database_url: str, tmp_path: Path) -> None:
    for _ in range(2):
        run(database_url, tmp_path, "-m", "config.prepare")
    vendor = "from django.db import connection; print(connection.vendor)"
    assert (
        run(database_url, tmp_path, "manage.py", "shell", "--no-imports", "-c", vendor).strip()
        == "postgresql"
    )
    assert "[ ]" not in run(database_url, tmp_path, "manage.py", "showmigrations")


@pytest.mark.parametrize("room", ROOMS)
def test_the_tests_of_a_room_pass_here_too(database_url: str, tmp_path: Path, room: str) -> None:
    chosen = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-rs"]
    chosen += ["-m", "not slow and not gpu and not browser"]
    said = run(database_url, tmp_path, "-m", "pytest", *chosen, *ROOMS[room])
    assert " passed" in said
    assert "TEST_DATABASE_URL" not in said, "what only PostgreSQL can show was skipped"
