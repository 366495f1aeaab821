"""Writing what the pages' forms say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from planner.catalog.models import Price
from planner.catalog.services import record_price


def new_price_from(old: Price, given: Mapping[str, Any], *, who: str) -> Price:
    """A price of the same machine, region and purchase; the old one ends unless only a negotiated one is
    added."""
    today = timezone.localdate()
    made = Price(
        instance_type_id=old.instance_type_id,
        region=old.region,
        purchase=old.purchase,
        payment_option=old.payment_option,
        negotiated=given["negotiated"],
        usd_per_hour=given["usd_per_hour"],
        valid_from=given["valid_from"],
        source=given["source"] or f"Entered by {who}",
        as_of=today,
    )
    record_price(made)
    return made
