"""Snapshots that wait on disk until the server has them: bounded, and safe against a sudden end.

One file a snapshot, named by time and identity, so that the order of names is the order of time.
A file appears whole (written aside, then renamed) and goes only when the server has answered
for it. When the spool is full the oldest go first: the present matters more than last night.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger("headroom_agent")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One snapshot in the spool: its identity, its JSON object, and how long ago it was taken.

    `age_s` is by the clock that runs since boot, which nobody sets; None after a reboot.
    """

    path: Path
    id: str
    snapshot: Any
    age_s: float | None


def uptime_s() -> float:
    """Seconds since boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def boot_id() -> str:
    """What tells this boot from another; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Spool:
    """A folder of snapshots, at most `limit_bytes` in all."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.dropped = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for draft in folder.glob(".draft-*"):
            draft.unlink(missing_ok=True)

    def add(self, identifier: str, snapshot: Any, *, taken_ms: int) -> None:
        """Keep one snapshot. Raises OSError when the disk does."""
        entry = {"id": identifier, "boot": boot_id(), "uptime_s": uptime_s(), "snapshot": snapshot}
        text = json.dumps(entry, separators=(",", ":"))
        draft = self.folder / f".draft-{identifier}"
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / f"{taken_ms:015d}-{identifier}.json")
        self._shrink()

    def oldest(self, count: int) -> list[Waiting]:
        """Up to `count` snapshots, oldest first. Unreadable files are removed, with a word in the log."""
        found: list[Waiting] = []
        for path in self._files():
            if len(found) == count:
                break
            try:
                body = json.loads(path.read_text(encoding="utf-8"))
                age_s = uptime_s() - body["uptime_s"] if body["boot"] == boot_id() else None
                found.append(Waiting(path, body["id"], body["snapshot"], age_s))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.error("removed an unreadable snapshot %s: %s", path.name, error)
                self.dropped += 1
                path.unlink(missing_ok=True)
        return found

    def remove(self, waiting: Waiting) -> None:
        waiting.path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._files())

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def _shrink(self) -> None:
        files = self._files()
        size = sum(path.stat().st_size for path in files)
        while size > self.limit_bytes and len(files) > 1:
            oldest = files.pop(0)
            size -= oldest.stat().st_size
            oldest.unlink(missing_ok=True)
            self.dropped += 1
            log.warning("the spool is full; dropped the oldest snapshot %s", oldest.name)
