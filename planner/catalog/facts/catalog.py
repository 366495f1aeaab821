"""The catalog: look-ups over accelerators, instances, prices, availability, MIG profiles and models.

Built once from plain records, wherever they come from, and read-only afterwards. It does not read the clock:
a price "as of" a day is asked for with that day.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import accumulate
from typing import Protocol, TypeVar

from planner.catalog.facts.records import (
    DEFAULT_REGIONS,
    AcceleratorRecord,
    AvailabilityRecord,
    InstanceRecord,
    MigProfileRecord,
    ModelRecord,
    PriceRecord,
)
from planner.engine.question.errors import HeadroomError


class UnknownSlugError(HeadroomError, LookupError):
    """Nothing in the catalog has this slug. suggestions: the nearest ones, best first, perhaps none."""

    def __init__(self, kind: str, slug: str, suggestions: Sequence[str]) -> None:
        hint = f" Did you mean {', '.join(suggestions)}?" if suggestions else ""
        super().__init__(f"No {kind} is called {slug!r}.{hint}")
        self.kind = kind
        self.slug = slug
        self.suggestions = tuple(suggestions)


class DuplicateRecordError(HeadroomError, ValueError):
    """Two records have the same key."""


class _Slugged(Protocol):
    @property
    def slug(self) -> str: ...


_Record = TypeVar("_Record", bound=_Slugged)


class Catalog:
    """Everything that can be planned with, by slug.

    Records of one kind keep the order they were given in. Raises DuplicateRecordError where two accelerators,
    instances or models share a slug.
    """

    stands_in_for: str = ""
    """Why these are the shipped facts and not those of the database, where that can no longer be read."""

    def __init__(
        self,
        *,
        accelerators: Iterable[AcceleratorRecord] = (),
        instances: Iterable[InstanceRecord] = (),
        prices: Iterable[PriceRecord] = (),
        availability: Iterable[AvailabilityRecord] = (),
        mig_profiles: Iterable[MigProfileRecord] = (),
        models: Iterable[ModelRecord] = (),
    ) -> None:
        self._accelerators = _by_slug("accelerator", accelerators)
        self._instances = _by_slug("instance type", instances)
        self._models = _by_slug("model", models)
        self._prices: dict[str, list[PriceRecord]] = defaultdict(list)
        self._prices_of_offer: dict[tuple[str, str, str], list[PriceRecord]] = defaultdict(list)
        for price in prices:
            self._prices[price.instance_slug].append(price)
            sold_as = price.instance_slug, price.region, price.purchase
            self._prices_of_offer[sold_as].append(price)
        self._availability: dict[str, list[AvailabilityRecord]] = defaultdict(list)
        for offer in availability:
            self._availability[offer.instance_slug].append(offer)
        self._mig_profiles: dict[str, list[MigProfileRecord]] = defaultdict(list)
        for profile in mig_profiles:
            self._mig_profiles[profile.spec.accelerator_slug].append(profile)
        for slug, profiles in self._mig_profiles.items():
            self._mig_profiles[slug] = _with_whole_gpu(profiles)

    def accelerator(self, slug: str) -> AcceleratorRecord:
        """The accelerator of this slug, or of a name (``RTX A6000``, ``nvidia-h20``) that only one card has.

        Raises UnknownSlugError with similar slugs.
        """
        if slug not in self._accelerators:
            alike = [known for known in self._accelerators if _bare(known) == _bare(slug)]
            slug = alike[0] if len(alike) == 1 else slug
        return _found("accelerator", slug, self._accelerators)

    def instance(self, slug: str) -> InstanceRecord:
        """The instance type with this slug. Raises UnknownSlugError with similar slugs."""
        return _found("instance type", slug, self._instances)

    def model(self, slug: str) -> ModelRecord:
        """The model with this slug. Raises UnknownSlugError with similar slugs."""
        return _found("model", slug, self._models)

    def mig_profile(self, accelerator_slug: str, profile: str) -> MigProfileRecord:
        """The MIG profile of an accelerator. Raises UnknownSlugError with similar profiles, or similar
        accelerators where there is no such chip.
        """
        self.accelerator(accelerator_slug)
        profiles = {record.spec.profile: record for record in self._mig_profiles.get(accelerator_slug, ())}
        return _found(f"MIG profile of {accelerator_slug}", profile, profiles)

    def accelerators(self) -> tuple[AcceleratorRecord, ...]:
        """Every accelerator, in the order given."""
        return tuple(self._accelerators.values())

    def instances(self) -> tuple[InstanceRecord, ...]:
        """Every instance type, in the order given."""
        return tuple(self._instances.values())

    def models(self) -> tuple[ModelRecord, ...]:
        """Every model, in the order given."""
        return tuple(self._models.values())

    def mig_profiles(self, accelerator_slug: str | None = None) -> tuple[MigProfileRecord, ...]:
        """The MIG profiles of one accelerator (none where it has no MIG or is unknown), or of all."""
        return _of_one_or_all(self._mig_profiles, accelerator_slug)

    def prices(self, instance_slug: str | None = None) -> tuple[PriceRecord, ...]:
        """Every price ever recorded, of one instance type or of all."""
        return _of_one_or_all(self._prices, instance_slug)

    def availability(
        self, instance_slug: str | None = None, region: str | None = None
    ) -> tuple[AvailabilityRecord, ...]:
        """Offers of one instance type or of all, in one region or in all."""
        offers = _of_one_or_all(self._availability, instance_slug)
        return tuple(offer for offer in offers if region is None or offer.region == region)

    def known_to_be_offered(self, instance_slug: str, region: str) -> bool:
        """Whether the type can be had in a region, as far as is known: where no offers of its provider are
        listed at all, it is taken at its prices.
        """
        if self._availability.get(instance_slug):
            return bool(self.availability(instance_slug, region))
        provider = self.instance(instance_slug).spec.provider
        return not any(
            self._availability.get(slug)
            for slug, record in self._instances.items()
            if record.spec.provider == provider
        )

    def price(
        self, instance_slug: str, region: str, purchase: str, as_of: date | None = None
    ) -> PriceRecord | None:
        """The price in force on a day or, with ``as_of`` None, the latest that has not ended.

        None where no price is known for that region, purchase and day. Where several are in force, a
        negotiated one wins, then the payment option that asks for the least up front, then the one that began
        last.
        """
        candidates = (
            price
            for price in self._prices_of_offer.get((instance_slug, region, purchase), ())
            if (price.valid_to is None if as_of is None else price.in_force(as_of))
        )
        return max(candidates, key=_precedence, default=None)

    def oldest_list_price(self, instance_slug: str, region: str) -> PriceRecord | None:
        """The first on-demand price that is known of a machine in a region; None where none is."""
        known = (
            price
            for price in self._prices.get(instance_slug, ())
            if price.region == region and price.purchase == "on_demand" and not price.negotiated
        )
        return min(known, key=lambda price: price.valid_from, default=None)

    def regions(self, instance_slug: str) -> tuple[str, ...]:
        """Regions where the type is offered or was priced.

        The provider's default comes first if it is among them, then regions with a price today, then the
        others, each by name.
        """
        default = DEFAULT_REGIONS.get(self.instance(instance_slug).spec.provider)
        prices = self._prices.get(instance_slug, ())
        priced = {price.region for price in prices if price.valid_to is None}
        known = {price.region for price in prices}
        known.update(offer.region for offer in self._availability.get(instance_slug, ()))
        return tuple(sorted(known, key=lambda region: (region != default, region not in priced, region)))

    def purchases(self, instance_slug: str, region: str) -> tuple[str, ...]:
        """Ways to pay that have a price today in that region, in the order in which they were given."""
        return tuple(
            dict.fromkeys(
                price.purchase
                for price in self._prices.get(instance_slug, ())
                if price.region == region and price.valid_to is None
            )
        )

    def default_region(self, provider: str) -> str:
        """The region meant where none is named. Raises UnknownSlugError for an unknown provider."""
        if provider not in DEFAULT_REGIONS:
            raise UnknownSlugError("provider", provider, nearest(provider, DEFAULT_REGIONS))
        return DEFAULT_REGIONS[provider]


#: Of prices in force at once, the payment option that asks for the least up front is meant.
_UPFRONT = {"all_upfront": -2, "partial_upfront": -1}


def _precedence(price: PriceRecord) -> tuple[bool, int, date]:
    return price.negotiated, _UPFRONT.get(price.payment_option, 0), price.valid_from


def _with_whole_gpu(profiles: list[MigProfileRecord]) -> list[MigProfileRecord]:
    """Profiles of one accelerator with the slices of the whole GPU: as many as its largest profile has."""
    compute = max(record.spec.compute_slices for record in profiles)
    memory = max(record.spec.memory_slices for record in profiles)
    return [
        replace(record, spec=replace(record.spec, gpu_compute_slices=compute, gpu_memory_slices=memory))
        for record in profiles
    ]


SEPARATORS = re.compile(r"[-. ]")


def nearest(slug: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Known slugs similar to the one given, best first.

    Similar in spelling, else containing it or starting alike.
    """
    spelt = {plain(candidate): candidate for candidate in known}
    candidates = list(spelt)
    lowered = plain(slug.strip())
    if lowered in spelt:
        return [spelt[lowered]]
    tail = lowered.rsplit("/", 1)[-1]
    close = difflib.get_close_matches(tail, candidates, n=limit, cutoff=0.6)
    containing = [candidate for candidate in candidates if tail and (tail in candidate or candidate in tail)]
    # "gpt3" means gpt-3-175b, although gpt2 is closer in spelling.
    bare = "".join(SEPARATORS.split(tail))
    begun = [candidate for candidate in candidates if bare in accumulate(SEPARATORS.split(candidate))]
    near = dict.fromkeys([*begun[:1], *close, *containing, *begun])
    return [spelt[candidate] for candidate in near][:limit]


