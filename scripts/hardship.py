"""What an installation lives through: each of its processes killed under 50 users, and hours of load.

`python -m scripts.hardship kill` starts `make run` in a folder of its own and ends every process of it with
SIGKILL, one after the other, while users read, plan and save; it fails where something acknowledged is lost,
something is saved twice, or a process is not back within BACK_WITHIN_S. `python -m scripts.hardship soak`
watches the memory of all processes instead.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "client"))

from headroom_client import Headroom, HeadroomError, UnavailableError  # noqa: E402

from config.leftovers import end_leftovers  # noqa: E402

BACK_WITHIN_S = 10.0
START_DEADLINE_S = 180.0
THINK_S = 2.0
CHILDREN = ("web", "worker", "searcher", "beat")
QUESTION: dict[str, Any] = {
    "model": "gpt2",
    "workload": {
        "task": "pretraining", "tokens": 1e10, "sequence_length": 1024, "global_batch_size": 512,
        "precision": "bf16",
    },
    "cluster": {"instance_type": "p4d.24xlarge", "nodes": 1},
}  # fmt: skip
MAKE_TOKEN = """
from django.contrib.auth.models import User; from django.utils import timezone
from planner.api import services
who, scopes = User.objects.get(username='admin'), ['catalog', 'plan', 'scenarios', 'save', 'fleet']
print(services.make_token(who, name='t', scopes=scopes, days=1, now=timezone.now())[1])
"""


@dataclass(slots=True)
class Installation:
    """`make run` in a folder of its own."""

    data: Path
    port: int
    supervisor: subprocess.Popen[bytes] | None = None
    token: str = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"HEADROOM_DATA": str(self.data), "PORT": str(self.port)}

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command = [sys.executable, "-m", "config.supervisor"]
        self.supervisor = subprocess.Popen(command, cwd=ROOT, env=self.environment)
        until(self.ready, START_DEADLINE_S)

    def ready(self) -> bool:
        """Whether web, database, broker and disk work."""
        import httpx

        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
        return False

    def make_token(self) -> None:
        """A token of the first user."""
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", MAKE_TOKEN]
        self.token = subprocess.check_output(command, cwd=ROOT, env=self.environment, text=True).strip()

    def pid(self, name: str) -> int:
        """The process of this name, 0 where there is none."""
        if name == "broker":
            found = [
                int(entry.name)
                for entry in Path("/proc").glob("[0-9]*")
                if str(self.data / "run").encode() in _command(entry) and b"valkey" in _command(entry)
            ]
            return found[0] if found else 0
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.data / "run" / f"{name}.pid").read_text())
            return pid if Path(f"/proc/{pid}").exists() else 0
        return 0

    def replaced(self, name: str, killed: int) -> bool:
        """Whether another process stands in the place of the killed one."""
        return self.pid(name) not in (0, killed)

    def working(self, name: str, workers: Callable[[], set[str]]) -> bool:
        """Whether the process does its work again."""
        if name in ("web", "broker", "supervisor"):
            return self.ready()
        if name == "beat":
            return self.pid("beat") > 0
        return ("search@" if name == "searcher" else "celery@") in {each[:7] for each in workers()}

    def resident_mib(self) -> dict[str, float]:
        """Memory of each process with its children."""
        found = {}
        for name in CHILDREN:
            pid, kib = self.pid(name), 0
            for entry in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if os.getsid(int(entry.name)) == pid:
                        status = (entry / "status").read_text()
                        kib += int(status.partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status else 0
            found[name] = kib / 1024
        return found

    def stop(self) -> None:
        """End it."""
        if self.supervisor is not None:
            self.supervisor.send_signal(signal.SIGTERM)
            self.supervisor.wait(timeout=60)
        end_leftovers(self.data / "run", self.data)


def _command(entry: Path) -> bytes:
    with contextlib.suppress(OSError):
        return (entry / "cmdline").read_bytes()
    return b""


def until(done: Callable[[], bool], deadline_s: float) -> float:
    """Seconds until it was done. Raises TimeoutError."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > deadline_s:
            raise TimeoutError
        time.sleep(0.1)
    return time.monotonic() - began


