"""Saved scenarios: what they keep, what changed by cause, who may do what, and undoing."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.http import QueryDict
from django.test import Client, override_settings
from django.utils import timezone

from planner.catalog.facts.loader import load_shipped_catalog
from planner.plans.form import ScenarioForm
from planner.plans.scenario import answer, today
from planner.tradeoffs.models import Scenario
from planner.tradeoffs.scenarios import services
from planner.tradeoffs.scenarios.changes import changes
from planner.tradeoffs.scenarios.snapshot import snapshot

pytestmark = pytest.mark.django_db
CATALOG = load_shipped_catalog()
QUERY = "tokens=10B&nodes=4"


def kept(query: str = QUERY) -> dict[str, Any]:
    form = ScenarioForm.of_query(QueryDict(query), CATALOG)
    question, result = answer(form)
    return snapshot(form.request(), question, result, CATALOG)


def saved(client: Client, name: str = "one", query: str = QUERY, **more: str) -> Scenario:
    response = client.post("/scenarios/new", {"name": name, "query": query, **more})
    assert response.status_code == 303
    return Scenario.objects.get(name=name)


class TestChanges:
    def test_nothing_changed_on_the_same_day(self) -> None:
        found = changes(kept(), CATALOG, today=today())
        assert [step.cause for step in found.steps] == ["constants", "catalog", "price"]
        assert not any(step.changed for step in found.steps)

    def test_a_price_that_moved_is_told_as_price_alone(self) -> None:
        snap = kept()
        before = snap["answer"]["cost"]["usd"]
        snap["facts"]["usd_per_node_hour"] /= 2
        snap["answer"]["cost"]["usd"] /= 2
        found = {step.cause: step for step in changes(snap, CATALOG, today=today()).steps}
        assert [cause for cause, step in found.items() if step.changed] == ["price"]
        assert found["price"].after.usd == pytest.approx(before)

    def test_a_fact_that_moved_is_told_as_catalog(self) -> None:
        snap = kept()
        snap["facts"]["accelerator"]["bf16_flops_per_s"] /= 2
        found = {step.cause: step for step in changes(snap, CATALOG, today=today()).steps}
        assert found["catalog"].changed
        assert found["catalog"].after.total_s < found["catalog"].before.total_s
        assert not found["price"].changed

    def test_the_causes_add_up(self) -> None:
        snap = kept()
        snap["facts"]["accelerator"]["memory_bandwidth_bytes_per_s"] *= 0.7
        snap["facts"]["usd_per_node_hour"] *= 1.3
        snap["answer"]["cost"]["usd"] *= 1.1
        other = ScenarioForm.of_query(QueryDict(QUERY + "&seq=4096"), CATALOG)
        question, _ = answer(other)
        found = changes(snap, CATALOG, today=today(), inputs=question)
        assert found.now is not None
        usd = sum((step.after.usd or 0.0) - (step.before.usd or 0.0) for step in found.steps)
        assert usd == pytest.approx((found.now.usd or 0.0) - (found.saved.usd or 0.0))
        assert found.steps[-1].cause == "inputs"

    @pytest.mark.parametrize(("section", "name"), [("model", None), ("cluster", "instance_type")])
    def test_what_was_withdrawn_is_run_with_the_facts_kept(self, section: str, name: str | None) -> None:
        snap = kept()
        if name is None:
            snap["question"][section] = "withdrawn-8b"
        else:
            snap["question"][section][name] = "withdrawn.48xlarge"
        found = changes(snap, CATALOG, today=today())
        assert "withdrawn" in found.gone[0]
        assert found.now is not None
        assert found.now.total_s == pytest.approx(found.saved.total_s, rel=1e-6)


class TestPages:
    def test_saving_keeps_question_answer_prices_and_constants(self, client: Client) -> None:
        found = saved(client, note="for the board", labels="llama, 2027")
        assert found.answer["time"]["total_s"] > 0
        assert found.prices_as_of is not None
        assert found.constants["timing"]["fitted_on"]
        text = client.get(f"/scenarios/{found.key}").content.decode()
        assert "for the board" in text
        assert "What changed since" in text
        listed = client.get("/scenarios?label=llama").content.decode()
        assert "one" in listed
        assert client.get(f"/scenarios/{found.key}.json").json()["answer"] == found.answer

    def test_a_scenario_without_a_name_is_not_saved(self, client: Client) -> None:
        assert client.post("/scenarios/new", {"name": " ", "query": QUERY}).status_code == 422
        assert not Scenario.objects.exists()

    def test_what_was_saved_stays_when_all_else_changes(self, client: Client) -> None:
        found = saved(client)
        Scenario.objects.update(question={**found.question, "model": "withdrawn-8b"})
        text = client.get(f"/scenarios/{found.key}").content.decode()
        assert "no longer has the model withdrawn-8b" in text

    def test_side_by_side_marks_what_differs(self, client: Client) -> None:
        keys = [saved(client, f"n{n}", f"tokens=10B&nodes={n}").key for n in (2, 4)]
        text = client.get("/scenarios", {"beside": keys}).content.decode()
        assert 'class="differs"' in text
        assert "Side by side; what differs is marked" in text

    def test_side_by_side_is_a_picture_too(self, client: Client) -> None:
        keys = [
            saved(client, name, f"tokens=10B&nodes={nodes}").key
            for name, nodes in (("four", 4), ("eight", 8))
        ]
        assert "chart-saved" not in client.get(f"/scenarios?beside={keys[0]}").content.decode()
        text = client.get(f"/scenarios?beside={keys[0]}&beside={keys[1]}").content.decode()
        found = re.search(r'<script id="chart-saved-data" type="application/json">(.*?)</script>', text)
        assert found
        marks = {each["name"]: each for each in json.loads(found[1])["data"]}
        four = Scenario.objects.get(name="four").answer
        low, high = four["time"]["total_interval_s"]
        seconds = four["time"]["total_s"]
        assert marks["four"]["y"] == [seconds]
        assert marks["four"]["error_y"]["array"] == [high - seconds]
        assert marks["four"]["error_y"]["arrayminus"] == [seconds - low]
        assert "Fastest: eight" in text

    def test_a_shared_link_can_be_read_and_revoked(self, client: Client) -> None:
        found = saved(client)
        client.post(f"/scenarios/{found.key}/share")
        found.refresh_from_db()
        link = f"/scenarios/shared/{found.share_token}"
        text = client.get(link).content.decode()
        assert "As saved" in text
        assert "Delete" not in text
        client.post(f"/scenarios/{found.key}/revoke")
        assert client.get(link).status_code == 404

    def test_deleting_asks_and_can_be_undone(self, client: Client) -> None:
        found = saved(client)
        assert "brought back for 30 days" in client.get(f"/scenarios/{found.key}/delete").content.decode()
        client.post(f"/scenarios/{found.key}/delete")
        assert client.get(f"/scenarios/{found.key}").status_code == 404
        assert "Bring back" in client.get("/scenarios").content.decode()
        client.post(f"/scenarios/{found.key}/restore")
        assert client.get(f"/scenarios/{found.key}").status_code == 200

    def test_after_thirty_days_it_is_gone(self, client: Client) -> None:
        found = saved(client)
        services.delete(found)
        Scenario.objects.update(deleted_at=timezone.now() - timedelta(days=31))
        assert "Bring back" not in client.get("/scenarios").content.decode()
        services.forget_deleted()
        assert not Scenario.objects.exists()

    def test_as_of_a_day_leads_to_the_plan_with_its_prices(self, client: Client) -> None:
        found = saved(client)
        where = client.get(f"/scenarios/{found.key}/as-of?day=2025-07-01").headers["Location"]
        assert "price_on=2025-07-01" in where


class TestWhoMay:
    @override_settings(LOCAL=False)
    def test_writing_asks_for_a_login_beyond_local_mode(self, client: Client) -> None:
        response = client.post("/scenarios/new", {"name": "one", "query": QUERY})
        assert response.headers["Location"].startswith("/login/")
        assert not Scenario.objects.exists()

    @override_settings(LOCAL=False)
    def test_another_ones_private_scenario_is_not_seen_and_a_public_one_not_deleted(
        self, client: Client
    ) -> None:
        owner, other, viewer = (User.objects.create_user(name) for name in ("owner", "other", "viewer"))
        planners, _ = Group.objects.get_or_create(name="planner")
        planners.user_set.add(owner, other)
        client.force_login(owner)
        hidden = saved(client, "hidden", visibility="private")
        shown = saved(client, "shown", visibility="everyone")
        client.force_login(other)
        assert client.get(f"/scenarios/{hidden.key}").status_code == 404
        assert client.get(f"/scenarios/{shown.key}").status_code == 200
        assert client.post(f"/scenarios/{shown.key}/delete").status_code == 403
        shown.refresh_from_db()
        assert shown.deleted_at is None
        client.force_login(viewer)
        assert client.get("/scenarios/new").status_code == 403

    def test_forged_posts_are_refused(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        assert strict.post("/scenarios/new", {"name": "one", "query": QUERY}).status_code == 403
