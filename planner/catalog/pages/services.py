"""Writing what the pages' forms say."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils import timezone

from planner.catalog.facts.owning import OwnedNode, node_hour
from planner.catalog.models import InstanceType, Price
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


def price_of_owned(machine: InstanceType, node: OwnedNode, *, region: str, who: str) -> Price:
    """The computed cost of a node of one's own, in place of a machine's list price from today on."""
    today = timezone.localdate()
    Price.objects.filter(
        instance_type=machine, region=region, purchase="on_demand", payment_option="", negotiated=True,
        withdrawn=False, valid_from=today,
    ).update(withdrawn=True)  # computed anew on the same day  # fmt: skip
    made = Price(
        instance_type=machine,
        region=region,
        purchase="on_demand",
        negotiated=True,
        usd_per_hour=Decimal(repr(node_hour(node).total)).quantize(Decimal("0.000001")),
        valid_from=today,
        source=f"Own hardware: computed from capital, power and hosting as entered by {who}",
        as_of=today,
        computed_from=node.as_dict(),
    )
    made.full_clean()
    record_price(made)
    return made
