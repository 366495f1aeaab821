"""AWS sources: moto where it implements, recorded shapes where it does not, and everything that goes
wrong."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from planner.catalog.changes.observed import NotSetUpError, Observed, ObservedSpotDay, UnknownField
from planner.catalog.refresh import aws_session
from planner.catalog.refresh.aws_commitments import CapacityBlocks, SavingsPlans
from planner.catalog.refresh.aws_instance_types import InstanceTypes, Offerings, chip_of, facts_of
from planner.catalog.refresh.aws_prices import PriceList, prices_of
from planner.catalog.refresh.aws_session import PartError, make_client, pages
from planner.catalog.refresh.aws_spot import SpotHistory
from tests.catalog.refresh.account import Account, recorded
from tests.catalog.refresh.asking import H100, NOW, P5, asked, client, read, stubbed


def product(**changes: Any) -> str:
    """A product of the price list in its recorded shape: p5.48xlarge since the cut of June 2025."""
    reserved = {
        "priceDimensions": {
            "a": {"unit": "Hrs", "pricePerUnit": {"USD": "20.0000000000"}},
            "b": {"unit": "Quantity", "pricePerUnit": {"USD": "87600"}},
        },
        "effectiveDate": "2025-06-01T00:00:00Z",
        "termAttributes": {
            "LeaseContractLength": "1yr",
            "OfferingClass": "standard",
            "PurchaseOption": "Partial Upfront",
        },
    }
    convertible = {
        **reserved,
        "termAttributes": {**reserved["termAttributes"], "OfferingClass": "convertible"},
    }
    entry = {
        "product": {
            "productFamily": "Compute Instance",
            "attributes": {"instanceType": "p5.48xlarge", "regionCode": "us-east-1"},
            "sku": "X",
        },
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {
                "X.J": {
                    "priceDimensions": {"X.J.6": {"unit": "Hrs", "pricePerUnit": {"USD": "55.0400000000"}}},
                    "effectiveDate": "2025-06-01T00:00:00Z",
                    "termAttributes": {},
                }
            },
            "Reserved": {"X.R": reserved, "X.C": convertible},
        },
    }
    return json.dumps(entry | changes)


@mock_aws
def test_machines_and_zones_as_moto_has_them() -> None:
    made = boto3.client("ec2", region_name="us-east-1")
    rows, faults = read(InstanceTypes(lambda service, region: made))
    assert not faults
    p5 = next(row for row in rows if isinstance(row, Observed) and row.key == {"slug": "p5.48xlarge"})
    assert (p5.values["vcpus"], p5.values["host_memory_gib"]) == (192, 2048.0)
    assert p5.values["accelerators_per_node"] == 8
    assert p5.confidence == 1.0
    zones, faults = read(Offerings(lambda service, region: made))
    assert not faults
    assert [row.key["instance_type_id"] for row in zones if isinstance(row, Observed)] == ["p5.48xlarge"]
    assert all(zone.startswith("us-east-1") for zone in zones[0].values["zones"].split())  # type: ignore[union-attr]


def test_a_new_machine_is_mapped_to_the_one_chip_it_can_have_else_flagged() -> None:
    gpu = {"Name": "H100", "Manufacturer": "NVIDIA", "Count": 1, "MemoryInfo": {"SizeInMiB": 81920}}
    entry = {"InstanceType": "p5.4xlarge", "GpuInfo": {"Gpus": [gpu]}, "Surprise": 7}
    assert chip_of(entry, [H100]) == "h100-sxm"
    assert chip_of({**entry, "GpuInfo": {"Gpus": [{**gpu, "Name": "X9"}]}}, [H100]) is None
    with stubbed("ec2") as (made, _):
        found = list(InstanceTypes(lambda *_: made)._machine(entry, asked(), False, {}))
    assert isinstance(found[0], UnknownField) and found[0].path == "InstanceTypes.Surprise"
    assert isinstance(found[1], Observed) and found[1].values["accelerator_id"] == "h100-sxm"
    assert facts_of({"NetworkInfo": {"NetworkCards": [{"BaselineBandwidthInGbps": 100.0}] * 32}}) == {
        "internode_gbit_per_s": 3200.0
    }


def test_the_price_list_gives_on_demand_and_what_is_paid_up_front_over_the_term() -> None:
    found = list(prices_of(json.loads(product())["terms"]))
    assert found == [
        ("on_demand", "", 55.04, date(2025, 6, 1)),
        ("reserved_1y", "partial_upfront", 30.0, date(2025, 6, 1)),
    ]


def test_prices_over_pages_with_an_error_in_every_third_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_session, "FIRST_WAIT_S", 0.0)
    calls = 0
    texts = [product()] * 5 + ["{not json"]

    class Pricing:
        def get_products(self, **arguments: Any) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            if calls % 3 == 0:
                raise ClientError(
                    {"Error": {"Code": "ThrottlingException", "Message": "Rate"}}, "GetProducts"
                )
            page = int(arguments.get("NextToken", 0))
            answer: dict[str, Any] = {"PriceList": [texts[page]]}
            return answer | ({"NextToken": str(page + 1)} if page + 1 < len(texts) else {})

    rows, faults = read(PriceList(lambda service, region: Pricing()))
    assert len(rows) == 10
    assert calls == 8
    assert [fault.part for fault in faults] == ["p5.48xlarge"]


@pytest.mark.parametrize(
    "source", [PriceList, SpotHistory, CapacityBlocks, SavingsPlans, InstanceTypes, Offerings],
    ids=lambda source: source.slug,
)  # fmt: skip
def test_a_recorded_account_with_an_error_in_every_third_page(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is what an account without errors gives, row for row, and nothing is missing."""
    monkeypatch.setattr(aws_session, "FIRST_WAIT_S", 0.0)
    account, smooth = Account(recorded(product()), fails_every=3), Account(recorded(product()))
    rows, faults = read(source(lambda service, region: account))
    expected, _ = read(source(lambda service, region: smooth))
    assert account.errors >= 2
    assert not faults
    assert rows and rows == expected


