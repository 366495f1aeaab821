"""What a launch table is made of, and what a stack has to say for itself.

Plain frozen records; they hold text as a stack writes it and compute nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from planner.engine.question.request import Framework
from planner.launch.plan import LaunchPlan


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a stack. value: as the stack writes it, "" for a flag that is merely set.

    meaning: the field's term for it, with the unit if it has one.
    """

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchTable:
    """All settings that make one stack run one plan.

    stack: its slug.  version, source: the release whose argument parser or schema was read, and the address
    of that state of its repository.  program: what the settings are given to.  left_to_you: what a run
    needs beside them.
    """

    stack: str
    label: str
    version: str
    source: str
    program: str
    settings: tuple[Setting, ...]
    left_to_you: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A training stack. frameworks: the plan's ``framework`` values that mean it.

    reasons: what of a plan it cannot express, in whole sentences, none if it can.  program, settings and
    left_to_you are asked for plans without such reasons only.
    """

    slug: str
    frameworks: tuple[Framework, ...]
    reasons: Callable[[LaunchPlan], list[str]]
    program: Callable[[LaunchPlan], str]
    settings: Callable[[LaunchPlan], list[Setting]]
    left_to_you: Callable[[LaunchPlan], list[str]]


def said(name: str, value: str | int | bool, meaning: str) -> Setting:
    """A setting whose value is written as most stacks write it: lower-case booleans, plain numbers."""
    if isinstance(value, bool):
        return Setting(name, "true" if value else "false", meaning)
    return Setting(name, str(value), meaning)


def flag(name: str, meaning: str) -> Setting:
    return Setting(name, "", meaning)
