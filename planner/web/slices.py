"""A GPU drawn as its memory slices, to scale: the columns that each MIG instance takes, and what is free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Numbers of columns that the stylesheet has; a GPU of another number is drawn in the next larger one.
COLUMNS = (4, 8, 12)


@dataclass(frozen=True, slots=True)
class Block:
    """An instance or a free slice. start, span: columns, the first is 1.  css: its state.

    label: what stands in it.  words: what it is, for who hears the page.
    """

    start: int
    span: int
    label: str
    words: str
    css: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One GPU, or several that are alike. unused: compute and memory slices that nothing takes, in words."""

    title: str
    columns: int
    blocks: tuple[Block, ...]
    unused: str = ""


def with_free_slices(instances: Iterable[Block], memory_slices: int) -> tuple[Block, ...]:
    """The instances and the free memory slices between them, from the first column on."""
    found = list(instances)
    taken = {column for block in found for column in range(block.start, block.start + block.span)}
    found += [
        Block(column, 1, "", f"memory slice {column - 1}: free", "free")
        for column in range(1, memory_slices + 1)
        if column not in taken
    ]
    return tuple(sorted(found, key=lambda block: block.start))


def columns_for(memory_slices: int) -> int:
    """The columns that a GPU of so many memory slices is drawn in."""
    return next((count for count in COLUMNS if count >= memory_slices), COLUMNS[-1])
