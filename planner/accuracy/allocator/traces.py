"""Training steps of a decoder as the allocator sees them: which tensors are made and freed, in which order.

One rank of a Llama-like model in PyTorch modules and 16 bits, as transformers writes it, with flash
attention: forward, loss on whole logits or fused with the head, backward with a block's tensors freed as
they are used, optimizer step with states made in the first step. With recompute each block keeps its input
alone. Sharded, a block's weights are gathered on a stream of their own while the block before computes, and
its gradients are reduced from a flat copy on another. Adapters leave the weights without gradients and
states.

Source: our own reading of what autograd saves (tests/engine/memory/saved_tensors.py measures the same blocks)
and of PyTorch FSDP (Zhao et al. 2023, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.allocator.caching import Block, CachingAllocator

COMPUTE, GATHERING, REDUCING = 0, 1, 2
HALF, WIDE = 2.0, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A model and how it is trained on one rank. shards: ranks that share weights and states, 1 for none.

    accumulation: micro-batches a step.  adapters: share of the weights that is trained beside a frozen
    base, None where all are.  frozen_bytes: per weight of the base's blocks; below 2 each matrix is made
    whole in 16 bits where it is used.
    """

    layers: int = 12
    hidden: int = 2048
    ffn: int = 8192
    heads: int = 32
    kv_heads: int = 8
    head_dim: int = 64
    vocab: int = 128256
    shards: int = 1
    recompute: bool = True
    whole_logits: bool = True
    accumulation: int = 1
    adapters: float | None = None
    frozen_bytes: float = HALF

    @property
    def matrices(self) -> tuple[float, ...]:
        """Parameters of each matrix of a block: query, key, value, output, gate, up, down."""
        query, key = self.heads * self.head_dim * self.hidden, self.kv_heads * self.head_dim * self.hidden
        return (query, key, key, query, *(float(self.hidden * self.ffn),) * 3)


def row_lengths(
    *, rows: int, at_once: int, mean: float, spread: float, longest: float, padded: bool, seed: int = 0
) -> NDArray[np.float64]:
    """Tokens of each of ``rows`` micro-batches of ``at_once`` samples with log-normal lengths, shape (rows,).

    spread: standard deviation over mean.  padded: to the longest of the micro-batch, else laid end to end.
    Source: definition; lengths of instruction data are about log-normal.
    """
    draw = np.random.default_rng(seed)
    wide = np.sqrt(np.log1p(spread**2))
    lengths = np.exp(draw.normal(np.log(mean) - wide**2 / 2.0, wide, (rows, at_once)))
    lengths = np.clip(np.round(lengths), 16.0, longest)
    return np.asarray(lengths.max(axis=1) * at_once if padded else lengths.sum(axis=1))


