"""Filters: a quantity as shown, with its exact value on hover; a whole number with its thousands grouped."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.safestring import SafeString

from planner.web.formats import Quantity

register = template.Library()


@register.filter
def quantity(value: Any) -> SafeString | Any:
    """A ``Quantity`` with its exact value in the title; anything else as it is."""
    return value.__html__() if isinstance(value, Quantity) else value


@register.filter
def grouped(value: int) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,}"
