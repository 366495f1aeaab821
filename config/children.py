"""Keeping processes running: each that ends is started again, later each time, until that is hopeless.

Knows commands and exit statuses; what the processes do is their own business.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.local import say

#: Seconds before the first restart, and the most before any: doubled with each that soon fails again.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
#: A process that dies this often within this time will not be helped by one more start.
MOST_DEATHS, WITHIN_S = 8, 300.0
#: A process that has run this long is well again: its next restart comes at once.
WELL_AFTER_S = 60.0
STOP_GRACE_S = 10.0
LOOK_EVERY_S = 0.1


@dataclass(slots=True)
class Child:
    """One process and what became of it."""

    name: str
    command: str
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    due_s: float = 0.0
    wait_s: float = FIRST_WAIT_S
    restarts: int = 0
    last_end: str = ""
    deaths: deque[float] = field(default_factory=deque)


class GaveUpError(Exception):
    """A process could not be kept running."""


class Children:
    """Processes that are kept running until told to stop.

    state_file: where the present state is written for others to read, whenever it changes.
    """

    def __init__(self, folder: Path, *, state_file: Path) -> None:
        self.folder = folder
        self.state_file = state_file
        self.children: list[Child] = []
        self.stopping = threading.Event()
        self.hopeless = ""

    def add(self, name: str, command: str, environment: Mapping[str, str], *, delay_s: float = 0.0) -> None:
        """Name a process to keep running. command: for the shell, which it should replace (`exec`).

        delay_s: how much later than the others it is first started.
        """
        self.children.append(Child(name, command, environment, due_s=time.monotonic() + delay_s))

    def run(self) -> None:
        """Start all, restart what ends, return once ``stop`` was called. Raises GaveUpError."""
        try:
            while not self.stopping.is_set():
                now = time.monotonic()
                changed = [child for child in self.children if self._look_after(child, now)]
                if changed:
                    self._write()
                self.stopping.wait(LOOK_EVERY_S)
        finally:
            self._end_all()
            self.state_file.unlink(missing_ok=True)

    def stop(self, hopeless: str = "") -> None:
        """Make ``run`` return; safe in a signal handler. hopeless: why, where that is no good end."""
        self.hopeless = self.hopeless or hopeless
        self.stopping.set()

    def _look_after(self, child: Child, now: float) -> bool:
        """Start or restart the process where that is due; true where its state has changed."""
        if child.process is None:
            if now < child.due_s:
                return False
            child.process = subprocess.Popen(
                ["/bin/sh", "-c", child.command],
                cwd=self.folder,
                env=dict(child.environment),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            child.started_s = now
            return True
        status = child.process.poll()
        if status is None:
            if child.restarts and child.wait_s != FIRST_WAIT_S and now - child.started_s > WELL_AFTER_S:
                child.wait_s = FIRST_WAIT_S
                return True
            return False
        if not self.stopping.is_set():
            self._note_death(child, status, now)
        return True

    def _note_death(self, child: Child, status: int, now: float) -> None:
        assert child.process is not None
        _signal_group(child.process.pid, signal.SIGKILL)  # what it may have left of its own children
        child.process = None
        child.last_end = f"signal {-status}" if status < 0 else f"status {status}"
        child.deaths.append(now)
        while child.deaths and child.deaths[0] < now - WITHIN_S:
            child.deaths.popleft()
        if now - child.started_s > WELL_AFTER_S:
            child.wait_s = FIRST_WAIT_S
        if len(child.deaths) >= MOST_DEATHS:
            raise GaveUpError(
                f"{child.name} ended {len(child.deaths)} times within {WITHIN_S / 60:.0f} minutes"
                f" (last with {child.last_end}); its own messages above say why."
            )
        child.due_s, child.restarts = now + child.wait_s, child.restarts + 1
        say(f"{child.name} ended with {child.last_end}; it is started again in {child.wait_s:g} s.")
        child.wait_s = min(2 * child.wait_s, LONGEST_WAIT_S)

    def _write(self) -> None:
        """Say how things are; a disk that is full is no reason to end."""
        now, now_s = time.monotonic(), time.time()
        state: dict[str, dict[str, Any]] = {}
        for child in self.children:
            running = child.process is not None
            # Started a moment ago after a death, it may die again: that is told until it has lasted.
            state[child.name] = {
                "state": "running" if running else "restarting",
                "restarts": child.restarts,
                "last_end": child.last_end,
                "since_s": now_s - (now - child.started_s) if running else now_s,
            }
        draft = self.state_file.with_suffix(".draft")
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(state), encoding="utf-8")
            draft.replace(self.state_file)

    def _end_all(self) -> None:
        """Ask all to end, and make those end that do not."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            if process.poll() is None:
                _signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE_S
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def read_state(state_file: Path) -> dict[str, dict[str, Any]]:
    """What ``Children`` last wrote; empty where nothing is supervised here."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(state_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