class Training:
    """A run on one allocator, step by step. persistent_bytes: what stays between steps once all is made."""

    def __init__(self, setup: Setup, allocator: CachingAllocator) -> None:
        self.setup, self.allocator = setup, allocator
        of_block = [size * setup.frozen_bytes / setup.shards for size in setup.matrices]
        table = setup.vocab * setup.hidden * HALF / setup.shards
        self.sizes = [table, *(of_block * setup.layers), table]
        trained = 1.0 if setup.adapters is None else setup.adapters * HALF / setup.frozen_bytes
        self.trained = [size * trained for size in self.sizes]
        for size in self.sizes:
            allocator.allocate(size)
        if setup.adapters is not None:
            for size in self.trained:
                allocator.allocate(size)
        self.gradients: list[Block | None] = [None] * len(self.sizes)
        self.states_made = False
        self.persistent_bytes = 0

    def step(self, lengths: Iterable[float]) -> None:
        """One optimizer step over micro-batches of these lengths, tokens. Raises OutOfMemoryError."""
        for tokens in lengths:
            self._micro_batch(tokens)
        made = [
            self.allocator.allocate(size) for size in self.trained for _ in range(2 * (not self.states_made))
        ]
        self.states_made = bool(made) or self.states_made
        temporary = [self.allocator.allocate(size) for size in self.trained]
        self._free(*temporary)
        for index, gradient in enumerate(self.gradients):
            if gradient is not None:
                self.allocator.release(gradient)
                self.gradients[index] = None
        self.persistent_bytes = self.allocator.allocated

    def _make(self, size: float, stream: int = COMPUTE) -> Block:
        return self.allocator.allocate(size, stream)

    def _free(self, *blocks: Block) -> None:
        for block in blocks:
            self.allocator.release(block)

    def _micro_batch(self, tokens: float) -> None:
        setup = self.setup
        hidden = tokens * setup.hidden * HALF
        state, kept = self._make(hidden), []
        gathered = self._gather(0)
        for layer in range(setup.layers):
            ahead = self._gather(layer + 1)
            saved, out = self._forward(state, tokens)
            if setup.recompute:
                self._free(*saved)
                kept.append([state])
            else:
                self._free(state)
                kept.append(saved)
            state = out
            self._drop(gathered)
            gathered = ahead
        self._drop(gathered)
        gradient = self._loss(state, tokens)
        gathered = self._gather(setup.layers - 1)
        for layer in reversed(range(setup.layers)):
            ahead = self._gather(layer - 1)
            if setup.recompute:
                (state,) = kept.pop()
                saved, out = self._forward(state, tokens)
                self._free(out)
            else:
                saved = kept.pop()
            gradient = self._backward(saved, gradient, tokens, layer)
            if setup.recompute:
                self._free(state)
            self._drop(gathered)
            gathered = ahead
        self._drop(gathered)
        self._table_gradient(0)
        self._free(gradient)

    def _gather(self, layer: int) -> Block | None:
        if self.setup.shards == 1 or not 0 <= layer < self.setup.layers:
            return None
        return self._make(sum(self.setup.matrices) * HALF, GATHERING)

    def _drop(self, gathered: Block | None) -> None:
        if gathered is not None:
            self._free(gathered)

    def _dequantized(self, matrix: int) -> None:
        """A matrix of the base in 16 bits, for as long as its product takes."""
        if self.setup.frozen_bytes < HALF:
            self._free(self._make(self.setup.matrices[matrix] * HALF))

    def _norm(self, tokens: float) -> tuple[list[Block], Block]:
        """transformers' LlamaRMSNorm: widened input, its square, the scale, the result in both widths."""
        width = tokens * self.setup.hidden
        wide, square = self._make(width * WIDE), self._make(width * WIDE)
        scale = self._make(tokens * WIDE)
        self._free(square)
        normed = self._make(width * WIDE)
        narrow = self._make(width * HALF)
        self._free(normed)
        return [wide, scale, narrow], self._make(width * HALF)

    def _rotary(self, block: Block, size: float) -> Block:
        first, turned = self._make(size), self._make(size)
        second = self._make(size)
        self._free(turned)
        out = self._make(size)
        self._free(first, second, block)
        return out

    def _forward(self, state: Block, tokens: float) -> tuple[list[Block], Block]:
        """One block: what it saves for backward, and its output. The input stays."""
        setup = self.setup
        hidden, inner = tokens * setup.hidden * HALF, tokens * setup.ffn * HALF
        query, key = (tokens * heads * setup.head_dim * HALF for heads in (setup.heads, setup.kv_heads))
        saved, normed = self._norm(tokens)
        parts = []
        for matrix, size in enumerate((query, key, key)):
            self._dequantized(matrix)
            parts.append(self._make(size))
        parts[:2] = [self._rotary(part, size) for part, size in zip(parts[:2], (query, key), strict=True)]
        mixed, log_sums = self._make(query), self._make(tokens * setup.heads * WIDE)
        self._dequantized(3)
        projected = self._make(hidden)
        middle = self._make(hidden)
        self._free(projected)
        saved += [normed, *parts, mixed, log_sums]
        second, normed = self._norm(tokens)
        self._dequantized(4)
        gate = self._make(inner)
        active = self._make(inner)
        self._dequantized(5)
        up = self._make(inner)
        product = self._make(inner)
        self._dequantized(6)
        down = self._make(hidden)
        out = self._make(hidden)
        self._free(down, middle)
        return [*saved, *second, normed, gate, active, up, product], out

    def _backward(self, saved: list[Block], gradient: Block, tokens: float, layer: int) -> Block:
        """One block backwards: frees what it saved as it is used, makes its weights' gradients."""
        setup = self.setup
        hidden, inner = tokens * setup.hidden * HALF, tokens * setup.ffn * HALF
        query, key = (tokens * heads * setup.head_dim * HALF for heads in (setup.heads, setup.kv_heads))
        first, second = saved[:3], saved[9:12]
        normed_1, attention, normed_2 = saved[3], saved[4:9], saved[12]
        gate, active, up, product = saved[13:]
        whole: list[Block] = []

        def weight(matrix: int) -> None:
            self._dequantized(matrix)
            made = self._weight_gradient(1 + layer * 7 + matrix, setup.matrices[matrix])
            if made is not None:
                whole.append(made)

        of_product = self._make(inner)
        weight(6)
        self._free(product)
        of_active, of_up = self._make(inner), self._make(inner)
        self._free(of_product, up, active)
        of_gate = self._make(inner)
        self._free(of_active, gate)
        branch = self._make(hidden)
        weight(5)
        other = self._make(hidden)
        weight(4)
        self._free(of_up, of_gate, normed_2)
        total = self._make(hidden)
        self._free(branch, other)
        gradient = self._norm_backward(second, total, gradient, tokens)
        of_mixed = self._make(query)
        weight(3)
        accumulated = self._make(2.0 * query)
        parts = [self._make(size) for size in (query, key, key)]
        self._free(accumulated, of_mixed, *attention)
        branches = []
        for matrix, part in enumerate(parts):
            size = (query, key, key)[matrix]
            turned = self._rotary(part, size) if matrix < 2 else part
            branches.append(self._make(hidden))
            weight(matrix)
            self._free(turned)
        total = self._make(hidden)
        self._free(*branches, normed_1)
        gradient = self._norm_backward(first, total, gradient, tokens)
        if whole:
            flat = self._make(sum(setup.matrices) * HALF, REDUCING)
            self._free(*whole)
            for matrix, size in enumerate(setup.matrices):
                self._reduced(1 + layer * 7 + matrix, size)
            self._free(flat)
        return gradient

    def _norm_backward(self, saved: list[Block], of_out: Block, residual: Block, tokens: float) -> Block:
        width = tokens * self.setup.hidden
        wide, second = self._make(width * WIDE), self._make(width * WIDE)
        self._free(of_out, second)
        narrow = self._make(width * HALF)
        self._free(wide, *saved)
        total = self._make(width * HALF)
        self._free(narrow, residual)
        return total

    def _weight_gradient(self, index: int, parameters: float) -> Block | None:
        """A matrix's gradient: kept, added to the one that is there, or whole until it is reduced."""
        setup = self.setup
        if setup.adapters is not None:
            parameters *= setup.adapters
        elif setup.shards > 1:
            return self._make(parameters * HALF)
        made = self._make(parameters * HALF)
        if self.gradients[index] is None:
            self.gradients[index] = made
        else:
            self._free(made)
        return None

    def _table_gradient(self, index: int) -> None:
        """The gradient of the token table or the head."""
        parameters = self.setup.vocab * self.setup.hidden
        whole = self._weight_gradient(index, parameters)
        if whole is not None:
            self._free(whole)
            self._reduced(index, parameters)

    def _reduced(self, index: int, parameters: float) -> None:
        if self.gradients[index] is None:
            self.gradients[index] = self._make(parameters * HALF / self.setup.shards, REDUCING)

    def _loss(self, state: Block, tokens: float) -> Block:
        """Final norm, head and cross-entropy, forward and backward; the gradient of the last hidden state."""
        setup = self.setup
        saved, normed = self._norm(tokens)
        logit = tokens * setup.vocab
        head = len(self.sizes) - 1
        if setup.whole_logits:
            logits = self._make(logit * HALF)
            widened = self._make(logit * WIDE)
            log_probabilities = self._make(logit * WIDE)
            self._free(logits, widened)
            of_loss = self._make(logit * WIDE)
            of_logits = self._make(logit * WIDE)
            self._free(of_loss, log_probabilities)
            narrow = self._make(logit * HALF)
            self._free(of_logits)
            out = self._make(tokens * setup.hidden * HALF)
            self._table_gradient(head)
            self._free(narrow)
        else:
            out = self._make(tokens * setup.hidden * HALF)
            self._table_gradient(head)
            chunk = max(tokens * setup.hidden / setup.vocab, 1.0)
            for _ in range(8):
                self._free(self._make(chunk * setup.vocab * HALF), self._make(chunk * setup.vocab * WIDE))
        residual = self._make(tokens * setup.hidden * HALF)
        gradient = self._norm_backward(saved, out, residual, tokens)
        self._free(normed, state)
        return gradient
