"""Processes that are kept running: restarted later each time, given up loudly."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config import children as module
from config.children import Children, GaveUpError, read_state


def wait_for(what: Callable[[], Any], deadline_s: float = 20) -> Any:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    pytest.fail("not in time")


def test_a_process_that_is_killed_comes_back_and_is_told_of(tmp_path: Path) -> None:
    children = Children(tmp_path, state_file=tmp_path / "state.json")
    children.add("sleeper", "echo $$ >> pids; exec sleep 60", os.environ)
    thread = threading.Thread(target=children.run)
    thread.start()
    try:
        first = int(wait_for(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text()))
        assert wait_for(lambda: read_state(tmp_path / "state.json"))["sleeper"]["state"] == "running"
        os.kill(first, signal.SIGKILL)
        pids = wait_for(lambda: len(found := (tmp_path / "pids").read_text().split()) == 2 and found)
        assert int(pids[1]) != first
        told = wait_for(lambda: read_state(tmp_path / "state.json")["sleeper"])
        assert told["last_end"] == "signal 9" and told["restarts"] == 1
    finally:
        children.stop()
        thread.join(20)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids[1]), 0)
    assert not (tmp_path / "state.json").exists()


def test_what_cannot_be_kept_running_is_given_up_and_the_rest_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.02)
    children = Children(tmp_path, state_file=tmp_path / "state.json")
    children.add("sound", "echo $$ > sound; exec sleep 60", os.environ)
    children.add("broken", f"exec {sys.executable} -c 'raise SystemExit(7)'", os.environ)
    for child in children.children:
        child.wait_s = 0.01
    with pytest.raises(GaveUpError, match=r"broken ended 8 times.*status 7"):
        children.run()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "sound").read_text()), 0)


def test_waits_grow_and_shrink_again_once_it_is_well(tmp_path: Path) -> None:
    children = Children(tmp_path, state_file=tmp_path / "state.json")
    children.add("one", "true", os.environ)
    child = children.children[0]
    waits = []
    for _ in range(4):
        children._look_after(child, 1e6)
        assert child.process is not None
        child.process.wait()
        waits.append(child.wait_s)
        children._look_after(child, 1e6)
        child.due_s = 0.0
    assert waits == [0.5, 1.0, 2.0, 4.0]
    children._look_after(child, 2e6)
    assert child.process is not None
    child.process.wait()
    children._look_after(child, 2e6 + 2 * module.WELL_AFTER_S)
    assert child.wait_s == 2 * module.FIRST_WAIT_S
