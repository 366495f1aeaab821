"""What runs where the question does not say: each stack's defaults, and what real lengths come to."""

from dataclasses import replace
from typing import Any

import pytest

from planner.engine.grid import running, stack
from planner.engine.grid.plan_grid import ATTENTION_KERNELS, KERNELS
from planner.engine.question.request import Experts, Sequences, Workload
from tests.engine.questions import question

PLAIN = question().workload


def workload(**changes: Any) -> Workload:
    return replace(PLAIN, **changes)


@pytest.mark.parametrize(
    ("changes", "chip", "kernel"),
    [
        ({"framework": "megatron"}, "hopper", "cudnn"),
        ({"framework": "megatron"}, "ampere", "flash_2"),
        ({"framework": "fsdp"}, "hopper", "flash_2"),
        ({}, "blackwell", "cudnn"),
        ({}, "volta", "flash_1"),
        ({"attention": "standard"}, "hopper", "standard"),
        ({"attention_kernel": "flash_3"}, "hopper", "flash_3"),
        ({"attention_kernel": "sdpa_math"}, "hopper", "sdpa_math"),
    ],
)
def test_the_attention_kernel(changes: dict[str, Any], chip: str, kernel: str) -> None:
    asked = workload(**changes)
    assert stack.attention_kernel(asked, chip) == kernel
    assert running.stack_numbers(asked, chip)["attention_kernel"] == ATTENTION_KERNELS.index(kernel)
    assert stack.is_flash(asked) == (kernel not in ("standard", "sdpa_math"))


@pytest.mark.parametrize(
    ("changes", "chip", "kernels"),
    [
        ({"framework": "megatron"}, "ampere", "transformer_engine"),
        ({"framework": "megatron"}, "volta", "fused"),
        ({"framework": "deepspeed"}, "ampere", "fused"),
        ({"framework": "deepspeed", "task": "full_finetuning"}, "ampere", "plain"),
        ({"framework": "torchtitan"}, "hopper", "plain"),
        ({"framework": "torchtitan", "compile": True}, "hopper", "compiled"),
        ({"framework": "neuron"}, "trainium", "compiled"),
        ({}, "hopper", "fused"),
        ({"task": "lora"}, "hopper", "plain"),
        ({"task": "lora", "loss": "fused"}, "hopper", "fused"),
        ({"task": "lora", "framework": "unsloth"}, "hopper", "fused"),
        ({"framework": "megatron", "kernels": "plain"}, "hopper", "plain"),
    ],
)
def test_the_kernels_between_the_products(changes: dict[str, Any], chip: str, kernels: str) -> None:
    asked = workload(**changes)
    assert stack.kernels(asked, chip) == kernels
    numbers = running.stack_numbers(asked, chip)
    assert numbers["kernels"] == KERNELS.index(kernels)
    assert numbers["compiled"] == (kernels == "compiled" and asked.framework != "neuron")


def test_hugging_face_s_trainer_casts_in_fp16() -> None:
    assert not stack.autocast(workload())
    assert stack.autocast(workload(task="full_finetuning", precision="fp16"))
    assert not stack.autocast(workload(task="full_finetuning", precision="fp16", framework="deepspeed"))
    assert not stack.autocast(workload(task="full_finetuning", precision="fp16", autocast=False))


def test_k_bit_preparation_widens_queries_where_nothing_narrows_them() -> None:
    prepared = workload(task="qlora", k_bit_preparation=True)
    assert not stack.wide_attention(prepared)
    assert stack.wide_attention(replace(prepared, autocast=False))
    assert not stack.wide_attention(workload(task="qlora", autocast=False))


@pytest.mark.parametrize(
    ("lengths", "computed", "real", "together"),
    [
        (None, 1000, 1000, 1000),
        (Sequences(kind="full"), 1000, 1000, 1000),
        (Sequences(kind="packed", mean_tokens=200), 1000, 1000, 200),
        # The mean token stands in a sample of mean + variance / mean.
        (Sequences(kind="packed", mean_tokens=200, std_tokens=100), 1000, 1000, 250),
        (Sequences(kind="padded_to_max", mean_tokens=200), 1000, 200, 1000),
        (Sequences(kind="unpadded", mean_tokens=200), 200, 200, 200),
        # sqrt(2 ln 8) = 2.04 deviations above the mean, never above the longest.
        (Sequences(kind="padded_to_longest", mean_tokens=200, std_tokens=100), 403.9, 200, 403.9),
        (Sequences(kind="padded_to_longest", mean_tokens=200, std_tokens=100, max_tokens=300), 300, 200, 300),
    ],
)
def test_real_lengths(lengths: Sequences | None, computed: float, real: float, together: float) -> None:
    row = stack.row_tokens(lengths, 1000.0, 8.0)
    assert row == pytest.approx(computed, rel=1e-3)
    assert stack.real_tokens(lengths, 1000.0) == real
    assert stack.sample_tokens(lengths, row) == pytest.approx(together, rel=1e-3)


@pytest.mark.parametrize(
    ("experts", "load"),
    [
        (None, 0.0),
        (Experts(balance="learned"), 0.0),
        (Experts(balance="forced"), 1.0),
        (Experts(capacity_factor=1.25), 1.25),
        (Experts(capacity_factor=1.25, balance="forced"), 1.25),
    ],
)
def test_how_full_the_fullest_expert_rank_is(experts: Experts | None, load: float) -> None:
    assert stack.expert_load(workload(moe=experts)) == load


