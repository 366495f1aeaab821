"""A recorded AWS account: its answers' shapes in pages of one entry, and errors in place of some calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from tests.catalog.refresh.asking import NOW

P5 = {"InstanceType": "p5.48xlarge"}
PLAN = {"offeringId": "o", "paymentOption": "All Upfront", "planType": "EC2Instance", "currency": "USD"}
RATE = {
    "rate": "32.36", "unit": "Hrs", "productType": "EC2", "serviceCode": "AmazonEC2",
    "usageType": "BoxUsage:p5.48xlarge", "operation": "RunInstances",
    "properties": [
        {"name": "instanceType", "value": "p5.48xlarge"}, {"name": "region", "value": "us-east-1"},
    ],
}  # fmt: skip
SPOT = {"SpotPrice": "20.0", "ProductDescription": "Linux/UNIX", "Timestamp": NOW - timedelta(days=1)}
BLOCK = {
    "AvailabilityZone": "us-east-1a", "InstanceCount": 1, "StartDate": NOW + timedelta(days=1),
    "EndDate": NOW + timedelta(days=2), "CapacityBlockDurationHours": 24, "UpfrontFee": "996.672",
    "CurrencyCode": "USD",
}  # fmt: skip
H100 = {"Name": "H100", "Manufacturer": "NVIDIA", "Count": 8, "MemoryInfo": {"SizeInMiB": 81920}}
MACHINE = {
    "VCpuInfo": {"DefaultVCpus": 192}, "MemoryInfo": {"SizeInMiB": 2097152}, "GpuInfo": {"Gpus": [H100]},
}  # fmt: skip
ZONES = "abcdefg"
TERMS = (31_536_000, 94_608_000)
CODES = ("ThrottlingException", "InternalError", "RequestLimitExceeded")


def recorded(product: str) -> dict[str, tuple[str, str, list[Any]]]:
    """By call: where its answers are, how the next page is asked for, the entries. product: of the list."""
    return {
        "get_products": ("PriceList", "NextToken", [product] * 7),
        "describe_spot_price_history": (
            "SpotPriceHistory", "NextToken",
            [P5 | SPOT | {"AvailabilityZone": f"us-east-1{zone}"} for zone in ZONES],
        ),
        "describe_capacity_block_offerings": (
            "CapacityBlockOfferings", "NextToken",
            [P5 | BLOCK | {"CapacityBlockOfferingId": f"cb-{zone}"} for zone in ZONES],
        ),
        "describe_savings_plans_offering_rates": (
            "searchResults", "nextToken",
            [RATE | {"savingsPlanOffering": PLAN | {"durationSeconds": term}} for term in TERMS * 4],
        ),
        "describe_instance_types": ("InstanceTypes", "NextToken", [P5 | MACHINE] * 7),
        "describe_instance_type_offerings": (
            "InstanceTypeOfferings", "NextToken",
            [P5 | {"Location": f"us-east-1{zone}", "LocationType": "availability-zone"} for zone in ZONES],
        ),
    }  # fmt: skip


class Account:
    """A client of every service. fails_every: an error in place of every so many calls, 0 for none."""

    def __init__(self, answers: dict[str, tuple[str, str, list[Any]]], fails_every: int = 0) -> None:
        self.answers, self.fails_every = answers, fails_every
        self.calls = self.errors = 0

    def __getattr__(self, call: str) -> Any:
        name, token, entries = self.answers[call]

        def answer(**arguments: Any) -> dict[str, Any]:
            self.calls += 1
            if self.fails_every and self.calls % self.fails_every == 0:
                self.errors += 1
                code = CODES[self.errors % len(CODES)]
                raise ClientError({"Error": {"Code": code, "Message": "later"}}, call)
            page = int(arguments.get(token, 0))
            following = {token: str(page + 1)} if page + 1 < len(entries) else {}
            return {name: [entries[page]]} | following

        return answer
