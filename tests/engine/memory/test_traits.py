"""Traits of the stacks: looked up by framework, and changed by a plan's own switches."""

import pytest

from planner.engine.memory.traits import traits_of
from tests.engine.bare import bare_grid, framework, number


@pytest.mark.parametrize(
    ("stack", "finetuning", "plain"),
    [
        ("generic", 0, 1),
        ("megatron", 0, 0),
        ("fsdp", 1, 1),
        ("deepspeed", 0, 1),
        ("deepspeed", 1, 1),
        ("neuron", 1, 0),
    ],
)
def test_deepspeed_is_plain_when_it_fine_tunes(stack: str, finetuning: int, plain: int) -> None:
    assert number(traits_of(bare_grid(framework=framework(stack), finetuning=finetuning)).plain) == plain


def test_what_deepspeed_pretrains_split_is_megatrons() -> None:
    split = bare_grid(framework=framework("deepspeed"), tensor_parallel=2)
    assert number(traits_of(split).plain) == 0


def test_fp16_under_autocast_computes_its_loss_in_fp32() -> None:
    under_autocast = bare_grid(fp16=1, finetuning=1, weight_bytes=4)
    assert number(traits_of(under_autocast).narrow_loss) == 0


def test_compilation_ends_eager_copies_and_fuses_the_loss() -> None:
    eager, compiled = traits_of(bare_grid()), traits_of(bare_grid(compiled=1, loss_compiled=1))
    assert (number(eager.eager), number(eager.repeated_heads), number(eager.compiled_loss)) == (1, 1, 0)
    assert (number(compiled.eager), number(compiled.repeated_heads), number(compiled.compiled_loss)) == (
        0,
        0,
        1,
    )
    left = traits_of(bare_grid(compiled=1, finetuning=1, framework=framework("fsdp")))
    assert number(left.compiled_loss) == 0


@pytest.mark.parametrize(
    ("changes", "narrow"),
    [({"fp16": 1}, 0), ({"fp16": 1, "finetuning": 1}, 1), ({"finetuning": 1}, 0)],
)
def test_fp16_fine_tuning_computes_its_loss_in_sixteen_bits(changes: dict[str, float], narrow: int) -> None:
    assert number(traits_of(bare_grid(**changes)).narrow_loss) == narrow


def test_kernels_that_are_named_win_over_the_stacks_own() -> None:
    fused = traits_of(bare_grid(finetuning=1, kernels_named=1, kernels_fused=1))
    assert (number(fused.modules), number(fused.plain), number(fused.in_place_loss)) == (1, 0, 1)
    plain = traits_of(bare_grid(framework=framework("megatron"), kernels_named=1))
    # Megatron's cross-entropy is its own.
    assert (number(plain.plain), number(plain.in_place_loss)) == (1, 1)


def test_a_prepared_base_is_widened_unless_it_is_sharded() -> None:
    assert number(traits_of(bare_grid(k_bit=1)).widened) == 1
    assert number(traits_of(bare_grid(k_bit=1, sharding=3)).widened) == 0


def test_a_trait_is_found_by_name() -> None:
    assert number(traits_of(bare_grid(framework=framework("deepspeed")))["buckets"]) == 1
    assert number(traits_of(bare_grid(framework=framework("fsdp")))["buckets"]) == 0
