"""Moments as hosts write them: ISO 8601 with a zone, in years that clocks can show."""

from __future__ import annotations

from datetime import UTC, datetime

#: Clocks without a battery start in 1970; nothing here outlives the other end.
EARLIEST_YEAR, LATEST_YEAR = 1970, 2199


def read_moment(text: str) -> datetime:
    """The moment in UTC. Raises ValueError for what is none, has no zone, or is of an impossible year.

    Years 1 and 9999 are dates, and yet no arithmetic with zones and intervals survives them.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("not a moment in ISO 8601") from None
    if found.tzinfo is None:
        raise ValueError("a moment needs its zone")
    if not EARLIEST_YEAR <= found.year <= LATEST_YEAR:
        raise ValueError(f"the year must be from {EARLIEST_YEAR} to {LATEST_YEAR}")
    return found.astimezone(UTC)
