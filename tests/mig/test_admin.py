"""MIG profiles in the admin: what is added is planned with at once, and nonsense is refused at its field."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from tests.mig.visiting import address, text_of

pytestmark = pytest.mark.django_db
NEW = {
    "accelerator": "a100-sxm-40gb", "profile": "3g.21gb", "profile_id": "77", "compute_slices": "3",
    "memory_slices": "4", "memory_mib": "19968", "max_instances": "2", "placement_size": "4",
    "placement_starts": "0 4", "min_driver": "R470", "copy_engines": "", "decoders": "",
    "source": "an example", "as_of": "2026-01-01",
}  # fmt: skip


def add(admin_client: Client, **changes: str) -> tuple[int, list[str]]:
    """The status of adding the profile, and what was said to be wrong."""
    answer = admin_client.post("/admin/planner/migprofile/add/", NEW | changes)
    said = re.findall(r'<ul class="errorlist[^>]*>\s*<li>(.*?)</li>', answer.content.decode(), re.S)
    return answer.status_code, [html.unescape(each) for each in said]


def test_a_profile_that_is_added_is_offered_on_the_page(admin_client: Client, client: Client) -> None:
    assert text_of(client, address(want="3g.21gb", count="1", on=""), 422)
    assert add(admin_client) == (302, [])
    assert "The one instance has a place" in text_of(client, address(want="3g.21gb", count="1", on=""))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"placement_starts": "0 3"}, "Places overlap"),
        ({"placement_starts": "0 40"}, "has 8 memory slices"),
        ({"profile": "5g.20gb"}, "has 5 by its name"),
        ({"accelerator": "t4"}, "not marked as one that MIG divides"),
        ({"profile_id": "19"}, "already exists"),
    ],
)
def test_nonsense_is_refused_where_it_stands(admin_client: Client, changes: Any, said: str) -> None:
    status, errors = add(admin_client, **changes)
    assert status == 200
    assert said in " ".join(errors)
