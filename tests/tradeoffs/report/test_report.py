"""The report: one page and annex, as page, PDF, Markdown, CSV and Parquet, with the same figures."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import replace

import pandas as pd
import pytest
from django.test import Client

from planner.tradeoffs import page
from planner.tradeoffs.report.content import Report, Section, Table
from planner.tradeoffs.report.markdown import _plain
from planner.tradeoffs.report.pdf import letters, written_otherwise

pytestmark = pytest.mark.django_db
QUERY = "families=p5&families=p4d&least_nodes=4&most_nodes=8&tokens=10B&nodes=4"


@pytest.fixture(autouse=True)
def _forget() -> None:
    page._kept.cache_clear()


def test_the_page_has_the_proposal_its_alternatives_and_an_annex(client: Client) -> None:
    text = client.get(f"/report?{QUERY}").content.decode()
    for title in (
        "What is proposed",
        "What it takes",
        "Alternatives",
        "All choices",
        "Annex",
        "Assumptions",
        "Sources",
    ):
        assert f">{title}</h" in text
    assert "<svg" in text
    assert "4 × p5.48xlarge" in text


def test_the_pdf_is_one_page_and_its_annex(client: Client) -> None:
    response = client.get(f"/report.pdf?{QUERY}")
    assert response.headers["Content-Type"] == "application/pdf"
    content = response.content
    assert content.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type /Page\b", content))
    assert 2 <= pages <= 6
    streams = [
        zlib.decompress(part)
        for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S)[:pages]
    ]
    # Nothing on the annex is filled with the colour of a mark.
    assert all(b"0.0431 0.4 0.4392 rg" not in stream for stream in streams[1:])


def test_the_markdown_says_what_the_page_says(client: Client) -> None:
    text = client.get(f"/report.md?{QUERY}").content.decode()
    assert text.startswith("# Llama 3.1 8B on 4 × p5.48xlarge")
    assert "## Alternatives" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_the_tables_have_every_plan_with_its_types(client: Client) -> None:
    frame = pd.read_parquet(io.BytesIO(client.get(f"/report.parquet?{QUERY}").content))
    lines = pd.read_csv(io.BytesIO(client.get(f"/report.csv?{QUERY}").content))
    assert len(frame) == len(lines) > 3
    assert frame["total_s"].dtype == "float64"
    assert frame["usd"].dtype == "float64"
    assert frame["front"].any()
    assert (frame["total_s"] - lines["total_s"]).abs().max() == 0.0


def test_other_kinds_and_questions_are_refused(client: Client) -> None:
    assert client.get("/report.docx").status_code == 404
    assert client.get("/report.pdf?nodes=0").status_code == 422


def test_letters_that_the_fonts_lack_are_written_otherwise() -> None:
    assert letters("\N{MINUS SIGN}3 × “a” ≤ é") == '-3 × "a" <= é'
    assert letters("通义千问 на λ") == "TongYiQianWen na l"


def test_a_pdf_says_where_names_are_not_in_their_own_letters() -> None:
    section = Section(title="Machines", paragraphs=("8 × A100 ≤ 16",))
    plain = Report(title="Qwen", verdict="fits", made_on="today", sections=(section,))
    assert not written_otherwise(plain)
    named = replace(section, table=Table(columns=("Model",), rows=(("通义千问",),)))
    assert written_otherwise(replace(plain, sections=(named,)))


def test_markup_in_names_stays_text() -> None:
    assert _plain("a|b *c* <d>\n# e") == r"a\|b \*c\* \<d\> \# e"


def test_alternatives_are_in_time_before_they_are_cheap(client: Client) -> None:
    text = client.get(f"/report.md?{QUERY}&deadline=0.3").content.decode()
    part = text[text.index("## Alternatives") : text.index("## All choices")]
    rows = [row for row in part.splitlines() if " hours |" in row]
    for group in ([row for row in rows if "| spot" in row], [row for row in rows if "| spot" not in row]):
        hours = [float(found) for row in group for found in re.findall(r"\| ([\d.]+) hours \|", row)]
        late = [each > 0.3 * 24 for each in hours]
        assert hours
        assert late == sorted(late)
        assert False in late


def test_alternatives_are_first_those_that_are_not_taken_back(client: Client) -> None:
    text = client.get(f"/report.md?{QUERY}&purchases=on_demand&purchases=spot").content.decode()
    rows = [
        line
        for line in text.partition("Alternatives")[2].partition("All choices")[0].splitlines()
        if " × " in line
    ]
    spot = ["| spot" in row for row in rows]
    assert spot == sorted(spot)
    assert True in spot
    assert False in spot
    assert sum(spot) <= 2
