"""By what the lists of the catalog can be narrowed: parameter -> whether a row matches, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]
Matches = Callable[[Row, str], bool]


def _is(name: str) -> Matches:
    return lambda row, wanted: bool(row[name] == wanted)


def _holds(row: Row, wanted: str) -> bool:
    """Slug or name has the words in it, whatever their case."""
    text = f"{row['slug']} {row.get('name', '')}".casefold()
    return wanted.casefold() in text


def _sold_in(row: Row, wanted: str) -> bool:
    return wanted in row["regions"]


FILTERS: Mapping[str, Mapping[str, Matches]] = {
    "models": {"q": _holds, "family": _is("family"), "publisher": _is("publisher")},
    "instances": {
        "q": _holds,
        "provider": _is("provider"),
        "accelerator": _is("accelerator"),
        "region": _sold_in,
    },
    "accelerators": {"q": _holds, "vendor": _is("vendor")},
}
MEANINGS = {
    "q": "Words in the slug or the name.",
    "family": "Exactly this family.",
    "publisher": "Exactly this publisher.",
    "provider": "Exactly this provider: aws, azure or gcp.",
    "accelerator": "With this accelerator, by its slug.",
    "region": "Sold in this region.",
    "vendor": "Exactly this vendor.",
    "group": "Hosts of this group.",
    "status": "Hosts whose last probe ended so.",
}
