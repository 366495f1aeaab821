"""A GPU drawn as its memory slices, to scale: the columns that each MIG instance takes, and what is free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Numbers of columns that the stylesheet has; a GPU of another number is drawn in the next larger one.
COLUMNS = (4, 8, 12, 16)
COMPUTE_COLUMNS = (4, 7, 8, 12, 16)


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

    @property
    def parts(self) -> tuple[str, ...]:
        """The label where a narrow block may break it: ``1g.`` and ``5gb``."""
        head, dot, tail = self.label.partition(".")
        return (head + dot, tail) if dot else (self.label,)


@dataclass(frozen=True, slots=True)
class Picture:
    """One GPU, or several that are alike. unused: compute and memory slices that nothing takes, in words.

    compute, compute_columns: its compute slices in the same way, as many as its instances take; () where that
    is not known. They have no places, so that they stand in the order of the instances.
    """

    title: str
    columns: int
    blocks: tuple[Block, ...]
    unused: str = ""
    compute: tuple[Block, ...] = ()
    compute_columns: int = 0


def with_free_slices(
    instances: Iterable[Block], slices: int, kind: str = "memory slice"
) -> tuple[Block, ...]:
    """The instances and the free slices between them, from the first column on."""
    found = list(instances)
    taken = {column for block in found for column in range(block.start, block.start + block.span)}
    found += [
        Block(column, 1, "", f"{kind} {column - 1}: free", "free")
        for column in range(1, slices + 1)
        if column not in taken
    ]
    return tuple(sorted(found, key=lambda block: block.start))


def columns_for(slices: int, choices: Sequence[int] = COLUMNS) -> int:
    """The columns that so many slices are drawn in."""
    return next((count for count in choices if count >= slices), choices[-1])


def packed(spans: Iterable[tuple[int, str, str, str]], slices: int) -> tuple[Block, ...]:
    """Blocks one after the other, and what is free after them: (span, label, words, css) each."""
    found, column = [], 1
    for span, label, words, css in spans:
        found.append(Block(column, span, label, words, css))
        column += span
    return with_free_slices(found, slices, "compute slice")
