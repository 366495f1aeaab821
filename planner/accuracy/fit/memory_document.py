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
agree with what autograd saves to 1.5 % (`tests/engine/memory/test_saved_tensors.py`, and with PEFT's
adapters `test_saved_adapters.py`) and with the equations of Korthikanti et al. 2022 exactly.
The allocator's reserve, communication buffers and the
driver's context are added. How the named stacks differ is in `planner/engine/memory/constants.py`
(`TRAITS`). They are read from the stacks' code or, where a comment
says so, from measured runs; each is yes or no, and none is fitted.

- `allocated_bytes`: torch's `max_memory_allocated`; `reserved_bytes`: `max_memory_reserved`; `total`:
  nvidia-smi.
- The reserve follows the fullest moment, because the other moments reuse its freed blocks. Gradients and
  the optimizer's copies are many small blocks, which large activations cannot reuse, and are added
  (`planner/engine/memory/reserve.py`).
- With `expandable_segments` freed blocks of any size serve again, so what waits idle costs nothing; holes
  between living tensors and what other streams hold remain. torchtitan, torchtune, axolotl and LLaMA-Factory
  switch them on.
- The loss: 12 bytes a logit on whole logits in PyTorch, 8 where the trainer computes it on 16-bit logits
  (`loss_precision`), 6 in Megatron's own, 4 where it is compiled (logits and gradient, read off the graphs
  that AOTAutograd makes), 2 in Transformer Engine's; fused with the head a few bytes an element of the last
  hidden state.
- Megatron with Transformer Engine holds an empty gradient for each shape of matrix in a block, since weight
  gradients are added to its buffer within the product.
- Experts: the fullest rank's tokens where a learned router balances (`learned_expert_load`, which two sources
  inform), the leading dense blocks on the first pipeline stage.
- Before an allocation fails, the caching allocator returns idle blocks to the driver, so where memory is
  short the reserve shrinks to `state_reserve_share`. A plan that only just fits may run slower for it.
"""

CAUSES = """## What was seen while it was made

The errors on sources left out are of fits that saw nothing of the source, but its rows were known when the
formulas were written: what was looked for in the stacks' code follows from the largest errors. Each formula
has code, documentation or autograd for its source; where rows alone speak for one (the uncompiled loss of
torchtitan's tables of 2024, the second copies of FSDP1's block inputs), its comment says so. Facts that the
stacks' repositories tell of a run (`planner/accuracy/data/runs/facts.csv`) were looked up for the sources
that were furthest off; a reader's own question has them only where it says them. An error on rows of sources
that are not here at all will be larger.

## What remains large, and why

By share and with what would settle it in [validation](validation.md). Beside that:

- **Twins** (prime-rl): two runs of one request, 6.3 and 17.5 GiB.
- **GPT-BigCode.** Its code keeps its logits in 16 bits in plain fine-tuning and several times over under
  autocast.
- **BLOOM's search of layouts**: some fp16 rows with eight or more replicas need up to a byte per parameter
  more than is counted, others do not. The figures are snapshots in whole gigabytes.
- **qwen**: from 4,096 to 8,192 tokens its memory grows by half of what it grew per token before.
- **torchtune**: the 405B row is within 1 % with a batch of one, although its table says two.
- **fp16 under autocast**: a report of bloom-1b7 on one V100 (28 GB) is said to take 34: it agrees with the
  weights' 16-bit copies gone and no gradients of an earlier micro-batch.
- **NeMo's performance recipes** reduce gradients in 16 bits, and its LoRA runs on B200 keep the inputs of
  SwiGLU in fp8. Unless a request says so, fp32 and 16 bits are counted, so a few of their runs are wrongly
  said not to fit.

## What is not modelled

Gathered keys and values of context parallelism, CUDA graphs, evaluation, checkpoint saving, memory that a
data loader does not free, and the order in which rows of different lengths come.
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
