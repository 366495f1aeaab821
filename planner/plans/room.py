"""How much room a plan has, and its chance to fit, in the words that all pages share."""

from __future__ import annotations

from planner.engine.question.result import PlanResult, Verdict
from planner.web import formats

VERDICTS: dict[Verdict, str] = {"fits": "fits", "tight": "tight", "does_not_fit": "does not fit"}
#: Share of the memory under which what is left, or lacking, is told in words: no estimate is that exact.
HAIR = 0.005


def in_ten(chance: float) -> int:
    """A chance in whole tenths, from 1 to 9: neither never nor always is claimed."""
    return min(9, max(1, round(10 * chance)))


def in_cases(chance: float) -> str:
    """``fits in about 6 of 10 cases``."""
    return f"fits in about {in_ten(chance)} of 10 cases"


def room(result: PlanResult) -> str:
    """What is left of the memory, or what it lacks: ``21.0 GiB to spare``, ``no room to spare``."""
    memory = result.memory
    spare = memory.usable_bytes - memory.per_accelerator_bytes.total
    if spare < 0:
        narrowly = -spare < HAIR * memory.usable_bytes
        return "by a hair" if narrowly else f"{formats.gib(-spare)} too much"
    return "no room to spare" if spare < HAIR * memory.usable_bytes else f"{formats.gib(spare)} to spare"