def test_throttling_waits_longer_each_time_and_gives_up_with_what_it_has() -> None:
    waits: list[float] = []
    with stubbed("ec2") as (made, stub):
        stub.add_response("describe_spot_price_history", {"NextToken": "a", "SpotPriceHistory": []})
        for _ in range(aws_session.ATTEMPTS):
            stub.add_client_error("describe_spot_price_history", "RequestLimitExceeded")
        got = pages(made.describe_spot_price_history, {}, action="ec2:X", part="r", wait=waits.append)
        assert next(got)["NextToken"] == "a"
        with pytest.raises(PartError) as stop:
            next(got)
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert "come back later" in stop.value.fault.remedy


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnauthorizedOperation"])
def test_a_refusal_says_which_action_to_allow(code: str) -> None:
    with stubbed("pricing") as (made, stub):
        stub.add_client_error("get_products", code, "no identity-based policy allows it")
        rows, faults = read(PriceList(lambda *_: made))
    assert not rows
    assert "Allow the action pricing:GetProducts" in faults[0].remedy


def test_pages_in_a_circle_and_broken_connections_end() -> None:
    with pytest.raises(PartError, match="circle"):
        list(pages(lambda **_: {"NextToken": "a"}, {}, action="x", part="p"))

    def broken(**_: Any) -> dict[str, Any]:
        raise ReadTimeoutError(endpoint_url="https://ec2")

    with pytest.raises(PartError, match="timeout"):
        list(pages(broken, {}, action="x", part="p", wait=lambda seconds: None))


def test_without_credentials_the_source_is_not_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3.session.Session, "get_credentials", lambda self: None)
    with pytest.raises(NotSetUpError, match="No AWS credentials"):
        make_client("ec2", "us-east-1")


def test_spot_history_as_quantiles_over_zones_and_days() -> None:
    def change(zone: str, days_ago: int, usd: str) -> dict[str, Any]:
        return {
            "AvailabilityZone": zone,
            "InstanceType": "p5.48xlarge",
            "ProductDescription": "Linux/UNIX",
            "SpotPrice": usd,
            "Timestamp": NOW - timedelta(days=days_ago),
        }

    history = [
        change("us-east-1a", 3, "20.0"),
        change("us-east-1b", 3, "30.0"),
        change("us-east-1a", 1, "24.0"),
        change("us-east-1b", 0, "0"),
    ]
    with stubbed("ec2") as (made, stub):
        stub.add_response(
            "describe_spot_price_history", {"SpotPriceHistory": history[:2], "NextToken": "more"}
        )
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": history[2:]})
        rows, faults = read(SpotHistory(lambda *_: made))
    days = [row for row in rows if isinstance(row, ObservedSpotDay)]
    assert [(day.usd_low, day.usd_median, day.usd_high) for day in days] == [
        (20.0, 25.0, 30.0), (20.0, 25.0, 30.0), (24.0, 27.0, 30.0), (24.0, 27.0, 30.0)
    ]  # fmt: skip
    price = next(row for row in rows if isinstance(row, Observed))
    assert price.values["usd_per_hour"] == 27.0
    assert (price.values["usd_per_hour_low"], price.values["usd_per_hour_high"]) == (24.0, 30.0)
    assert "median 27" in price.note
    assert "1 spot prices are no positive numbers" in faults[0].message


