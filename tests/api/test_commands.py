"""The commands: JSON Lines in and out, in order, at once, with their exit status."""

import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from planner.api.json_lines import answer_lines, bounded_lines
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.jsontext import MAX_JSON_BYTES
from planner.plans.answers import estimate_text
from tests.api.test_v1 import QUESTION

ROOT = Path(__file__).resolve().parents[2]


def run_estimate(lines: list[str | bytes], tmp_path: Path) -> tuple[int, list[Any]]:
    """A real process on an empty data folder: no database, as on a machine that has never seen one."""
    environment = {**os.environ, "HEADROOM_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    raw = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n"
    done = subprocess.run(
        [sys.executable, "manage.py", "estimate"],
        input=raw,
        capture_output=True,
        cwd=ROOT,
        env=environment,
        timeout=60,
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_bad_lines_are_answered_in_place_without_a_database(tmp_path: Path) -> None:
    good = json.dumps(QUESTION)
    lines = [good, "{", "", '{"id": 7}', b"\xff\xfe", "x" * (MAX_JSON_BYTES + 5), "[1]", good]
    status, answers = run_estimate(lines, tmp_path)
    assert status == 2
    assert ["error" in answer for answer in answers] == [False, True, True, True, True, True, False]
    assert answers[2]["id"] == 7
    assert answers[0] == answers[6]


def test_all_good_lines_exit_with_nought(tmp_path: Path) -> None:
    status, answers = run_estimate([json.dumps(QUESTION | {"id": index}) for index in range(3)], tmp_path)
    assert status == 0
    assert [answer["id"] for answer in answers] == [0, 1, 2]


@pytest.mark.slow
def test_a_thousand_requests_take_seconds(tmp_path: Path) -> None:
    models = ["llama-3.1-8b", "gpt2", "bert-base-uncased", "mixtral-8x7b"]
    questions = []
    for index in range(1000):
        workload = {**QUESTION["workload"], "sequence_length": 512, "global_batch_size": 64 * (1 + index % 7)}
        layout = "auto" if index % 2 else {"tensor_parallel": 1, "sharding": "zero3", "micro_batch_size": 1}
        cluster = {"instance_type": "p4d.24xlarge", "nodes": 1 + index % 4}
        questions.append(
            {"model": models[index % 4], "workload": workload, "cluster": cluster, "layout": layout}
        )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _, answers = run_estimate([json.dumps(question) for question in questions], tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert len(answers) == 1000
    # Processor time, start-up included: other tests run beside this one.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 20


@pytest.mark.django_db
def test_requests_are_read_from_a_file(tmp_path: Path) -> None:
    file, out = tmp_path / "plans.jsonl", io.StringIO()
    file.write_text(json.dumps(QUESTION) + "\n")
    call_command("estimate", file=file, stdout=out)
    assert json.loads(out.getvalue())["fits"] is True
    file.write_text("{}\n")
    with pytest.raises(SystemExit) as stopped:
        call_command("estimate", file=file, stdout=io.StringIO())
    assert stopped.value.code == 2
    with pytest.raises(CommandError, match="No such file"):
        call_command("estimate", file=tmp_path / "absent.jsonl", stdout=io.StringIO())


def test_each_answer_is_passed_on_before_the_next_line_is_read() -> None:
    seen: list[str] = []

    class Watched(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            seen.append("read")
            return super().readline(size)

    answer_lines(
        Watched(b"1\n2\n"), lambda line: seen.append(line.strip()), lambda line: {"line": line.decode()}
    )
    assert seen == ["read", '{"line": "1"}', "read", '{"line": "2"}', "read"]


def test_a_line_of_any_length_is_read_in_bounded_pieces() -> None:
    long = b"x" * (3 * MAX_JSON_BYTES)
    exact = b"y" * MAX_JSON_BYTES
    lines = list(bounded_lines(io.BytesIO(b"a\r\n\n" + long + b"\n" + exact + b"\nb\n" + long)))
    assert lines == [b"a", None, exact, b"b", None]


@pytest.mark.django_db
def test_a_search_is_answered_a_line_each(tmp_path: Path) -> None:
    question = {name: value for name, value in QUESTION.items() if name != "layout"}
    good = question | {"cluster": [{"instance_type": "p5.48xlarge", "nodes": "auto"}], "max_nodes": 4}
    file, out = tmp_path / "searches.jsonl", io.StringIO()
    file.write_text(json.dumps(good) + "\n" + json.dumps(question | {"objective": "speed"}) + "\n")
    with pytest.raises(SystemExit) as stopped:
        call_command("search", file=file, stdout=out)
    assert stopped.value.code == 2
    found, refused = [json.loads(line) for line in out.getvalue().splitlines()]
    assert found["best"]["fits"] is True
    assert found["elapsed_s"] > 0
    assert refused["error"]["field"] == "objective"


def test_a_line_that_breaks_us_is_answered_and_the_next_ones_too() -> None:
    def answer(line: bytes) -> dict[str, object]:
        if line == b"1":
            raise RecursionError
        return {"value": float("nan")} if line == b"2" else {"value": 3}

    said: list[str] = []
    sound = answer_lines(io.BytesIO(b"1\n2\n3\n"), said.append, answer)
    assert not sound
    read = [json.loads(line) for line in said]
    assert "fault is ours" in read[0]["error"]["message"] and "fault is ours" in read[1]["error"]["message"]
    assert read[2] == {"value": 3}


def test_lines_nested_deeply_or_of_endless_digits_lose_none_of_the_others() -> None:
    lines = [b'{"id": ' + b"[" * 800 + b"]" * 800 + b"}", b'{"a": ' + b"9" * 5000 + b"}", b"{}"]
    said: list[str] = []
    catalog = load_shipped_catalog()
    answer_lines(io.BytesIO(b"\n".join(lines)), said.append, lambda line: estimate_text(line, catalog))
    read = [json.loads(line) for line in said]
    assert len(read) == 3 and all("error" in one for one in read)
