"""A document of which each measurement writes its own section and leaves the others as they are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PERFORMANCE = ROOT / "docs" / "performance.md"


def put(document: Path, name: str, text: str) -> None:
    """Write a section between its marks, at the end where the document has none of this name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before = document.read_text(encoding="utf-8")
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in before:
        head, _, rest = before.partition(begin)
        _, _, tail = rest.partition(end)
        after = head + section + tail
    else:
        after = f"{before.rstrip()}\n\n{section}\n"
    document.write_text(after, encoding="utf-8")
