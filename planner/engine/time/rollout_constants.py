"""The constants of generation and of a round's hand-overs: few, each with a prior and a source in
``rollout_priors.csv``, fitted to the phases of published runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConstants:
    """The fitted constants of reinforcement learning; ratios unless the name has a unit.

    decode_bandwidth: share of peak memory bandwidth that decoding reaches.  engine_layer_s, eager_layer_s:
    kernels of one block that neither traffic nor arithmetic accounts for, captured in graphs or launched one
    by one.  engine_step_s: host time of one engine step.  engine_sequence_s: host time of one sequence in one
    engine step.  stage_visit_s: host time of one static batch on one pipeline stage.
    reduction_s, network_reduction_s: one small all-reduce within a node and between nodes.
    synchronization_bandwidth: share of the slowest link that new weights travel at.  update_bytes_per_s: at
    which a rank of the engine takes them in.  handover_s: putting an engine to sleep and waking it, per
    round.  round_s: what a round takes beside its phases.
    response_variation: standard deviation of response lengths over their mean where none is given.
    scoring_overhead, training_overhead: time of a forward pass that scores and of a policy update over that
    of pretraining's passes.
    """

    decode_bandwidth: float = 0.8
    engine_layer_s: float = 4e-5
    eager_layer_s: float = 5e-4
    engine_step_s: float = 4e-3
    engine_sequence_s: float = 2e-5
    stage_visit_s: float = 5e-4
    reduction_s: float = 2e-5
    network_reduction_s: float = 1e-4
    synchronization_bandwidth: float = 0.4
    update_bytes_per_s: float = 2.5e10
    handover_s: float = 3.0
    round_s: float = 1.0
    response_variation: float = 0.6
    scoring_overhead: float = 1.2
    training_overhead: float = 1.2

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> RolloutConstants:
        """From values by field name."""
        return cls(**{item.name: float(values[item.name]) for item in fields(cls)})
