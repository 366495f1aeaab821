"""Change sets on the shipped catalog: proposed, flagged, accepted by rules and people, previewed, undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from auditlog.models import LogEntry

from planner.catalog import selectors
from planner.catalog.changes import services
from planner.catalog.changes.imports_services import record_edition
from planner.catalog.changes.models import AcceptanceRule, Change, ChangeSet
from planner.catalog.changes.observed import Observed
from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.models import Availability, InstanceType, Price
from planner.catalog.services import load_catalog, record_price
from tests.catalog.conftest import loaded

pytestmark = pytest.mark.django_db
CUT = datetime(2025, 6, 1, 9, tzinfo=UTC)
#: On demand in us-east-1, USD an hour: until the cut of June 2025, and since (AWS announcement of
#: 2025-06-05).
P_FAMILY = {
    "p4d.24xlarge": (32.7726, 21.957642),
    "p4de.24xlarge": (40.96575, 27.44705),
    "p5.48xlarge": (98.32, 55.04),
    "p5en.48xlarge": (84.80, 63.296),
}


def price(slug: str, usd: float, **changes: Any) -> Observed:
    given: dict[str, Any] = {
        "table": "price",
        "key": {
            "instance_type_id": slug,
            "region": "us-east-1",
            "purchase": "on_demand",
            "payment_option": "",
        },
        "values": {"usd_per_hour": usd, "valid_from": CUT.date()},
        "source": "AWS Price List Query API",
        "as_of": CUT.date(),
        "confidence": 1.0,
    }
    return Observed(**given | changes)


@pytest.fixture(scope="module")
def before_the_cut(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The catalog as it would have been on the last day of May 2025: nothing of the cut is in it."""
    shipped = load_shipped_catalog()
    kinds: dict[str, Any] = {
        kind: list(getattr(shipped, kind)())
        for kind in ("accelerators", "instances", "availability", "mig_profiles", "models")
    }
    prices = [
        replace(
            record, valid_to=None if record.valid_to and record.valid_to >= CUT.date() else record.valid_to
        )
        for record in shipped.prices()
        if record.valid_from < CUT.date()
    ]
    with loaded(django_db_blocker, Catalog(prices=prices, **kinds)):
        yield


def cut() -> ChangeSet:
    return services.propose(
        [price(slug, after) for slug, (_, after) in P_FAMILY.items()],
        source="aws-prices", title="AWS price list, 2025-06-01", now=CUT,
    )  # fmt: skip


def on_demand(day: date | None = None, slug: str = "p5.48xlarge") -> float | None:
    found = selectors.current_catalog().price(slug, "us-east-1", "on_demand", as_of=day)
    return None if found is None else found.usd_per_hour


