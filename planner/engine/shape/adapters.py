"""What training with adapters (LoRA) leaves out: the inputs that frozen matrices do not need for backward.

Knows the linear layers of a model by name; what the saving is worth in bytes is the memory rooms' affair.
"""

from __future__ import annotations

from planner.engine.question.request import Workload
from planner.engine.question.specs import LinearModule, ModelSpec
from planner.engine.shape.names import LinearNames, linear_names
from planner.engine.shape.parameters import targeted_modules

#: How many adapters of a block read each of these inputs, by the name of the count.
READ_BY = {
    "qkv_adapters": "qkv_input_kept",
    "output_adapters": "output_input_kept",
    "ffn_adapters": "ffn_input_kept",
    "down_adapters": "down_input_kept",
}
KEPT_INPUTS = ("qkv_input_kept", "output_input_kept", "ffn_input_kept", "down_input_kept")


def kept_matmul_inputs(model: ModelSpec, workload: Workload) -> dict[str, float]:
    """Flags (0.0 or 1.0) by KEPT_INPUTS: whether some matrix that reads that input has a weight gradient; and
    counts by READ_BY: adapters of the mean block that read it, a block's experts as one.

    All of them in full training; in LoRA only those that an adapter wraps. Raises PlanError
    ``workload.lora_targets`` where a target names no layer.
    """
    if workload.task not in ("lora", "qlora"):
        return dict.fromkeys(KEPT_INPUTS, 1.0) | dict.fromkeys(READ_BY, 0.0)
    names = linear_names(model.family, model.gated_ffn)
    wrapped = [each for each in targeted_modules(model, workload.lora_targets) if each.in_blocks]
    blocks = max(model.layers + model.decoder_layers, 1)
    readers = dict.fromkeys(KEPT_INPUTS, 0.0)
    for module in wrapped:
        copies = blocks if module.routed_expert else module.copies
        readers[_input_read(module, names)] += copies / blocks
    counts = {count: readers[name] for count, name in READ_BY.items()}
    return {name: float(readers[name] > 0.0) for name in KEPT_INPUTS} | counts


def _input_read(module: LinearModule, names: LinearNames) -> str:
    if module.reads:
        return module.reads
    if module.path in (names.output, names.cross_output):
        return "output_input_kept"
    leaf = module.path.rpartition(".")[2]
    in_mlp = module.path not in (*names.qkv, *names.cross_qkv)
    if in_mlp and (module.path == names.down or leaf == names.expert_down):
        return "down_input_kept"
    first = (names.up, names.gate, names.gate_up)
    if in_mlp and (module.path in first or leaf in (names.expert_up, names.expert_gate)):
        return "ffn_input_kept"
    return "qkv_input_kept"
