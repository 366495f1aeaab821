"""The trace of reinforcement learning: what it adds to a training step's memory and seconds."""

from __future__ import annotations

from planner.engine.trace import TermTemplate

PPO_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="ppo_weights",
        value="memory.terms[ppo_weights]",
        unit="byte",
        parent="weights",
        part=True,
        formula="critic's weights, and the frozen weights of reference and reward",
        source="one model trains at a time; the others keep their states or weights (Ouyang et al. 2022)",
        optional=True,
    ),
    TermTemplate(
        name="ppo_gradients",
        value="memory.terms[ppo_gradients]",
        unit="byte",
        parent="gradients",
        part=True,
        formula="critic's gradients",
        source="one model trains at a time; the others keep their states or weights (Ouyang et al. 2022)",
        optional=True,
    ),
    TermTemplate(
        name="ppo_optimizer_states",
        value="memory.terms[ppo_optimizer_states]",
        unit="byte",
        parent="optimizer_states",
        part=True,
        formula="critic's optimizer states",
        source="one model trains at a time; the others keep their states or weights (Ouyang et al. 2022)",
        optional=True,
    ),
    TermTemplate(
        name="ppo_activations",
        value="memory.terms[ppo_activations]",
        unit="byte",
        parent="activations",
        part=True,
        formula="what the critic's training or the key-value cache of {step.terms[generation_sequences]:.0f}"
        " sequences needs beyond the actor's activations",
        source="one model trains at a time; the others keep their states or weights (Ouyang et al. 2022)",
        optional=True,
    ),
)
