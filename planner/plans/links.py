"""Links to a plan: one that keeps the day of its prices and the constants, and what has changed since then.

A kept link names the day, the constants' version and the figures that were read. Prices of that day are
looked up again; earlier constants are not at hand, so what they said stands in the link itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import sha256
from urllib.parse import urlencode

from planner.accuracy.calibration import (
    INTERVALS_FILE,
    MEMORY_FILE,
    ROLLOUT_FILE,
    TIMING_FILE,
    shipped_calibration,
)
from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans.form import ScenarioForm, valid_day
from planner.plans.scenario import answer, form_with
from planner.web import formats

#: Names in the address beside the form's fields.
AS_OF, CONSTANTS, WAS = "as_of", "constants", "was"
#: Figures that differ by less are the same: the link keeps five digits of them.
SAME = 1e-4


@lru_cache(maxsize=1)
def constants_version() -> str:
    """Eight digits that change with any constant or range that a plan is computed with."""
    files = (TIMING_FILE, MEMORY_FILE, ROLLOUT_FILE, INTERVALS_FILE)
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


@lru_cache(maxsize=1)
def constants_day() -> date | None:
    """The day on which the constants were last fitted, None where no file says so."""
    days = [str(each.get("fitted_on", "")) for each in shipped_calibration().provenance.values()]
    return valid_day(max(days, default=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a kept link says. usd: None where the plan had no cost."""

    as_of: date
    constants: str
    time_s: float
    memory_bytes: float
    usd: float | None


def kept_in(address: Mapping[str, str]) -> Kept | None:
    """What an address keeps; None where it keeps nothing that can be read."""
    day = valid_day(address.get(AS_OF, ""))
    try:
        time_s, memory_bytes, *usd = [float(each) for each in address.get(WAS, "").split("_")]
    except ValueError:
        return None
    if day is None or not time_s > 0 < memory_bytes or len(usd) > 1:
        return None
    return Kept(
        as_of=day,
        constants=address.get(CONSTANTS, "")[:8],
        time_s=time_s,
        memory_bytes=memory_bytes,
        usd=usd[0] if usd else None,
    )


def kept_query(form: ScenarioForm, result: PlanResult, *, as_of: date) -> str:
    """The address that keeps the prices of a day, the constants' version and what they say."""
    figures = [result.time.total_s, result.memory.per_accelerator_bytes.total]
    figures += [] if result.cost is None else [result.cost.usd]
    own_day = form.values["price_on"]
    kept = {
        AS_OF: as_of.isoformat(),
        CONSTANTS: constants_version(),
        WAS: "_".join(f"{figure:.5g}".replace("e+", "e") for figure in figures),
    }
    return f"{form.query(price_on=own_day or as_of.isoformat())}&{urlencode(kept)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What a reader of a kept link is told. live: the address that follows prices and constants."""

    as_of: str
    sentences: tuple[str, ...]
    live: str


def since(form: ScenarioForm, question: PlanRequest, result: PlanResult, kept: Kept, *, today: date) -> Since:
    """What has changed since a link was made: the prices, or the constants, or nothing.

    result: the plan at the prices that the link keeps, by the constants of now.
    """
    follows = form.values["price_on"] == kept.as_of.isoformat()
    live = form.query(price_on="") if follows else form.query()
    told = [constants_words(result, kept)]
    if follows and kept.as_of < today and result.cost is not None:
        try:
            _, now = answer(form_with(form, price_on=""))
        except PlanErrors:
            told.append("At today's prices this plan can no longer be bought.")
        else:
            told.append(price_words(result, now))
    return Since(as_of=formats.day(kept.as_of), sentences=tuple(told), live=live)


def constants_words(result: PlanResult, kept: Kept) -> str:
    """What other constants have changed."""
    memory_bytes = result.memory.per_accelerator_bytes.total
    usd = None if result.cost is None else result.cost.usd
    pairs = [
        ("time", formats.duration, kept.time_s, result.time.total_s),
        ("memory", formats.gib, kept.memory_bytes, memory_bytes),
    ]
    if kept.usd is not None and usd is not None:
        pairs.append(("cost", formats.dollars, kept.usd, usd))
    moved = [
        f"{name} {write(before)} then, {write(now)} now"
        for name, write, before, now in pairs
        if abs(now / before - 1.0) > SAME
    ]
    same = kept.constants == constants_version()
    if same and not moved:
        return "The constants are the same as then, and so are the figures."
    if not moved:
        return "The constants have changed since then; the figures of this plan have not."
    cause = "The catalog's facts or the program" if same else "The constants"
    return f"{cause} changed since then, at the same prices: {'; '.join(moved)}."


def price_words(result: PlanResult, now: PlanResult) -> str:
    """What today's price changes. now: the same plan at the prices of today."""
    assert result.cost is not None
    if now.cost is None:
        return "No price of it is known today."
    before, today = result.cost.price_usd_per_node_hour, now.cost.price_usd_per_node_hour
    if abs(today / before - 1.0) <= SAME if before else today == before:
        return "Its price is the same today."
    return (
        f"The price moved from {formats.dollars_per_hour(before)} to {formats.dollars_per_hour(today)} per "
        f"node: {formats.dollars(result.cost.usd)} then, {formats.dollars(now.cost.usd)} at today's."
    )


def terms_elsewhere(values: Mapping[str, str], catalog: Catalog, instance: str) -> dict[str, str]:
    """Form fields that are emptied for the plan's run on another machine: one's own price is that of a
    machine, and a discount that of a provider.

    values: of the form.  instance: the other machine's slug.
    """
    own = values["instance"]
    if instance == own and not values["chip"]:
        return {}
    try:
        alike = catalog.instance(own).spec.provider == catalog.instance(instance).spec.provider
    except UnknownSlugError:
        alike = False
    return {"usd": ""} if alike else {"usd": "", "discount": ""}
