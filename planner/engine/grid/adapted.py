"""What dropout and adapters keep of their inputs, and layers trained whole beside them."""

from __future__ import annotations

from planner.engine.grid.recipe import ELEMENT_BYTES, MemoryRecipe
from planner.engine.question.request import Workload
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.saved import saved_parameters

#: Stacks whose adapters have no dropout unless asked for.
WITHOUT_ADAPTER_DROPOUT = ("megatron", "torchtune", "unsloth", "llama_factory")


def dropout_numbers(model: ModelSpec, workload: Workload) -> dict[str, float]:
    """Whether hidden states, and the adapters' inputs, pass through dropout, flags.

    Recipes with unfused attention are older ones, which use it (Korthikanti et al. 2022, section 4.1);
    decoders trained with flash attention do without. Adapters usually have it (0.05 in the examples of PEFT,
    axolotl and TRL), but not in Megatron's stacks, torchtune, Unsloth and LLaMA-Factory, whose default is 0
    (NeMo and Megatron-Bridge LoRA, torchtune's configurations, Unsloth's notebooks, hparams/finetuning_args).
    """
    usual = workload.attention == "standard" and model.norm == "layernorm"
    adapters = workload.task in ("lora", "qlora")
    given = workload.dropout
    return {
        "dropout": usual if given is None or adapters else given > 0,
        "adapter_dropout": adapters
        and (workload.framework not in WITHOUT_ADAPTER_DROPOUT if given is None else given > 0),
    }


def adapter_input_bytes(workload: Workload, recipe: MemoryRecipe) -> float:
    """Bytes of one element of the copy that an adapter keeps of its input: as wide as the adapter, which
    autocast narrows to 16 bits.

    Source: PEFT tuners/lora/layer.py (_cast_input_dtype); read off what autograd saves with peft 0.21
    (tests/engine/memory/saved_adapters.py).
    """
    return (
        recipe.weight_bytes
        if workload.autocast is False
        else min(recipe.weight_bytes, ELEMENT_BYTES[workload.precision])
    )


def saved_numbers(model: ModelSpec, workload: Workload) -> dict[str, float]:
    """Parameters trained whole beside adapters, counts by the part of the model that holds them."""
    adapters = workload.task in ("lora", "qlora")
    saved = saved_parameters(model, workload.modules_to_save if adapters else None)
    return {
        "saved_embedding_parameters": saved.embedding,
        "saved_head_parameters": saved.head,
        "saved_block_parameters": saved.blocks,
    }