@pytest.mark.usefixtures("before_the_cut")
class TestTheCutOfJune2025:
    def test_is_a_change_set_that_no_rule_accepts(self) -> None:
        made = cut()
        changes = {change.key["instance_type_id"]: change for change in made.changes.all()}
        p5 = changes["p5.48xlarge"]
        assert (p5.field, p5.before, p5.after) == ("usd_per_hour", 98.32, 55.04)
        assert p5.percent == pytest.approx(-44.02, abs=0.01)
        assert not p5.flags
        outcome = services.accept_by_rules(made, now=CUT)
        assert outcome.done == 0  # over 20 %: it waits for somebody
        assert on_demand() == 98.32

    def test_is_accepted_in_part_and_time_travels(self) -> None:
        made = cut()
        chosen = [c for c in made.changes.all() if c.key["instance_type_id"] == "p5.48xlarge"]
        outcome = services.accept(chosen, who="ada", why="announced on 5 June", now=CUT)
        assert (outcome.done, outcome.problems) == (1, [])
        assert on_demand() == 55.04
        assert on_demand(date(2025, 5, 31)) == 98.32
        assert on_demand(date(2025, 6, 1)) == 55.04
        assert on_demand(slug="p4d.24xlarge") == pytest.approx(32.7726, abs=1e-4)
        kept = Change.objects.get(pk=chosen[0].pk)
        assert (kept.decided_by, kept.why, kept.state) == ("ada", "announced on 5 June", "accepted")

    def test_is_undone_and_what_was_before_holds_again(self) -> None:
        made = cut()
        services.accept(made.changes.all(), who="ada", why="", now=CUT)
        outcome = services.undo(made.changes.all(), who="bob", why="mistaken region", now=CUT)
        assert not outcome.problems
        assert on_demand() == 98.32
        assert on_demand(date(2025, 7, 1)) == 98.32
        assert {change.state for change in made.changes.all()} == {"undone"}

    def test_is_not_undone_under_a_later_price(self) -> None:
        made = cut()
        services.accept(made.changes.all(), who="ada", why="", now=CUT)
        later = services.propose(
            [price("p5.48xlarge", 50.0, values={"usd_per_hour": 50.0, "valid_from": date(2025, 7, 1)})],
            source="aws-prices", title="later", now=CUT + timedelta(days=30),
        )  # fmt: skip
        services.accept(later.changes.all(), who="ada", why="", now=CUT)
        outcome = services.undo(
            [c for c in made.changes.all() if "p5.48" in c.row], who="bob", why="", now=CUT
        )
        assert outcome.done == 0
        assert "undo that first" in outcome.problems[0]
        assert on_demand() == 50.0

    def test_the_same_again_is_seen_and_changes_nothing(self) -> None:
        services.accept(cut().changes.all(), who="ada", why="", now=CUT)
        again = cut()
        assert (again.changes.count(), again.seen_again) == (0, 4)
        assert Price.objects.get(instance_type_id="p5.48xlarge", usd_per_hour="55.04").seen_on == CUT.date()

    def test_a_change_that_was_overtaken_is_left_with_the_reason(self) -> None:
        made = cut()
        record_price(
            Price(instance_type_id="p5.48xlarge", region="us-east-1", purchase="on_demand",
                  usd_per_hour=Decimal("60"), valid_from=CUT.date(), source="hand", as_of=CUT.date())
        )  # fmt: skip
        outcome = services.accept(made.changes.all(), who="ada", why="", now=CUT)
        assert outcome.done == 3
        assert "no longer the one" in outcome.problems[0]


@pytest.mark.usefixtures("before_the_cut")
@pytest.mark.parametrize(
    ("usd", "words"),
    [(0.0, "a price of nothing"), (-1.0, "no positive"), (983.2, "10 times"), (9.0, "10.9th"),
     (float("nan"), "no positive")],
)  # fmt: skip
def test_nonsense_is_flagged_and_no_rule_takes_it(usd: float, words: str) -> None:
    AcceptanceRule.objects.create(name="anything", most_change_percent=1e9, new_rows=True)
    observed = price("p5.48xlarge", usd if usd == usd else -2.0)
    made = services.propose([observed], source="aws-prices", title="x", now=CUT)
    change = made.changes.get()
    assert words in " ".join(change.flags)
    assert services.accept_by_rules(made, now=CUT).done == 0
    if usd <= 0:  # the tables refuse it whoever accepts it
        assert services.accept([change], who="ada", why="", now=CUT).problems


@pytest.mark.usefixtures("before_the_cut")
def test_small_moves_and_spot_are_accepted_by_their_rules() -> None:
    spot = {
        "instance_type_id": "p5.48xlarge",
        "region": "us-east-1",
        "purchase": "spot",
        "payment_option": "",
    }
    made = services.propose(
        [price("p5.48xlarge", 90.0), price("p5.48xlarge", 12.0, key=spot)],
        source="aws-spot", title="x", now=CUT,
    )  # fmt: skip
    outcome = services.accept_by_rules(made, now=CUT)
    assert outcome.done == 2
    assert {change.decided_by for change in made.changes.all()} == {
        "rule: Spot prices, daily", "rule: Prices within 20 %"
    }  # fmt: skip


@pytest.mark.usefixtures("before_the_cut")
def test_facts_change_field_by_field_and_shrinking_memory_is_flagged() -> None:
    observed = Observed(
        table="instancetype", key={"slug": "p5.48xlarge"}, as_of=CUT.date(), confidence=1.0,
        values={"host_memory_gib": 1024.0, "vcpus": 196}, source="EC2 DescribeInstanceTypes",
    )  # fmt: skip
    made = services.propose([observed], source="aws-instance-types", title="x", now=CUT)
    by_field = {change.field: change for change in made.changes.all()}
    assert by_field["host_memory_gib"].flags == ["host memory gib shrank"]
    assert not by_field["vcpus"].flags
    services.accept([by_field["vcpus"]], who="ada", why="", now=CUT)
    row = InstanceType.objects.get(slug="p5.48xlarge")
    assert (row.vcpus, row.host_memory_gib) == (196, 2048.0)
    services.undo([by_field["vcpus"]], who="ada", why="", now=CUT)
    row.refresh_from_db()
    assert (row.vcpus, row.source != observed.source) == (192, True)
    assert LogEntry.objects.get_for_object(row).filter(changes__has_key="vcpus").count() == 2


