"""The trade-offs page, asked without a browser."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.utils import timezone

from planner.tradeoffs import page
from planner.tradeoffs.jobs import JobStatus

pytestmark = pytest.mark.django_db
SMALL = "families=p5&families=p4d&least_nodes=4&most_nodes=8&tokens=10B"


@pytest.fixture(autouse=True)
def _forget() -> None:
    page._kept.cache_clear()


def points(text: str) -> list[dict[str, Any]]:
    found = re.search(r'<script id="points-data" type="application/json">(.*?)</script>', text)
    assert found
    data: list[dict[str, Any]] = json.loads(found[1])
    return data


def test_the_page_shows_the_front_with_links_to_plans(client: Client) -> None:
    answer = client.get(f"/tradeoffs?{SMALL}")
    text = answer.content.decode()
    assert answer.status_code == 200
    found = points(text)
    assert {each["n"].split(" × ")[1].split(".")[0] for each in found} <= {"p5", "p4d"}
    assert any(each["f"] for each in found)
    assert "Cheapest" in text
    assert "chart-front-data" in text


def test_the_front_has_its_band_and_the_order_its_chances(client: Client) -> None:
    text = client.get(f"/tradeoffs?{SMALL}").content.decode()
    said = text[text.index('<section id="sure">') :]
    assert re.search(r"<li>[^<]* (beats .* on cost with [\d>m]|and .* are equal in cost)", said)
    found = re.search(r'<script id="chart-front-data" type="application/json">(.*?)</script>', text)
    assert found
    traces = {trace["name"]: trace for trace in json.loads(found[1])["data"]}
    assert traces["band"]["fill"] == "tonexty"
    assert len(traces["band"]["x"]) == len(traces["on the front"]["x"])
    row = next(each for each in points(text) if each["f"])
    rows = list(
        csv.DictReader(
            io.StringIO(client.get(f"/tradeoffs/chart.csv?{SMALL}&chart=chart-front").content.decode())
        )
    )
    mine = next(each for each in rows if float(each["total_s"]) == row["t"])
    assert float(mine["total_low_s"]) < row["t"] < float(mine["total_high_s"])


def test_a_link_leads_to_the_same_plan(client: Client) -> None:
    best = next(each for each in points(client.get(f"/tradeoffs?{SMALL}").content.decode()) if each["f"])
    plan = client.get(f"/plan.json?{best['q']}").json()
    assert plan["time"]["total_s"] == pytest.approx(best["t"], rel=0.02)


def test_a_goal_is_answered_in_a_sentence(client: Client) -> None:
    text = client.get(f"/tradeoffs?{SMALL}&deadline=0.001").content.decode()
    assert "Nothing that was found is within" in text
    text = client.get(f"/tradeoffs?{SMALL}&deadline=100&budget=10M").content.decode()
    assert "within 100 days and $10.00M" in text


def test_unsound_limits_are_told_beside_the_form(client: Client) -> None:
    answer = client.get("/tradeoffs?providers=oracle&most_nodes=-3")
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "Providers" in text
    assert "oracle" in text


def test_nothing_found_says_why(client: Client) -> None:
    text = client.get("/tradeoffs?model=llama-3.1-405b&families=g6&families=g5&most_nodes=1").content.decode()
    assert "No plan was found" in text
    assert "did not fit into memory" in text


def test_a_running_search_shows_its_progress_and_a_stop(client: Client) -> None:
    status = JobStatus(
        key="abc", state="running", plans=1000, plans_done=250, parts=4, parts_done=1, front=(),
        started_at=timezone.now(), elapsed_s=3.0,
    )  # fmt: skip
    with patch.object(page.jobs, "answer", return_value=status):
        text = client.get(f"/tradeoffs?{SMALL}").content.decode()
    assert "25 %" in text
    assert "Stop" in text
    assert 'http-equiv="refresh"' in text


def test_a_stopped_search_is_not_started_by_a_reload(client: Client) -> None:
    status = JobStatus(
        key="abc", state="cancelled", plans=1000, plans_done=250, parts=4, parts_done=1, front=(),
        started_at=timezone.now(), elapsed_s=3.0, problem="The search was cancelled.", remedy="Resume it.",
    )  # fmt: skip
    with (
        patch.object(page.jobs, "status", return_value=status),
        patch.object(page.jobs, "answer") as asked,
    ):
        text = client.get(f"/tradeoffs?{SMALL}&job=abc").content.decode()
    assert "Resume" in text
    assert not asked.called


def test_stopping_keeps_the_address(client: Client) -> None:
    with patch.object(page.jobs, "cancel") as stopped:
        answer = client.post("/tradeoffs/cancel", {"key": "abc", "query": "families=p5"})
    assert answer.headers["Location"] == "/tradeoffs?families=p5&job=abc"
    stopped.assert_called_once_with("abc")


def test_the_plans_neighbours_have_their_findings_and_numbers(client: Client) -> None:
    text = client.get("/tradeoffs/around?tokens=10B").content.decode()
    for slug in ("chart-matrix", "chart-scaling", "chart-split", "chart-tornado", "chart-variants"):
        assert f'id="{slug}"' in text
        rows = list(
            csv.reader(
                io.StringIO(client.get(f"/tradeoffs/chart.csv?tokens=10B&chart={slug}").content.decode())
            )
        )
        assert len(rows) > 1
    assert client.get("/tradeoffs/chart.csv?chart=nothing").status_code == 404


def test_all_plans_as_csv_have_exact_numbers(client: Client) -> None:
    text = client.get(f"/tradeoffs/chart.csv?{SMALL}&chart=chart-front").content.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows
    assert float(rows[0]["total_s"]) > 0
    assert rows[0]["tensor_parallel"]