def plain(slug: str) -> str:
    """A slug as names are compared: case and separators make no difference (Azure: Standard_ND...)."""
    return slug.lower().replace("_", "-").replace(" ", "-")


#: Words before a card's name that say who sells it, or to whom.
BRANDS = frozenset({"nvidia", "amd", "instinct", "intel", "google", "geforce", "quadro", "tesla", "rtx"})


def _bare(slug: str) -> tuple[str, ...]:
    return tuple(word for word in plain(slug.strip()).split("-") if word not in BRANDS)


def _by_slug(kind: str, records: Iterable[_Record]) -> dict[str, _Record]:
    by_slug: dict[str, _Record] = {}
    for record in records:
        if record.slug in by_slug:
            raise DuplicateRecordError(f"Two records of kind {kind} are called {record.slug!r}.")
        by_slug[record.slug] = record
    return by_slug


_Found = TypeVar("_Found")


def _found(kind: str, slug: str, records: Mapping[str, _Found]) -> _Found:
    if slug not in records:
        raise UnknownSlugError(kind, slug, nearest(slug, records))
    return records[slug]


def _of_one_or_all(groups: Mapping[str, list[_Found]], key: str | None) -> tuple[_Found, ...]:
    if key is not None:
        return tuple(groups.get(key, ()))
    return tuple(record for group in groups.values() for record in group)
