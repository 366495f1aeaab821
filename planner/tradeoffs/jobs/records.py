"""What is said of a search in the background. Plain records; no database here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

State = Literal["waiting", "running", "merging", "done", "cancelled", "failed", "lost"]
ENDED: tuple[State, ...] = ("done", "cancelled", "failed", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A search at a moment.

    key: names the job.  state: ``lost`` means that a worker ended without a word; offer to resume.
    plans, plans_done: layouts to look at and looked at (those that a bound ruled out count as looked at).
    parts, parts_done: how the search is split.  front: plans on the front so far, fastest first, each
    ``{"cluster", "layout", "total_s", "usd"}`` in the contract's words.
    started_at: when it was asked for.  elapsed_s: seconds since then, until its end.
    problem, remedy: what went wrong and what to do, "" where nothing did.
    """

    key: str
    state: State
    plans: int
    plans_done: int
    parts: int
    parts_done: int
    front: tuple[dict[str, Any], ...]
    started_at: datetime
    elapsed_s: float
    problem: str = ""
    remedy: str = ""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        if self.state == "done":
            return 1.0
        return min(1.0, self.plans_done / self.plans) if self.plans else 0.0

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more unless someone resumes it."""
        return self.state in ENDED

    @property
    def can_resume(self) -> bool:
        """Whether ``resume`` would go on with it."""
        return self.state in ("cancelled", "failed", "lost")

    def as_json(self) -> dict[str, Any]:
        """For JSON Lines and the page's script."""
        return {
            "key": self.key,
            "state": self.state,
            "evaluated": self.plans_done,
            "plans": self.plans,
            "share": self.share,
            "elapsed_s": self.elapsed_s,
            "front": list(self.front),
            "problem": self.problem,
            "remedy": self.remedy,
        }
