"""The trace of reinforcement learning: what it adds to a training step's memory and seconds."""

from __future__ import annotations

from planner.engine.trace import TermTemplate

ONE_TRAINS = "one model trains at a time; the others keep their states or weights (Ouyang et al. 2022)"
ENGINE = "Kwon et al. 2023, section 4; Sheng et al. 2024 (HybridFlow), section 5"

PPO_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="ppo_weights",
        value="memory.terms[ppo_weights]",
        unit="byte",
        parent="weights",
        part=True,
        formula="critic's weights",
        source=ONE_TRAINS,
        optional=True,
    ),
    TermTemplate(
        name="frozen_models",
        value="memory.terms[frozen_models]",
        unit="byte",
        parent="weights",
        part=True,
        formula="the frozen weights of reference and reward",
        source=ONE_TRAINS,
        optional=True,
    ),
    TermTemplate(
        name="generation_weights",
        value="memory.terms[generation_weights]",
        unit="byte",
        parent="weights",
        part=True,
        formula="the engine's weights on {step.terms[generation_tensor]:.0f} x"
        " {step.terms[generation_stages]:.0f} ranks, as far as they exceed what training moves",
        source=ENGINE,
        optional=True,
    ),
    TermTemplate(
        name="ppo_gradients",
        value="memory.terms[ppo_gradients]",
        unit="byte",
        parent="gradients",
        part=True,
        formula="critic's gradients",
        source=ONE_TRAINS,
        optional=True,
    ),
    TermTemplate(
        name="ppo_optimizer_states",
        value="memory.terms[ppo_optimizer_states]",
        unit="byte",
        parent="optimizer_states",
        part=True,
        formula="critic's optimizer states",
        source=ONE_TRAINS,
        optional=True,
    ),
    TermTemplate(
        name="ppo_activations",
        value="memory.terms[ppo_activations]",
        unit="byte",
        parent="activations",
        part=True,
        formula="what the critic's training needs beyond the actor's activations",
        source=ONE_TRAINS,
        optional=True,
    ),
    TermTemplate(
        name="generation_cache",
        value="memory.terms[generation_cache]",
        unit="byte",
        parent="activations",
        part=True,
        formula="keys and values of {step.terms[generation_sequences]:.0f} sequences at once, as far as they"
        " exceed what training moves",
        source=ENGINE,
        optional=True,
    ),
    TermTemplate(
        name="generation",
        value="step.terms[generation]",
        unit="s",
        parent="step_s",
        part=True,
        formula="{step.terms[round_sequences]:.0f} answers of {step.terms[response_tokens]:.0f} tokens on"
        " average, {step.terms[generation_sequences]:.0f} at a time on each of"
        " {step.terms[generation_replicas]:.0f} replicas; the longest is awaited",
        source="Pope et al. 2022, section 2.1 (weights and cache are read once a token); Yu et al. 2022"
        " (Orca), section 3 (continuous batching); order statistics of the lengths",
        optional=True,
    ),
    TermTemplate(
        name="waiting",
        value="step.terms[waiting]",
        unit="s",
        parent="step_s",
        part=True,
        formula="generation of {step.terms[generation_overlapped]:.4g} s runs beside scoring and training;"
        " what it takes longer",
        source="Fu et al. 2025 (AReaL), section 4: the slower pool sets the pace",
        optional=True,
    ),
    TermTemplate(
        name="scoring",
        value="step.terms[scoring]",
        unit="s",
        parent="step_s",
        part=True,
        formula="forward passes of actor, critic, reference and reward over the finished sequences",
        source="one forward pass of each model (Ouyang et al. 2022)",
        optional=True,
    ),
    TermTemplate(
        name="weight_synchronization",
        value="step.terms[weight_synchronization]",
        unit="s",
        parent="step_s",
        part=True,
        formula="new weights to the engine over the links, and its waking and sleeping",
        source="Sheng et al. 2024 (HybridFlow), section 5; NVIDIA-NeMo/RL pull requests 449 and 2808",
        optional=True,
    ),
    TermTemplate(
        name="generation_pool",
        value="step.terms[generation_ranks]",
        unit="rank",
        formula="{step.terms[generation_replicas]:.0f} replicas x {step.terms[generation_tensor]:.0f}-way"
        " tensor parallel x {step.terms[generation_stages]:.0f} stages",
        source="as asked, or the fastest engine layout that holds the weights",
        optional=True,
    ),
    TermTemplate(
        name="generation_round",
        value="step.terms[generation_whole]",
        unit="s",
        formula="a round alone, to its longest answer: {step.terms[prefill_s]:.4g} s of prompts, and steps of"
        " up to {step.terms[decode_step_s]:.4g} s over {step.terms[longest_tokens]:.0f} tokens at most",
        source="Pope et al. 2022, section 2.1",
        optional=True,
    ),
)
