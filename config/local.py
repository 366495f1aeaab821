"""The data folder: where one installation keeps its database, its secrets and its broker's socket.

Standard library only, since settings are read through it before Django exists.
"""

import contextlib
import hashlib
import os
import re
import secrets
import stat
import sys
import tempfile
from pathlib import Path

# sun_path of a Unix socket holds 104 bytes on macOS and 108 on Linux, with the closing zero.
LONGEST_SOCKET_PATH = 100
#: What an installation keeps in its data folder.
OUR_FILES = (
    "headroom.sqlite3", "headroom.sqlite3-wal", "headroom.sqlite3-shm", "headroom.sqlite3-journal",
    "secret-key", "admin-password", "prepared.json", "run", "static", "backups",
)  # fmt: skip


def say(sentence: str) -> None:
    """Tell whoever watches the terminal."""
    print(f"headroom: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 -- there is no log yet


def make_private_folder(folder: Path) -> Path:
    """Make the folder, readable by its owner alone, unless it is there already.

    Raises PermissionError if the folder belongs to somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.stat().st_uid
    if owner not in (os.getuid(), 0):
        raise PermissionError(f"{folder} belongs to user {owner}; choose another folder with HEADROOM_DATA.")
    return folder


def keep_private() -> None:
    """From here on, what this process and its children write is for its owner alone."""
    os.umask(0o077)


def close_to_others(data: Path) -> str:
    """Take from others what they may read of a data folder that was there before; returns what was done.

    A folder that holds other things too keeps its own mode: only what is ours is closed. "": nothing was
    open.  Links are left alone. Raises OSError.
    """
    ours = [data / name for name in OUR_FILES if (data / name).exists()]
    inside = set(os.listdir(data))
    alone = inside <= set(OUR_FILES) and not stat.S_IMODE(data.stat().st_mode) & stat.S_ISVTX
    opened = [
        path
        for path in ([data] if alone else []) + ours
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    for path in opened:
        path.chmod(0o700 if path.is_dir() else 0o600)
    if not opened:
        return ""
    return f"others could read {', '.join(str(path) for path in opened)}; that is closed now."


def secret_in_file(path: Path, *, random_bytes: int) -> str:
    """Return the secret kept in this file; the first caller makes it, at random.

    Several processes may ask at once: each writes its own draft and the first link to the name wins.
    Raises PermissionError if others may read the file.
    """
    if not path.exists():
        make_private_folder(path.parent)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(random_bytes) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise PermissionError(f"{path} can be read by others; run: chmod 600 {path}")
    return path.read_text(encoding="utf-8").strip()


def broker_socket(data: Path) -> Path:
    """Where the embedded broker listens: in the data folder, or in a private one of its own.

    The latter if the path is too long for a socket or has signs that the broker's settings file cannot quote.
    """
    inside = data / "run" / "broker.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH and re.fullmatch(r"[\w./+@-]+", str(inside), re.ASCII):
        return inside
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"headroom-{os.getuid()}-{digest}" / "broker.sock"
