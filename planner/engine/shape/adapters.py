"""What training with adapters (LoRA) leaves out: the inputs that frozen matrices do not need for backward.

Knows the linear layers of a model by name; what the saving is worth in bytes is the memory rooms' affair.
"""

from __future__ import annotations

from planner.engine.question.request import Workload
from planner.engine.question.specs import LinearModule, ModelSpec
from planner.engine.shape.names import LinearNames, linear_names
from planner.engine.shape.parameters import targeted_modules

KEPT_INPUTS = ("qkv_input_kept", "output_input_kept", "ffn_input_kept", "down_input_kept")


def kept_matmul_inputs(model: ModelSpec, workload: Workload) -> dict[str, float]:
    """Flags (0.0 or 1.0) by KEPT_INPUTS: whether some matrix that reads that input has a weight gradient.

    All of them in full training; in LoRA only those that an adapter wraps. Raises PlanError
    ``workload.lora_targets`` where a target names no layer.
    """
    if workload.task not in ("lora", "qlora"):
        return dict.fromkeys(KEPT_INPUTS, 1.0)
    names = linear_names(model.family, model.gated_ffn)
    wrapped = targeted_modules(model, workload.lora_targets)
    read = {_input_read(module, names) for module in wrapped if module.in_blocks}
    return {name: float(name in read) for name in KEPT_INPUTS}


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
