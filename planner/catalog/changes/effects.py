"""What changes would do to plans: asked before they are accepted, by applying them and taking that back.

Plans are not this room's business. Who has some registers a function that is given the catalog before and
after;
the app's start does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from planner.catalog.changes.models import Change
from planner.catalog.changes.services import Outcome, rehearse
from planner.catalog.facts.catalog import Catalog
from planner.catalog.selectors import catalog_of_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEffect:
    """One plan's bill before and after, in USD; None where it cannot be priced."""

    name: str
    usd_before: float | None
    usd_after: float | None

    @property
    def percent(self) -> float | None:
        """Change in per cent; None where one of them is unknown."""
        if not self.usd_before or self.usd_after is None:
            return None
        return (self.usd_after / self.usd_before - 1.0) * 100.0

    @property
    def changes(self) -> bool:
        """Whether the bill is another one."""
        return self.usd_before != self.usd_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What accepting would do: to plans, and which changes could not be applied."""

    kind: str
    effects: tuple[PlanEffect, ...]
    outcome: Outcome

    @property
    def changed(self) -> tuple[PlanEffect, ...]:
        """The plans whose bill changes, the largest change first."""
        found = [effect for effect in self.effects if effect.changes]
        return tuple(sorted(found, key=lambda effect: -abs(effect.percent or 0.0)))

    @property
    def sentence(self) -> str:
        """ "12 of 20 saved plans change, the largest by -44.0 %"."""
        changed, count = self.changed, len(self.effects)
        if not changed:
            return (
                f"None of {count} {self.kind} changes." if count else f"There are no {self.kind} to look at."
            )
        largest = changed[0].percent
        by = "" if largest is None else f", the largest by {largest:+.1f} %".replace("-", "−")
        return f"{len(changed)} of {count} {self.kind} {'changes' if len(changed) == 1 else 'change'}{by}."


Provider = Callable[[Catalog, Catalog], list[PlanEffect]]
_providers: dict[str, Provider] = {}


def register(kind: str, provider: Provider) -> None:
    """Have plans looked at; kind: what they are called in the plural, as "saved plans"."""
    _providers[kind] = provider


def preview(changes: Iterable[Change]) -> list[Preview]:
    """What accepting these changes would do to every kind of plans. Nothing is written."""
    before = catalog_of_rows()
    outcome, after = rehearse(changes)
    return [
        Preview(kind=kind, effects=tuple(provider(before, after)), outcome=outcome)
        for kind, provider in _providers.items()
    ]
