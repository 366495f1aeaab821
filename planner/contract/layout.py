"""The ``layout`` of a request: ``"auto"``, or the degrees that are asked for.

Kinds and signs are checked here; whether degrees divide what they must is the engine's to say.
"""

from __future__ import annotations

from typing import Any, cast, get_args

from planner.contract.section import Problems, Section, described
from planner.engine.question.request import LayoutRequest, Recompute, Sharding

MAX_DEGREE = 1_000_000_000
"""More than the ranks of 100,000 nodes with 1,024 accelerators each."""
DEGREES = (
    "tensor_parallel",
    "pipeline_parallel",
    "interleaved_stages",
    "context_parallel",
    "expert_parallel",
    "data_parallel",
    "sharding_group",
    "micro_batch_size",
    "gradient_accumulation",
)
FIELDS = (*DEGREES, "sequence_parallel", "sharding", "activation_recompute")


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
    section.only(FIELDS)
    degrees = {name: section.optional_whole(name, maximum=MAX_DEGREE) for name in DEGREES}
    return LayoutRequest(
        **degrees,
        sequence_parallel=section.flag("sequence_parallel"),
        sharding=cast(Sharding | None, section.choice("sharding", get_args(Sharding))),
        activation_recompute=cast(
            Recompute | None, section.choice("activation_recompute", get_args(Recompute))
        ),
    )
