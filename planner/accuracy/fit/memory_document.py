"""Writes docs/memory.md from the memory calibration: what is counted, constants, errors and their causes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from planner.accuracy.allocator.study import ALLOCATOR_FILE
from planner.accuracy.calibration import read

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
- Where micro-batches differ in length and segments do not expand, blocks of each length wait in the cache
  until the card is full ("Lengths that vary", below). nvidia-smi shows that; the plan need not fail for it.
- `needed_bytes` is the least with which a plan runs: the cache given back, but for holes that nothing fits
  into. `fit_probability` is told from it and from the errors of allocated bytes.
- The loss: 12 bytes a logit on whole logits in PyTorch (14 or 16 where the training loop still holds them,
  `logits_kept`; counted with torch, `tests/engine/memory/loss_peak.py`), 8 where the trainer computes it on
  16-bit logits (`loss_precision`), 6 in Megatron's own, 4 where it is compiled (logits and gradient, read
  off the graphs that AOTAutograd makes), 2 in Transformer Engine's; fused with the head a few bytes an
  element of the last hidden state.
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
- **NeMo's performance recipes** reduce gradients in 16 bits and keep weights in fp8, its LoRA runs on B200 in
  MLPerf 5.0 keep the inputs of SwiGLU in fp8 (`fp8_activation_input`). Unless a request says so, fp32 and 16
  bits are counted, so such runs are wrongly said not to fit.
- **prime-rl** held fp32 logits through the backward pass until March 2026: 16 bytes a logit, 18 with what its
  allocator cannot use again. A stack that frees them takes 12 and 14.
- **nanotron** with pipelines: 4 to 10 GiB more than is counted whatever the micro-batch; its counter is not
  said.

## What is not modelled

Gathered keys and values of context parallelism, CUDA graphs, evaluation, checkpoint saving, and memory that a
data loader does not free.
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
    lines += certainty(data)
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
    return "\n".join([*lines, "", *lengths_that_vary(read(ALLOCATOR_FILE)), CAUSES])


def certainty(data: dict[str, Any]) -> list[str]:
    """Whether chances are what they say: on limits for every figure, and on runs that ran and that failed."""
    lines = [
        "",
        "Chances against what was measured: for each figure a limit that its plan would stay within with the"
        " given chance, by ranges from all other sources, and how many figures did stay within.",
        "",
        "| chance said | of all figures | mean over sources |",
        "|---:|---:|---:|",
    ]
    lines += [
        f"| {row['said']:.2f} | {row['rows']:.2f} | {row['by_source']:.2f} |" for row in data["reliability"]
    ]
    lines += [
        "",
        "The chance to fit that published runs were given, and what became of them. Runs that fail are seldom"
        " published, so the second column says more of runs that were tuned to fill their cards than of the"
        " chances; none of the failed ones was given 0.9.",
        "",
        "| chance to fit | ran | failed for memory |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| {row['from']:.1f} to {row['to']:.1f} | {row['ran']} | {row['failed']} |"
        for row in data["verdicts"]["by_chance"]
    ]
    return lines


def lengths_that_vary(study: dict[str, Any]) -> list[str]:
    """What the simulated allocator says. study: as ``planner.accuracy.allocator.study`` writes it."""
    pair, growth = study["published"], study["growth"]
    last = growth[-1]
    lines = [
        "## Lengths that vary",
        "",
        f"Simulated on {study['provenance']['simulated_on']} by `python -m planner.accuracy.allocator.study`:"
        " PyTorch's caching allocator block by block, over training steps of ten kinds (with and without"
        " recompute, sharding, adapters, whole logits) with log-normal lengths. Shares are of the bytes that"
        " come and go within a step; medians over the kinds, the upper tenth in brackets.",
        "",
        "| segments | spread of lengths | cached beside the allocated | must be free beside them |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {'expandable' if row['expandable'] else 'by size'} | {row['spread']:.2f}"
        f" | {row['cache_share']:.2f} ({row['cache_share_high']:.2f})"
        f" | {row['least_share']:.2f} ({row['least_share_high']:.2f}) |"
        for row in study["summary"]
    ]
    lines += [
        "",
        f"Beside it the one published pair that we know: Llama 3 8B, QLoRA on Alpaca, {pair['reserved_gib']}"
        f" GiB reserved without and {pair['expandable_reserved_gib']} with expandable segments"
        f" ({pair['source']}); simulated {pair['simulated_gib']} and {pair['expandable_simulated_gib']} GiB,"
        " with lengths that are our estimate. A failed run told of "
        + "; ".join(
            f"{each['unusable_gib']} GiB that could not be used beside {each['allocated_gib']} allocated"
            f" ({each['source']})"
            for each in study["failures"]
        )
        + f". The cache is as large after {last['micro_batches']} micro-batches as after"
        f" {growth[1]['micro_batches']} ({last['cache_share']:.1f} and {growth[1]['cache_share']:.1f} of what"
        " comes and goes), or ends where the card is full. No measured run of ours has lengths that vary and"
        " tells what was reserved. Measured runs of one length got through with a tenth free where the"
        " simulation asks for two (`reserve.UNUSABLE`): the simulated order of tensors is less regular than"
        " theirs.",
        "",
    ]
    return lines


def write(data: dict[str, Any]) -> None:
    """Write the page."""
    PAGE.write_text(render(data), encoding="utf-8")
