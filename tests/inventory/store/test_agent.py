"""The host agent against a real server: nothing lost, nothing twice, whatever goes wrong between them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headroom_agent import client as client_module
from headroom_agent.client import Client, ServerAddressError
from headroom_agent.spool import Spool
from inventory.store import services
from inventory.store.models import Gpu, Host, Probe, Refusal, Sample
from inventory.wire import policy
from inventory.wire.snapshot_json import to_json
from tests.fakes.nvml import states
from tests.inventory.builders import gpu, snapshot
from tests.inventory.conftest import SetState
from tests.inventory.store.test_delivery import now

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", limit_bytes=2**20)


@pytest.fixture
def token(transactional_db: None) -> str:
    return services.add_host("node-1", now=now())[1]


def fill(spool: Spool, count: int, **more: Any) -> None:
    for i in range(count):
        when = now()
        taken = to_json(snapshot(gpu(0, busy=i % 100), name="node-1", when=when, **more))
        spool.add(str(uuid4()), taken, taken_ms=int(when.timestamp() * 1000) + i)
        time.sleep(0.002)


class TestSpool:
    def test_oldest_first(self, spool: Spool) -> None:
        for i in (3, 1, 2):
            spool.add(f"id-{i}", {"n": i}, taken_ms=i)
        assert [w.snapshot["n"] for w in spool.oldest(10)] == [1, 2, 3]
        assert [w.id for w in spool.oldest(2)] == ["id-1", "id-2"]

    def test_survives_its_process(self, spool: Spool) -> None:
        spool.add("a", {"n": 1}, taken_ms=1)
        assert len(Spool(spool.folder, limit_bytes=100)) == 1

    def test_is_bounded_and_keeps_the_newest(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path, limit_bytes=5000)
        for i in range(50):
            spool.add(f"id-{i:02d}", "x" * 400, taken_ms=i)
        kept = spool.oldest(100)
        assert sum(w.path.stat().st_size for w in kept) <= 5000
        assert kept[-1].id == "id-49"
        assert spool.dropped == 50 - len(kept)

    def test_half_written_and_unreadable_files_are_no_obstacle(self, spool: Spool) -> None:
        (spool.folder / ".draft-x").write_text('{"id": "x"')
        (spool.folder / "000000000000001-bad.json").write_text("{not json")
        (spool.folder / "000000000000002-bad.json").write_text("[]")
        spool.add("good", {}, taken_ms=3)
        assert [w.id for w in Spool(spool.folder, limit_bytes=10**6).oldest(10)] == ["good"]
        assert sorted(path.suffix for path in spool.folder.iterdir()) == [".json"]

    def test_age_counts_from_when_it_was_taken_and_ends_with_the_boot(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool.add("a", {}, taken_ms=1)
        (fresh,) = spool.oldest(1)
        assert fresh.age_s is not None
        assert 0 <= fresh.age_s < 5
        monkeypatch.setattr("headroom_agent.spool.boot_id", lambda: "another boot")
        assert spool.oldest(1)[0].age_s is None


class TestDelivery:
    def test_everything_arrives_once(self, live_server: Any, token: str, spool: Spool) -> None:
        fill(spool, 120)
        assert Client(live_server.url, token).deliver(spool)
        assert len(spool) == 0
        assert Probe.objects.count() == 120
        assert Host.objects.get().gpu_count == 1

    def test_a_server_that_is_away_costs_nothing(self, live_server: Any, token: str, spool: Spool) -> None:
        fill(spool, 5)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            away = Client(f"http://127.0.0.1:{nobody.getsockname()[1]}", token)
            assert not away.deliver(spool)
        assert len(spool) == 5
        assert Client(live_server.url, token).deliver(spool)
        assert Probe.objects.count() == 5

    def test_an_answer_that_is_lost_leads_to_no_second_row(
        self, live_server: Any, token: str, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(spool, 10)
        sender = Client(live_server.url, token)
        send, lost = sender._send, iter([True, True])

        def forgetful(self: Client, body: bytes) -> Any:
            answer = send(body)
            return None if next(lost, False) else answer

        monkeypatch.setattr(Client, "_send", forgetful)
        assert not sender.deliver(spool)
        assert not sender.deliver(spool)
        assert len(spool) == 10
        assert sender.deliver(spool)
        assert Probe.objects.count() == 10
        assert len(spool) == 0

    @pytest.mark.parametrize("skew_s", [-86400 * 365, -3600, -200, 200, 3600, 86400 * 365])
    def test_a_clock_that_is_wrong(self, live_server: Any, token: str, spool: Spool, skew_s: float) -> None:
        fill(spool, 3)
        sender = Client(live_server.url, token, clock=lambda: time.time() + skew_s)
        assert sender.deliver(spool)
        assert Probe.objects.count() == 3
        taken = Probe.objects.order_by("taken_at").last()
        assert taken is not None
        assert taken.taken_at is not None
        # A clock within the tolerance is not corrected, so times may be off by as much.
        assert abs((now() - taken.taken_at).total_seconds()) < (policy.CLOCK_TOLERANCE_S + 10)
        if abs(skew_s) > policy.CLOCK_TOLERANCE_S:
            assert abs((now() - taken.taken_at).total_seconds()) < 10
        assert Refusal.objects.exclude(kind="clock").count() == 0

    def test_a_refused_snapshot_leaves_the_spool(self, live_server: Any, token: str, spool: Spool) -> None:
        fill(spool, 2)
        spool.add(str(uuid4()), {"schema": 99}, taken_ms=1)
        sender = Client(live_server.url, token)
        assert sender.deliver(spool)
        assert (len(spool), sender.refused, Probe.objects.count()) == (0, 1, 2)

    def test_a_revoked_token_keeps_the_spool(self, live_server: Any, token: str, spool: Spool) -> None:
        fill(spool, 2)
        services.revoke_tokens(Host.objects.get(), now=now())
        assert not Client(live_server.url, token).deliver(spool)
        assert len(spool) == 2

    def test_a_batch_that_is_too_large_is_halved(
        self, live_server: Any, token: str, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(spool, 12)
        monkeypatch.setattr(policy, "MAX_SNAPSHOTS_A_REQUEST", 5)
        assert Client(live_server.url, token).deliver(spool)
        assert Probe.objects.count() == 12

    def test_a_snapshot_too_large_by_itself_does_not_block_the_rest(
        self, live_server: Any, token: str, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool.add(str(uuid4()), "x" * 200_000, taken_ms=1)
        fill(spool, 3)
        monkeypatch.setattr(policy, "MAX_BODY_BYTES", 100_000)
        sender = Client(live_server.url, token)
        assert sender.deliver(spool)
        assert (sender.refused, Probe.objects.count()) == (1, 3)


class TestAddress:
    @pytest.mark.parametrize(
        "server", ["http://example.org", "ftp://localhost", "localhost:8000", "https://", ""]
    )
    def test_refused(self, server: str) -> None:
        with pytest.raises(ServerAddressError):
            Client(server, "a.b")

    @pytest.mark.parametrize(
        "server", ["https://example.org/", "http://localhost:8000", "http://127.0.0.1:1"]
    )
    def test_taken(self, server: str) -> None:
        assert not Client(server, "a.b").server.endswith("/")


class TestProgram:
    """The agent as it is started on a host: its own process, without Django."""

    def test_once(self, live_server: Any, token: str, fake_driver: SetState, tmp_path: Path) -> None:
        fake_driver(states.a100_with_mig())
        done = self.start(live_server.url, token, tmp_path, "--once").wait(timeout=30)
        assert done == 0
        assert Gpu.objects.filter(host__name="node-1").count() == 8
        assert Gpu.objects.get(index=0).mig_instances.count() == 3

    def test_spools_while_the_server_is_away_and_ends_politely(
        self, live_server: Any, token: str, fake_driver: SetState, tmp_path: Path
    ) -> None:
        fake_driver(states.a100(1))
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            agent = self.start(
                f"http://127.0.0.1:{nobody.getsockname()[1]}", token, tmp_path, "--interval", "0.3"
            )
            wait_until(lambda: len(list((tmp_path / "spool").glob("*.json"))) >= 3)
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(timeout=10) == 0
        spooled = len(list((tmp_path / "spool").glob("*.json")))
        assert self.start(live_server.url, token, tmp_path, "--once").wait(timeout=30) == 0
        assert Probe.objects.count() == spooled + 1
        assert Sample.objects.filter(gpu__uuid__startswith="GPU-aaaa").exists()

    def test_killed_at_any_moment_it_loses_and_doubles_nothing(
        self, live_server: Any, token: str, fake_driver: SetState, tmp_path: Path
    ) -> None:
        fake_driver(states.a100(1))
        for _ in range(3):
            agent = self.start(live_server.url, token, tmp_path, "--interval", "0.2")
            time.sleep(0.8)
            agent.kill()
            agent.wait(timeout=10)
        assert self.start(live_server.url, token, tmp_path, "--once").wait(timeout=30) == 0
        assert not list((tmp_path / "spool").glob("*.json"))
        assert Probe.objects.count() == Probe.objects.values("taken_at").distinct().count() > 0
        assert Refusal.objects.count() == 0

    def test_a_second_agent_on_the_same_spool_refuses(self, token: str, tmp_path: Path) -> None:
        first = self.start("http://127.0.0.1:9", token, tmp_path, "--interval", "60")
        try:
            wait_until(lambda: bool(list((tmp_path / "spool").glob("*.json"))))
            assert self.start("http://127.0.0.1:9", token, tmp_path, "--once").wait(timeout=20) == 2
        finally:
            first.terminate()
            first.wait(timeout=10)

    def test_without_a_token(self, tmp_path: Path) -> None:
        assert self.start("http://localhost:1", "", tmp_path, "--once").wait(timeout=20) == 2

    def test_needs_no_django(self) -> None:
        script = (
            "import sys, headroom_agent.__main__\n"
            "bad = {m.partition('.')[0] for m in sys.modules} & {'django', 'celery', 'planner', 'numpy'}\n"
            "sys.exit(str(bad) if bad else 0)"
        )
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=20)

    def start(self, server: str, token: str, tmp_path: Path, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "headroom_agent", "--server", server, "--name", "node-1"]
        command += ["--spool", str(tmp_path / "spool"), *more]
        environment = {**os.environ, "HEADROOM_TOKEN": token}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)


def wait_until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_client_and_server_agree_on_the_address() -> None:
    from django.urls import reverse

    assert reverse("inventory:snapshots") == client_module.PATH


def test_the_agent_in_one_file_needs_nothing_installed(
    live_server: Any, token: str, fake_driver: SetState, tmp_path: Path
) -> None:
    from scripts.build_agent import build

    fake_driver(states.a100(2))
    archive = build(tmp_path / "headroom-agent.pyz")
    # -S leaves out the packages of this virtualenv.
    command = [sys.executable, "-S", str(archive), "--server", live_server.url, "--name", "node-1"]
    command += ["--spool", str(tmp_path / "spool"), "--once"]
    environment = {**os.environ, "HEADROOM_TOKEN": token}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert Gpu.objects.filter(host__name="node-1", name="NVIDIA A100-SXM4-40GB").count() == 2


def test_one_snapshot_that_the_server_breaks_on_keeps_no_other_back(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        spool.add(f"id-{number}", {"n": number}, taken_ms=number)
    arrived: list[str] = []

    def post(self: Client, batch: list[Any]) -> client_module.Answer:
        if any(waiting.id == "id-2" for waiting in batch):
            return client_module.Answer(500, {})
        arrived.extend(waiting.id for waiting in batch)
        results = [{"id": waiting.id, "outcome": "recorded"} for waiting in batch]
        return client_module.Answer(200, {"results": results})

    monkeypatch.setattr(Client, "_post", post)
    agent = Client("http://localhost:1", "a.b")
    ended = [agent.deliver(spool) for _ in range(client_module.MOST_FAULTS)]
    assert ended == [False] * (client_module.MOST_FAULTS - 1) + [True]
    assert arrived == ["id-0", "id-1", "id-3", "id-4"] and len(spool) == 0
