"""The catalog's admin pages: units in the columns, nonsense refused in words, what was shipped kept."""

import html
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from planner.catalog import selectors
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogRow,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)
from planner.catalog.services import load_catalog
from tests.mig.visiting import address as partitions
from tests.mig.visiting import text_of

pytestmark = [pytest.mark.usefixtures("shipped_catalog"), pytest.mark.django_db]
TABLES = [Accelerator, InstanceType, Price, Availability, MigProfile, TransformerModel]
GPT2 = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
}


@pytest.fixture(autouse=True)
def _own_model(db: None) -> None:
    TransformerModel.objects.create(
        slug="own-gpt2",
        name="Own GPT-2",
        family="gpt2",
        publisher="us",
        config=GPT2,
        source="us",
        as_of=date(2026, 1, 1),
    )


def address(row: CatalogRow | type[CatalogRow], what: str) -> str:
    name = f"admin:planner_{row._meta.model_name}_{what}"
    return reverse(name, args=[row.pk]) if isinstance(row, CatalogRow) else reverse(name)


def form_of(client: Client, url: str) -> dict[str, Any]:
    """What the form of a page would post if it were sent as it stands."""
    context = client.get(url).context
    forms = [context["adminform"].form]
    for formset in context["inline_admin_formsets"]:
        forms += [formset.formset.management_form, *formset.formset.forms]
    values: dict[str, Any] = {}
    for form in forms:
        for field in form:
            value = field.value()
            if value is None or value is False:
                continue
            values[field.html_name] = "on" if value is True else value
    return values


@pytest.mark.parametrize("table", TABLES)
def test_lists_open_filter_and_search_in_few_queries(
    table: type[CatalogRow], admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(14):
        page = admin_client.get(address(table, "changelist"))
    assert page.status_code == 200
    assert b"0 of 0" not in page.content
    assert (
        admin_client.get(address(table, "changelist"), {"q": "a100", "origin": "shipped"}).status_code == 200
    )


@pytest.mark.parametrize("table", TABLES)
def test_forms_open_in_few_queries(
    table: type[CatalogRow], admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    row = table.objects.order_by("pk").last()
    assert row is not None
    with django_assert_max_num_queries(16):
        page = admin_client.get(address(row, "change"))
    assert page.status_code == 200
    assert admin_client.get(address(table, "add")).status_code == 200
    assert admin_client.get(address(row, "history")).status_code == 200


def test_columns_say_their_units(admin_client: Client) -> None:
    page = admin_client.get(address(Accelerator, "changelist")).content.decode()
    for heading in ("Memory (MiB)", "Memory bandwidth (GB/s)", "Bf16 (TFLOPS)", "Link, one direction (GB/s)"):
        assert heading in page
    page = admin_client.get(address(TransformerModel, "changelist")).content.decode()
    assert "124.4" in page


def test_an_instances_prices_are_on_its_page_and_a_new_one_ends_the_old(admin_client: Client) -> None:
    instance = InstanceType.objects.get(slug="p5.48xlarge")
    url = address(instance, "change")
    assert "55.04" in admin_client.get(url).content.decode()
    values = form_of(admin_client, url)
    values |= {
        "prices-2-0-region": "us-east-1",
        "prices-2-0-purchase": "on_demand",
        "prices-2-0-usd_per_hour": "44.5",
        "prices-2-0-valid_from": "2030-01-01",
        "prices-2-0-source": "a quote of ours",
        "prices-2-0-as_of": "2030-01-01",
    }
    answer = admin_client.post(url, values)
    assert answer.status_code == 302, answer.context["errors"]
    kind = {"instance_type__slug": "p5.48xlarge", "region": "us-east-1", "purchase": "on_demand"}
    assert Price.objects.get(**kind, valid_to=None).usd_per_hour == Decimal("44.5")
    assert Price.objects.get(**kind, valid_to=date(2030, 1, 1)).usd_per_hour == Decimal("55.04")
    before = selectors.current_catalog().price("p5.48xlarge", "us-east-1", "on_demand", date(2029, 12, 31))
    assert before is not None
    assert before.usd_per_hour == 55.04


def test_a_changed_fact_needs_its_own_source(admin_client: Client) -> None:
    row = Accelerator.objects.get(slug="l4")
    url = address(row, "change")
    values = form_of(admin_client, url) | {"power_watts": "99"}
    refused = admin_client.post(url, values)
    assert refused.status_code == 200
    assert "Say who gives the new one" in refused.content.decode()
    assert admin_client.post(url, values | {"source": "our own meter"}).status_code == 302
    row.refresh_from_db()
    assert (row.power_watts, row.source) == (99, "our own meter")
    page = admin_client.get(url).content.decode()
    assert "power watts: shipped 72.0, here 99.0" in page
    history = LogEntry.objects.get(object_id=str(row.pk))
    assert "power watts from 72.0 to 99.0" in history.get_change_message()
    assert not any(load_catalog(load_shipped_catalog()).values())


def test_what_was_shipped_cannot_be_posted(admin_client: Client) -> None:
    row = Accelerator.objects.get(slug="l4")
    url = address(row, "change")
    values = form_of(admin_client, url)
    assert not {"slug", "shipped", "as_shipped", "changed_at"} & set(values)
    admin_client.post(url, values | {"slug": "l5", "shipped": "{}"})
    row.refresh_from_db()
    assert row.slug == "l4"
    assert row.shipped


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"memory_mib": "0", "source": "x"}, "must be greater than zero"),
        ({"memory_mib": "much"}, "Enter a whole number"),
        ({"bf16_tflops": "-3", "source": "x"}, "must be greater than zero"),
        ({"source": ""}, "This field is required"),
    ],
)
def test_nonsense_is_refused_in_words(changes: dict[str, str], words: str, admin_client: Client) -> None:
    url = address(Accelerator.objects.get(slug="l4"), "change")
    page = admin_client.post(url, form_of(admin_client, url) | changes)
    assert page.status_code == 200
    assert words in page.content.decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": "{"}, "Enter a valid JSON"),
        ({"config": "[1]"}, "object"),
        ({"config": '{"model_type": "gpt9"}'}, "gpt2"),
        ({"config": '{"model_type": "gpt2", "n_embd": 770, "n_head": 12, "n_layer": 1}'}, "n_head"),
        ({"parameters": "124"}, "124,439,808"),
    ],
)
def test_a_config_that_makes_no_model_is_refused(
    changes: dict[str, str], words: str, admin_client: Client
) -> None:
    url = address(TransformerModel.objects.get(slug="own-gpt2"), "change")
    page = admin_client.post(url, form_of(admin_client, url) | {"source": "x"} | changes)
    assert page.status_code == 200
    assert words in page.content.decode()


