"""A backup is one file: the database as it was at one moment, the secret key, and a manifest with digests.

It is taken while everything runs. SQLite is copied by its own online backup, which sees one moment however
much is written meanwhile; PostgreSQL by `pg_dump`, for the same reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

FORMAT = 1
MANIFEST, SECRET = "manifest.json", "secret-key"
SQLITE, POSTGRES = "headroom.sqlite3", "headroom.pgdump"
#: The copy steps aside for writers after so many pages, so that none waits long.
PAGES_A_STEP = 512


class BackupError(Exception):
    """Why there is no backup, or none was restored, and what to do."""


def take(target: Path) -> Path:
    """Write a backup to a file, or into a folder under a name of its moment. Raises BackupError, OSError."""
    now = datetime.now(UTC)
    if target.is_dir():
        target = target / f"headroom-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    if target.exists():
        raise BackupError(f"{target} exists; name another file.")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".headroom-backup-") as folder:
        copy = Path(folder) / (SQLITE if connection.vendor == "sqlite" else POSTGRES)
        if connection.vendor == "sqlite":
            _copy_sqlite(Path(connection.settings_dict["NAME"]), copy)
        else:
            _run(["pg_dump", "--format=custom", "--no-owner", f"--file={copy}"])
        parts = [copy]
        key = Path(settings.DATA) / SECRET
        if key.exists():
            parts.append(key)
        manifest = {
            "format": FORMAT,
            "taken_at": now.isoformat(),
            "database": connection.vendor,
            "files": {part.name: digest_of(part) for part in parts},
        }
        draft = Path(folder) / "draft"
        with tarfile.open(draft, "w:gz", compresslevel=3) as archive:
            _add(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
            for part in parts:
                archive.add(part, part.name, filter=_plain)
        draft.chmod(0o600)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        os.link(draft, target)  # appears whole, or not at all; fails where somebody made it meanwhile
    return target


def restore(source: Path) -> dict[str, Any]:
    """Put a backup in the place of what is here; returns its manifest. The former database is kept beside.

    Raises BackupError: the file is none, is damaged, is of another kind of database, or Headroom is running.
    """
    with alone(), tempfile.TemporaryDirectory(dir=settings.DATA, prefix=".restore-") as name:
        folder = Path(name)
        manifest = _unpack(source, folder)
        connection.close()
        if connection.vendor == "sqlite":
            _check_sqlite(folder / SQLITE)
            _put_sqlite(folder / SQLITE, Path(connection.settings_dict["NAME"]))
        else:
            database = connection.settings_dict["NAME"]
            how = ["--clean", "--if-exists", "--no-owner", "--single-transaction", "--exit-on-error"]
            _run(["pg_restore", *how, f"--dbname={database}", str(folder / POSTGRES)])
        if (folder / SECRET).exists():
            (folder / SECRET).chmod(0o600)
            (folder / SECRET).replace(Path(settings.DATA) / SECRET)
        # What was prepared for the former database is to be looked at again.
        (Path(settings.DATA) / "prepared.json").unlink(missing_ok=True)
    return manifest


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the data folder as a supervisor does. Raises BackupError where one runs."""
    run = Path(settings.DATA) / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (run / "supervisor.lock").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"Headroom runs on {settings.DATA}; stop it first.") from None
        yield


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_sqlite(source: Path, target: Path) -> None:
    """One moment of a database that is being written to."""
    if not source.exists():
        raise BackupError(f"There is no database at {source}.")
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as live,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        # Within a transaction that has read, later writes are not seen, and the copy never starts over.
        live.isolation_level = None
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        live.backup(copy, pages=PAGES_A_STEP)
        copy.execute("PRAGMA journal_mode=DELETE")
    _check_sqlite(target)


def _check_sqlite(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            said = database.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as broken:
        said = str(broken)
    if said != "ok":
        raise BackupError(f"The copy of the database is damaged: {said}")


def _put_sqlite(copy: Path, place: Path) -> None:
    former = place.with_suffix(".before-restore")
    for ending in ("-wal", "-shm", "-journal"):
        side = Path(f"{place}{ending}")
        if side.exists() and ending == "-wal" and place.exists():
            with (
                contextlib.suppress(sqlite3.DatabaseError),
                contextlib.closing(sqlite3.connect(place)) as database,
            ):
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        side.unlink(missing_ok=True)
    if place.exists():
        place.replace(former)
    copy.chmod(0o600)
    shutil.move(copy, place)


def _unpack(source: Path, folder: Path) -> dict[str, Any]:
    """The files of a backup, each as its digest says."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            archive.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = dict(manifest["files"])
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError) as wrong:
        raise BackupError(f"{source} is no backup of Headroom that can be read: {wrong}") from wrong
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{source} is of format {manifest.get('format')}; this program reads {FORMAT}.")
    if manifest.get("database") != connection.vendor:
        raise BackupError(
            f"{source} is of {manifest.get('database')}, this installation's database is {connection.vendor}."
        )
    for name, digest in files.items():
        if not (folder / name).is_file() or digest_of(folder / name) != digest:
            raise BackupError(f"{source} is damaged: {name} is not as it was written.")
    return manifest


def _run(command: list[str]) -> None:
    at = connection.settings_dict
    environment = os.environ | {
        name: str(value)
        for name, value in {
            "PGHOST": at.get("HOST"),
            "PGPORT": at.get("PORT"),
            "PGUSER": at.get("USER"),
            "PGPASSWORD": at.get("PASSWORD"),
            "PGDATABASE": at.get("NAME"),
        }.items()
        if value
    }
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BackupError(
            f"{command[0]} is not installed; it comes with PostgreSQL's client programs."
        ) from None
    if done.returncode:
        raise BackupError(f"{command[0]} failed: {done.stderr.strip()[-500:]}")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry
