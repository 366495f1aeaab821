"""AWS spot prices of the last 90 days: median, quarters and spread over zones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from planner.catalog.changes.observed import Asked, Fault, Item, Observed, ObservedSpotDay
from planner.catalog.refresh.aws_session import ClientMaker, PartError, make_client, pages

#: As far back as the service answers (EC2 API reference of DescribeSpotPriceHistory, read 2026-11-29).
DAYS_BACK = 90
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class SpotHistory:
    """``ec2.describe_spot_price_history`` by region."""

    slug = "aws-spot"
    title = "AWS spot history"
    provider = "aws"
    every_hours = 24
    actions: tuple[str, ...] = ("ec2:DescribeSpotPriceHistory",)

    def __init__(self, client: ClientMaker = make_client) -> None:
        self.client = client

    def read(self, asked: Asked) -> Iterator[Item]:
        slugs = [machine.slug for machine in asked.of("aws")]
        regions = asked.regions_of("aws")
        for done, region in enumerate(regions):
            asked.progress(done, len(regions), region)
            arguments = {
                "InstanceTypes": slugs,
                "ProductDescriptions": ["Linux/UNIX"],
                "StartTime": asked.now - timedelta(days=DAYS_BACK),
                "EndTime": asked.now,
            }
            rows: list[Mapping[str, Any]] = []
            try:
                client = self.client("ec2", region)
                for page in pages(
                    client.describe_spot_price_history, arguments, action=self.actions[0], part=region
                ):
                    rows.extend(page.get("SpotPriceHistory", ()))
            except PartError as stop:
                # The newest prices come first: what was read still says today's price, less of the past.
                yield stop.fault
            yield from summed_up(rows, region, asked.now)
        asked.progress(len(regions), len(regions), "read")


def summed_up(rows: Sequence[Mapping[str, Any]], region: str, now: datetime) -> Iterator[Item]:
    """Changes of price as days and as today's price of each machine.

    A price holds until the next change, so that each zone's is carried over the days between; quantiles are
    over zones and days alike. The price is the median of the zones' latest, as the catalog's spot rows are.
    """
    if not rows:
        return
    frame = pd.DataFrame(
        {
            "instance": [row.get("InstanceType") for row in rows],
            "zone": [row.get("AvailabilityZone") for row in rows],
            "at": pd.to_datetime(pd.Series([row.get("Timestamp") for row in rows]), utc=True),
            "usd": pd.to_numeric(pd.Series([row.get("SpotPrice") for row in rows]), errors="coerce"),
        }
    )
    nonsense = frame["usd"].isna() | (frame["usd"] <= 0)
    if nonsense.any():
        yield Fault(
            part=region, message=f"{int(nonsense.sum())} spot prices are no positive numbers; left out."
        )
    frame = frame[~nonsense].dropna()
    today = pd.Timestamp(now).tz_convert("UTC").normalize()
    for instance, of_type in frame.groupby("instance", sort=True):
        by_zone = of_type.sort_values("at").assign(day=lambda held: held["at"].dt.normalize())
        last = by_zone.groupby(["day", "zone"])["usd"].last().unstack("zone")
        days = pd.date_range(last.index.min(), max(today, last.index.max()), freq="D")
        daily = last.reindex(days).ffill()
        yield from _days(str(instance), region, daily)
        yield _price(str(instance), region, daily, now)


def _days(instance: str, region: str, daily: pd.DataFrame) -> Iterator[ObservedSpotDay]:
    for day in daily.index:
        zones = daily.loc[day].dropna().to_numpy(dtype=float)
        low, quarter, median, three, high = np.quantile(zones, QUANTILES).tolist()
        yield ObservedSpotDay(
            instance=instance,
            region=region,
            day=day.date(),
            zones=len(zones),
            usd_low=low,
            usd_q25=quarter,
            usd_median=median,
            usd_q75=three,
            usd_high=high,
        )


def _price(instance: str, region: str, daily: pd.DataFrame, now: datetime) -> Observed:
    latest = daily.iloc[-1].dropna()
    over = daily.stack().to_numpy(dtype=float)
    low, quarter, median, three, high = np.quantile(over, QUANTILES).tolist()
    return Observed(
        table="price",
        key={"instance_type_id": instance, "region": region, "purchase": "spot", "payment_option": ""},
        values={
            "usd_per_hour": round(float(latest.median()), 6),
            "usd_per_hour_low": round(float(latest.min()), 6),
            "usd_per_hour_high": round(float(latest.max()), 6),
            "valid_from": now.date(),
        },
        source="EC2 DescribeSpotPriceHistory",
        as_of=now.date(),
        confidence=1.0,
        note=(
            f"median of {len(latest)} zones today; {len(daily)} days: median {median:.6g}, "
            f"middle half {quarter:.6g} to {three:.6g}, {low:.6g} to {high:.6g}"
        ),
    )
