"""How old the catalog is, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time

from planner.catalog.changes.selectors import price_ages, source_ages
from planner.catalog.refresh.sources import LISTED


def lines() -> Iterator[str]:
    """Samples in Prometheus's text format: last good reading and failures by source, newest price by
    provider."""
    ages = source_ages([slug for slug, _, _ in LISTED])
    yield "# HELP headroom_catalog_source_last_refresh_timestamp_seconds When the source was last read."
    yield "# TYPE headroom_catalog_source_last_refresh_timestamp_seconds gauge"
    for age in ages:
        if age.good_at is not None:
            stamp = age.good_at.timestamp()
            yield f'headroom_catalog_source_last_refresh_timestamp_seconds{{source="{age.slug}"}} {stamp}'
    yield "# HELP headroom_catalog_source_failures Failed readings since the last good one."
    yield "# TYPE headroom_catalog_source_failures gauge"
    for age in ages:
        yield f'headroom_catalog_source_failures{{source="{age.slug}"}} {age.failures}'
    yield "# HELP headroom_catalog_newest_price_timestamp_seconds The last day on which a price was seen."
    yield "# TYPE headroom_catalog_newest_price_timestamp_seconds gauge"
    for line in price_ages():
        day = max(line["as_of"], line["seen_on"] or line["as_of"])
        stamp = datetime.combine(day, time(), UTC).timestamp()
        provider = line["instance_type__provider"]
        yield f'headroom_catalog_newest_price_timestamp_seconds{{provider="{provider}"}} {stamp}'
