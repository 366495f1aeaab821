"""PyTorch as the oracle of the loss: bytes per logit alive at once from head to the head's gradients.

Every storage that an operator makes is counted until it dies. Needs requirements-oracle.txt.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode


class Alive(TorchDispatchMode):
    """Counts the bytes of all storages made under it. peak: the most alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else [made]:
            if isinstance(each, torch.Tensor):
                storage = each.untyped_storage()
                if storage._cdata not in self.alive:
                    self.alive[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, self.alive.pop, storage._cdata, None)
        self.peak = max(self.peak, sum(self.alive.values()))
        return made


def peak_bytes_per_logit(kept: str, tokens: int = 256, vocabulary: int = 4096) -> float:
    """kept: what the loop holds during backward, as in ``workload.logits_kept``."""
    states = torch.randn(tokens, 8, dtype=torch.bfloat16, requires_grad=True)
    head = torch.randn(vocabulary, 8, dtype=torch.bfloat16, requires_grad=True)
    labels = torch.randint(vocabulary, (tokens,))
    gc.collect()
    with Alive() as alive:
        logits = functional.linear(states, head)
        wide = logits.float()
        if kept != "16_bit":
            del logits
        loss = functional.cross_entropy(wide, labels)
        if kept != "fp32":
            del wide
        loss.backward()
    return float(alive.peak) / (tokens * vocabulary)
