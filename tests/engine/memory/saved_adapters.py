"""PEFT as the oracle of what adapters keep: what autograd saves in one block of transformers' Llama.

Saved bytes of two blocks less those of one, on the CPU, without dropout (whose mask is a byte on a GPU and as
wide as its input here). Needs requirements-oracle.txt. ``python -m tests.engine.memory.saved_adapters``
records golden/saved_adapters.json anew, which the quick test reads, so that it needs no torch.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden" / "saved_adapters.json"
WIDTH, INNER, HEADS, TOKENS = 256, 1024, 4, 512
#: Smaller tensors are statistics of norms and softmax, and what passes through the adapters' rank.
SMALLEST_BYTES = 64 * TOKENS
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
EVERY = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]
TARGETS = (EVERY, ATTENTION, ["q_proj", "v_proj"], ["gate_proj"])


def saved_bytes(layers: int, targets: list[str], *, autocast: bool) -> int:
    """Bytes of distinct storages that the forward pass saves, weights not counted."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        vocab_size=128,
        attn_implementation="sdpa",
    )
    base = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, lora_dropout=0.0, target_modules=targets))
    model.enable_input_require_grads()
    model.train()
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    seen: dict[int, int] = {}
    alive: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and storage.nbytes() >= SMALLEST_BYTES:
            seen[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    words = torch.randint(0, 128, (1, TOKENS))
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast),
    ):
        model.model.model(input_ids=words)
    return sum(seen.values())


def block_bytes(targets: list[str], *, autocast: bool) -> int:
    """Bytes that one block adds."""
    two, one = (saved_bytes(layers, targets, autocast=autocast) for layers in (2, 1))
    return two - one


def record() -> None:
    cases: list[dict[str, Any]] = [
        {
            "targets": targets,
            "autocast": autocast,
            "saved_bytes": block_bytes(targets, autocast=autocast),
        }
        for targets in TARGETS
        for autocast in (False, True)
    ]
    versions = {
        "torch": torch.__version__,
        "peft": peft.__version__,
        "transformers": transformers.__version__,
    }
    sizes = {"width": WIDTH, "inner": INNER, "heads": HEADS, "tokens": TOKENS}
    measured = {"measured_on": datetime.now(tz=UTC).date().isoformat(), **versions, **sizes, "cases": cases}
    GOLDEN.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
