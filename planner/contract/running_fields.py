"""The fields of ``workload`` that a run's speed turns on most: kernels, attention, lengths, experts.

They stand apart from ``workload_fields`` for length alone; that table holds them all. Each is optional, and
what stands where it is left out follows from the stack and the chip (``planner.engine.grid.stack``).
"""

from __future__ import annotations

from planner.contract.field import Field, table
from planner.engine.question import words

BY_FRAMEWORK = "By framework"
MAX_LENGTH = 100_000_000

RUNNING_FIELDS: tuple[Field, ...] = (
    Field(
        "attention_kernel",
        "choice",
        "Attention kernel",
        "Which implementation of attention runs. It refines Attention: standard and PyTorch's math path keep "
        "the table of scores, the others do not. PyTorch takes the memory-efficient one where a padding mask "
        "is handed to it; it computes what a causal mask hides as well.",
        choices=words.ATTENTION_KERNELS,
        otherwise="By framework and accelerator",
        query="attention_kernel",
    ),
    Field(
        "kernels",
        "choice",
        "Kernels",
        "What computes norms, rotary embeddings, activations and residuals between the matrix products.",
        choices=words.KERNELS,
        otherwise=BY_FRAMEWORK,
        query="kernels",
    ),
    Field(
        "cuda_graphs",
        "flag",
        "CUDA graphs",
        "Kernels are replayed from captured graphs rather than launched one by one, which spares the host.",
        otherwise="no",
        query="graphs",
    ),
    Field(
        "autocast",
        "flag",
        "Autocast",
        "Weights stay fp32 and are cast for each product; norms, softmax, residuals and loss run in fp32.",
        otherwise="no",
        query="autocast",
    ),
    Field(
        "head_positions",
        "whole",
        "Head positions",
        "Positions of a sequence that the vocabulary's head sees, such as BERT's 20 masked tokens of 128.",
        unit="tokens",
        maximum=MAX_LENGTH,
        otherwise="15 % of an encoder's tokens, all of a decoder's",
        query="positions",
    ),
    Field(
        "sequences",
        "object",
        "Real lengths",
        "How long the samples really are, and how rows are filled with them.",
    ),
    Field(
        "moe",
        "object",
        "Experts",
        "How a mixture's tokens reach its experts, how evenly, and how these are multiplied.",
    ),
)

SEQUENCES = table(
    "workload.sequences",
    Field(
        "kind",
        "choice",
        "Rows",
        "How rows are filled: one sample of full length, several packed samples that do not see each other, "
        "samples padded to the row's length or to the longest of their micro-batch, or no padding at all.",
        choices=words.SEQUENCE_KINDS,
        otherwise="every row full",
        query="rows",
    ),
    Field(
        "mean_tokens",
        "number",
        "Mean length",
        "Mean tokens of one sample, without padding.",
        unit="tokens",
        maximum=MAX_LENGTH,
        otherwise="the row's length",
        query="mean_tokens",
    ),
    Field(
        "max_tokens",
        "number",
        "Longest sample",
        "Tokens of the longest sample.",
        unit="tokens",
        maximum=MAX_LENGTH,
        otherwise="the row's length",
        query="max_tokens",
    ),
    Field(
        "std_tokens",
        "number",
        "Spread of lengths",
        "Standard deviation of the samples' lengths.",
        unit="tokens",
        maximum=MAX_LENGTH,
        otherwise="none",
        query="std_tokens",
    ),
)

MOE = table(
    "workload.moe",
    Field(
        "dispatcher",
        "choice",
        "Dispatcher",
        "How tokens reach their experts; DeepEP and HybridEP send a token once to each machine. Left open: "
        "an all-to-all, and over several machines DeepEP where no stack is named or Megatron's recipes have "
        "it so (routers that limit a token's groups).",
        choices=words.DISPATCHERS,
        otherwise=BY_FRAMEWORK,
        query="dispatcher",
    ),
    Field(
        "capacity_factor",
        "number",
        "Capacity factor",
        "Tokens that an expert takes, relative to an even share: padded below, dropped beyond.",
        maximum=1000,
        otherwise="no limit",
        query="capacity",
    ),
    Field(
        "balance",
        "choice",
        "Balance",
        "Whether tokens are spread evenly by force, as benchmarks do, or as the router learns to.",
        choices=words.BALANCES,
        otherwise="learned",
        query="balance",
    ),
    Field(
        "grouped_matmul",
        "flag",
        "Grouped products",
        "All experts of a rank are multiplied in one kernel rather than one after another.",
        otherwise=BY_FRAMEWORK,
        query="grouped",
    ),
    Field(
        "split_experts",
        "flag",
        "Split experts",
        "Tensor parallelism splits each expert's matrices too (Megatron-Core's expert tensor parallel size "
        "left at the tensor parallel one), rather than leaving experts whole on a share of the tokens.",
        otherwise="no",
        query="split_experts",
    ),
    Field(
        "overlap",
        "flag",
        "Overlapped exchange",
        "Tokens travel to their experts beside another micro-batch's compute (DualPipe, Megatron-Core's "
        "overlapped all-to-all). Left open: over several machines where the stack and the schedule can.",
        otherwise=BY_FRAMEWORK,
        query="moe_overlap",
    ),
    Field(
        "nodes_per_token",
        "whole",
        "Machines a token",
        "The router sends a token to experts on at most so many machines (DeepSeek-V3: 4).",
        unit="nodes",
        maximum=100_000,
        otherwise="any number",
        query="moe_nodes",
    ),
)
