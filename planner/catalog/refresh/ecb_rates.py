"""Exchange rates of the European Central Bank: one a currency and working day, against the euro."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from datetime import date

from planner.catalog.changes.observed import Asked, Fault, Item, ObservedRate
from planner.catalog.refresh.http_get import HttpError, get_text

ADDRESS = "https://data-api.ecb.europa.eu/service/data/EXR/D..EUR.SP00.A"
SOURCE = "European Central Bank, euro reference rates"


class EuroRates:
    """The reference rates of the last working days, as units per US dollar."""

    slug = "ecb-rates"
    title = "Exchange rates"
    provider = ""
    every_hours = 24
    actions: tuple[str, ...] = ()

    def __init__(self, address: str = ADDRESS, wait: Callable[[float], None] = time.sleep) -> None:
        self.address, self.wait = address, wait

    def read(self, asked: Asked) -> Iterator[Item]:
        asked.progress(0, 1, "rates")
        try:
            text = get_text(
                self.address,
                {"lastNObservations": "10", "format": "csvdata", "detail": "dataonly"},
                wait=self.wait,
            )
        except HttpError as failure:
            yield failure.fault("rates")
            return
        yield from rates_of(text, asked.now.date())
        asked.progress(1, 1, "read")


def rates_of(text: str, today: date) -> Iterator[Item]:
    """Units per US dollar: a currency's units per euro over the dollar's of the same day."""
    per_euro: dict[date, dict[str, float]] = {}
    for number, line in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        try:
            day, rate = date.fromisoformat(line["TIME_PERIOD"]), float(line["OBS_VALUE"])
            if not rate > 0 or day > today:
                raise ValueError(f"{rate} on {day}")
            per_euro.setdefault(day, {"EUR": 1.0})[line["CURRENCY"]] = rate
        except (KeyError, TypeError, ValueError) as fault:
            yield Fault(part=f"line {number}", message=f"A rate could not be read: {fault!r}")
    for day, rates in sorted(per_euro.items()):
        dollar = rates.get("USD")
        for currency, rate in sorted(rates.items()):
            if dollar and currency != "USD":
                yield ObservedRate(currency=currency, day=day, per_usd=rate / dollar, source=SOURCE)
