"""What may be wrong with a machine is a sentence each, with a remedy and a status, and never a traceback."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import DatabaseError, OperationalError

from config.local import close_to_others
from config.prepare import database_trouble, file_trouble

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.getuid() == 0


def start(data: Path, module: str = "config.supervisor", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HEADROOM_DATA": str(data), **more}
    return subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90
    )


@pytest.mark.parametrize("port", ["80x", "0", "65536", "-1", ""])
@pytest.mark.parametrize("module", ["config.supervisor", "config.prepare"])
def test_a_port_that_is_none(tmp_path: Path, port: str, module: str) -> None:
    said = start(tmp_path / "data", module, PORT=port)
    assert said.returncode == 1
    assert said.stderr.startswith(f"headroom: PORT={port} is no port.") and said.stderr.count("\n") == 1


def test_a_database_that_is_damaged(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "headroom.sqlite3").write_bytes(b"this is no database" * 500)
    said = start(data, "config.prepare")
    assert said.returncode == 1
    assert "is damaged" in said.stderr and "manage.py restore" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = start(tmp_path / "file" / "data")
    assert said.returncode == 1 and "HEADROOM_DATA" in said.stderr and "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (OperationalError("database or disk is full"), "is full"),
        (OperationalError("attempt to write a readonly database"), "cannot be written"),
        (OperationalError("unable to open database file"), "cannot be written"),
        (DatabaseError("database disk image is malformed"), "is damaged"),
        (OperationalError("database is locked"), "another program holds"),
    ],
)
def test_what_a_database_says_is_told_with_a_remedy(failure: DatabaseError, words: str) -> None:
    said = database_trouble(failure)
    assert words in said


@pytest.mark.parametrize(
    ("number", "words"), [(28, "full"), (13, "cannot be written"), (30, "cannot be written")]
)
def test_what_a_disk_says_is_told_with_a_remedy(number: int, words: str) -> None:
    assert words in file_trouble(OSError(number, os.strerror(number), "/data/x"))


def test_a_folder_that_others_may_read_is_closed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    sqlite3.connect(data / "headroom.sqlite3").close()
    (data / "headroom.sqlite3").write_bytes(b"")
    (data / "admin-password").write_text("secret")
    for path in (data / "headroom.sqlite3", data / "admin-password"):
        path.chmod(0o644)
    assert "others could read" in close_to_others(data)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [data, *data.iterdir()]}
    assert modes == {"data": 0o700, "headroom.sqlite3": 0o600, "admin-password": 0o600}
    assert close_to_others(data) == ""


def test_a_folder_with_other_things_keeps_its_mode_and_ours_are_closed(tmp_path: Path) -> None:
    data = tmp_path / "home"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    for name in ("headroom.sqlite3", "letters.txt"):
        (data / name).write_text("x")
        (data / name).chmod(0o644)
    assert "headroom.sqlite3" in close_to_others(data)
    assert stat.S_IMODE(data.stat().st_mode) == 0o755
    assert stat.S_IMODE((data / "letters.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((data / "headroom.sqlite3").stat().st_mode) == 0o600


def test_a_set_up_that_was_interrupted_is_made_anew() -> None:
    """A virtualenv without pip is what `python -m venv` leaves when it is stopped in its first seconds."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    at = recipe.index("\n.venv/.requirements: ")
    assert recipe.index("-m venv --clear .venv", at) < recipe.index("pip install", at)
