"""The parts of ``workload`` that say how it runs: attention and kernels, real lengths, experts."""

from __future__ import annotations

from planner.contract.running_fields import MOE, SEQUENCES
from planner.contract.section import Section
from planner.engine.grid.stack import UNFUSED
from planner.engine.question.request import Experts, Sequences
from planner.engine.question.specs import ModelSpec


def check_kernels(section: Section, sequence_length: int) -> None:
    """Note fields that contradict each other: attention against its kernel, compile against kernels."""
    kernel, attention = section.data.get("attention_kernel"), section.data.get("attention")
    if isinstance(kernel, str) and attention in ("flash", "standard"):
        keeps = kernel in UNFUSED
        if keeps != (attention == "standard"):
            does = "keeps" if keeps else "does not keep"
            section.fail(
                "attention_kernel",
                f'The attention is "{attention}", and this kernel {does} the table of scores.',
                "Remove attention, or name a kernel that agrees with it.",
            )
    if section.data.get("compile") is True and section.data.get("kernels") not in (None, "compiled"):
        section.fail(
            "kernels",
            "compile says that kernels are compiled.",
            'Remove compile, or set kernels to "compiled".',
        )
    positions = section.data.get("head_positions")
    if isinstance(positions, int | float) and positions > sequence_length:
        section.fail(
            "head_positions",
            f"More positions than the {sequence_length:,} tokens of a sequence.",
            f"Give at most {sequence_length:,}.",
        )


def read_sequences(section: Section, row_tokens: int) -> Sequences | None:
    """The real lengths, None where none are given. row_tokens: tokens of one row."""
    if not section.has("sequences"):
        return None
    block = Section(section.data["sequences"], section.at("sequences"), section.problems)
    block.only(SEQUENCES.names)
    read = block.read_all(SEQUENCES.fields)
    if read["kind"] is None and block.sound:
        if not block.has("kind"):
            block.missing("kind", "Say how rows are filled: full, packed, padded or unpadded.")
        read["kind"] = "full"
    mean, longest = read["mean_tokens"], read["max_tokens"]
    if mean is not None and mean > (longest or row_tokens):
        row = "the longest sample" if longest else f"a row of {row_tokens:,} tokens"
        block.fail(
            "mean_tokens",
            f"The mean is longer than {row}.",
            "Lower it, or raise workload.sequence_length.",
        )
    return Sequences(**read)


def read_experts(section: Section, model: ModelSpec | None) -> Experts | None:
    """How experts run, None where nothing is said of them."""
    if not section.has("moe"):
        return None
    block = Section(section.data["moe"], section.at("moe"), section.problems)
    block.only(MOE.names)
    if model is not None and not model.experts:
        section.problems.note("unused_field", f"moe only matters for mixtures; {model.name} has no experts.")
    return Experts(**block.read_all(MOE.fields))
