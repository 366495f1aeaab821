"""What a round generates and how: the question's words with every default filled in, once per question."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

from planner.engine.question.request import Engine, PpoWorkload, Workload
from planner.engine.rl.lengths import Lengths, response_lengths, usual_deviation

#: Sequences that an engine decodes together where nothing is said: verl's rollout.max_num_seqs, SGLang's
#: usual limit by memory, TensorRT-LLM's max_batch_size (configuration files, read November 2026).
MOST_SEQUENCES: dict[Engine, int] = {"vllm": 1024, "sglang": 1024, "tensorrt_llm": 2048}
#: Share of a rank's memory that an engine may fill: vLLM's gpu_memory_utilization where it has the
#: accelerator to itself; verl's and TRL's examples where it shares it with training (0.4 to 0.7).
OWN_SHARE, SHARED_SHARE = 0.9, 0.6
BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0}


@dataclass(frozen=True, slots=True)
class Rollout:
    """A round of generation; counts, tokens and flags that no layout changes.

    sequences: generated in a round.  group: answers to one prompt.  prompt_tokens: mean.
    engine: its kind.  most_sequences: decoded together by a replica, at most.  weight_bytes: of one weight.
    memory_share: of a rank's memory.  shared_prompts: answers to a prompt share its keys and values.
    eager: kernels are launched one by one.  split: generation has accelerators of its own.  accelerators:
    that generate, None: all, or to be chosen.
    """

    sequences: float
    group: float
    prompt_tokens: float
    lengths: Lengths
    longest_tokens: float
    engine: Engine
    most_sequences: float
    weight_bytes: float
    memory_share: float
    shared_prompts: bool
    split: bool
    sleep: bool
    eager: bool
    accelerators: int | None
    tensor_parallel: int | None
    pipeline_parallel: int | None
    expert_parallel: int
    staleness_steps: int
    partial_rollouts: bool

    @property
    def static(self) -> bool:
        """Whether batches end with their longest answer."""
        return self.engine == "static"


def default_engine(workload: Workload) -> Engine:
    """DeepSpeed-Chat generates in the training engine; the RL stacks of today have an engine beside it.

    Source: Yao et al. 2023 (DeepSpeed-Chat), section 4; Sheng et al. 2024 (HybridFlow), section 6.
    """
    return "static" if workload.framework == "deepspeed" else "vllm"


def default_eager(workload: Workload, engine: Engine, *, split: bool) -> bool:
    """The training stack launches its kernels one by one, and so does verl's engine beside FSDP by default.

    Source: verl, trainer/config/ppo_trainer.yaml at commit 008db45 (2025): rollout.enforce_eager is True.
    """
    return engine == "static" or (workload.framework == "fsdp" and not split)


@lru_cache(maxsize=1024)
def rollout_of(workload: Workload, variation: float) -> Rollout:
    """The round of ``workload``; variation: ``response_variation`` of the constants.

    Lengths vary where a mean or a limit was given; ``rollout_tokens`` alone is the length of every answer,
    and static batches are taken to be as long as they may be unless their spread is given.
    """
    ppo = workload.ppo
    assert ppo is not None
    asked = ppo.generation
    engine = asked.engine or default_engine(workload)
    mean = mean_response(ppo)
    longest = ppo.max_response_tokens or (ppo.rollout_tokens if ppo.rollout_tokens > mean + 1.0 else None)
    if ppo.response_std_tokens is not None:
        deviation = ppo.response_std_tokens
    elif engine == "static" or (ppo.mean_response_tokens is None and ppo.max_response_tokens is None):
        deviation = 0.0
    else:
        deviation = usual_deviation(mean, longest, variation)
    lengths = response_lengths(mean, deviation, None if longest is None else float(longest))
    sequences, group = generated(workload)
    split = ppo.split
    precision = asked.precision or ("fp8" if workload.precision == "fp8" else "bf16")
    cached = asked.prefix_cache if asked.prefix_cache is not None else engine != "static"
    return Rollout(
        sequences=float(sequences),
        group=float(group),
        prompt_tokens=prompt_tokens(workload, ppo),
        lengths=lengths,
        longest_tokens=float(lengths.tokens.sum()),
        engine=engine,
        most_sequences=float(asked.max_sequences or MOST_SEQUENCES.get(engine, sequences)),
        weight_bytes=4.0 if workload.precision in ("fp32", "tf32") else BYTES[precision],
        memory_share=asked.memory_share or (OWN_SHARE if split or engine == "static" else SHARED_SHARE),
        shared_prompts=bool(cached),
        split=split,
        sleep=ppo.sleep if ppo.sleep is not None else True,
        eager=default_eager(workload, engine, split=split) if asked.eager is None else asked.eager,
        accelerators=asked.accelerators,
        tensor_parallel=asked.tensor_parallel,
        pipeline_parallel=asked.pipeline_parallel,
        expert_parallel=asked.expert_parallel or 1,
        staleness_steps=ppo.staleness_steps,
        partial_rollouts=ppo.partial_rollouts,
    )


def mean_response(ppo: PpoWorkload) -> float:
    """Mean tokens of an answer. Source: the question."""
    given = ppo.mean_response_tokens
    return float(ppo.rollout_tokens if given is None else given)


def prompt_tokens(workload: Workload, ppo: PpoWorkload) -> float:
    """Mean tokens of a prompt: as given, or what ``sequence_length`` leaves beside ``rollout_tokens``.

    Source: the question.
    """
    if ppo.mean_prompt_tokens is not None:
        return float(ppo.mean_prompt_tokens)
    return float(max(workload.sequence_length - ppo.rollout_tokens, 1))


def generated(workload: Workload) -> tuple[int, int]:
    """(sequences generated in a round, answers to one prompt), counts. Source: the question."""
    ppo = workload.ppo
    assert ppo is not None
    batch, prompts, group = workload.global_batch_size, ppo.prompts, ppo.responses_per_prompt
    if prompts and group:
        return prompts * group, group
    if prompts:
        return batch, max(batch // prompts, 1)
    return batch, group or 1


def unsaid_inputs(workload: Workload) -> int:
    """Count of inputs that turn a round's speed most and were left to defaults: the answers' mean, their
    spread or limit, the engine, and its layout. Source: the question.
    """
    ppo = workload.ppo
    if ppo is None:
        return 0
    return sum(
        (
            ppo.mean_response_tokens is None,
            ppo.max_response_tokens is None and ppo.response_std_tokens is None,
            ppo.generation.engine is None,
            ppo.generation.tensor_parallel is None,
        )
    )


#: Each such input widens the range of a round (in the logarithm) by this factor. Our own choice: that of the
#: engine's layout alone moves generation by a tenth to a third, the answers' mean by up to twice. On sources
#: left out 1.2 has a better interval score than 1.0, 1.05 and 1.1, though two sources alone leave them out.
UNSAID = 1.2


def range_scale(workload: Workload) -> float:
    """How much wider the range of a round is for what was left to defaults, a ratio. Source: UNSAID."""
    return float(UNSAID ** unsaid_inputs(workload))


def packed(workload: Workload) -> bool:
    """Whether training and scoring see real lengths: a mean was given, and the stack packs or leaves padding
    out, as all but DeepSpeed-Chat do unless ``sequences`` says otherwise.
    """
    ppo = workload.ppo
    assert ppo is not None
    given = ppo.mean_response_tokens is not None or ppo.mean_prompt_tokens is not None
    if workload.sequences is not None:
        return given and workload.sequences.kind in ("packed", "unpadded")
    return given and workload.framework != "deepspeed"


def trained_length(workload: Workload) -> int:
    """Tokens of a row in training: the mean prompt and answer where rows are packed, else the whole row.

    Source: the question.
    """
    ppo = workload.ppo
    assert ppo is not None
    if not packed(workload):
        return workload.sequence_length
    return min(ceil(prompt_tokens(workload, ppo) + mean_response(ppo)), workload.sequence_length)


def trained_workload(workload: Workload) -> Workload:
    """The workload that one model of the round is trained with: full fine-tuning of rows of real length, or
    adapters where the actor has them.
    """
    ppo = workload.ppo
    assert ppo is not None
    return replace(
        workload,
        task="full_finetuning",
        ppo=None,
        sequences=None,
        sequence_length=trained_length(workload),
        lora_targets=None,
    )
