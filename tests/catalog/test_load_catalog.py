"""Loading the shipped catalog: idempotent, never losing a person's edit, and the same catalog read back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError

from planner.catalog import selectors
from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.models import Accelerator, CatalogStamp, InstanceType, MigProfile, Price
from planner.catalog.services import load_catalog

pytestmark = pytest.mark.django_db
KINDS = ("accelerators", "instances", "prices", "availability", "mig_profiles", "models")


def shipped_but(**changed: Callable[[Any], Any]) -> Catalog:
    """The shipped catalog with some kinds of records passed through a function that may drop them (None)."""
    shipped = load_shipped_catalog()
    kinds: dict[str, Any] = {}
    for kind in KINDS:
        change = changed.get(kind, lambda record: record)
        kinds[kind] = [record for given in getattr(shipped, kind)() if (record := change(given)) is not None]
    return Catalog(**kinds)


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("load_catalog", *arguments, stdout=out)
    return out.getvalue()


def test_rows_read_back_are_the_shipped_records_to_the_last_bit() -> None:
    load_catalog(load_shipped_catalog())
    for kind in KINDS:
        assert getattr(selectors.catalog_of_rows(), kind)() == getattr(load_shipped_catalog(), kind)()


def test_loading_twice_changes_nothing() -> None:
    assert "added" in said()
    stamp = selectors.catalog_stamp()
    assert "up to date" in said()
    assert selectors.catalog_stamp() == stamp


def test_a_dry_run_says_and_does_nothing() -> None:
    text = said("--dry-run")
    assert "accelerators: 51 added" in text
    assert "--dry-run" in text
    assert not Accelerator.objects.exists()


def test_an_edit_survives_and_a_shipped_change_to_it_is_reported() -> None:
    load_catalog(load_shipped_catalog())
    row = InstanceType.objects.get(slug="p5.48xlarge")
    row.internode_gbit_per_s = 1600
    row.save()
    assert not any(load_catalog(load_shipped_catalog()).values())

    def more_vcpus(record: Any) -> Any:
        if record.slug not in ("p5.48xlarge", "p4d.24xlarge"):
            return record
        return replace(record, spec=replace(record.spec, vcpus=500))

    changes = load_catalog(shipped_but(instances=more_vcpus))["instance types"]
    assert [line.split(":")[0] for line in changes.kept] == ["p5.48xlarge"]
    assert "vcpus 192 → 500" in changes.kept[0]
    assert [line.split(":")[0] for line in changes.updated] == ["p4d.24xlarge"]
    row.refresh_from_db()
    assert (row.internode_gbit_per_s, row.vcpus) == (1600, 192)
    assert row.is_edited
    assert InstanceType.objects.get(slug="p4d.24xlarge").vcpus == 500


def test_an_edit_that_the_shipped_data_catches_up_with_is_no_edit_any_more() -> None:
    load_catalog(load_shipped_catalog())
    row = Accelerator.objects.get(slug="l4")
    row.power_watts = 80
    row.save()

    def mended(record: Any) -> Any:
        return record if record.slug != "l4" else replace(record, spec=replace(record.spec, power_watts=80.0))

    load_catalog(shipped_but(accelerators=mended))
    row.refresh_from_db()
    assert not row.is_edited


def test_a_price_is_never_overwritten() -> None:
    load_catalog(load_shipped_catalog())
    kind = {
        "instance_type_id": "p5.48xlarge",
        "region": "us-east-1",
        "purchase": "on_demand",
        "valid_to": None,
    }
    before = Price.objects.get(**kind)

    def corrected(record: Any) -> Any:
        return replace(record, usd_per_hour=50.0) if record.usd_per_hour == 55.04 else record

    load_catalog(shipped_but(prices=corrected))
    before.refresh_from_db()
    assert (before.usd_per_hour, before.withdrawn) == (Decimal("55.04"), True)
    assert Price.objects.get(**kind, withdrawn=False).usd_per_hour == 50
    assert not any(load_catalog(shipped_but(prices=corrected)).values())


def test_what_is_no_longer_shipped_is_withdrawn_and_what_a_person_added_stays() -> None:
    load_catalog(load_shipped_catalog())
    Accelerator.objects.create(
        slug="own-chip",
        name="Own chip",
        vendor="us",
        architecture="own",
        memory_mib=1000,
        label_gb=1,
        memory_bandwidth_gb_per_s=1,
        link="pcie4",
        link_gb_per_s_per_direction=1,
        source="us",
        as_of=date(2026, 1, 1),
    )

    def without(record: Any) -> Any:
        return None if record.instance_slug == "p5.48xlarge" else record

    changes = load_catalog(shipped_but(availability=without))["availability"]
    assert len(changes.withdrawn) > 5
    assert not selectors.current_catalog().availability("p5.48xlarge")
    assert selectors.current_catalog().accelerator("own-chip").spec.memory_bytes == 1000 * 2**20
    changes = load_catalog(load_shipped_catalog())["availability"]
    assert len(changes.updated) > 5
    assert selectors.current_catalog().availability("p5.48xlarge")


def renamed(record: Any) -> Any:
    """The whole A30 under another name, as when a driver's name was mistaken."""
    spec = record.spec
    if (spec.accelerator_slug, spec.profile) != ("a30", "4g.24gb"):
        return record
    return replace(record, spec=replace(spec, profile="4g.23gb"))


