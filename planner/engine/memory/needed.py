"""Whether a plan fits: the total of a rank alone, without the terms that explain it.

What is counted on a rank (``Held``) depends on the run, the layout and the chip's architecture, not on how
much memory, network or host a machine has. So machines that differ in nothing else share one count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import anywhere, on_scalars
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.peak import (
    beside,
    counted_on_stages,
    fullest,
    heights_of,
    least_that_runs,
    ranks_on_node,
)

#: What a plan counts that the host cannot hold: it never fits, but such plans keep their order.
HOST_SHORT = 1e6


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes of each plan whatever the size of the machine's memories, shape (plans,) or broadcasting to it.

    allocated: on the fullest stage.  wished_reserve: what the allocator would hold beside it if memory were
    unlimited.  unusable: what must be free beside it.  host: in the host's memory, by one rank.
    """

    allocated: Array
    wished_reserve: Array
    unusable: Array
    host: Array

    def over(self, plans: int) -> Held:
        """Each of shape (plans,)."""
        shape = (plans,)
        return Held(
            np.broadcast_to(self.allocated, shape),
            np.broadcast_to(self.wished_reserve, shape),
            np.broadcast_to(self.unusable, shape),
            np.broadcast_to(self.host, shape),
        )

    def at(self, part: slice) -> Held:
        """Some of the plans."""
        return Held(self.allocated[part], self.wished_reserve[part], self.unusable[part], self.host[part])

    @staticmethod
    def joined(parts: list[Held]) -> Held:
        """The plans of all parts, in order."""
        return Held(
            np.concatenate([part.allocated for part in parts]),
            np.concatenate([part.wished_reserve for part in parts]),
            np.concatenate([part.unusable for part in parts]),
            np.concatenate([part.host for part in parts]),
        )


def held_per_rank(grid: PlanGrid, constants: MemoryConstants) -> Held:
    """What each plan holds, bytes. Of the machine only its architecture is read.

    Source: as ``memory_per_rank``.
    """
    grid = on_scalars(grid)
    counted = counted_on_stages(grid, constants)
    heights = [heights_of(each, constants) for each in counted]
    allocated = fullest([each.highest for each in heights])
    host = fullest([each.values["host_bytes_of_rank"] for each in counted])
    wished = fullest([each.seen for each in heights]) - allocated
    return Held(allocated, wished, fullest([each.unusable for each in heights]), host)


def needed_per_rank(grid: PlanGrid, constants: MemoryConstants, held: Held | None = None) -> Array:
    """The least that a rank must have for each plan to run, bytes, shape (plans,): above its memory exactly
    where ``total_per_rank`` is, and equal to ``memory_per_rank(...).needed``.

    held: of the same plans, where it is known already.
    Plans whose host is too small for what they offload count HOST_SHORT times. Source: ``least_that_runs``.
    """
    grid = on_scalars(grid)
    held = held_per_rank(grid, constants) if held is None else held
    context, communication, reserve = beside(grid, constants, held.allocated, held.wished_reserve)
    least = least_that_runs(constants, held.allocated, unusable=held.unusable, reserve=reserve)
    needed = least + (context + communication)
    found: Array = np.where(within_host(grid, held), needed, HOST_SHORT * needed)
    return found


def total_per_rank(grid: PlanGrid, constants: MemoryConstants, held: Held | None = None) -> Array:
    """``memory_per_rank(...).total`` alone, bytes, shape (plans,), equal to the last digit and cheaper.

    held: of the same plans, where it is known already. Searches use it, since they need nothing else to
    decide what fits. Source: as ``memory_per_rank``.
    """
    grid = on_scalars(grid)
    held = held_per_rank(grid, constants) if held is None else held
    held_back = beside(grid, constants, held.allocated, held.wished_reserve)
    total: Array = held.allocated + (held_back[0] + held_back[1] + held_back[2])
    return total


def within_host(grid: PlanGrid, held: Held) -> Any:
    """Flags, shape (plans,): whether what is offloaded fits the memory of a node's CPUs.

    True where nothing is offloaded, or where that memory is not known. Source: as ``memory_per_rank``.
    """
    grid = on_scalars(grid)
    if not anywhere(grid.offload + grid.offload_parameters + grid.offload_activations):
        return np.True_
    return ~(held.host * ranks_on_node(grid) > grid.host_memory_bytes)
