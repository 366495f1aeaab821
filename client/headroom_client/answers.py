"""Answers as typed records around the JSON that the server gave; ``raw`` holds all of it, to the last digit.

Shown well by rich and by notebooks, and as data frames where pandas is there; needs neither.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
SECONDS_PER_DAY, GIB = 86_400, 2**30


def frame_of(rows: list[Json]) -> Any:
    """Rows as a pandas data frame; objects in them become columns such as ``layout.tensor_parallel``."""
    import pandas as pd

    return pd.json_normalize(rows)


def span(seconds: float) -> str:
    """Seconds in the largest unit that leaves at least one of it."""
    for size, unit in ((SECONDS_PER_DAY, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


@dataclass(frozen=True, slots=True)
class Shown:
    """What all answers share: pairs of words that rich and notebooks show."""

    raw: Json = field(repr=False)

    def pairs(self) -> list[tuple[str, str]]:
        """What is shown, in order."""
        return [
            (name, str(value)) for name, value in self.raw.items() if isinstance(value, str | int | float)
        ]

    def __rich_repr__(self) -> Iterator[tuple[str, str]]:
        yield from self.pairs()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.pairs())})"

    def _repr_html_(self) -> str:
        cells = (f"<tr><th>{html.escape(n)}</th><td>{html.escape(v)}</td></tr>" for n, v in self.pairs())
        return f"<table>{''.join(cells)}</table>"


@dataclass(frozen=True, slots=True, repr=False)
class Estimate(Shown):
    """One plan: whether it fits, how long it takes, what it costs, and how each number came about."""

    @property
    def fits(self) -> bool:
        """Whether the peak is within what a rank can use."""
        return bool(self.raw["fits"])

    @property
    def verdict(self) -> str:
        """fits, tight or does_not_fit."""
        return str(self.raw["verdict"])

    @property
    def accelerators(self) -> int:
        """Chips in the plan."""
        return int(self.raw["accelerators"])

    @property
    def memory_bytes(self) -> float:
        """Peak on the fullest rank."""
        return float(self.raw["memory"]["per_accelerator_bytes"]["total"])

    @property
    def usable_bytes(self) -> float:
        """What a rank can use."""
        return float(self.raw["memory"]["usable_bytes"])

    @property
    def step_s(self) -> float:
        """Seconds of one optimizer step."""
        return float(self.raw["time"]["step_s"])

    @property
    def total_s(self) -> float:
        """Seconds of the whole run."""
        return float(self.raw["time"]["total_s"])

    @property
    def total_interval_s(self) -> tuple[float, float]:
        """80 % prediction interval of ``total_s``."""
        low, high = self.raw["time"]["total_interval_s"]
        return float(low), float(high)

    @property
    def usd(self) -> float | None:
        """Dollars of the run; None where no price is known."""
        cost = self.raw["cost"]
        return None if cost is None else float(cost["usd"])

    @property
    def layout(self) -> Json:
        """The complete layout; sent back as a request's, it asks for the same plan."""
        return dict(self.raw["layout"])

    @property
    def explanation(self) -> list[Json]:
        """Each number with its formula, the numbers in it, and its source."""
        return list(self.raw["explanation"])

    @property
    def warnings(self) -> list[str]:
        """Cautions, in words."""
        return [str(each["message"]) for each in self.raw["warnings"]]

    def pairs(self) -> list[tuple[str, str]]:
        """What is shown, in order."""
        low, high = self.total_interval_s
        cost = "no price known" if self.usd is None else f"${self.usd:,.0f}"
        return [
            ("verdict", self.verdict),
            ("memory", f"{self.memory_bytes / GIB:.1f} of {self.usable_bytes / GIB:.1f} GiB a rank"),
            ("time", f"{span(self.total_s)} ({span(low)} to {span(high)})"),
            ("cost", cost),
            ("accelerators", str(self.accelerators)),
            *([("reason", str(self.raw["reason"]))] if self.raw["reason"] else []),
        ]

    def to_frame(self) -> Any:
        """The explanation as a pandas data frame, a row a number."""
        return frame_of(self.explanation)


@dataclass(frozen=True, slots=True, repr=False)
class Found(Shown):
    """The best plans of a search."""

    @property
    def best(self) -> Estimate | None:
        """The best plan in full; None where none fits the wishes."""
        return None if self.raw["best"] is None else Estimate(self.raw["best"])

    @property
    def top(self) -> list[Json]:
        """The best plans, in short."""
        return list(self.raw["top"])

    @property
    def pareto(self) -> list[Json]:
        """Plans that no other beats in both time and cost."""
        return list(self.raw["pareto"])

    def pairs(self) -> list[tuple[str, str]]:
        """What is shown, in order."""
        best = self.best
        said = [(f"best {name}", text) for name, text in best.pairs()] if best else [("best", "none")]
        return [("evaluated", f"{self.raw['evaluated']:,}"), ("fitting", f"{self.raw['fitting']:,}"), *said]

    def to_frame(self) -> Any:
        """``top`` as a pandas data frame."""
        return frame_of(self.top)


@dataclass(frozen=True, slots=True, repr=False)
class Partitions(Shown):
    """Where each GPU instance stands, or counts of configurations."""

    @property
    def placements(self) -> list[Json]:
        """The placed instances; empty for a count."""
        return list(self.raw.get("placements", []))

    def to_frame(self) -> Any:
        """The placements as a pandas data frame."""
        return frame_of(self.placements)


@dataclass(frozen=True, slots=True)
class Listing:
    """All rows of a list, from however many pages."""

    name: str
    rows: list[Json] = field(repr=False)

    def __iter__(self) -> Iterator[Json]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | str) -> Json:
        """A row by its place, or by its slug or name. Raises KeyError, IndexError."""
        if isinstance(key, int):
            return self.rows[key]
        for row in self.rows:
            if key in (row.get("slug"), row.get("name")):
                return row
        raise KeyError(key)

    def __rich_repr__(self) -> Iterator[Any]:
        yield self.name
        yield "rows", len(self.rows)

    def _repr_html_(self) -> str:
        return str(self.to_frame()._repr_html_())

    def to_frame(self) -> Any:
        """The rows as a pandas data frame."""
        return frame_of(self.rows)


def wanted(filters: Mapping[str, Any]) -> dict[str, str]:
    """Filters that were given, as text."""
    return {name: str(value) for name, value in filters.items() if value is not None}
