"""The planner's pages, asked without a browser: with and without htmx, sound and unsound questions."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from planner.catalog.facts.loader import load_shipped_catalog
from planner.plans.form import ScenarioForm
from planner.plans.parts import FOLDS
from tests.plans.reading import HTMX, Page, field_errors, least_cpu_s, plan, strip_titles, verdict, verdict_of

pytestmark = pytest.mark.django_db
GPT2 = {
    "model_type": "gpt2",
    "n_layer": 12,
    "n_embd": 768,
    "n_head": 12,
    "vocab_size": 50257,
    "n_positions": 1024,
}


class TestPlan:
    def test_the_empty_page_is_a_plan_already_computed(self, client: Client) -> None:
        response = plan(client)
        assert response.status_code == 200
        assert verdict(response).startswith("Llama 3.1 8B on 16 × p5.48xlarge: fits with")

    def test_a_page_needs_few_queries(self, client: Client, django_assert_max_num_queries: Any) -> None:
        plan(client)
        with django_assert_max_num_queries(3):
            plan(client, "model=gpt2&nodes=1")

    def test_it_answers_quickly(self, client: Client) -> None:
        """20 ms of a processor for a change, 65 for the page, with room for one that is slow or shared."""
        plan(client)
        assert least_cpu_s(lambda nodes: client.post("/", {"nodes": nodes}, headers=HTMX)) < 0.1
        assert least_cpu_s(lambda nodes: plan(client, f"nodes={nodes}")) < 0.3

    def test_every_chart_has_its_data_and_table(self, client: Client) -> None:
        pages = (Page(plan(client)), Page(client.get("/beside")))
        slugs = (("chart-memory", "chart-step"), ("chart-time", "chart-cost"))
        for page, of_page in zip(pages, slugs, strict=True):
            for slug in of_page:
                assert json.loads(page.text_of[f"{slug}-data"])["data"]
                assert "The numbers as a table" in page.text_of[slug]

    def test_charts_of_other_machines_are_asked_for_after_the_answer(self, client: Client) -> None:
        assert 'hx-get="/beside?nodes=8"' in plan(client, "nodes=8").content.decode()
        part = client.get("/beside?nodes=8", headers=HTMX).content.decode()
        assert "chart-time" in part and "<html" not in part
        assert verdict(plan(client, "nodes=8")) in client.get("/beside?nodes=8").content.decode()
        assert client.get("/beside?nodes=0").status_code == 422

    def test_page_json_and_csv_say_the_same(self, client: Client) -> None:
        query = "model=llama-2-7b&nodes=4&tokens=300B"
        answer = client.get(f"/plan.json?{query}").json()
        sheet = list(csv.reader(io.StringIO(client.get(f"/plan.csv?{query}").content.decode())))
        by_name = {(row[0], row[1]): row[2] for row in sheet}
        assert by_name["time", "total"] == str(answer["time"]["total_s"])
        assert by_name["cost", "total"] == str(answer["cost"]["usd"])
        assert by_name["memory", "total"] == str(answer["memory"]["per_accelerator_bytes"]["total"])
        assert f'title="{answer["time"]["total_s"]!r} s"' in plan(client, query).content.decode()

    def test_the_formulas_are_asked_for_apart(self, client: Client) -> None:
        query = "model=llama-2-7b&nodes=4"
        shown = plan(client, query).content.decode()
        link = re.search(r'class="why" href="([^"]+)"[^>]*hx-get', shown)
        assert link and unescape(link[1]) == f"/why?{query}#why-time"
        assert 'class="tree"' not in shown
        whole = client.get(f"/why?{query}").content.decode()
        assert verdict_of(shown) in whole
        for key in ("time", "cost", "memory", "mfu"):
            assert f'id="why-{key}" open' in whole
        part = client.get(f"/why?{query}", headers=HTMX).content.decode()
        assert "<html" not in part
        assert 'id="traces"' in part and 'class="tree"' in part

    def test_formulas_of_a_question_that_makes_no_sense(self, client: Client) -> None:
        assert client.get("/why?tp=7").status_code == 422

    def test_pages_and_swaps_are_small(self, client: Client) -> None:
        """Bytes: formulas, variations, folded fields and lists are fetched when somebody wants them."""
        assert len(client.post("/", {"nodes": "8"}, headers=HTMX).content) < 26_000
        assert len(client.get("/").content) < 80_000

    def test_a_swap_makes_no_fields(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """An answer needs none of the form's fields, whose making takes as long as the answer."""
        monkeypatch.setattr("planner.plans.form.deepcopy", None)
        assert client.post("/", {"nodes": "8"}, headers=HTMX).status_code == 200

    def test_htmx_gets_the_results_alone_and_the_address(self, client: Client) -> None:
        response = client.post("/", {"nodes": "8", "model": "llama-3.1-8b"}, headers=HTMX)
        text = response.content.decode()
        assert text.lstrip().startswith('<section class="results"')
        assert "<html" not in text
        assert response["HX-Push-Url"] == "/?nodes=8"

    def test_without_javascript_a_post_moves_to_the_address(self, client: Client) -> None:
        response = client.post("/", {"nodes": "8", "model": "gpt2"})
        assert response.status_code == 303
        assert response["Location"] == "/?model=gpt2&nodes=8"

    def test_a_preset_fills_the_workload(self, client: Client) -> None:
        response = client.post("/", {"preset": "lora", "nodes": "1"})
        assert response["Location"].startswith("/?task=lora")
        swapped = client.post("/", {"preset": "lora", "nodes": "1"}, headers=HTMX)
        assert swapped["HX-Retarget"] == "#planner"
        assert Page(swapped).values["task"] == "lora"

    def test_a_preset_that_makes_no_sense_leaves_the_results(self, client: Client) -> None:
        response = client.post("/", {"preset": "lora", "model": "no such model"}, headers=HTMX)
        assert response.status_code == 422
        assert response["HX-Retarget"] == "#problems"
        text = response.content.decode()
        assert 'id="scenario"' in text and 'id="results"' not in text

    def test_the_untouched_page_says_what_it_is(self, client: Client) -> None:
        assert ">Example<" in plan(client).content.decode()
        assert ">Example<" not in plan(client, "nodes=8").content.decode()

    def test_a_goal_finds_its_machines(self, client: Client) -> None:
        response = plan(client, "by=goal&budget=300k&deadline=30")
        assert ": fits with" in verdict(response)
        assert "Machines that meet your goal" in response.content.decode()
        missed = plan(client, "by=goal&budget=1k&deadline=1").content.decode()
        assert missed.index("Nothing in the catalog meets this goal") < missed.index("data-announce")

    def test_a_goal_that_makes_no_sense_is_told_beside_its_field(self, client: Client) -> None:
        response = plan(client, "by=goal&budget=much")
        assert response.status_code == 422
        assert Page(response).text_of["error-budget"].strip()

    def test_a_slice_has_a_chart_of_slices_instead_of_nodes(self, client: Client) -> None:
        query = "model=llama-3.2-1b&task=lora&tokens=10M&batch=8&nodes=1&mig=3g.40gb"
        page = Page(client.get(f"/beside?{query}"))
        assert "chart-profiles" in page.text_of
        assert "chart-time" not in page.text_of

    def test_what_if_is_asked_for_after_the_answer(self, client: Client) -> None:
        assert "/what-if?nodes=8" in plan(client, "nodes=8").content.decode()
        part = client.get("/what-if?nodes=8", headers=HTMX).content.decode()
        assert part.count('aria-label="Apply: ') > 8
        assert "<html" not in part
        assert "<html" in client.get("/what-if?nodes=8").content.decode()
        assert client.get("/what-if?nodes=0").status_code == 422

    def test_no_words_count_single_bytes(self, client: Client) -> None:
        for query in ("model=llama-3.1-70b&nodes=1", "instance=g4dn.xlarge&nodes=1"):
            assert not re.search(r"\d,\d{3} bytes", strip_titles(plan(client, query).content.decode()))
        assert not re.search(r"\d,\d{3} bytes", strip_titles(client.get("/compare").content.decode()))

    def test_choosing_a_machine_refreshes_its_region_and_figures(self, client: Client) -> None:
        response = client.post(
            "/", {"instance": "a2-highgpu-8g"}, headers=HTMX | {"X-Changed": "nodes,instance"}
        )
        page = Page(response)
        assert "A100" in page.text_of["machine-card"]
        assert "us-central1" in page.text_of["region-field"]
        assert "1g.5gb" in page.text_of["mig-field"]
        assert "machines" not in page.text_of

    def test_every_field_has_its_help(self, client: Client) -> None:
        page = Page(plan(client))
        said = dict(page.text_of)
        for fold in FOLDS:
            said |= Page(client.get(f"/fields/{fold}")).text_of
        for name in ScenarioForm.base_fields:
            assert said[f"help-{name}"].strip(), name

    def test_a_fold_is_shown_where_it_is_wanted(self, client: Client) -> None:
        """Where a field is set or wrong, and where a reader without a script asks for it."""
        assert "tp" not in Page(plan(client)).values
        assert Page(plan(client, "tp=8")).values["tp"] == "8"
        assert Page(plan(client, "tp=7")).values["tp"] == "7"
        moved = client.post("/", {"nodes": "8", "unfold": "layout"})["Location"]
        assert moved == "/?nodes=8&unfold=layout"
        page = Page(client.get(moved))
        assert "tp" in page.values and page.values["nodes"] == "8"
        assert "unfold" not in page.text_of["problems"]
        assert client.get("/fields/nothing").status_code == 404

    def test_pickers_get_their_entries_apart(self, client: Client) -> None:
        text = plan(client, "buy=spot").content.decode()
        assert '<option value="llama-3.1-8b">' in text
        assert 'data-more="/options/machines?buy=spot"' in text
        machines = client.get("/options/machines?buy=spot").content.decode()
        assert 'value="p5.48xlarge" data-note="8 × H100' in machines and "data-price" in machines
        assert ">Llama 3.1 8B</option>" in client.get("/options/models").content.decode()
        assert client.get("/options/nothing").status_code == 404

    def test_another_model_brings_its_own_length(self, client: Client) -> None:
        posted = {"model": "gpt2", "nodes": "1", "seq": "8192", "usual": "8192"}
        page = Page(client.post("/", posted, headers=HTMX | {"X-Changed": "model"}))
        assert (page.values["seq"], page.values["usual"]) == ("1024", "1024")
        kept = Page(client.post("/", posted | {"seq": "512"}, headers=HTMX | {"X-Changed": "model"}))
        assert (kept.values["seq"], kept.values["usual"]) == ("512", "1024")

    def test_a_region_of_the_last_provider_is_forgotten(self, client: Client) -> None:
        posted = {"instance": "a2-highgpu-8g", "region": "us-east-2"}
        response = client.post("/", posted, headers=HTMX | {"X-Changed": "instance"})
        assert response.status_code == 200
        assert client.post("/", posted, headers=HTMX).status_code == 422

    def test_choosing_a_card_brings_the_fields_of_ones_own_machines(self, client: Client) -> None:
        posted = {"instance": "rtx-4090", "task": "lora", "tokens": "10M", "batch": "16"}
        response = client.post("/", posted, headers=HTMX | {"X-Changed": "instance"})
        assert response["HX-Retarget"] == "#planner"
        page = Page(response)
        assert page.values["per_node"] == "1"
        assert "on 1 × (1 × GeForce RTX 4090)" in verdict(response)

    def test_the_summary_does_not_call_defaults_asked(self, client: Client) -> None:
        text = client.get("/summary?nodes=8").content.decode()
        asked = text[text.index("<h2>Asked") : text.index("<h2>Assumed")]
        assert "Nodes" in asked and "Framework" not in asked and "Optimizer" not in asked
        assert "$55.04 a node-hour" in text

    def test_choosing_a_purchase_refreshes_all_prices(self, client: Client) -> None:
        response = client.post("/", {"buy": "spot"}, headers=HTMX | {"X-Changed": "buy"})
        text = response.content.decode()
        assert "/options/machines?buy=spot" in text
        shown = Page(plan(client)).text_of["machine-card"]
        assert "a node" in shown and Page(response).text_of["machine-card"] != shown

    def test_an_unknown_name_in_a_link_is_told(self, client: Client) -> None:
        assert "nodez" in Page(plan(client, "nodez=3")).text_of["problems"]

    def test_what_does_not_fit_offers_a_change_that_does(self, client: Client) -> None:
        response = plan(client, "model=llama-3.1-70b&nodes=1")
        assert "does not fit" in verdict(response)
        text = response.content.decode()
        start = text.index('class="button primary" href="?') + len('class="button primary" href="')
        remedy = text[start : text.index('"', start)].replace("&amp;", "&")
        told = verdict(client.get(f"/{remedy}"))
        assert ": fits with" in told or ": tight" in told

    def test_a_price_says_its_age_quietly(self, client: Client) -> None:
        text = plan(client).content.decode()
        assert text.count("days old") == 1 and '<span class="badge">price of' in text
        assert '<span class="badge warn">price of' in plan(client, "buy=spot").content.decode()

    def test_own_terms_are_kept_in_the_address_and_said(self, client: Client) -> None:
        """20 % off 55.04 is 44.03; a price of one's own stands in place of the catalog's."""
        text = plan(client, "discount=20").content.decode()
        assert "$44.03/h per node, 20 % off the list price of $55.04/h" in text
        assert "discount=20" in text
        assert "$40.00/h per node, your price" in plan(client, "usd=40").content.decode()

    def test_a_missed_limit_is_in_the_verdict(self, client: Client) -> None:
        told = verdict(plan(client, "deadline=2"))
        assert "misses the deadline of 2 days by" in told
        assert "over the budget of $1,000" in verdict(plan(client, "budget=1000"))
        assert "within the budget of $10M" in verdict(plan(client, "budget=10M"))

    def test_only_reading_and_planning_are_answered(self, client: Client) -> None:
        assert client.put("/").status_code == 405
        assert client.post("/plan.csv").status_code == 405


