"""Forms of the catalog's pages: a new price from an old one, and what a node of one's own costs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.utils import timezone

from planner.catalog.facts.owning import OwnedNode
from planner.catalog.models import InstanceType, Price

#: No node costs more; what does is a slip of the keyboard.
MOST_USD = 1e9


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
    """A node of one's own; every figure is the owner's. machines: slugs to choose from."""

    instance = forms.ChoiceField(label="Machine it is like", required=False)
    capital_usd = forms.FloatField(label="Node, bought (USD)", min_value=0.01, max_value=MOST_USD)
    years = forms.FloatField(label="Years in use", min_value=0.1, max_value=50, initial=4)
    residual_percent = forms.FloatField(
        label="Worth at the end (% of the price)", min_value=0, max_value=100, initial=0
    )
    interest_percent = forms.FloatField(label="Interest (% a year)", min_value=0, max_value=100, initial=0)
    power_kw = forms.FloatField(
        label="Power of the node (kW)",
        min_value=0,
        max_value=10_000,
        help_text="Drawn by the whole node in use: its nameplate, or what its meter says.",
    )
    usd_per_kwh = forms.FloatField(label="Electricity (USD per kWh)", min_value=0, max_value=100)
    pue = forms.FloatField(
        label="PUE of the room",
        min_value=1,
        max_value=10,
        initial=1.3,
        help_text="Power of the room over that of its machines.",
    )
    hosting_usd_per_month = forms.FloatField(
        label="Hosting and people (USD a month)", min_value=0, max_value=MOST_USD, initial=0
    )
    used_percent = forms.FloatField(
        label="Hours in use (% of all)", min_value=0.1, max_value=100, initial=100
    )

    def __init__(self, *args: Any, machines: Sequence[InstanceType], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        instance = cast(forms.ChoiceField, self.fields["instance"])
        instance.choices = [("", "none: only compute"), *((row.slug, row.slug) for row in machines)]
        chosen = next((row for row in machines if row.slug == self["instance"].value()), None)
        if chosen is not None and chosen.accelerator.power_watts:
            chips = chosen.accelerators_per_node * chosen.accelerator.power_watts / 1000
            self.fields["power_kw"].help_text += f" The chips of {chosen.slug} alone may draw {chips:g} kW."

    def node(self) -> OwnedNode:
        """The figures, once they are valid."""
        return OwnedNode.of(self.cleaned_data)
