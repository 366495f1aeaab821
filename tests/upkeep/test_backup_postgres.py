"""Backups of PostgreSQL under load: one moment, restored into an empty database."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgres import cluster

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
COUNTS = "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Path]]:
    with cluster() as found:
        yield found


def connect(url: str) -> psycopg.Connection:
    """A connection to ``postgres://user@/folder/name``."""
    folder, _, name = url.removeprefix("postgres://headroom@/").rpartition("/")
    return psycopg.connect(host=folder, user="headroom", dbname=name, autocommit=True)


def manage(server: tuple[str, Path], url: str, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{server[1]}:{os.environ['PATH']}",
        "HEADROOM_DATA": str(data),
        "DATABASE_URL": url,
    }
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_backup_under_load_is_of_one_moment(server: tuple[str, Path], tmp_path: Path) -> None:
    url, data = server[0], tmp_path / "data"
    assert manage(server, url, data, "migrate", "-v0").returncode == 0
    with connect(url) as database:
        database.execute("CREATE TABLE one (x bytea); CREATE TABLE two (x bytea);")
        database.execute("CREATE DATABASE fresh")
    stop, written = threading.Event(), [0]

    def write() -> None:
        with connect(url) as database:
            while not stop.is_set():
                with database.transaction():
                    database.execute("INSERT INTO one VALUES (%s)", (os.urandom(500),))
                    database.execute("INSERT INTO two VALUES (%s)", (os.urandom(500),))
                written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = manage(server, url, data, "backup", str(tmp_path))
    finally:
        stop.set()
        writer.join()
    assert taken.returncode == 0, taken.stderr
    assert written[0] > 10, "nothing was written meanwhile, so nothing is shown"

    fresh, machine = url.removesuffix("postgres") + "fresh", tmp_path / "another machine"
    for _ in range(2):  # once into an empty database, once over itself
        restored = manage(server, fresh, machine, "restore", taken.stdout.strip())
        assert restored.returncode == 0, restored.stderr
    with connect(fresh) as database:
        one, two = database.execute(COUNTS).fetchone() or (0, 0)
    assert one == two > 0
    assert manage(server, fresh, machine, "migrate", "--check").returncode == 0
    assert (machine / "secret-key").read_text() == (data / "secret-key").read_text()


def test_a_backup_of_sqlite_is_not_put_into_it(server: tuple[str, Path], tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    environment = {"PATH": os.environ["PATH"], "HEADROOM_DATA": str(plain)}
    for words in (["migrate", "-v0"], ["backup", str(tmp_path / "b.tar.gz")]):
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=environment, check=True)
    refused = manage(server, server[0], tmp_path / "data", "restore", str(tmp_path / "b.tar.gz"))
    assert refused.returncode != 0 and "this installation's database is postgresql" in refused.stderr
