"""Fifty people at once while ten searches run: pages' times, errors and memory, into docs/performance.md.

`python -m scripts.load` starts an installation of its own in a throw-away folder, with the limits of a server
(one search at a time in the background, sixteen threads for pages), and ends it again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from config.local import broker_socket
from scripts.sections import PERFORMANCE, ROOT, put

START_DEADLINE_S = 180.0
STOP_DEADLINE_S = 30.0
ANSWER_DEADLINE_S = 30.0
#: Seconds between two requests of one person: reading an answer, changing a field.
THINKING_S = (1.0, 5.0)
MODELS = ("llama-3.1-8b", "llama-2-7b", "mistral-7b", "mixtral-8x7b", "gpt2", "bert-base-uncased")
MACHINES = ("p5.48xlarge", "p4d.24xlarge", "g5.48xlarge", "p4de.24xlarge")
SWAP = {"HX-Request": "true", "HX-Target": "answer"}
TEXT = """\
## Pages while others search

Made by `python -m scripts.load` on {today}: {users} people for {seconds:.0f} s, each asking again after
{least:.0f} to {most:.0f} s; and once more while {searches} searches of every layout of the market run in
the background, one after the other. {cores} cores of {machine}{shared}. Times are what a client on the same
machine saw.

| request | count | median ms | p95 ms | slowest ms | errors |
|---|---|---|---|---|---|
{rows}

In the second of these the web server worked {each_ms:.0f} ms of a core for each request, {busy:.0%} of one
core in all. Memory before it and after: the web server {web_before:.0f} and {web_after:.0f} MiB, all
processes together {all_before:.0f} and {all_after:.0f} MiB. Of the {searches} searches {done} were done by
then and {going} were going on or waiting; those were cancelled, and no worker was busy {idle_s:.1f} s later.
"""


@dataclass(slots=True)
class Seen:
    """Milliseconds of each request by kind, and what went wrong."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, ms: float, error: str) -> None:
        """One request."""
        self.ms.setdefault(kind, []).append(ms)
        if error:
            self.errors.setdefault(kind, []).append(error)


