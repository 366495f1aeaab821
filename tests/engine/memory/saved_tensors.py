"""PyTorch as the oracle of activation memory: what autograd really saves in one block, byte by byte.

Blocks are written in plain torch as GPT-2, BERT and Llama are, in bf16, with scaled_dot_product_attention
(the flash path, on the CPU as well). Needs requirements-oracle.txt.
``python -m tests.engine.memory.saved_tensors``
records golden/saved_activations.json anew, which the quick tests read, so that they need no torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

GOLDEN = Path(__file__).parents[1] / "golden" / "saved_activations.json"


@dataclass(frozen=True, slots=True)
class Case:
    """One block and one batch. kind: gpt2 | bert | llama."""

    kind: str
    hidden_size: int
    heads: int
    kv_heads: int
    ffn_size: int
    sequence_length: int
    micro_batch_size: int


CASES = [
    Case(kind, hidden, heads, kv, ffn, sequence, batch)
    for kind, hidden, heads, kv, ffn, sequence in (
        ("gpt2", 256, 4, 4, 1024, 128),
        ("gpt2", 768, 12, 12, 3072, 64),
        ("bert", 384, 6, 6, 1536, 128),
        ("llama", 256, 4, 4, 688, 128),
        ("llama", 512, 8, 2, 1792, 64),
        ("llama", 256, 2, 1, 896, 256),
    )
    for batch in (1, 2, 5)
]


def attend(query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Tensor:
    """(batch, heads, tokens, width) in; (batch, tokens, heads x width) out, copied back to token order."""
    mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
    return mixed.transpose(1, 2).contiguous().flatten(2)


class RMSNorm(nn.Module):
    """As transformers' LlamaRMSNorm: input widened to fp32, weight applied in the input's precision."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, states: Tensor) -> Tensor:
        wide = states.to(torch.float32)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)
        return self.weight * wide.to(states.dtype)


class GptBlock(nn.Module):
    def __init__(self, case: Case) -> None:
        super().__init__()
        width = case.hidden_size
        self.heads = case.heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, case.ffn_size), nn.Linear(case.ffn_size, width)

    def split(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = self.qkv(states).chunk(3, dim=-1)
        by_head = [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)]
        return by_head[0], by_head[1], by_head[2]

    def forward(self, states: Tensor) -> Tensor:
        query, key, value = self.split(self.norms[0](states))
        states = states + self.output(attend(query, key, value, causal=True))
        inner = functional.gelu(self.up(self.norms[1](states)), approximate="tanh")
        return states + self.down(inner)


class BertBlock(GptBlock):
    """Norms after the residual sums, attention both ways."""

    def forward(self, states: Tensor) -> Tensor:
        query, key, value = self.split(states)
        states = self.norms[0](states + self.output(attend(query, key, value, causal=False)))
        return self.norms[1](states + self.down(functional.gelu(self.up(states))))


class LlamaBlock(nn.Module):
    def __init__(self, case: Case) -> None:
        super().__init__()
        width, head = case.hidden_size, case.hidden_size // case.heads
        self.heads, self.kv_heads = case.heads, case.kv_heads
        self.norms = nn.ModuleList([RMSNorm(width), RMSNorm(width)])
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, case.kv_heads * head, bias=False)
        self.value = nn.Linear(width, case.kv_heads * head, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, case.ffn_size, bias=False)
        self.up = nn.Linear(width, case.ffn_size, bias=False)
        self.down = nn.Linear(case.ffn_size, width, bias=False)
        angles = torch.arange(case.sequence_length)[:, None] / 10000 ** (torch.arange(head) / head)
        self.register_buffer("cosine", angles.cos())
        self.register_buffer("sine", angles.sin())

    def rotate(self, states: Tensor) -> Tensor:
        first, second = states.chunk(2, dim=-1)
        return states * self.cosine + torch.cat((-second, first), dim=-1) * self.sine

    def forward(self, states: Tensor) -> Tensor:
        normed = self.norms[0](states)
        query = self.rotate(self.query(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2))
        key = self.rotate(self.key(normed).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2))
        value = self.value(normed).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)
        repeats = self.heads // self.kv_heads
        if repeats > 1:
            key, value = (part.repeat_interleave(repeats, dim=1) for part in (key, value))
        states = states + self.output(attend(query, key, value, causal=True))
        normed = self.norms[1](states)
        return states + self.down(functional.silu(self.gate(normed)) * self.up(normed))


BLOCKS: dict[str, Callable[[Case], nn.Module]] = {"gpt2": GptBlock, "bert": BertBlock, "llama": LlamaBlock}


def saved_bytes(case: Case) -> int:
    """Bytes of distinct storages that autograd saves in one forward pass; weights and tables not counted."""
    torch.manual_seed(0)
    block = BLOCKS[case.kind](case).to(torch.bfloat16)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*block.parameters(), *block.buffers())}
    seen: dict[int, int] = {}
    alive: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # or its address could be handed out again
        return tensor

    shape = (case.micro_batch_size, case.sequence_length, case.hidden_size)
    states = torch.randn(shape, dtype=torch.bfloat16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        block(states)
    return sum(seen.values())


def record() -> None:
    measured: list[dict[str, Any]] = [{**asdict(case), "saved_bytes": saved_bytes(case)} for case in CASES]
    versions = {"torch": torch.__version__, "measured_on": datetime.now(tz=UTC).date().isoformat()}
    GOLDEN.write_text(json.dumps({**versions, "cases": measured}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
