"""The glossary: an index of all its terms, and fields that lead to entries that exist."""

from __future__ import annotations

import pytest
from django.test import Client

from planner.plans.choices import NAMES
from planner.plans.terms import TERMS
from planner.web.glossary import glossary_of, shipped_glossary


def test_every_entry_is_in_the_index_in_order() -> None:
    found = glossary_of("# T\n\n## MFU (model)\n\nA.\n\n## 1F1B\n\nB.\n\n## Adapter\n\nC.\n")
    assert [(letter, [term.name for term in terms]) for letter, terms in found.index] == [
        ("0–9", ["1F1B"]),
        ("A", ["Adapter"]),
        ("M", ["MFU (model)"]),
    ]
    assert 'id="mfu"' in found.entries


def test_anchors_are_each_of_one_term() -> None:
    anchors = [term.anchor for _, terms in shipped_glossary().index for term in terms]
    assert len(anchors) == len(set(anchors))


@pytest.mark.parametrize("name", TERMS)
def test_a_field_leads_to_an_entry_that_exists(name: str) -> None:
    assert name in NAMES
    assert TERMS[name] in {term.anchor for _, terms in shipped_glossary().index for term in terms}


@pytest.mark.django_db
def test_pages_link_the_terms(client: Client) -> None:
    assert 'href="/glossary#tensor-parallel">Glossary</a>' in client.get("/fields/layout").content.decode()
    text = client.get("/glossary").content.decode()
    assert '<a href="#mfu">MFU (model FLOPs utilisation)</a>' in text
    assert text.index('aria-label="Index of terms"') < text.index('id="1f1b"')
