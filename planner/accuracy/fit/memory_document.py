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
equations of Korthikanti et al. 2022 exactly. On top come what the allocator holds back, communication
buffers and the driver's context. How the named stacks differ is in `planner/engine/memory/constants.py`
(`TRAITS`), read off their code or, where it says so, off
measured runs; they are yes or no and none is fitted.

- `allocated_bytes`: torch's `max_memory_allocated`; `reserved_bytes`: `max_memory_reserved`; `total`:
  nvidia-smi.
- The reserve follows the fullest moment, whose freed blocks serve the others, but for the gradients and the
  optimizer's copies, which are many small blocks (`planner/engine/memory/reserve.py`).
- The caching allocator gives idle blocks back before it fails, so where memory is short the reserve
  shrinks to `state_reserve_share`; a plan that is predicted to fit tightly may still run slower for
  that.
"""

CAUSES = """## What remains large, and why

- **Fused kernels that a request cannot name.** Identical questions of fms-acceleration were measured
  with and without fused cross-entropy and adapter kernels: the peak of PowerLM 3B with QLoRA is 11.8 or
  15.2 or 18.2 GB. A loss that reuses its logits needs 8 bytes a logit, PyTorch's own 12 to 13; one GPU is
  taken to run PyTorch's and FSDP the other, so rows of the other kind err by up to a third.
- **GPT-BigCode.** Its code keeps its logits in 16 bits in plain fine-tuning and several times over under
  autocast.
- **torchtitan's 405B run** on three axes (about -35 %) and its H200 run of 2025 (about +40 %): neither is
  explained. The first fits larger micro-batches better; the second, half a year younger than the others,
  compiles the loss as well, which explains a third of the difference.
- **Megatron pull request 482** (-11 %): its Llama ran with an unfused SwiGLU and dropout masks, as
  Megatron did in 2023.
- **BLOOM's search of layouts**: some fp16 rows at eight and more replicas need up to a byte a parameter
  more than is counted, others do not. Figures are whole gigabytes of a snapshot.
- **qwen**: from 4,096 to 8,192 tokens its memory grows by half of what it grew per token before.
- **torchtune**: two rows use what a request cannot ask for (optimizer step inside the backward pass,
  activations on the host), and the 405B row is within 1 % with a batch of one, where its table names two.
- **NeMo's performance recipes** reduce gradients in 16 bits; unless a request says so, Megatron's
  default of fp32 is counted, which is why a few of their runs are said not to fit.

## What is not modelled

Imbalance of experts, gathered keys and values of context parallelism, CUDA graphs, activation offload,
evaluation and checkpoint saving, and what a loader leaves behind.
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
        f" (PPO apart): **{errors['fitted']:.1%}** as fitted (median {errors['fitted_median']:.1%}),"
        f" **{errors['leave_one_group_out']:.1%}** by fits that saw no run of the same group,"
        f" **{errors['leave_one_source_out']:.1%}** by fits that saw none of the same source.",
        "",
        f"Fit or not: {verdicts['right']:.1%} of {verdicts['runs']} runs are told rightly; of the"
        f" {verdicts['failed_runs']} that failed for memory, {failed} would have been said to fit.",
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
    lines += ["", "80 % intervals, as factors of the prediction, from groups left out:", ""]
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
    PAGE.write_text(render(data), encoding="utf-8")
