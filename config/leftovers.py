"""Processes of a supervisor that was killed before it could stop them: found by their notes, and ended."""

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Iterable
from pathlib import Path

# Put into the environment of every supervised process, with the data folder as its value: a number alone
# may have gone to another process since.
MARK = "HEADROOM_SUPERVISED"
GRACE_S = 5


def noting(command: str, note: Path) -> str:
    """The shell command, preceded by writing its process number (also its group's) to the note."""
    return f"echo $$ > {shlex.quote(str(note))}; {command}"


def end_leftovers(folder: Path, data: Path) -> list[str]:
    """End the process groups that the notes in this folder tell of, and return their names.

    Only where Linux's /proc can confirm that a process is ours; elsewhere nothing is touched.
    """
    found: dict[str, int] = {}
    for note in sorted(folder.glob("*.pid")):
        with contextlib.suppress(OSError, ValueError):
            group = int(note.read_text(encoding="utf-8"))
            if _is_ours(group, data):
                found[note.stem] = group
        note.unlink(missing_ok=True)
    _end_groups(found.values())
    return list(found)


def _is_ours(process: int, data: Path) -> bool:
    environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return os.fsencode(f"{MARK}={data}") in environment


def _end_groups(groups: Iterable[int]) -> None:
    """Ask all to end, and make those end that have not within GRACE_S."""
    left = {group for group in groups if _signalled(group, signal.SIGTERM)}
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if _signalled(group, 0)}
    for group in left:
        _signalled(group, signal.SIGKILL)


def _signalled(group: int, number: int) -> bool:
    """Send a signal (0: none) to all of a group; False where there is nobody left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
