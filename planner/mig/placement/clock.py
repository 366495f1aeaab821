"""How long a search may go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import get_ident
from time import monotonic, thread_time

USUAL_PROCESSOR_S, USUAL_LONGEST_S = 4.0, 12.0
"""What a search may take where no limit is asked for: processor time, so that a machine that is busy with
other things gives the same answer, and by the clock at the most."""
LEAST_S = 0.05


@dataclass(frozen=True, slots=True)
class Clock:
    """The time that is left of a search.  limit_s: seconds by the clock; None: the usual."""

    limit_s: float | None = None
    began: float = field(default_factory=monotonic)
    processor_began: float = field(default_factory=thread_time)
    thread: int = field(default_factory=get_ident)

    @property
    def elapsed_s(self) -> float:
        """Seconds by the clock since the search began."""
        return monotonic() - self.began

    @property
    def left_s(self) -> float:
        """Seconds by the clock that one more step may take; at or below zero where the time is up."""
        if self.limit_s is not None:
            return self.limit_s - self.elapsed_s
        longest = USUAL_LONGEST_S - self.elapsed_s
        here = get_ident() == self.thread  # a stream may go on in another thread, whose time is its own
        spent = thread_time() - self.processor_began if here else self.elapsed_s
        return longest if spent < USUAL_PROCESSOR_S else min(longest, 0.0)

    def share(self, part: float) -> float:
        """A part of what is left, and never nothing."""
        return max(LEAST_S, part * self.left_s)