def test_capacity_blocks_by_the_hour() -> None:
    start = datetime(2026, 12, 1, 11, 30, tzinfo=UTC)
    offers = [
        {"CapacityBlockOfferingId": "cb-1", "InstanceType": "p5.48xlarge", "AvailabilityZone": "us-east-1a",
         "InstanceCount": 1, "StartDate": start, "EndDate": start + timedelta(days=1),
         "CapacityBlockDurationHours": 24, "UpfrontFee": fee, "CurrencyCode": "USD", "Tenancy": "default"}
        for fee in ("996.672", "1096.672")
    ]  # fmt: skip
    with stubbed("ec2") as (made, stub):
        stub.add_response("describe_capacity_block_offerings", {"CapacityBlockOfferings": offers})
        rows, faults = read(CapacityBlocks(lambda *_: made))
    assert not faults
    assert rows[0].values["usd_per_hour"] == pytest.approx((41.528 + 1096.672 / 24) / 2, abs=1e-6)  # type: ignore[union-attr]
    assert "2026-12-01 11:30" in rows[0].note  # type: ignore[union-attr]


def test_savings_plans_by_term_and_payment() -> None:
    def rate(usd: str, seconds: int, option: str, usage: str) -> dict[str, Any]:
        return {
            "savingsPlanOffering": {
                "offeringId": "o", "paymentOption": option, "planType": "EC2Instance",
                "durationSeconds": seconds, "currency": "USD",
            },
            "rate": usd, "unit": "Hrs", "productType": "EC2", "serviceCode": "AmazonEC2",
            "usageType": usage, "operation": "RunInstances",
            "properties": [
                {"name": "instanceType", "value": "p5.48xlarge"}, {"name": "region", "value": "us-east-1"},
            ],
        }  # fmt: skip

    results = [
        rate("32.36", 31_536_000, "All Upfront", "BoxUsage:p5.48xlarge"),
        rate("23.777", 94_608_000, "No Upfront", "BoxUsage:p5.48xlarge"),
        rate("1.0", 94_608_000, "No Upfront", "UnusedBox:p5.48xlarge"),
    ]
    with stubbed("savingsplans") as (made, stub):
        stub.add_response("describe_savings_plans_offering_rates", {"searchResults": results})
        rows, faults = read(SavingsPlans(lambda *_: made))
    assert not faults
    assert [(row.key["purchase"], row.key["payment_option"], row.values["usd_per_hour"]) for row in rows] == [  # type: ignore[union-attr]
        ("savings_1y", "all_upfront", 32.36), ("savings_3y", "no_upfront", 23.777)
    ]  # fmt: skip


def test_one_region_that_fails_does_not_take_the_others_along() -> None:
    with stubbed("ec2") as (bad, refuse), stubbed("ec2") as (good, stub):
        refuse.add_client_error("describe_instance_type_offerings", "AuthFailure")
        stub.add_response(
            "describe_instance_type_offerings",
            {"InstanceTypeOfferings": [{"InstanceType": P5.slug, "Location": "eu-north-1a",
                                        "LocationType": "availability-zone"}]},
        )  # fmt: skip
        source = Offerings(lambda service, region: bad if region == "me-south-1" else good)
        rows, faults = read(source, asked(regions={"aws": ("me-south-1", "eu-north-1")}))
    assert [row.key["region"] for row in rows] == ["eu-north-1"]  # type: ignore[union-attr]
    assert faults[0].part == "me-south-1"
    assert "region is enabled" in faults[0].remedy
    assert client("ec2").meta.region_name == "us-east-1"