def test_experts_are_grouped_where_the_stack_does_so_or_it_was_asked_for() -> None:
    assert stack.grouped_matmul(workload(framework="megatron"))
    assert not stack.grouped_matmul(workload(framework="fsdp"))
    assert stack.grouped_matmul(workload(framework="fsdp", moe=Experts(grouped_matmul=True)))
    assert stack.dispatcher(workload()) == "all_to_all"
    assert stack.dispatcher(workload(moe=Experts(dispatcher="deepep"))) == "deepep"


@pytest.mark.parametrize(
    ("framework", "asked", "left"),
    [
        ("megatron", None, True),
        ("generic", None, True),
        ("fsdp", None, False),
        ("megatron", True, False),
        ("megatron", False, False),
    ],
)
def test_the_exchange_of_experts_is_left_to_stacks_that_can_overlap_it(
    framework: Any, asked: bool | None, left: bool
) -> None:
    experts = None if asked is None else Experts(overlap=asked)
    assert stack.overlaps_experts(workload(framework=framework, moe=experts)) == left


def test_each_input_left_to_a_default_is_counted() -> None:
    model = question(model="llama-2-7b").model
    nothing_said = workload(framework="generic", task="lora", sequence_length=4096)
    assert running.unsaid_inputs(model, nothing_said) == 4
    said = replace(
        nothing_said, framework="trl", kernels="plain", attention_kernel="flash_2",
        sequences=Sequences(kind="full"),
    )  # fmt: skip
    assert running.unsaid_inputs(model, said) == 0


def test_what_computes_attention_counts_where_attention_takes_much_of_the_run() -> None:
    model = question(model="llama-2-7b").model
    short = workload(framework="fsdp", kernels="plain", sequence_length=512)
    assert running.unsaid_inputs(model, short) == 0
    assert running.unsaid_inputs(model, replace(short, sequence_length=4096)) == 1
    # Causal: 2 x tokens x width of 8 x width^2 and 6 x width x 11008.
    share = 2 * 4096 * 4096 / (2 * 4096 * 4096 + 8 * 4096**2 + 6 * 4096 * 11008)
    assert running.attention_share(model, 4096) == pytest.approx(share)


def test_dispatcher_and_balance_count_with_experts_alone() -> None:
    model = question(model="mixtral-8x7b").model
    run = workload(framework="megatron", kernels="plain", sequence_length=512)
    assert running.unsaid_inputs(model, run) == 2
    assert running.unsaid_inputs(model, replace(run, moe=Experts(dispatcher="deepep"))) == 1
    said = Experts(dispatcher="deepep", balance="forced")
    assert running.unsaid_inputs(model, replace(run, moe=said)) == 0


def test_of_the_machines_a_measured_rate_and_the_network_of_one_s_own_count() -> None:
    own = {"accelerator": "h100-sxm", "accelerators_per_node": 8, "nodes": 4, "internode_gbps_per_node": 400}
    assert running.unsaid_of_machine(question(cluster=own).cluster) == 2
    assert running.unsaid_of_machine(question(cluster=own | {"nodes": 1}).cluster) == 1
    said = own | {"fabric": "roce", "matmul_flops_per_s": 6e14}
    assert running.unsaid_of_machine(question(cluster=said).cluster) == 0
    assert running.unsaid_of_machine(question(cluster={"instance_type": "p5.48xlarge"}).cluster) == 1


def test_a_power_limit_is_handed_to_the_grid() -> None:
    machines = {"accelerators_per_node": 8, "nodes": 1, "internode_gbps_per_node": 400}
    capped = question(cluster={"accelerator": "h100-sxm", "power_limit_watts": 500, **machines}).cluster
    assert running.machine_numbers(capped, 8)["sustained_share"] == pytest.approx(0.85, abs=0.03)
    assert running.machine_numbers(replace(capped, power_limit_watts=None), 8)["sustained_share"] == 1.0


def test_a_token_meets_the_adapters_of_the_experts_that_it_visits() -> None:
    mixture = question(model="mixtral-8x7b", task="lora")
    targets = replace(mixture.workload, lora_targets=("w1",))
    model = mixture.model
    assert running.adapted_width(model, targets) == pytest.approx(
        model.layers * model.experts_per_token * (model.hidden_size + model.expert_ffn_size)
    )
    assert running.adapted_modules(model, targets) == 1.0


@pytest.mark.parametrize(
    ("machine", "ranks", "domain"),
    [
        ("p6e-gb200.36xlarge", 4, 72),
        ("a4x-highgpu-4g", 4, 72),
        ("Standard_ND128isr_GB300_v6", 4, 72),
        ("u-p6e-gb200x36", 36, 36),
        ("u-p6e-gb200x72", 72, 72),
        ("p5.48xlarge", 8, 8),
    ],
)
def test_a_rack_s_link_joins_its_machines(machine: str, ranks: int, domain: int) -> None:
    """NVL72: 18 machines of four; AWS also sells half a rack as one machine, which is a domain of 36."""
    cluster = question(cluster={"instance_type": machine, "nodes": 1}).cluster
    assert running.machine_numbers(cluster, ranks)["link_domain_ranks"] == domain