def test_shipped_rows_are_withdrawn_not_deleted(admin_client: Client) -> None:
    row = Accelerator.objects.get(slug="l4")
    assert admin_client.get(address(row, "delete")).status_code == 403
    own = TransformerModel.objects.get(slug="own-gpt2")
    assert admin_client.get(address(own, "delete")).status_code == 200
    listed = admin_client.get(address(Accelerator, "changelist")).content.decode()
    assert "delete_selected" not in listed
    chosen = {"action": "withdraw", "_selected_action": [str(row.pk)]}
    assert admin_client.post(address(Accelerator, "changelist"), chosen, follow=True).status_code == 200
    assert "l4" not in {record.slug for record in selectors.current_catalog().accelerators()}
    admin_client.post(address(Accelerator, "changelist"), chosen | {"action": "restore"})
    assert "l4" in {record.slug for record in selectors.current_catalog().accelerators()}


def test_a_stored_price_keeps_its_amount(admin_client: Client) -> None:
    row = Price.objects.filter(valid_to=None, purchase="on_demand").first()
    assert row is not None
    url = address(row, "change")
    values = form_of(admin_client, url)
    assert {"usd_per_hour", "valid_from", "region", "purchase"} & set(values) == set()
    ended = values | {"valid_to": "2040-01-01", "source": "the provider's notice"}
    assert admin_client.post(url, ended).status_code == 302
    row.refresh_from_db()
    assert row.valid_to == date(2040, 1, 1)


def test_the_catalog_comes_first(admin_client: Client) -> None:
    page = admin_client.get(reverse("admin:index"))
    assert [app["app_label"] for app in page.context["app_list"]][:2] == ["planner", "inventory"]


def test_dates_cannot_be_read_the_other_way_round(admin_client: Client) -> None:
    price = Price.objects.filter(instance_type__slug="p5.48xlarge", region="us-east-1").earliest("valid_from")
    page = admin_client.get(address(price, "change")).content.decode()
    assert f'value="{price.as_of.isoformat()}"' in page


NEW_PROFILE = {
    "accelerator": "a100-sxm-40gb", "profile": "3g.21gb", "profile_id": "77", "compute_slices": "3",
    "memory_slices": "4", "memory_mib": "19968", "max_instances": "2", "placement_size": "4",
    "placement_starts": "0 4", "min_driver": "R470", "copy_engines": "", "decoders": "",
    "source": "an example", "as_of": "2026-01-01",
}  # fmt: skip


def add_profile(admin_client: Client, **changes: str) -> tuple[int, list[str]]:
    """The status of adding the profile, and what was said to be wrong."""
    answer = admin_client.post("/admin/planner/migprofile/add/", NEW_PROFILE | changes)
    said = re.findall(r'<ul class="errorlist[^>]*>\s*<li>(.*?)</li>', answer.content.decode(), re.S)
    return answer.status_code, [html.unescape(each) for each in said]


def test_a_mig_profile_that_is_added_is_offered_on_the_page(admin_client: Client, client: Client) -> None:
    assert text_of(client, partitions(want="3g.21gb", count="1", on=""), 422)
    assert add_profile(admin_client) == (302, [])
    assert "The one instance has a place" in text_of(client, partitions(want="3g.21gb", count="1", on=""))


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
def test_a_nonsensical_mig_profile_is_refused_at_its_field(
    admin_client: Client, changes: Any, said: str
) -> None:
    status, errors = add_profile(admin_client, **changes)
    assert status == 200
    assert said in " ".join(errors)