@contextmanager
def installation() -> Iterator[str]:
    """The address of an installation of its own, ended when the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="headroom-load-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "HEADROOM_DATA": str(data)}
    environment |= {"PORT": str(port), "LOG_LEVEL": "WARNING"}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.supervisor"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(address)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_DEADLINE_S)
        shutil.rmtree(broker_socket(data).parent, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(address: str) -> None:
    """Come back once all processes answer. Raises TimeoutError."""
    end = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < end:
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise TimeoutError("the installation was not ready in time")


@dataclass(frozen=True, slots=True)
class Used:
    """MiB that the web server and all processes hold; seconds of a core that the web server has worked."""

    web_mib: float
    all_mib: float
    web_s: float


def used(address: str) -> Used:
    """What the installation uses now, as Linux tells it."""
    port = address.rpartition(":")[2]
    web_mib = all_mib = web_s = 0.0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"PORT={port}\0".encode() not in (entry / "environ").read_bytes():
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            mib = int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
            ticks = (entry / "stat").read_text().rpartition(")")[2].split()[11:13]
        except (OSError, IndexError, ValueError):
            continue
        all_mib += mib
        if "config.web" in command:
            web_mib += mib
            web_s += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return Used(web_mib, all_mib, web_s)


def searches(count: int) -> list[dict[str, Any]]:
    """Questions that mean every layout of many machines, no two alike."""
    workload = {"task": "pretraining", "sequence_length": 8192, "global_batch_size": 1024}
    everything = {"any": {"nodes": list(range(1, 33))}}
    return [
        {
            "model": "llama-3.1-8b",
            "workload": workload | {"tokens": 1e12 + place * 1e9},
            "cluster": everything,
        }
        | {"exact": True}
        for place in range(count)
    ]


def start_searches(address: str, count: int) -> list[str]:
    """The addresses of searches that were handed to a worker."""
    headers = {"Prefer": "respond-async"}
    found = []
    for question in searches(count):
        answer = httpx.post(f"{address}/api/v1/search", json=question, headers=headers, timeout=60)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        found.append(address + answer.headers["Location"])
    return found


async def person(client: httpx.AsyncClient, seed: int, until: float, seen: Seen) -> None:
    """One person: opens the plan page, and then changes it as long as the minute lasts."""
    draw = random.Random(seed)
    await asyncio.sleep(draw.uniform(0.0, THINKING_S[1]))
    kind, headers = "the plan page", dict[str, str]()
    while time.monotonic() < until:
        query: dict[str, str | int] = {"model": draw.choice(MODELS), "instance": draw.choice(MACHINES)}
        query["nodes"] = draw.randint(1, 32)
        began = time.monotonic()
        error = ""
        try:
            answer = await client.get("/", params=query, headers=headers)
            if answer.status_code >= httpx.codes.BAD_REQUEST:
                error = f"{answer.status_code}: {answer.text[:80]}"
        except httpx.HTTPError as failure:
            error = repr(failure)
        seen.note(kind, 1e3 * (time.monotonic() - began), error)
        kind, headers = "a changed plan", SWAP
        await asyncio.sleep(draw.uniform(*THINKING_S))


async def crowd(address: str, users: int, seconds: float) -> Seen:
    """All of them at once."""
    seen = Seen()
    limits = httpx.Limits(max_connections=users)
    async with httpx.AsyncClient(base_url=address, timeout=ANSWER_DEADLINE_S, limits=limits) as client:
        until = time.monotonic() + seconds
        await asyncio.gather(*(person(client, seed, until, seen) for seed in range(users)))
    return seen


def stop_searches(jobs: list[str]) -> tuple[int, int, float]:
    """(searches that were done, others, seconds until none runs any more) once all are cancelled."""
    done = sum(httpx.get(job, timeout=30).status_code == httpx.codes.OK for job in jobs)
    for job in jobs:
        httpx.post(f"{job}/cancel", json={}, timeout=30)
    began = time.monotonic()
    while any(httpx.get(job, timeout=30).status_code == httpx.codes.ACCEPTED for job in jobs):
        time.sleep(0.1)
    return done, len(jobs) - done, time.monotonic() - began


def row_text(kind: str, seen: Seen, beside: str) -> str:
    """One line of the table. beside: what else was going on."""
    ms = np.array(seen.ms[kind])
    median, p95 = np.percentile(ms, [50, 95])
    errors = len(seen.errors.get(kind, ()))
    return f"| {kind}, {beside} | {ms.size} | {median:.0f} | {p95:.0f} | {ms.max():.0f} | {errors} |"


def main() -> None:
    """Measure, print, and write the section unless asked not to."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--users", type=int, default=50)
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--searches", type=int, default=10)
    asked.add_argument("--dry", action="store_true", help="print alone; leave docs/performance.md as it is")
    given = asked.parse_args()
    with installation() as address:
        asyncio.run(crowd(address, 4, 10.0))  # what is read once has been read
        load = os.getloadavg()[0]
        alone = asyncio.run(crowd(address, given.users, given.seconds))
        before = used(address)
        jobs = start_searches(address, given.searches)
        seen = asyncio.run(crowd(address, given.users, given.seconds))
        after = used(address)
        done, going, idle_s = stop_searches(jobs)
    cores = os.cpu_count() or 1
    shared = f", shared with other work (load {load:.0f} before it began)" if load > cores else ""
    text = TEXT.format(
        today=date.today().isoformat(),
        users=given.users,
        seconds=given.seconds,
        least=THINKING_S[0],
        most=THINKING_S[1],
        searches=given.searches,
        cores=cores,
        machine=platform.machine(),
        shared=shared,
        rows="\n".join(
            row_text(kind, found, beside)
            for found, beside in ((alone, "nobody searching"), (seen, f"{given.searches} searches going on"))
            for kind in found.ms
        ),
        each_ms=1e3 * (after.web_s - before.web_s) / max(1, sum(len(ms) for ms in seen.ms.values())),
        busy=(after.web_s - before.web_s) / given.seconds,
        web_before=before.web_mib,
        web_after=after.web_mib,
        all_before=before.all_mib,
        all_after=after.all_mib,
        done=done,
        going=going,
        idle_s=idle_s,
    )
    print(text)
    for kind, errors in (*alone.errors.items(), *seen.errors.items()):
        print(kind, errors[:3])
    if not given.dry:
        put(PERFORMANCE, "load", text)


if __name__ == "__main__":
    main()
