"""Links that keep the day and the constants, and what an old one says has changed since."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from django.http import QueryDict
from django.test import Client

from planner.catalog.facts.loader import load_shipped_catalog
from planner.plans import links
from planner.plans.form import ScenarioForm
from planner.plans.scenario import answer, today

QUERY = "model=llama-2-7b&nodes=4&tokens=300B"


def a_form(query: str = QUERY) -> ScenarioForm:
    return ScenarioForm.of_query(QueryDict(query), load_shipped_catalog())


def kept_query(query: str = QUERY) -> dict[str, str]:
    form = a_form(query)
    return dict(parse_qsl(links.kept_query(form, answer(form)[1], as_of=today())))


@pytest.mark.django_db
class TestTheKeptLink:
    def test_it_names_day_constants_and_figures_and_is_read_back(self) -> None:
        form = a_form()
        result = answer(form)[1]
        kept = links.kept_in(kept_query())
        assert kept is not None and result.cost is not None
        assert (kept.as_of, kept.constants) == (today(), links.constants_version())
        assert kept.time_s == pytest.approx(result.time.total_s, rel=1e-4)
        assert kept.memory_bytes == pytest.approx(result.memory.per_accelerator_bytes.total, rel=1e-4)
        assert kept.usd == pytest.approx(result.cost.usd, rel=1e-4)

    def test_a_day_of_ones_own_stays(self) -> None:
        assert kept_query(f"{QUERY}&price_on=2025-05-01")["price_on"] == "2025-05-01"

    @pytest.mark.parametrize(
        "broken", [{"as_of": "soon"}, {"was": ""}, {"was": "1_x"}, {"was": "0_1"}, {"was": "1_2_3_4"}]
    )
    def test_what_cannot_be_read_keeps_nothing(self, broken: dict[str, str]) -> None:
        assert links.kept_in(kept_query() | broken) is None

    def test_the_page_offers_both_and_is_no_other_for_it(self, client: Client) -> None:
        text = client.get(f"/?{QUERY}").content.decode()
        assert "Copy link, as of " in text and "copy a live link" in text
        assert "as the link keeps it" not in text
        again = client.get(f"/?{urlencode(kept_query())}")
        assert again.status_code == 200
        assert "The constants are the same as then, and so are the figures." in again.content.decode()


@pytest.mark.django_db
class TestWhatHasChanged:
    def told(self, **changed: str) -> tuple[str, ...]:
        query = kept_query() | changed
        form = a_form(urlencode(query))
        kept = links.kept_in(query)
        assert kept is not None
        question, result = answer(form)
        return links.since(form, question, result, kept, today=today()).sentences

    def test_other_constants_are_told_with_what_they_said(self) -> None:
        form = a_form()
        result = answer(form)[1]
        assert result.cost is not None
        was = (2 * result.time.total_s, result.memory.per_accelerator_bytes.total, result.cost.usd)
        (told,) = self.told(constants="00000000", was="_".join(f"{each:.6g}" for each in was))
        assert told.startswith("The constants changed since then, at the same prices: time ")
        assert "memory" not in told and "cost" not in told

    def test_other_constants_with_the_same_answer(self) -> None:
        (told,) = self.told(constants="00000000")
        assert told == "The constants have changed since then; the figures of this plan have not."

    def test_prices_are_told_apart_from_constants(self) -> None:
        before = date(2025, 5, 1).isoformat()
        form = a_form(f"{QUERY}&price_on={before}")
        result = answer(form)[1]
        assert result.cost is not None
        was = (result.time.total_s, result.memory.per_accelerator_bytes.total, result.cost.usd)
        figures = "_".join(f"{each:.6g}" for each in was)
        constants, price = self.told(as_of=before, price_on=before, was=figures)
        assert constants == "The constants are the same as then, and so are the figures."
        assert price.startswith("The price moved from $98.32/h to $55.04/h per node: ")

    def test_a_price_that_stayed(self) -> None:
        yesterday = (today() - timedelta(days=1)).isoformat()
        assert self.told(as_of=yesterday, price_on=yesterday)[1] == "Its price is the same today."

    def test_the_live_plan_leaves_the_kept_day(self) -> None:
        query = kept_query()
        form = a_form(urlencode(query))
        kept = links.kept_in(query)
        assert kept is not None
        question, result = answer(form)
        live = links.since(form, question, result, kept, today=today()).live
        assert dict(parse_qsl(live)) == dict(parse_qsl(QUERY))
