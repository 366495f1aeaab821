"""``workload.ppo``: the models of reinforcement learning, its round, and the engine that generates.

Knows neither machines nor layout: what must divide those, the engine's layout room refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner.contract.rl_fields import GENERATION, PPO
from planner.contract.section import Section
from planner.contract.workload_fields import WORKLOAD
from planner.engine.question.request import GenerationRequest, PpoWorkload
from planner.engine.question.specs import ModelSpec

ReadModel = Callable[[Any, str], ModelSpec | None]
"""Reads a model at a dotted path; None after a problem."""

#: Fields that are models or objects; the rest stand for themselves.
READ_APART = ("generation",)
#: Methods that compare answers in place of a critic (Shao et al. 2024, GRPO; Ahmadian et al. 2024, RLOO; Yu
#: et al. 2025, DAPO; Zheng et al. 2025, GSPO; Chu et al. 2025, GPG), and those of them without a penalty for
#: leaving the reference (DAPO, section 2.3; GPG, section 3).
WITHOUT_CRITIC = ("grpo", "rloo", "dapo", "gspo", "gpg", "reinforce")
WITHOUT_REFERENCE = ("dapo", "gpg")
#: Means are published to two or three digits, so sums of them may be a little above the row they make up.
ROUNDING = 1.05


def read_ppo(section: Section, model: ModelSpec | None, read_model: ReadModel) -> PpoWorkload | None:
    """The round. The actor is the request's model unless named; the reference, unless named or null, is a
    frozen copy of the actor. Returns None after a problem with the actor, or where there is no block."""
    other_task = section.data.get("task") in WORKLOAD["task"].values and section.data.get("task") != "ppo"
    if not section.has("ppo") or other_task:
        return None
    block = Section(section.data["ppo"], section.at("ppo"), section.problems)
    block.only(PPO.names)
    if isinstance(block.data.get("algorithm"), str):
        # Papers write GRPO, configuration files grpo.
        block.data = {**block.data, "algorithm": block.data["algorithm"].lower()}
    named = {
        role.name: read_model(block.data[role.name], block.at(role.name)) if block.has(role.name) else None
        for role in PPO.fields
        if role.kind == "model"
    }
    actor = named["actor"] or model
    if actor is not None and actor.architecture not in ("decoder", "encoder_decoder"):
        block.problems.add(
            block.at("actor") if block.has("actor") else "model",
            actor.name,
            f"Only a decoder writes answers to be rewarded, and {actor.name} is none.",
            'Name a model that generates, for example "llama-3.1-8b".',
        )
    reference, critic, algorithm = named["reference"], named["critic"], block.data.get("algorithm")
    if "critic" not in block.data and algorithm == "ppo":
        critic = actor
        section.problems.note("assumed_critic", "PPO trains a critic: one as large as the actor is counted.")
    elif critic is not None and algorithm in WITHOUT_CRITIC:
        section.problems.note(
            "critic_counted", f"{algorithm} trains no critic; the one that was named is counted all the same."
        )
    if "reference" not in block.data and algorithm in WITHOUT_REFERENCE:
        reference = None
    elif "reference" not in block.data:
        reference = actor
        section.problems.note(
            "assumed_reference", "No reference model was named: a frozen copy of the actor is counted as one."
        )
    plain = block.read_all(
        field for field in PPO.fields if field.kind != "model" and field.name not in READ_APART
    )
    check_lengths(block, plain)
    check_counts(block, plain, section.data.get("global_batch_size"))
    if actor is None:
        if not block.has("actor"):
            block.missing("actor", 'Name the model that is trained, for example "llama-3.1-8b".')
        return None
    generation = read_generation(block, actor)
    return PpoWorkload(
        actor=actor,
        critic=critic,
        reference=reference,
        reward=named["reward"],
        generation=generation,
        **plain,
    )


def read_generation(block: Section, actor: ModelSpec) -> GenerationRequest:
    """The engine; its degrees must divide what they split of the actor."""
    if not block.has("generation"):
        return GenerationRequest()
    engine = Section(block.data["generation"], block.at("generation"), block.problems)
    engine.only(GENERATION.names)
    asked = GenerationRequest(**engine.read_all(GENERATION.fields))
    tensor, stages, experts = asked.tensor_parallel, asked.pipeline_parallel, asked.expert_parallel
    if tensor and actor.attention_heads % tensor:
        engine.fail(
            "tensor_parallel",
            f"The {actor.attention_heads} attention heads of {actor.name} do not divide by it.",
            f"Use a divisor of them, such as {largest_divisor(actor.attention_heads, tensor)}.",
        )
    if stages and stages > actor.layers:
        engine.fail(
            "pipeline_parallel",
            f"There are more stages than the {actor.layers} layers of {actor.name}.",
            f"Use at most {actor.layers}.",
        )
    if experts and experts > 1 and not actor.experts:
        engine.fail("expert_parallel", f"{actor.name} has no experts.", "Use 1, or leave it out.")
    elif experts and actor.experts and actor.experts % experts:
        engine.fail(
            "expert_parallel",
            f"The {actor.experts} experts of {actor.name} do not divide by it.",
            f"Use a divisor of {actor.experts}, such as {largest_divisor(actor.experts, experts)}.",
        )
    replica = (tensor or 1) * (stages or 1)
    if asked.accelerators and engine.ok("accelerators") and asked.accelerators % replica:
        engine.fail(
            "accelerators",
            f"They do not divide into replicas of {replica}: tensor_parallel {tensor or 1} x "
            f"pipeline_parallel {stages or 1}.",
            f"Use a multiple of {replica}, such as {max(asked.accelerators // replica, 1) * replica}.",
        )
    return asked


def largest_divisor(whole: int, limit: int) -> int:
    """The largest divisor of ``whole`` that is at most ``limit``."""
    return next(degree for degree in range(min(limit, whole), 0, -1) if whole % degree == 0)


def check_lengths(block: Section, plain: dict[str, Any]) -> None:
    """Means below their limits."""
    mean, longest = plain["mean_response_tokens"], plain["max_response_tokens"]
    generated = plain["rollout_tokens"]
    if mean and longest and mean > longest * ROUNDING:
        block.fail(
            "max_response_tokens",
            f"The longest answer is shorter than the mean one, of {mean:g} tokens.",
            "Raise it, or lower mean_response_tokens.",
        )
    if mean and block.ok("rollout_tokens") and mean > generated * ROUNDING + 1.0:
        block.fail(
            "mean_response_tokens",
            f"Answers are longer on average than the {generated:,} tokens that are generated.",
            "Raise rollout_tokens to the longest or the mean answer, or lower the mean.",
        )
    if longest and not mean and block.ok("rollout_tokens") and longest < generated:
        block.fail(
            "max_response_tokens",
            f"The longest answer is shorter than the {generated:,} tokens that are generated.",
            "Raise it, or lower rollout_tokens.",
        )


def check_counts(block: Section, plain: dict[str, Any], batch: Any) -> None:
    """Prompts and answers make up the batch; updates divide it."""
    if isinstance(batch, bool) or not isinstance(batch, int | float) or batch < 1:
        return
    prompts, answers, updates = (
        plain[name] for name in ("prompts", "responses_per_prompt", "updates_per_step")
    )
    if prompts and answers and prompts * answers < batch:
        block.fail(
            "prompts",
            f"{prompts:,} prompts x {answers:,} answers are {prompts * answers:,} sequences, fewer than the"
            f" {batch:,.0f} of global_batch_size.",
            "Raise prompts or responses_per_prompt, or lower workload.global_batch_size to their product.",
        )
    elif prompts and answers and prompts * answers > batch:
        block.problems.note(
            "generated_more",
            f"{prompts * answers:,} sequences are generated in each step; {batch:,.0f} are trained on.",
        )
    for name, count in (("prompts", prompts), ("responses_per_prompt", answers)):
        if count and not (prompts and answers) and batch % count:
            block.fail(
                name,
                f"The {batch:,.0f} sequences of global_batch_size do not divide by it.",
                "Give both prompts and responses_per_prompt, or a divisor of global_batch_size.",
            )
    if updates > batch:
        block.fail(
            "updates_per_step",
            f"There are more updates than the {batch:,.0f} sequences of the batch.",
            f"Use at most {batch:,.0f}.",
        )


def check_rows(section: Section, ppo: PpoWorkload, sequence_length: int) -> None:
    """What is generated and trained on fits into a row of ``sequence_length`` tokens."""
    if ppo.rollout_tokens > sequence_length:
        section.problems.add(
            section.at("ppo.rollout_tokens"),
            ppo.rollout_tokens,
            f"More tokens are generated than the {sequence_length:,} of prompt and response together.",
            "Lower it, or raise workload.sequence_length.",
        )
        return
    real = (ppo.mean_prompt_tokens or 0.0) + (ppo.mean_response_tokens or 0.0)
    if real > sequence_length * ROUNDING + 1.0:
        section.problems.add(
            section.at("ppo.mean_prompt_tokens"),
            ppo.mean_prompt_tokens,
            f"Prompt and answer are {real:,.0f} tokens on average; a row has {sequence_length:,}.",
            "Lower it, or raise workload.sequence_length.",
        )
    row = min(real or sequence_length, sequence_length)
    if ppo.micro_batch_tokens is not None and ppo.micro_batch_tokens < row:
        section.problems.add(
            section.at("ppo.micro_batch_tokens"),
            ppo.micro_batch_tokens,
            f"A micro-batch does not hold one sequence, of {row:,.0f} tokens.",
            f"Use at least {row:,.0f}, or leave it out.",
        )
