"""What the named stacks have: the table, refusals of what they lack, open fields that stay inside."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.contract.parse import parse_plan_request
from planner.engine.choose.plan import choose
from planner.engine.layout.refusals import stacks_offered
from planner.engine.layout.stacks import AXES, STACKS, Stack
from planner.engine.question import words
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Framework
from tests.engine.questions import catalog

NODE = {"accelerator": "a100-sxm-80gb", "accelerators_per_node": 8, "nodes": 1}


def asked(framework: str, *, layout: Any = "auto", cluster: Any = NODE, **workload: Any) -> Any:
    usual = {"task": "full_finetuning", "tokens": 1e8, "sequence_length": 2048, "global_batch_size": 64}
    data = {
        "model": workload.pop("model", "llama-2-7b"),
        "workload": {**usual, "framework": framework, **workload},
        "cluster": cluster,
        "layout": layout,
    }
    return choose(parse_plan_request(data, catalog()), shipped_calibration())


def refusal(framework: str, **changes: Any) -> tuple[str, str]:
    with pytest.raises(PlanErrors) as refused:
        asked(framework, **changes)
    first = refused.value.errors[0]
    return first.field, first.remedy


def test_every_stack_stands_in_the_table() -> None:
    assert tuple(words.FRAMEWORKS) == get_args(Framework)
    assert set(STACKS) == set(words.FRAMEWORKS)


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_what_is_usual_can_be_had_and_each_row_has_its_source(stack: Stack) -> None:
    assert stack.usual_axes <= stack.axes <= set(AXES)
    assert set(stack.usual_shardings) <= set(stack.shardings)
    assert stack.source


@pytest.mark.parametrize("framework", ["fsdp", "deepspeed", "trl", "axolotl", "torchtune", "llama_factory"])
def test_open_fields_stay_inside_the_stack(framework: str) -> None:
    layout = asked(framework, layout={"micro_batch_size": 1}).layout
    degrees = [layout.tensor_parallel, layout.pipeline_parallel, layout.context_parallel]
    assert [*degrees, layout.expert_parallel, layout.data_parallel] == [1, 1, 1, 1, 8]


def test_experts_stay_whole_where_the_stack_has_no_expert_parallelism() -> None:
    layout = {"micro_batch_size": 1, "tensor_parallel": 1, "pipeline_parallel": 1, "sharding": "none"}
    plan = asked("deepspeed", model="gpt-oss-20b", task="lora", layout=layout)
    assert plan.layout.expert_parallel == 1


def test_an_axis_that_is_asked_for_is_taken_where_the_stack_has_it() -> None:
    assert asked("fsdp", layout={"tensor_parallel": 2}).layout.tensor_parallel == 2
    field, remedy = refusal("llama_factory", layout={"tensor_parallel": 2})
    assert field == "layout.tensor_parallel"
    assert "megatron" in remedy and "trl" not in remedy


@pytest.mark.parametrize(
    ("framework", "changes", "field"),
    [
        ("trl", {"layout": {"pipeline_parallel": 2}}, "layout.pipeline_parallel"),
        ("unsloth", {}, "workload.framework"),
        ("torchtitan", {"layout": {"sharding": "zero1"}}, "layout.sharding"),
        ("neuron", {"offload": ["optimizer"]}, "workload.offload"),
        ("llama_factory", {"offload": ["activations"]}, "workload.offload"),
        ("trl", {"activation_recompute": "selective"}, "workload.activation_recompute"),
    ],
)
def test_what_a_stack_lacks_is_refused_with_a_remedy(
    framework: str, changes: dict[str, Any], field: str
) -> None:
    assert refusal(framework, **changes)[0] == field


def test_unsloth_plans_one_gpu() -> None:
    alone = {"accelerator": "a100-sxm-80gb", "accelerators_per_node": 1, "nodes": 1}
    assert asked("unsloth", task="lora", cluster=alone).layout.data_parallel == 1


def offered(model: str = "llama-2-7b", *, cluster: Any = NODE, ranks: int = 8, **workload: Any) -> set[str]:
    usual = {"task": "full_finetuning", "tokens": 1e8, "sequence_length": 2048, "global_batch_size": 64}
    data = {"model": model, "workload": {**usual, **workload}, "cluster": cluster}
    return set(stacks_offered(parse_plan_request(data, catalog()), ranks))


class TestOffered:
    """A stack is offered for what it does: the task, the chip, the kind of model, and what is asked for."""

    def test_by_task(self) -> None:
        assert offered(task="pretraining") == {"generic", "megatron", "fsdp", "deepspeed", "torchtitan"}
        assert not offered(task="lora") & {"megatron", "torchtitan", "neuron"}

    def test_by_ranks(self) -> None:
        assert "unsloth" not in offered(task="lora")
        assert "unsloth" in offered(task="lora", ranks=1)

    def test_by_chip(self) -> None:
        trainium = {"instance_type": "trn1.32xlarge", "nodes": 1}
        assert offered(task="pretraining", cluster=trainium, ranks=32) == {"generic", "neuron"}

    def test_by_kind_of_model(self) -> None:
        assert offered("bert-large-uncased") == {"generic", "megatron", "fsdp", "deepspeed"}

    def test_by_what_is_asked(self) -> None:
        assert "trl" in offered(task="lora", activation_recompute="full")
        assert "trl" not in offered(task="lora", activation_recompute="selective")
        assert "megatron" not in offered(task="pretraining", offload="parameters")