@pytest.mark.usefixtures("before_the_cut")
def test_a_negotiated_price_stands_and_the_list_is_read_on() -> None:
    record_price(
        Price(instance_type_id="p5.48xlarge", region="us-east-1", purchase="on_demand", negotiated=True,
              usd_per_hour=Decimal("40"), valid_from=date(2025, 1, 1), source="contract", as_of=CUT.date())
    )  # fmt: skip
    assert on_demand() == 40.0
    made = cut()
    assert made.changes.get(key__instance_type_id="p5.48xlarge").before == 98.32
    services.accept(made.changes.all(), who="ada", why="", now=CUT)
    assert on_demand() == 40.0


@pytest.mark.usefixtures("before_the_cut")
def test_loading_one_scope_takes_nothing_from_another() -> None:
    before = Price.objects.filter(withdrawn=False).count()
    of_gcp = load_catalog(
        Catalog(accelerators=[], instances=[]),
        scope=lambda row: isinstance(row, Price) and row.instance_type_id.startswith("a2-"),
    )
    gone = len(of_gcp["prices"].withdrawn)
    assert gone == Price.objects.filter(instance_type__slug__startswith="a2-").count() > 0
    assert Price.objects.filter(withdrawn=False).count() == before - gone
    assert not of_gcp["accelerators"].withdrawn


def test_a_new_shipped_edition_is_a_change_set_and_undone() -> None:
    load_catalog(load_shipped_catalog())
    row = InstanceType.objects.get(slug="p5.48xlarge")
    InstanceType.objects.filter(pk=row.pk).update(vcpus=100, shipped={**row.shipped, "vcpus": 100})
    made = record_edition(load_catalog(load_shipped_catalog()), now=CUT)
    assert made is not None
    change = made.changes.get()
    assert (change.field, change.before, change.after, made.kind) == ("vcpus", 100, 192, "edition")
    services.undo([change], who="ada", why="", now=CUT)
    row.refresh_from_db()
    assert row.vcpus == 100
    assert record_edition(load_catalog(load_shipped_catalog()), now=CUT) is None


def test_an_edition_records_rows_added_replaced_and_withdrawn_and_each_is_undone() -> None:
    load_catalog(load_shipped_catalog())
    machine = InstanceType.objects.get(slug="p5.48xlarge")
    gone = Availability.objects.filter(instance_type=machine, withdrawn=False).order_by("pk")[0]
    Availability.objects.filter(pk=gone.pk).delete()  # the edition adds it
    extra = Availability.objects.create(
        instance_type=machine, region="old-region-1", source="s", as_of=CUT.date()
    )
    extra.shipped = extra.facts()
    extra.save()  # the edition withdraws it
    price_row = Price.objects.get(
        instance_type=machine, region="us-east-1", purchase="on_demand", valid_to=None, withdrawn=False
    )
    wrong = {**price_row.shipped, "usd_per_hour": "50.000000"}
    Price.objects.filter(pk=price_row.pk).update(usd_per_hour="50", shipped=wrong)  # and replaces this

    made = record_edition(load_catalog(load_shipped_catalog()), now=CUT)
    assert made is not None
    by_kind = {(change.table, change.field): change for change in made.changes.all()}
    assert set(by_kind) == {("availability", ""), ("availability", "withdrawn"), ("price", "usd_per_hour")}
    replaced = by_kind["price", "usd_per_hour"]
    assert (replaced.before, replaced.after) == (50.0, 55.04)
    assert on_demand() == 55.04
    outcome = services.undo(made.changes.all(), who="ada", why="", now=CUT)
    assert (outcome.done, outcome.problems) == (3, [])
    assert on_demand() == 50.0
    extra.refresh_from_db()
    assert not extra.withdrawn
    assert (
        Availability.objects.filter(instance_type=machine, region=gone.region, withdrawn=False).count() == 0
    )
    again = load_catalog(load_shipped_catalog())
    assert on_demand() == 50.0 and again["prices"].kept  # what was undone here stays undone