class TestBadInput:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("nodes=0", "nodes"),
            ("nodes=-3", "nodes"),
            ("tokens=nan", "tokens"),
            ("tokens=a+lot", "tokens"),
            ("batch=0", "batch"),
            ("seq=12.5", "seq"),
            ("tp=7", "tp"),
            ("pp=64", "pp"),
            ("model=llama-3.1-8", "model"),
            ("nodes=99999999999", "nodes"),
            ("mbs=100000", "mbs"),
        ],
    )
    def test_each_is_told_beside_its_field_and_stays_as_typed(
        self, client: Client, query: str, field: str
    ) -> None:
        response = plan(client, query)
        assert response.status_code == 422
        page = Page(response)
        assert page.text_of[f"error-{field}"].strip()
        typed = query.split("=")[1].replace("+", " ")
        assert page.values[field] == typed
        assert page.described[field] == f"help-{field} error-{field}"

    def test_a_near_name_is_suggested(self, client: Client) -> None:
        assert "llama-3.1-8b" in Page(plan(client, "model=llama-3.1-8")).text_of["problems"]

    def test_htmx_keeps_the_last_answer_beneath_the_problem(self, client: Client) -> None:
        response = client.post("/", {"nodes": "0"}, headers=HTMX)
        assert response.status_code == 422
        assert response["HX-Retarget"] == "#problems"
        assert "HX-Push-Url" not in response
        assert field_errors(response).keys() == {"nodes"}

    @pytest.mark.parametrize("headers", [{}, HTMX], ids=["whole page", "htmx"])
    def test_ten_megabytes_pasted(self, client: Client, headers: dict[str, str]) -> None:
        response = client.post("/", {"config": "x" * 10_000_000}, headers=headers)
        assert response.status_code == 422
        text = response.content.decode()
        told = text.index("field-errors" if headers else 'id="error-config"')
        assert "4 MiB" in text[told : told + 300]

    def test_a_config_with_a_missing_key_names_it(self, client: Client) -> None:
        config = {name: value for name, value in GPT2.items() if name != "n_layer"}
        response = client.post("/", {"config": json.dumps(config)}, headers=HTMX)
        assert "n_layer" in field_errors(response)["config"]

    def test_a_config_of_an_unknown_family(self, client: Client) -> None:
        response = client.post("/", {"config": '{"model_type": "perceiver"}'}, headers=HTMX)
        assert "perceiver" in response.content.decode()

    def test_a_pasted_config_moves_into_the_address(self, client: Client) -> None:
        response = client.post("/", {"config": json.dumps(GPT2, indent=2), "model": "", "nodes": "1"})
        assert response.status_code == 303
        assert len(response["Location"]) < 1000
        assert "on 1 × p5.48xlarge" in verdict(client.get(response["Location"]))

    def test_a_config_too_long_for_an_address_is_planned_all_the_same(self, client: Client) -> None:
        """Blocks described one by one; what no answer depends on is left out of addresses."""
        record = load_shipped_catalog().model("llama-3.3-nemotron-super-49b")
        long = json.dumps(record.hf_config)
        short = client.post("/", {"config": json.dumps(GPT2 | {"remarks": "x" * 9000}), "nodes": "1"})
        assert short.status_code == 303 and "remarks" not in short["Location"]
        whole = client.post("/", {"config": long, "nodes": "1"})
        assert whole.status_code == 200
        assert b"too long for an address" in whole.content
        swapped = client.post("/", {"config": long, "nodes": "1"}, headers=HTMX)
        assert swapped["HX-Push-Url"] == "false"

    def test_exports_answer_problems_as_the_contract_says(self, client: Client) -> None:
        for address in ("/plan.json", "/plan.csv", "/compare.csv"):
            response = client.get(f"{address}?nodes=0")
            assert response.status_code == 422
            assert json.loads(response.content)["error"]["field"] == "cluster.nodes"

    def test_markup_in_what_is_typed_is_shown_as_text(self, client: Client) -> None:
        response = plan(client, "model=%3Cscript%3Ealert(1)%3C/script%3E")
        assert b"<script>alert" not in response.content


class TestOtherPages:
    @pytest.mark.parametrize("name", ["validation", "glossary", "compare", "plan"])
    def test_every_page_marks_itself_in_the_navigation(self, client: Client, name: str) -> None:
        address = reverse(f"planner:{name}")
        assert f'<a href="{address}" aria-current="page">' in client.get(address).content.decode()

    def test_the_glossary_has_an_anchor_for_what_pages_link_to(self, client: Client) -> None:
        text = client.get("/glossary").content.decode()
        assert '<h2 id="mfu">' in text
        assert '<h2 id="zero">' in text

    def test_a_missing_page_is_explained(self, client: Client) -> None:
        response = client.get("/nowhere")
        assert response.status_code == 404
        assert b"There is no page at this address" in response.content

    def test_the_log_in_page_says_what_was_wrong(self, client: Client) -> None:
        response = client.post("/login/", {"username": "nobody", "password": "no"})
        assert b"is not right" in response.content

    def test_a_broken_server_still_has_a_page(self) -> None:
        from django.template.loader import render_to_string

        assert "Something broke on the server" in render_to_string("500.html")