@dataclass(slots=True)
class Users:
    """People who read, plan and save, and ask again where nobody answers.

    saved: what was acknowledged, key -> name.
    """

    here: Installation
    count: int
    stopping: threading.Event = field(default_factory=threading.Event)
    saved: dict[str, str] = field(default_factory=dict)
    answered: int = 0
    again: int = 0
    wrong: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While the block runs."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(self.count)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self.stopping.set()
            for each in threads:
                each.join()

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        with Headroom(self.here.address, self.here.token, timeout_s=30) as server:
            turn = 0
            while not self.stopping.wait(chance.uniform(0, 2 * THINK_S)):
                turn += 1
                self._one(server, chance.random(), f"user {number}, turn {turn}")

    def _one(self, server: Headroom, what: float, name: str) -> None:
        began = time.monotonic()
        while True:
            try:
                if what < 0.1:
                    kept = server.save_scenario(name, QUESTION, once=name)
                    self.saved[kept["key"]] = name
                elif what < 0.2:
                    server.estimate(QUESTION)
                elif what < 0.6:
                    server.accelerators()
                else:
                    server.fleet()
            except UnavailableError:
                self.again += 1
                time.sleep(0.3)
                continue
            except HeadroomError as refused:
                if "still going on" not in str(refused):
                    self.wrong.append(f"{name}: {refused}")
                    return
                time.sleep(1.0)
                continue
            self.answered += 1
            self.waits_s.append(time.monotonic() - began)
            return


def kill_each(here: Installation, users: Users) -> bool:
    """End every process once, under load; whether all were back in time and nothing was lost."""
    os.environ |= {"HEADROOM_DATA": str(here.data), "DJANGO_SETTINGS_MODULE": "config.settings"}
    from config.celery import app

    def workers() -> set[str]:
        with contextlib.suppress(Exception):
            return {name for answer in app.control.ping(timeout=0.5) or () for name in answer}
        return set()

    sound = True
    with users.at_work():
        time.sleep(15)
        for name in (*CHILDREN, "broker", "supervisor"):
            if name == "supervisor":
                assert here.supervisor is not None
                left = here.pid("web")  # goes on answering until the next supervisor ends it
                here.supervisor.kill()
                here.supervisor.wait()
                began = time.monotonic()
                here.start()
                until(partial(here.replaced, "web", left), START_DEADLINE_S)
                until(here.ready, START_DEADLINE_S)
                took_s = time.monotonic() - began
            else:
                killed = here.pid(name)
                os.kill(killed, signal.SIGKILL)
                began = time.monotonic()
                until(partial(here.replaced, name, killed), START_DEADLINE_S)
                until(partial(here.working, name, workers), START_DEADLINE_S)
                took_s = time.monotonic() - began
            sound &= took_s <= BACK_WITHIN_S
            print(f"{name:<11} killed; back after {took_s:4.1f} s", flush=True)
            time.sleep(10)
    with Headroom(here.address, here.token) as server:
        there = {row["key"]: row["name"] for row in server.scenarios()}
    lost = set(users.saved) - set(there)
    names = list(there.values())
    twice = {name for name in names if names.count(name) > 1}
    print(
        f"{users.count} users: {users.answered} answers, {users.again} asked again,"
        f" {len(users.wrong)} refused; {len(users.saved)} scenarios acknowledged, {len(lost)} lost,"
        f" {len(twice)} saved twice; median wait {statistics.median(users.waits_s):.2f} s,"
        f" longest {max(users.waits_s):.1f} s"
    )
    print(*users.wrong[:5], sep="\n")
    return sound and not lost and not twice and not users.wrong


def soak(here: Installation, users: Users, minutes: float) -> bool:
    """Load for so long; whether memory in the last quarter is within a tenth of that in the second."""
    seen: list[dict[str, float]] = []
    with users.at_work():
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            time.sleep(10)
            seen.append(here.resident_mib())
            if len(seen) % 6 == 1:
                print(json.dumps({name: round(mib) for name, mib in seen[-1].items()}), flush=True)
    quarter = max(1, len(seen) // 4)
    flat = True
    for name in CHILDREN:
        early = statistics.median(row[name] for row in seen[quarter : 2 * quarter])
        late = statistics.median(row[name] for row in seen[-quarter:])
        flat &= late <= 1.1 * early
        print(f"{name:<9} {early:6.0f} MiB, later {late:6.0f} MiB")
    waits = sorted(users.waits_s)
    print(
        f"{users.count} users: {users.answered} answers in {minutes:g} minutes, {users.again} asked again,"
        f" {len(users.wrong)} refused; median {statistics.median(waits):.2f} s,"
        f" 95th of 100 {waits[int(0.95 * len(waits))]:.2f} s, longest {waits[-1]:.1f} s"
    )
    return flat and not users.wrong


def main() -> int:
    """Run one of the two."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("what", choices=("kill", "soak"))
    given.add_argument("--users", type=int, default=50)
    given.add_argument("--minutes", type=float, default=10.0)
    options = given.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="headroom-hardship-") as folder:
        here = Installation(Path(folder) / "data", port)
        try:
            here.start()
            here.make_token()
            users = Users(here, options.users)
            sound = kill_each(here, users) if options.what == "kill" else soak(here, users, options.minutes)
        finally:
            here.stop()
    print("sound" if sound else "NOT sound")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
