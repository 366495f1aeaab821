"""The client as somebody else installs it: in a virtualenv of its own, against a server over a real port."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planner.api.operations import ESTIMATE_EXAMPLE

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def headroom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, installed."""
    place = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    install = [place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", ROOT / "client"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("no package index is reached from here")
    assert done.returncode == 0, done.stderr
    return place / "bin" / "headroom"


def test_it_asks_a_server(headroom: Path, live_server: Any, tmp_path: Path) -> None:
    def ask(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        command = [headroom, "--url", live_server.url, *words]
        return subprocess.run(
            command, input=said, capture_output=True, text=True, check=False, cwd=tmp_path, env={}
        )

    assert "estimate" in ask("--help").stdout
    assert json.loads(ask("--json", "models", "gpt2").stdout)[0]["slug"] == "gpt2"
    plan = ask("--json", "estimate", said=json.dumps(ESTIMATE_EXAMPLE))
    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["fits"] is True
    wrong = ask("estimate", said=json.dumps(ESTIMATE_EXAMPLE | {"model": "gtp2"}))
    assert wrong.returncode == 2 and "gpt2" in wrong.stderr and "Traceback" not in wrong.stderr
    missing = ask("mcp")
    assert missing.returncode == 2 and "headroom-client[mcp]" in missing.stderr
