"""The commands by which hosts join: what they print, and what they start."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from inventory.store import services
from inventory.store.models import Host

pytestmark = pytest.mark.django_db


def printed_token(text: str) -> str:
    found = re.search(r"HEADROOM_TOKEN=(\S+)", text)
    assert found is not None
    return found[1]


def test_add_host_prints_what_to_run_there(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("add_host", "node-1", "--server", "https://headroom.example.org")
    text = capsys.readouterr().out
    assert "python -m headroom_agent --server https://headroom.example.org" in text
    assert services.host_of_token(printed_token(text)).name == "node-1"
    assert Host.objects.get().feed == Host.Feed.AGENT


def test_add_host_for_a_worker(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("add_host", "node-1", "--worker")
    assert "python manage.py worker" in capsys.readouterr().out
    assert Host.objects.get().feed == Host.Feed.WORKER


def test_revoke_ends_the_tokens_before(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("add_host", "node-1")
    old = printed_token(capsys.readouterr().out)
    call_command("add_host", "node-1", "--revoke")
    new = printed_token(capsys.readouterr().out)
    with pytest.raises(services.DeliveryError, match="revoked"):
        services.host_of_token(old)
    assert services.host_of_token(new).name == "node-1"


def test_a_name_that_no_host_has() -> None:
    with pytest.raises(CommandError, match="hyphens"):
        call_command("add_host", "no such name")


def test_worker_reads_its_hosts_queue_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = services.add_host("node-7", now=datetime.now(UTC), feed=Host.Feed.WORKER)
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: started.append(arguments))
    monkeypatch.setenv("HEADROOM_HOSTNAME", "to be replaced")
    call_command("worker", "--token", token)
    (command,) = started
    assert command[command.index("--queues") + 1] == "probe.node-7"
    assert os.environ["HEADROOM_HOSTNAME"] == "node-7"


@pytest.mark.parametrize("token", ["", "wrong", "a.b"])
def test_worker_without_a_valid_token_does_not_start(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("must not start"))
    with pytest.raises(CommandError, match="add_host NAME --worker"):
        call_command("worker", "--token", token)


def test_probe_without_tables_prints_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    from django.db import OperationalError

    def no_tables(*_: object, **__: object) -> None:
        raise OperationalError("no such table: inventory_host")

    monkeypatch.setattr(services, "join_by_worker", no_tables)
    monkeypatch.setenv("HEADROOM_NVML_LIBRARY", f"{tmp_path}/nowhere.so")
    call_command("probe", "--json")
    printed = capsys.readouterr()
    assert '"schema": 1' in printed.out
    assert "make install" in printed.err