def whole_a30() -> set[str]:
    held = MigProfile.objects.filter(accelerator="a30", profile_id=0, withdrawn=False)
    return set(held.values_list("profile", flat=True))


def test_a_profile_that_is_renamed_takes_the_place_of_the_old_one_and_back() -> None:
    load_catalog(shipped_but(mig_profiles=renamed))
    assert whole_a30() == {"4g.23gb"}
    changes = load_catalog(load_shipped_catalog())["MIG profiles"]
    assert (changes.added, changes.withdrawn) == (["a30 4g.24gb"], ["a30 4g.23gb: no longer shipped"])
    assert whole_a30() == {"4g.24gb"}
    load_catalog(shipped_but(mig_profiles=renamed))
    assert whole_a30() == {"4g.23gb"}


def test_a_renamed_profile_gives_way_to_one_that_a_person_edited() -> None:
    load_catalog(shipped_but(mig_profiles=renamed))
    row = MigProfile.objects.get(accelerator="a30", profile="4g.23gb")
    row.note = "as our driver says"
    row.min_driver = "R470"
    row.save()
    changes = load_catalog(load_shipped_catalog())["MIG profiles"]
    assert any("4g.23gb on a30: edited here; shipped now is 4g.24gb" in line for line in changes.kept)
    assert whole_a30() == {"4g.23gb"}


def test_an_edit_shows_at_once() -> None:
    load_catalog(load_shipped_catalog())
    assert selectors.current_catalog().accelerator("t4").spec.bf16_flops_per_s == 0
    row = Accelerator.objects.get(slug="t4")
    row.bf16_tflops = 1
    row.save()
    assert selectors.current_catalog().accelerator("t4").spec.bf16_flops_per_s == 1e12
    Accelerator.objects.filter(slug="t4").update(bf16_tflops=2)
    assert selectors.current_catalog().accelerator("t4").spec.bf16_flops_per_s == 2e12


def test_what_hangs_on_a_withdrawn_row_is_left_out() -> None:
    load_catalog(load_shipped_catalog())
    Accelerator.objects.filter(slug="h100-sxm").update(withdrawn=True)
    catalog = selectors.current_catalog()
    assert "p5.48xlarge" not in {record.slug for record in catalog.instances()}
    assert not catalog.prices("p5.48xlarge")


def test_reading_the_catalog_takes_few_queries(django_assert_num_queries: Any) -> None:
    load_catalog(load_shipped_catalog())
    with django_assert_num_queries(7):
        selectors.current_catalog()
    with django_assert_num_queries(1):
        selectors.current_catalog()


def test_an_empty_or_missing_database_gives_the_shipped_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    assert selectors.current_catalog() is load_shipped_catalog()
    CatalogStamp.renew()
    assert selectors.current_catalog() is load_shipped_catalog()

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise DatabaseError("no such table")

    monkeypatch.setattr(selectors, "catalog_of_rows", missing)
    CatalogStamp.renew()
    assert selectors.current_catalog() is load_shipped_catalog()
    monkeypatch.setattr(CatalogStamp.objects, "values_list", missing)
    assert selectors.current_catalog() is load_shipped_catalog()
