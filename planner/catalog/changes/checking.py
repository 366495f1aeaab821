"""What a sober reader would not believe unseen: nonsense is flagged, kept, and never applied by itself.

The bounds are judgements: no list price of this catalog moved by more than half in a day, and none of a
machine's
facts ever shrank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

#: A price that rises or falls by this factor is an error of a unit or a comma until somebody looks at it.
NONSENSE_FACTOR = 10.0
#: Facts of a machine, which its provider does not take back.
NEVER_SHRINK = ("host_memory_gib", "vcpus", "accelerators_per_node", "local_storage_gb", "memory_mib")
#: Facts on which plans hang: another value is another machine.
NEVER_CHANGE = ("accelerators_per_node", "accelerator_id")


def price_flags(before: float | None, after: Any, valid_from: Any, today: date) -> list[str]:
    """Why a price is not to be believed; empty where it may be."""
    flags = []
    if not isinstance(after, int | float) or not math.isfinite(after) or after <= 0:
        return ["a price of nothing" if after == 0 else "a price that is no positive number"]
    if before:
        factor = after / before
        if factor >= NONSENSE_FACTOR:
            flags.append(f"{factor:.3g} times what it was")
        elif factor <= 1 / NONSENSE_FACTOR:
            flags.append(f"a {1 / factor:.3g}th of what it was")
    if isinstance(valid_from, date) and valid_from > today:
        flags.append(f"begins in the future, on {valid_from.isoformat()}")
    return flags


def fact_flags(field: str, before: Any, after: Any) -> list[str]:
    """Why a fact of a machine is not to be believed."""
    flags = []
    if isinstance(after, int | float) and not isinstance(after, bool) and after <= 0:
        flags.append(f"{field.replace('_', ' ')} of {after}")
    if field in NEVER_SHRINK and _number(before) and _number(after) and after < before:
        flags.append(f"{field.replace('_', ' ')} shrank")
    if field in NEVER_CHANGE and before not in (None, "") and before != after:
        flags.append("another machine under the same name")
    return flags


def zone_flags(before: str, after: str) -> list[str]:
    """Why a region's zones are not to be believed: all of them gone."""
    return ["no zone is left"] if before and not after else []


def band_flags(values: Mapping[str, Any]) -> list[str]:
    """The cheapest zone above the dearest, or the price outside both."""
    low, high, usd = (values.get(f"usd_per_hour{end}") for end in ("_low", "_high", ""))
    if low is None or high is None:
        return []
    return [] if _number(usd) and low <= usd <= high else ["the price lies outside its zones'"]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
