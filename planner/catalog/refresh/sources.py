"""Every source there is, by its slug. A new one is a file in this room and a line here."""

from __future__ import annotations

from django.conf import settings

from planner.catalog.changes.observed import Source

#: (slug, title, IAM actions, hours between readings), for pages that must not load boto3 and pandas.
LISTED: tuple[tuple[str, str, int], ...] = (
    ("aws-prices", "AWS price list", 24),
    ("aws-spot", "AWS spot history", 24),
    ("aws-capacity-blocks", "AWS capacity blocks", 24),
    ("aws-savings-plans", "AWS savings plans", 24),
    ("aws-instance-types", "AWS machines", 168),
    ("aws-offerings", "AWS zones", 24),
    ("gcp-billing", "Google Cloud price list", 24),
    ("azure-retail", "Azure retail prices", 24),
    ("ecb-rates", "Exchange rates", 24),
)


def all_sources() -> dict[str, Source]:
    """The sources, ready to be read.  Imports boto3 and pandas: workers and commands only."""
    from planner.catalog.refresh.aws_commitments import CapacityBlocks, SavingsPlans
    from planner.catalog.refresh.aws_instance_types import InstanceTypes, Offerings
    from planner.catalog.refresh.aws_prices import PriceList
    from planner.catalog.refresh.aws_spot import SpotHistory
    from planner.catalog.refresh.azure_retail import RetailPrices
    from planner.catalog.refresh.ecb_rates import EuroRates
    from planner.catalog.refresh.gcp_billing import CloudBilling

    found: list[Source] = [
        PriceList(),
        SpotHistory(),
        CapacityBlocks(),
        SavingsPlans(),
        InstanceTypes(),
        Offerings(),
        CloudBilling(key=settings.GCP_BILLING_API_KEY),
        RetailPrices(),
        EuroRates(),
    ]
    return {source.slug: source for source in found}
