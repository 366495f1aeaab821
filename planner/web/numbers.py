"""Whole numbers as written in an address: ASCII digits, and no more of them than any of ours has."""

from __future__ import annotations

MOST_DIGITS = 18
"""Fits every database's largest whole number."""


def whole(text: str) -> int | None:
    """The number, or None for anything else (also other scripts' digits, which ``str.isdigit`` passes)."""
    if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS:
        return int(text)
    return None
