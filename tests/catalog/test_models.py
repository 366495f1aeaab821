"""The catalog's tables: the database itself refuses nonsense, whoever writes."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogRow,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)
from planner.catalog.services import record_price

pytestmark = [pytest.mark.usefixtures("shipped_catalog"), pytest.mark.django_db]


def price(**changes: Any) -> Price:
    values: dict[str, Any] = {
        "instance_type_id": "p5.48xlarge",
        "region": "us-east-1",
        "purchase": "reserved_3y",
        "usd_per_hour": Decimal("20"),
        "valid_from": date(2030, 1, 1),
        "source": "a quote",
        "as_of": date(2030, 1, 1),
    }
    return Price(**(values | changes))


@pytest.mark.parametrize(
    ("table", "key", "changes"),
    [
        (Accelerator, {"slug": "h100-sxm"}, {"memory_mib": 0}),
        (Accelerator, {"slug": "h100-sxm"}, {"bf16_tflops": -1.0}),
        (Accelerator, {"slug": "h100-sxm"}, {"memory_bandwidth_gb_per_s": 0.0}),
        (Accelerator, {"slug": "h100-sxm"}, {"slug": "h200-sxm"}),
        (Accelerator, {"slug": "trainium1"}, {"ranks_per_accelerator": 0}),
        (InstanceType, {"slug": "p5.48xlarge"}, {"accelerators_per_node": 0}),
        (InstanceType, {"slug": "p5.48xlarge"}, {"internode_gbit_per_s": -1.0}),
        (InstanceType, {"slug": "p5.48xlarge"}, {"provider": "elsewhere"}),
        (Availability, {"instance_type_id": "p5.48xlarge", "region": "us-east-1"}, {"region": "us-west-2"}),
        (MigProfile, {"accelerator_id": "a100-sxm-40gb", "profile": "1g.5gb"}, {"profile": "2g.10gb"}),
        (MigProfile, {"accelerator_id": "a100-sxm-40gb", "profile": "1g.5gb"}, {"memory_slices": 0}),
    ],
)
def test_the_database_refuses(table: type[CatalogRow], key: dict[str, Any], changes: dict[str, Any]) -> None:
    row = table.objects.filter(**key)
    assert row.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        row.update(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"usd_per_hour": Decimal("0")},
        {"usd_per_hour": Decimal("-5")},
        {"purchase": "barter"},
        {"valid_to": date(2030, 1, 1)},
        {"valid_to": date(2029, 1, 1)},
    ],
)
def test_the_database_refuses_prices_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        price(**changes).save()


def test_one_price_of_a_kind_begins_on_a_day_unless_withdrawn() -> None:
    price().save()
    with pytest.raises(IntegrityError), transaction.atomic():
        price(usd_per_hour=Decimal("21")).save()
    price(usd_per_hour=Decimal("22"), withdrawn=True).save()


def test_people_are_told_in_words() -> None:
    with pytest.raises(ValidationError) as caught:
        price(usd_per_hour=Decimal("-1"), valid_to=date(2029, 1, 1)).full_clean()
    said = " ".join(caught.value.messages)
    assert "must be greater than zero" in said
    assert "must end after the day it begins" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"placement_starts": "0 2"}, "Places overlap"),
        ({"placement_starts": "4 0"}, "lowest first"),
        ({"max_instances": 3}, "2 places to start"),
        ({"placement_starts": "0 8"}, "has 8 memory slices by its profiles"),
        ({"placement_size": 2}, "the same number in both"),
        ({"compute_slices": 2}, "has 3 by its name"),
        ({"profile": "9g.20gb", "compute_slices": 9}, "The largest profile of A100 SXM4 40GB has 7"),
        ({"profile": "big"}, "as the driver does"),
        ({"memory_mib": 10**6}, "has 40,960 MiB"),
        ({"accelerator_id": "t4"}, "not marked as one that MIG divides"),
    ],
)
def test_places_of_a_mig_profile_make_sense(changes: dict[str, Any], said: str) -> None:
    row = MigProfile.objects.get(accelerator_id="a100-sxm-40gb", profile="3g.20gb")
    row.full_clean()
    for name, value in changes.items():
        setattr(row, name, value)
    with pytest.raises(ValidationError, match=said):
        row.full_clean()


def test_the_shipped_mig_profiles_are_sound() -> None:
    for row in MigProfile.objects.all():
        row.full_clean()


def test_a_larger_whole_gpu_may_be_added() -> None:
    row = MigProfile.objects.get(accelerator_id="a100-sxm-40gb", profile="7g.40gb")
    row.pk = None
    row.profile, row.profile_id, row.compute_slices = "8g.40gb", 90, 8
    row.memory_slices = row.placement_size = 16
    row.full_clean()


def test_a_kind_that_is_in_use_cannot_be_deleted() -> None:
    with pytest.raises(ProtectedError):
        Accelerator.objects.get(slug="h100-sxm").delete()


def test_a_new_price_ends_the_one_before_it() -> None:
    record_price(price())
    record_price(price(usd_per_hour=Decimal("18"), valid_from=date(2031, 5, 1)))
    rows = Price.objects.filter(instance_type_id="p5.48xlarge", purchase="reserved_3y", region="us-east-1")
    ends = dict(rows.filter(valid_from__gte=date(2030, 1, 1)).values_list("usd_per_hour", "valid_to"))
    assert ends == {Decimal("20"): date(2031, 5, 1), Decimal("18"): None}


def test_a_model_is_described_by_an_object() -> None:
    row = TransformerModel(
        slug="odd",
        name="Odd",
        family="llama",
        publisher="us",
        source="us",
        as_of=date(2026, 1, 1),
        config=[1],
    )
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    assert "config" in caught.value.message_dict
