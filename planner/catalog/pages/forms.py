"""Forms of the catalog's pages: a new price from an old one, and what a node of one's own costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.utils import timezone

from planner.catalog.models import Price

HOURS_PER_YEAR = 8760.0


class NewPriceForm(forms.Form):
    """Two fields: the price, and the day from which it holds. The rest is the old price's."""

    usd_per_hour = forms.DecimalField(
        label="USD per hour", max_digits=12, decimal_places=6, min_value=Decimal("0.000001")
    )
    valid_from = forms.DateField(label="Valid from", widget=forms.DateInput(attrs={"type": "date"}))
    source = forms.CharField(
        label="Who says so", max_length=1000, required=False, help_text="Empty: entered by you, today."
    )
    negotiated = forms.BooleanField(label="Negotiated: stands in place of the list price", required=False)

    def __init__(self, *args: Any, old: Price, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.old = old

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        begins, usd = cleaned.get("valid_from"), cleaned.get("usd_per_hour")
        negotiated = cleaned.get("negotiated", False)
        if begins and begins > timezone.localdate():
            self.add_error("valid_from", "This day is in the future: enter the price when it holds.")
        if begins and begins <= self.old.valid_from and negotiated == self.old.negotiated:
            self.add_error(
                "valid_from", f"The old price begins on {self.old.valid_from}; the new one begins after it."
            )
        if usd == self.old.usd_per_hour and negotiated == self.old.negotiated:
            self.add_error("usd_per_hour", "This is the price that there is.")
        return cleaned


class OwnedForm(forms.Form):
    """What a node of one's own costs an hour; every figure is the owner's."""

    capital_usd = forms.FloatField(label="Node, bought (USD)", min_value=0.01)
    years = forms.FloatField(label="Years in use", min_value=0.1, initial=4)
    residual_percent = forms.FloatField(
        label="Worth at the end (% of the price)", min_value=0, max_value=100, initial=0
    )
    interest_percent = forms.FloatField(label="Interest (% a year)", min_value=0, max_value=100, initial=0)
    power_kw = forms.FloatField(label="Power of the node (kW)", min_value=0)
    usd_per_kwh = forms.FloatField(label="Electricity (USD per kWh)", min_value=0)
    pue = forms.FloatField(label="PUE of the room", min_value=1, initial=1.3)
    hosting_usd_per_month = forms.FloatField(label="Hosting and people (USD a month)", min_value=0, initial=0)
    used_percent = forms.FloatField(
        label="Hours in use (% of all)", min_value=0.1, max_value=100, initial=100
    )

    ROWS: ClassVar[tuple[str, ...]] = ("capital", "interest", "power", "hosting")

    def usd_per_node_hour(self) -> dict[str, float]:
        """USD of an hour in use, part by part; "total" is their sum.

        capital: what is lost in value over the hours of all years.  interest: on the mean of the price and
        what
        it is worth at the end.  power: kW times PUE times the price of a kWh, in hours of use alone.
        hosting:
        twelve months over a year's hours.  All but power is paid for idle hours too. Straight-line
        depreciation.
        """
        given = self.cleaned_data
        used = given["used_percent"] / 100.0
        price, left = given["capital_usd"], given["capital_usd"] * given["residual_percent"] / 100.0
        parts = {
            "capital": (price - left) / (given["years"] * HOURS_PER_YEAR) / used,
            "interest": (price + left) / 2 * given["interest_percent"] / 100.0 / HOURS_PER_YEAR / used,
            "power": given["power_kw"] * given["pue"] * given["usd_per_kwh"],
            "hosting": given["hosting_usd_per_month"] * 12 / HOURS_PER_YEAR / used,
        }
        return parts | {"total": sum(parts.values())}
