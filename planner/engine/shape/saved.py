"""Layers that are trained whole beside adapters (PEFT's ``modules_to_save``): which they are, how large.

Knows the model's layers by name; what a copy of them costs in bytes is the memory rooms' affair.
"""

from __future__ import annotations

from typing import NamedTuple

from planner.engine.question.errors import PlanError
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.names import linear_names
from planner.engine.shape.parameters import count_parameters, linear_modules, targets_module

#: What transformers calls token tables, and scoring heads in place of the language-model head
#: (transformers 4.57; PEFT 0.17 ``SEQ_CLS_HEAD_NAMES``).
TABLES = ("embed_tokens", "wte", "word_embeddings", "embed_in", "shared", "embeddings")
SCORING_HEADS = ("score", "classifier")
NORMS = ("norm", "ln_f", "final_layer_norm", "input_layernorm", "post_attention_layernorm", "layernorm")


class Saved(NamedTuple):
    """Parameters trained whole, as counts: of the token table, of the output side, of all blocks."""

    embedding: int
    head: int
    blocks: int

    @property
    def total(self) -> int:
        """All of them, a count."""
        return self.embedding + self.head + self.blocks


def saved_parameters(model: ModelSpec, names: tuple[str, ...] | None) -> Saved:
    """Parameters that are copied and trained whole, counts. PEFT copies each named layer and keeps the
    original, so that a tied head is trained apart from its table.

    names: by transformers' names, matched like ``lora_targets``; None for none.
    Raises PlanError ``workload.modules_to_save`` where a name is none of this model's.
    Source: PEFT utils/other.py, ModulesToSaveWrapper (deep copy of the original module).
    """
    table = model.vocab_size * dict(model.extras).get("embedding_size", model.hidden_size)
    head = linear_names(model.family, model.gated_ffn).head
    count = count_parameters(model)
    embedding = output = blocks = 0
    for name in names or ():
        leaf = name.rpartition(".")[2]
        modules = [module for module in linear_modules(model) if targets_module(module, name)]
        if leaf in TABLES:
            embedding += table
        elif leaf == head or leaf in SCORING_HEADS:
            output += table if leaf == head and count.head_matmul else model.hidden_size
        elif leaf in NORMS:
            per_norm = model.hidden_size * (2 if model.norm == "layernorm" else 1)
            blocks += per_norm * (1 if leaf in NORMS[:3] else model.layers)
        elif modules:
            sizes = (m.copies * (m.in_features + m.bias) * m.out_features for m in modules)
            blocks += sum(sizes)
        else:
            known = ", ".join(dict.fromkeys([TABLES[0], head, *(m.name for m in linear_modules(model))]))
            raise PlanError(
                "workload.modules_to_save",
                name,
                f"{model.name} has no layer of this name.",
                f"Choose from: {known}.",
            )
    return Saved(embedding, output, blocks)
