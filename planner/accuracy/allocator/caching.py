"""The caching allocator of PyTorch on CUDA, block by block: what it takes from the driver for a sequence of
allocations, with and without expandable segments, and whether the sequence runs within a limit.

Sizes are rounded to 512 bytes; up to 1 MiB is served from segments of 2 MiB, up to 10 MiB from segments of
20 MiB, more from a segment of its own, rounded to 2 MiB. The smallest free block that is large enough
serves, and is split where enough is left over (512 bytes in the small pool and with expandable segments, else
over 1 MiB). Freed blocks join their free neighbours in the segment, wait on the stream that they were
allocated on, and go back to the driver only when an allocation would fail otherwise. With expandable segments
each stream and pool grows one segment in pages (2 MiB, 20 MiB), and single pages can go back.

Source: PyTorch, c10/cuda/CUDACachingAllocator.cpp (read as of 2.6), and the notes "CUDA semantics: memory
management". Not simulated: pending events of blocks used on two streams, private pools of CUDA graphs,
max_split_size, garbage collection.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

MIB = 1024**2
SMALLEST_BLOCK = 512
SMALL_SIZE = 1 * MIB
SMALL_SEGMENT = 2 * MIB
LARGE_SEGMENT = 20 * MIB
OWN_SEGMENT_FROM = 10 * MIB
OWN_SEGMENT_ROUNDING = 2 * MIB
#: Bytes of addresses of an expandable segment: more than any device has, in whole pages.
ADDRESS_SPACE = LARGE_SEGMENT << 30


class OutOfMemoryError(Exception):
    """The limit is reached although everything free was given back."""


@dataclass(slots=True, eq=False)
class Block:
    """A piece of a segment: address and size in bytes, its neighbours in the segment, and its pool.

    mapped: backed by memory (False: address space of an expandable segment alone).
    """

    address: int
    size: int
    pool: Pool
    free: bool = True
    mapped: bool = True
    before: Block | None = None
    after: Block | None = None


@dataclass(slots=True, eq=False)
class Pool:
    """Free blocks of one stream, small or large.

    free: (size, address), in order.  at: the blocks by address.  unmapped: addresses without memory, in
    order.
    """

    small: bool
    free: list[tuple[int, int]] = field(default_factory=list)
    at: dict[int, Block] = field(default_factory=dict)
    unmapped: list[int] = field(default_factory=list)

    def put(self, block: Block) -> None:
        """Offer a free block."""
        self.at[block.address] = block
        if block.mapped:
            insort(self.free, (block.size, block.address))
        else:
            insort(self.unmapped, block.address)

    def take(self, block: Block) -> None:
        """Withdraw a free block."""
        if block.mapped:
            del self.free[bisect_left(self.free, (block.size, block.address))]
        else:
            del self.unmapped[bisect_left(self.unmapped, block.address)]
        del self.at[block.address]


class CachingAllocator:
    """One device's allocator. limit: bytes that the driver can give; expandable: its segments can grow.

    allocated, reserved: bytes now; highest_allocated, highest_reserved: their maxima so far, as
    torch.cuda.max_memory_allocated and max_memory_reserved count them. given_back: times that it had to
    return its cache.
    """

    def __init__(self, *, expandable: bool = False, limit: float = float("inf")) -> None:
        self.expandable, self.limit = expandable, limit
        self.allocated = self.reserved = self.highest_allocated = self.highest_reserved = self.given_back = 0
        self._pools: dict[tuple[int, bool], Pool] = {}
        self._next_address = 0

    def allocate(self, size: float, stream: int = 0) -> Block:
        """A block of at least ``size`` bytes. Raises OutOfMemoryError."""
        rounded = max(-(-int(size) // SMALLEST_BLOCK) * SMALLEST_BLOCK, SMALLEST_BLOCK)
        pool = self._pools.setdefault((stream, rounded <= SMALL_SIZE), Pool(rounded <= SMALL_SIZE))
        block = self._cached(pool, rounded) or self._fresh(pool, rounded)
        self._split(block, rounded)
        block.free = False
        self.allocated += block.size
        self.highest_allocated = max(self.highest_allocated, self.allocated)
        return block

    def release(self, block: Block) -> None:
        """Put a block back into the cache, joined with its free neighbours."""
        self.allocated -= block.size
        block.free = True
        self._joined(block)

    def give_back(self) -> None:
        """Return to the driver what is wholly free: segments, or pages of expandable ones."""
        self.given_back += 1
        for pool in self._pools.values():
            for _, address in list(pool.free):
                block = pool.at[address]
                if self.expandable:
                    self._unmap(block, _page(pool.small))
                elif block.before is None and block.after is None:
                    pool.take(block)
                    self.reserved -= block.size

    def _cached(self, pool: Pool, size: int) -> Block | None:
        """The smallest free block that is large enough."""
        place = bisect_left(pool.free, (size, -1))
        if place == len(pool.free):
            return None
        if self.expandable:
            # A block counts with what it can still grow by, so that the end of the segment is taken last.
            while place + 1 < len(pool.free) and self._growth(pool, place + 1) < self._growth(pool, place):
                place += 1
        block = pool.at[pool.free[place][1]]
        pool.take(block)
        return block

    @staticmethod
    def _growth(pool: Pool, place: int) -> int:
        size, address = pool.free[place]
        after = pool.at[address].after
        return size + (after.size if after is not None and not after.mapped else 0)

    def _fresh(self, pool: Pool, size: int) -> Block:
        """A block from the driver; the cache is given back first where it would not fit beside it."""
        for attempt in (0, 1):
            block = self._grown(pool, size) if self.expandable else self._segment(pool, size)
            if block is not None:
                self.highest_reserved = max(self.highest_reserved, self.reserved)
                return block
            if attempt == 0:
                self.give_back()
        raise OutOfMemoryError(f"{size} bytes beside {self.reserved} of {self.limit}")

    def _segment(self, pool: Pool, size: int) -> Block | None:
        taken = segment_bytes(size)
        if self.reserved + taken > self.limit:
            return None
        self.reserved += taken
        block = Block(self._next_address, taken, pool)
        self._next_address += taken
        return block

    def _grown(self, pool: Pool, size: int) -> Block | None:
        """The lowest free stretch of the pool's address space that is long enough, mapped page by page."""
        if not pool.unmapped:
            # Address space is free: more than any device has.
            pool.put(Block(self._next_address, ADDRESS_SPACE, pool, mapped=False))
            self._next_address += 2 * ADDRESS_SPACE
        for address in pool.unmapped:
            first = pool.at[address]
            if first.before is not None and first.before.free:
                first = first.before
            stretch, room, need = first, 0, 0
            members = []
            while stretch is not None and stretch.free and room < size:
                members.append(stretch)
                if not stretch.mapped:
                    wanted = min(-(-(size - room) // _page(pool.small)) * _page(pool.small), stretch.size)
                    need += wanted
                room += stretch.size
                if stretch.after is None:
                    break
                stretch = stretch.after
            if room < size:
                continue
            if self.reserved + need > self.limit:
                return None
            return self._mapped(pool, members, size)
        return None

    def _mapped(self, pool: Pool, members: list[Block], size: int) -> Block:
        """Back the stretch with memory and make one block of it."""
        page = _page(pool.small)
        whole: Block | None = None
        for block in members:
            pool.take(block)
            if not block.mapped:
                have = 0 if whole is None else whole.size
                wanted = min(-(-(size - have) // page) * page, block.size)
                if wanted < block.size:
                    self._cut(block, wanted)
                block.mapped = True
                self.reserved += wanted
            if whole is None:
                whole = block
            else:
                whole.size += block.size
                whole.after = block.after
                if block.after is not None:
                    block.after.before = whole
        assert whole is not None
        return whole

    def _cut(self, block: Block, size: int) -> None:
        """Leave ``size`` bytes in the block; the rest becomes a free block behind it."""
        rest = Block(block.address + size, block.size - size, block.pool, mapped=block.mapped)
        rest.before, rest.after = block, block.after
        if block.after is not None:
            block.after.before = rest
        block.after, block.size = rest, size
        block.pool.put(rest)

    def _split(self, block: Block, size: int) -> None:
        left = block.size - size
        smallest = SMALLEST_BLOCK if block.pool.small or self.expandable else SMALL_SIZE + 1
        if left >= smallest:
            self._cut(block, size)

    def _joined(self, block: Block) -> None:
        pool = block.pool
        before, after = block.before, block.after
        if before is not None and before.free and before.mapped == block.mapped:
            pool.take(before)
            before.size += block.size
            before.after = block.after
            if block.after is not None:
                block.after.before = before
            block = before
        if after is not None and after.free and after.mapped == block.mapped:
            pool.take(after)
            block.size += after.size
            block.after = after.after
            if after.after is not None:
                after.after.before = block
        pool.put(block)

    def _unmap(self, block: Block, page: int) -> None:
        """Return the whole pages of a free block of an expandable segment."""
        start = -(-block.address // page) * page
        end = (block.address + block.size) // page * page
        if end <= start:
            return
        block.pool.take(block)
        if block.address + block.size > end:
            self._cut(block, end - block.address)
        if start > block.address:
            head = start - block.address
            rest = Block(start, block.size - head, block.pool)
            rest.before, rest.after = block, block.after
            if block.after is not None:
                block.after.before = rest
            block.after, block.size = rest, head
            block.pool.put(block)
            block = rest
        self.reserved -= block.size
        block.mapped = False
        self._joined(block)


def segment_bytes(size: int) -> int:
    """Bytes that are asked of the driver for a block of ``size`` bytes."""
    if size <= SMALL_SIZE:
        return SMALL_SEGMENT
    if size < OWN_SEGMENT_FROM:
        return LARGE_SEGMENT
    return -(-size // OWN_SEGMENT_ROUNDING) * OWN_SEGMENT_ROUNDING


def _page(small: bool) -> int:
    return SMALL_SEGMENT if small else LARGE_SEGMENT
