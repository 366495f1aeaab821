"""Bring one installation up to date: database, catalog, static files, first user.

`python -m config.prepare` (`make install`) and the supervisor (`make run`) both come through here.  Steps
that cost time are skipped while what they read has not changed since the last time.
"""

import errno
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command, get_commands
from django.db import DatabaseError

from config.local import close_to_others, keep_private, make_private_folder

LOCAL_USER = "admin"


class PrepareError(Exception):
    """Why the installation cannot be brought up to date, and what to do about it."""


def prepare() -> None:
    """Set Django up and run every step that is due. Raises PrepareError."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    keep_private()
    try:
        django.setup()
        make_private_folder(settings.DATA)
        if closed := close_to_others(settings.DATA):
            print(f"headroom: {closed}", file=sys.stderr)
        _bring_up_to_date()
    except DatabaseError as failure:
        raise PrepareError(database_trouble(failure)) from failure
    except OSError as failure:
        raise PrepareError(file_trouble(failure)) from failure


def database_trouble(failure: BaseException) -> str:
    """What is wrong with the database, in a sentence, and what to do."""
    said = str(failure).lower()
    file = settings.DATABASES["default"]["NAME"]
    if "full" in said:
        return f"the disk that holds {settings.DATA} is full; free some space and start again."
    if "readonly" in said or "read-only" in said or "unable to open" in said:
        return (
            f"the database {file} cannot be written; give this user the right to write it and its folder,"
            " or name another folder in HEADROOM_DATA."
        )
    if "malformed" in said or "not a database" in said or "corrupt" in said:
        return (
            f"the database {file} is damaged ({failure}). Move it away and restore a backup with"
            " manage.py restore FILE, or start without it: the catalog is loaded"
            " anew, the fleet's history is lost."
        )
    if "locked" in said:
        return f"another program holds the database {file}; end it and start again."
    return f"the database cannot be used: {failure}"


def file_trouble(failure: OSError) -> str:
    """What is wrong with the data folder, in a sentence, and what to do."""
    place = failure.filename or settings.DATA
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk that holds {settings.DATA} is full; free some space and start again."
    if failure.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{place} cannot be written ({failure.strerror or failure}); give this user the right to,"
            " or name another folder in HEADROOM_DATA."
        )
    return f"{place}: {failure.strerror or failure}."


def _bring_up_to_date() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    _load_catalog_if_changed()
    _collect_static_if_changed()
    if settings.LOCAL:
        ensure_local_user(settings.DATA / "admin-password")


def ensure_local_user(password_file: Path) -> None:
    """Make the one user of local mode, with a random password, unless somebody can administer already."""
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return
    password = secrets.token_urlsafe(12)
    users.create_superuser(username=LOCAL_USER, password=password)
    password_file.unlink(missing_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password + "\n")


def nobody_administers() -> bool:
    """Whether a first person is still to be made."""
    from django.contrib.auth import get_user_model

    return not get_user_model().objects.filter(is_superuser=True).exists()


def _load_catalog_if_changed() -> None:
    if "load_catalog" not in get_commands():
        return
    planner = settings.BASE_DIR / "planner"
    seen = _fingerprint(
        [*(planner / "catalog").rglob("*"), *(planner / "migrations").glob("*.py"), *planner.glob("*.py")],
        also=_database_identity(),
    )
    if _remembered("catalog") != seen:
        call_command("load_catalog", stdout=sys.stderr)
        _remember("catalog", seen)


def _collect_static_if_changed() -> None:
    if settings.DEBUG:
        return  # served from where the files are written
    from django.contrib.staticfiles.finders import get_finders

    manifest = settings.STATIC_ROOT / "staticfiles.json"
    if manifest.exists() and not os.access(settings.STATIC_ROOT, os.W_OK):
        return  # part of an image, and made with it
    files = [
        storage.path(name) for finder in get_finders() for name, storage in finder.list(["CVS", ".*", "*~"])
    ]
    seen = _fingerprint((Path(file) for file in files), also=str(settings.STATIC_ROOT))
    if _remembered("static") != seen or not manifest.exists():
        call_command("collectstatic", verbosity=0, interactive=False, clear=True)
        _remember("static", seen)


def _fingerprint(files: Iterable[Path], *, also: str) -> str:
    """A digest of these files' names, sizes and times: cheap, and different whenever one was written."""
    digest = hashlib.sha256(also.encode())
    for file in sorted(set(files)):
        if file.is_file() and file.suffix != ".pyc":
            status = file.stat()
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _database_identity() -> str:
    """What tells this database from any other, so that a new one is filled: its first migration."""
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    first = MigrationRecorder(connection).migration_qs.order_by("id").first()
    return f"{connection.vendor} {first.applied.isoformat() if first else 'empty'}"


def _memory() -> Path:
    return Path(settings.DATA) / "prepared.json"


def _remembered(step: str) -> str | None:
    try:
        known: dict[str, str] = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known.get(step)


def _remember(step: str, fingerprint: str) -> None:
    try:
        known = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    draft = _memory().with_suffix(".draft")
    draft.write_text(json.dumps(known | {step: fingerprint}), encoding="utf-8")
    draft.replace(_memory())


def main() -> int:
    """Prepare; the exit status."""
    try:
        prepare()
    except (PrepareError, ImproperlyConfigured) as refusal:
        print(f"headroom: {refusal}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
