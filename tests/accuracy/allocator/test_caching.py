"""The simulated allocator by hand: sizes, splits, the best fit, what goes back to the driver."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from planner.accuracy.allocator.caching import MIB, CachingAllocator, OutOfMemoryError, segment_bytes


@pytest.mark.parametrize(
    ("size", "segment"),
    [
        (512, 2 * MIB),
        (1 * MIB, 2 * MIB),
        (1 * MIB + 512, 20 * MIB),
        (10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB),
        (11 * MIB, 12 * MIB),
        (101 * MIB, 102 * MIB),
    ],
)
def test_segments_are_two_twenty_or_ones_own(size: int, segment: int) -> None:
    assert segment_bytes(size) == segment
    allocator = CachingAllocator()
    assert allocator.allocate(size).size in (size, segment)
    assert allocator.reserved == segment


def test_sizes_are_rounded_to_512_bytes() -> None:
    allocator = CachingAllocator()
    assert [allocator.allocate(size).size for size in (1, 512, 513)] == [512, 512, 1024]
    assert (allocator.allocated, allocator.reserved) == (2048, 2 * MIB)


def test_a_large_block_is_split_where_over_a_mebibyte_is_left() -> None:
    for freed, wanted, size in ((40, 39, 40), (40, 38.5, 38.5), (40, 30, 30)):
        allocator = CachingAllocator()
        allocator.release(allocator.allocate(freed * MIB))
        assert allocator.allocate(wanted * MIB).size == size * MIB
        assert allocator.reserved == freed * MIB
    # With expandable segments whatever is left over is split off.
    allocator = CachingAllocator(expandable=True)
    allocator.release(allocator.allocate(40 * MIB))
    assert allocator.allocate(39 * MIB).size == 39 * MIB


def test_the_smallest_block_that_is_large_enough_serves() -> None:
    allocator = CachingAllocator()
    blocks = [allocator.allocate(size * MIB) for size in (60, 30, 44)]
    for block in blocks:
        allocator.release(block)
    assert allocator.allocate(40 * MIB).address == blocks[2].address
    # On another stream none of them serves.
    allocator.allocate(40 * MIB, stream=1)
    assert allocator.reserved == (60 + 30 + 44 + 40) * MIB


def test_freed_neighbours_join() -> None:
    allocator = CachingAllocator()
    allocator.release(allocator.allocate(60 * MIB))
    parts = [allocator.allocate(20 * MIB) for _ in range(3)]
    assert allocator.reserved == 60 * MIB
    for part in (parts[0], parts[2], parts[1]):
        allocator.release(part)
    assert allocator.allocate(60 * MIB).address == parts[0].address


def test_the_cache_goes_back_before_an_allocation_fails() -> None:
    allocator = CachingAllocator(limit=100 * MIB)
    allocator.release(allocator.allocate(60 * MIB))
    allocator.allocate(80 * MIB)
    assert (allocator.reserved, allocator.given_back) == (80 * MIB, 1)
    with pytest.raises(OutOfMemoryError):
        allocator.allocate(30 * MIB)


def test_a_block_in_use_holds_its_whole_segment_but_not_an_expandable_one() -> None:
    for expandable in (False, True):
        allocator = CachingAllocator(limit=100 * MIB, expandable=expandable)
        allocator.release(allocator.allocate(80 * MIB))
        allocator.allocate(12 * MIB)
        if not expandable:
            with pytest.raises(OutOfMemoryError):
                allocator.allocate(70 * MIB)
        else:
            allocator.allocate(70 * MIB)
            assert allocator.reserved == 100 * MIB


def test_an_expandable_segment_grows_by_what_is_lacking() -> None:
    allocator = CachingAllocator(expandable=True)
    first = allocator.allocate(40 * MIB)
    allocator.release(first)
    assert allocator.allocate(90 * MIB).address == first.address
    # In pages of 20 MiB.
    assert allocator.reserved == 100 * MIB


@pytest.mark.parametrize("expandable", [False, True])
def test_no_byte_is_lost_or_given_twice(expandable: bool) -> None:
    draw = random.Random(7)
    allocator, alive = CachingAllocator(expandable=expandable, limit=6000 * MIB), []
    for _ in range(3000):
        if alive and (draw.random() < 0.45 or allocator.allocated > 2000 * MIB):
            allocator.release(alive.pop(draw.randrange(len(alive))))
        else:
            alive.append(
                allocator.allocate(min(draw.lognormvariate(15, 2), 200 * MIB), stream=draw.randrange(2))
            )
    assert sum(block.size for block in alive) == allocator.allocated
    spans = sorted((block.address, block.address + block.size) for block in alive)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert allocator.allocated <= allocator.reserved <= allocator.limit
    for block in alive:
        allocator.release(block)
    allocator.give_back()
    assert (allocator.allocated, allocator.reserved) == (0, 0)
