"""Processes of a supervisor that was killed before it could stop them: found by their notes, and ended."""

import contextlib
import os
import shlex
import signal
import time
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
    ended = []
    for note in sorted(folder.glob("*.pid")):
        with contextlib.suppress(OSError, ValueError):
            group = int(note.read_text(encoding="utf-8"))
            if _is_ours(group, data):
                _end_group(group)
                ended.append(note.stem)
        note.unlink(missing_ok=True)
    return ended


def _is_ours(process: int, data: Path) -> bool:
    environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return os.fsencode(f"{MARK}={data}") in environment


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline:
            os.killpg(group, 0)  # raises once all have gone
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)
