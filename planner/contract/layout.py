"""The ``layout`` of a request: ``"auto"``, or the degrees that are asked for.

Kinds and signs are checked here; whether degrees divide what they must is the engine's to say.
"""

from __future__ import annotations

from typing import Any

from planner.contract.fields import LAYOUT
from planner.contract.section import Problems, Section, described
from planner.engine.question.request import LayoutRequest


def read_layout(data: Any, problems: Problems) -> LayoutRequest:
    """The layout asked for; absent, null, ``"auto"`` and ``{}`` all leave everything to the engine."""
    if data is None or data == "auto":
        return LayoutRequest()
    if not isinstance(data, dict):
        problems.add(
            "layout",
            data,
            f'"auto" or an object is wanted here, not {described(data)}.',
            'Write "auto", or for example {"tensor_parallel": 8, "pipeline_parallel": 1}.',
        )
        return LayoutRequest()
    section = Section(data, "layout", problems)
    section.only(LAYOUT.names)
    return LayoutRequest(**section.read_all(LAYOUT.fields))
