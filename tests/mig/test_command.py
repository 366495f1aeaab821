"""`manage.py mig`: JSON Lines in order, without a database, with its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNT = {"enumerate": "a30", "id": 1}
PLAN = {
    "gpus": [{"accelerator": "a30", "count": 2}],
    "demands": [{"profile": "2g.12gb", "count": 3}],
    "id": 2,
}


def run(lines: list[str], tmp_path: Path) -> tuple[int, list[dict[str, Any]]]:
    environment = {**os.environ, "HEADROOM_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "manage.py", "mig"],
        input="\n".join(lines).encode(),
        capture_output=True,
        cwd=ROOT,
        env=environment,
        timeout=120,
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_lines_are_answered_in_order(tmp_path: Path) -> None:
    status, answers = run([json.dumps(COUNT), "{", json.dumps({"id": 9}), json.dumps(PLAN)], tmp_path)
    assert status == 2
    assert ["error" in answer for answer in answers] == [False, True, True, False]
    assert answers[0]["valid_configurations"] == 25
    assert answers[2]["id"] == 9
    assert answers[3]["gpus_used"] == 2


@pytest.mark.slow
def test_many_questions_are_answered_by_one_process(tmp_path: Path) -> None:
    lines = [json.dumps({**PLAN, "id": number, "demands": [{"profile": "1g.6gb", "count": 1 + number % 9}]})
             for number in range(200)]  # fmt: skip
    status, answers = run(lines, tmp_path)
    assert status == 0
    assert [answer["id"] for answer in answers] == list(range(200))
