"""Backups under load, restored onto an empty machine; what is damaged or in use is refused."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def manage(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HEADROOM_DATA": str(data)}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def pairs(database: Path) -> tuple[int, int]:
    with sqlite3.connect(database, timeout=30) as opened:
        return opened.execute("SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)").fetchone()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with two tables that are always written together."""
    folder = tmp_path_factory.mktemp("installation") / "data"
    assert manage(folder, "migrate", "-v0").returncode == 0
    with sqlite3.connect(folder / "headroom.sqlite3") as database:
        database.executescript("CREATE TABLE one (x BLOB); CREATE TABLE two (x BLOB);")
        filler = [(os.urandom(2000),) for _ in range(3000)]
        database.executemany("INSERT INTO one VALUES (?)", filler)
        database.executemany("INSERT INTO two VALUES (?)", filler)
    return folder


def test_a_backup_under_load_is_of_one_moment_and_restores_onto_an_empty_machine(
    data: Path, tmp_path: Path
) -> None:
    stop, written = threading.Event(), [0]

    def write() -> None:
        database = sqlite3.connect(data / "headroom.sqlite3", timeout=30)
        while not stop.is_set():
            with database:
                database.execute("INSERT INTO one VALUES (?)", (os.urandom(500),))
                database.execute("INSERT INTO two VALUES (?)", (os.urandom(500),))
            written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = manage(data, "backup", str(tmp_path))
    finally:
        stop.set()
        writer.join()
    assert taken.returncode == 0, taken.stderr
    assert written[0] > 10, "nothing was written meanwhile, so nothing is shown"
    file = Path(taken.stdout.strip())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]

    fresh = tmp_path / "another machine"
    restored = manage(fresh, "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    one, two = pairs(fresh / "headroom.sqlite3")
    assert one == two >= 3000
    assert (fresh / "secret-key").read_text() == (data / "secret-key").read_text()
    assert manage(fresh, "migrate", "--check").returncode == 0
    assert stat.S_IMODE((fresh / "headroom.sqlite3").stat().st_mode) == 0o600


@pytest.mark.slow
def test_the_former_database_is_kept_beside(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    assert manage(data, "backup", str(file)).returncode == 0
    before = pairs(data / "headroom.sqlite3")
    with sqlite3.connect(data / "headroom.sqlite3") as database:
        database.execute("INSERT INTO one VALUES (1)")
    assert manage(data, "restore", str(file)).returncode == 0
    assert pairs(data / "headroom.sqlite3") == before
    assert pairs(data / "headroom.before-restore") == (before[0] + 1, before[1])


@pytest.mark.slow
def test_what_is_damaged_or_is_no_backup_changes_nothing(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    assert manage(data, "backup", str(file)).returncode == 0
    assert "exists" in manage(data, "backup", str(file)).stderr
    before = (data / "headroom.sqlite3").read_bytes()
    whole = file.read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text").write_text("no backup")
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "open", filter="data")
    content = bytearray((tmp_path / "open" / "headroom.sqlite3").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "open" / "headroom.sqlite3").write_bytes(content)
    with tarfile.open(tmp_path / "changed", "w:gz") as archive:
        for part in (tmp_path / "open").iterdir():
            archive.add(part, part.name)
    for name in ("half", "text", "changed", "absent"):
        refused = manage(data, "restore", str(tmp_path / name))
        assert refused.returncode != 0 and "Traceback" not in refused.stderr, (name, refused.stderr)
    assert (data / "headroom.sqlite3").read_bytes() == before


@pytest.mark.slow
def test_nothing_is_restored_under_a_running_installation(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    assert manage(data, "backup", str(file)).returncode == 0
    (data / "run").mkdir(exist_ok=True)
    with (data / "run" / "supervisor.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        assert "stop it first" in manage(data, "restore", str(file)).stderr
