"""Writes docs/memory.md from the memory calibration: what is counted, constants, errors and their causes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "docs" / "memory.md"

INTRODUCTION = """# Memory: what is counted, and how well

*Written by `python -m planner.accuracy.fit.memory` on {fitted_on}; the text is kept in
`planner.accuracy.fit.memory_document.py`.*

The need of the fullest accelerator rank is the largest of twelve sums: three stages of the pipeline
(first, a middle one, last) at four moments of a step (loss, start and end of the backward pass,
optimizer step). Weights, gradients and states follow ZeRO; activations are counted tensor by tensor and
agree with what autograd saves to 1.5 % (`tests/engine/test_memory_saved_tensors.py`) and with the
equations of Korthikanti et al. 2022 exactly. The allocator's reserve, communication buffers and the
driver's context are added. How the named stacks differ is in `planner/engine/memory/constants.py`
(`TRAITS`). They are read from the stacks' code or, where a comment
says so, from measured runs; each is yes or no, and none is fitted.

- `allocated_bytes`: torch's `max_memory_allocated`; `reserved_bytes`: `max_memory_reserved`; `total`:
  nvidia-smi.
- The reserve follows the fullest moment, because the other moments reuse its freed blocks. Gradients and
  the optimizer's copies are many small blocks, which large activations cannot reuse, and are added
  (`planner/engine/memory/reserve.py`).
- Before an allocation fails, the caching allocator returns idle blocks to the driver, so where memory is
  short the reserve shrinks to `state_reserve_share`. A plan that only just fits may run slower for it.
"""

CAUSES = """## What remains large, and why

- **A trainer of its own** (universal-llm-trainer): its LoRA runs take 8 bytes a logit where transformers'
  models take 12 to 13; its FSDP run with parameters on the host is not explained.
- **Runs told in a line** (axolotl's examples, nanotron's playbook): rounded figures, and which counter they
  are is inferred from what the stacks log.
- **Twins** (prime-rl): two runs of one request, 6.3 and 17.5 GiB.
- **GPT-BigCode.** Its code keeps its logits in 16 bits in plain fine-tuning and several times over under
  autocast.
- **torchtitan's 405B run** with three kinds of parallelism (about -35 %) and its H200 run of 2025 (about
  +40 %): neither is explained. The first agrees better with larger micro-batches. The second, half a year
  younger than the others, compiles the loss as well, which explains a third of the difference.
- **Megatron pull request 482** (-11 %): its Llama ran with an unfused SwiGLU and dropout masks, as
  Megatron did in 2023.
- **BLOOM's search of layouts**: some fp16 rows with eight or more replicas need up to a byte per parameter
  more than is counted, others do not. The figures are snapshots in whole gigabytes.
- **qwen**: from 4,096 to 8,192 tokens its memory grows by half of what it grew per token before.
- **torchtune**: the 405B row is within 1 % with a batch of one, although its table says two.
- **torchtitan of 2024** left the loss uncompiled; today's compiles it, as is assumed here.
- **NeMo's performance recipes** reduce gradients in 16 bits. Unless a request says so, Megatron's default of
  fp32 is counted, so a few of their runs are wrongly said not to fit.

## What is not modelled

Imbalance of experts, gathered keys and values of context parallelism, CUDA graphs, evaluation,
checkpoint saving, and memory that a data loader does not free.
"""


def render(data: dict[str, Any]) -> str:
    """The page, as Markdown. data: what ``planner.accuracy.fit.memory`` writes."""
    errors, verdicts = data["errors"], data["verdicts"]
    failed = len(verdicts["failed_said_to_fit"])
    lines = [INTRODUCTION.format(fitted_on=data["provenance"]["fitted_on"])]
    lines += [
        "## Errors",
        "",
        f"Mean absolute error over the {data['provenance']['runs']} measured runs that publish memory"
        f" (without PPO): **{errors['fitted']:.1%}** as fitted (median {errors['fitted_median']:.1%}),"
        f" **{errors['leave_one_group_out']:.1%}** by fits that saw no run of the same group,"
        f" **{errors['leave_one_source_out']:.1%}** by fits that saw none of the same source.",
        "",
        f"Fit or not: {verdicts['right']:.1%} of {verdicts['runs']} runs are judged correctly; of the"
        f" {verdicts['failed_runs']} that ran out of memory, {failed} would have been said to fit.",
        "",
        "| source | runs | bias (median) | mean error | largest | mean, source left out |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for source, row in errors["by_source"].items():
        left_out = errors["by_source_left_out"][source]["mean_error"]
        lines.append(
            f"| {source} | {row['figures']} | {row['bias']:+.1%} | {row['mean_error']:.1%}"
            f" | {row['largest_error']:.1%} | {left_out:.1%} |"
        )
    lines += ["", "Errors by task, source left out (figures, mean error):", ""]
    lines += [
        f"- {task}: {row['figures']}, {row['mean_error']:.1%}"
        for task, row in errors["by_task_left_out"].items()
    ]
    lines += [
        "",
        f"Balanced by source: **{errors['leave_one_source_out_by_source']:.1%}** on a source left out.",
        "",
        "How often the 80 % ranges hold on a source that had no part in them (rows; mean over sources):",
        "",
    ]
    lines += [
        f"- {name}: {row['rows']:.0%}; {row['by_source']:.0%}"
        f" ({row['figures']} figures, {row['sources']} sources)"
        for name, row in data["coverage"].items()
    ]
    lines += ["", "80 % intervals, as factors of the prediction, from sources left out:", ""]
    lines += [f"- {kind}: {low:.2f} to {high:.2f}" for kind, (low, high) in data["interval"].items()]
    lines += [
        "",
        "## Fitted constants",
        "",
        "| constant | value | before the fit | from |",
        "|---|---:|---:|---|",
    ]
    for name, prior in data["provenance"]["priors"].items():
        value = data["constants"][name]
        value = value[0] if isinstance(value, list) else value
        lines.append(f"| `{name}` | {value:.4g} | {prior['value']:.4g} | {prior['source']} |")
    return "\n".join([*lines, "", CAUSES])


def write(data: dict[str, Any]) -> None:
    """Write the page."""
    PAGE.write_text(render(data), encoding="utf-8")
