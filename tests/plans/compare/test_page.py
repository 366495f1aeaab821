"""The Compare page, asked without a browser."""

from __future__ import annotations

import csv
import io
import time

import pytest
from django.test import Client

from tests.plans.reading import HTMX, verdict

pytestmark = pytest.mark.django_db


class TestCompare:
    def test_every_instance_type_has_a_row(self, client: Client) -> None:
        response = client.get("/compare")
        text = response.content.decode()
        for slug in (
            "p4d.24xlarge",
            "p4de.24xlarge",
            "p5.48xlarge",
            "trn1.32xlarge",
            "a2-ultragpu-8g",
            "g5.48xlarge",
        ):
            assert f">{slug}</a>" in text

    def test_it_takes_no_longer_than_some_plans(self, client: Client) -> None:
        """In processor time of plans that do not fit, so that neither the machine nor its load matters: 123
        machines in one grid, and remedies only when they are asked for.
        """

        def processor_s(address: str) -> float:
            began = time.process_time()
            assert client.get(f"{address}?model=llama-3.1-70b&nodes=1").status_code == 200
            return time.process_time() - began

        plans = [processor_s("/plan.json") for _ in range(3)]
        assert processor_s("/compare") < 9 * min(plans)

    def test_deadline_and_budget_are_asked_for_and_told(self, client: Client) -> None:
        text = client.get("/compare?deadline=40&budget=300k&sort=time&only_goal=met").content.decode()
        assert "within 40.0 days and $300k" in text
        assert '<input type="hidden" name="sort" value="time">' in text
        assert 'name="deadline" value="40"' in text
        assert "misses the deadline" not in text
        assert "misses the deadline by" in client.get("/compare?deadline=40&budget=300k").content.decode()

    def test_what_would_make_it_fit_is_told_when_asked_for(self, client: Client) -> None:
        text = client.get("/compare?model=llama-3.1-70b&nodes=1").content.decode()
        start = text.index("/compare/fits?")
        told = client.get(text[start : text.index('"', start)].replace("&amp;", "&")).content.decode()
        assert told.startswith("Would fit with: ")

    def test_the_sorted_column_says_so(self, client: Client) -> None:
        text = client.get("/compare?sort=-time").content.decode()
        assert text.count("aria-sort=") == 1
        assert 'aria-sort="descending"><a id="sort-time"' in text

    def test_the_plan_itself_is_a_row_with_the_same_numbers(self, client: Client) -> None:
        answer = client.get("/plan.json").json()
        rows = csv.DictReader(io.StringIO(client.get("/compare.csv").content.decode()))
        mine = next(row for row in rows if row["instance_type"] == "p5.48xlarge")
        assert float(mine["total_s"]) == answer["time"]["total_s"]
        assert float(mine["usd"]) == answer["cost"]["usd"]

    def test_htmx_gets_the_table_alone(self, client: Client) -> None:
        response = client.get("/compare?sort=time", headers=HTMX)
        assert response.content.decode().lstrip().startswith('<section id="comparison"')

    def test_a_bad_question_is_mended_on_the_plan_page(self, client: Client) -> None:
        response = client.get("/compare?nodes=0")
        assert response.status_code == 422
        assert b"Correct it on the plan page" in response.content

    def test_a_row_leads_to_its_plan(self, client: Client) -> None:
        text = client.get("/compare?model=gpt2&nodes=1").content.decode()
        end = text.index('">p4d.24xlarge</a>')
        query = text[text.rindex('href="', 0, end) + len('href="') : end].replace("&amp;", "&")
        assert "on 1 × p4d.24xlarge: fits" in verdict(client.get(query))

    @pytest.mark.parametrize("terms", ["usd=30", "discount=20"])
    def test_a_row_leads_to_its_plan_on_its_own_terms(self, client: Client, terms: str) -> None:
        query = f"model=gpt2&nodes=1&{terms}"
        rows = csv.DictReader(io.StringIO(client.get(f"/compare.csv?{query}").content.decode()))
        usd = {row["instance_type"]: float(row["usd"] or 0.0) for row in rows}
        text = client.get(f"/compare?{query}").content.decode()
        for slug in ("p5.48xlarge", "p4d.24xlarge", "a3-highgpu-8g"):
            end = text.index(f'">{slug}</a>')
            link = text[text.rindex('href="', 0, end) + len('href="') : end].replace("&amp;", "&")
            plan = client.get(f"/plan.json{link.removeprefix('/')}").json()
            assert plan["cost"]["usd"] == usd[slug]
