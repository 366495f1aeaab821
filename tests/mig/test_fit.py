"""The right slice of a run: its page, its line on the Plan page, and its way among the demands."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client

from planner.mig.state import read_state
from tests.mig.visiting import ROW, address, text_of

pytestmark = pytest.mark.django_db
RUN = "model=gpt2&task=full_finetuning&seq=512&batch=8"


def test_a_run_is_sized_with_its_chance_and_its_price(client: Client) -> None:
    text = text_of(client, f"/mig/fit?{RUN}&fit_chip=a100-sxm-80gb")
    assert re.search(r"It fits a \S+ of A100 SXM4 80GB: \$[\d.]+/h rather than \$[\d.]+/h", text)
    assert "Time-slicing" in text
    assert "Memory and faults are not kept apart" in text
    assert "MPS" in text
    line = text_of(client, f"/mig/fit?{RUN}&fit_chip=a100-sxm-80gb", 200, **{"HX-Request": "true"})
    assert "<html" not in line
    assert "rather than" in line


def test_a_run_that_makes_no_sense_is_said_to(client: Client) -> None:
    assert "notice error" in text_of(client, "/mig/fit?model=nonsense")


def test_the_plan_page_leads_to_its_slice(client: Client) -> None:
    text = text_of(client, f"/?{RUN}&nodes=1")
    assert "/mig/fit?" in text
    assert 'hx-trigger="load delay:600ms"' in text
    assert 'hx-trigger="load delay:600ms"' not in text_of(client, "/")


def test_a_planned_run_is_a_demand(client: Client) -> None:
    text = text_of(client, address(want=f"plan?{RUN}", on=""))
    assert ">gpt2, full finetuning</a>" in text
    assert "All 2 instances have a place" in text


def test_a_run_is_sized_for_the_partitions_that_asked(client: Client) -> None:
    here = urlencode(ROW | {"want": "1g.5gb", "count": "2"})
    assert "/mig/fit?for=" in text_of(client, f"/mig?{here}")
    text = text_of(client, f"/mig/fit?{RUN}&{urlencode({'for': here})}")
    assert "A100 SXM4 40GB: " in text
    (to,) = re.findall(r'href="(/mig\?[^"]*)">Add it to the demands', text)
    joined = read_state(parse_qs(urlsplit(html.unescape(to)).query, keep_blank_values=True))
    assert [demand.want[:5] for demand in joined.demands] == ["1g.5g", "plan?"]
    assert joined.rows[0].layout == ROW["on"]


def test_a_run_can_be_changed_where_it_is_sized(client: Client) -> None:
    text = text_of(client, f"/mig/fit?{RUN}")
    assert '<option value="full_finetuning" selected>' in text
    wrong = text_of(client, "/mig/fit?model=gpt2&seq=x")
    assert re.search(r'id="error-seq">\s*Expected a whole number', wrong)
    assert 'value="x"' in wrong
