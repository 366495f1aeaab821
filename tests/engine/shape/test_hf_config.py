"""Reading shapes that people wrote: configs and explicit architectures, good and bad."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.engine.question.errors import HeadroomError, PlanError, PlanErrors
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.explicit import gated_ffn_size, model_from_explicit
from planner.engine.shape.hf_config import (
    FAMILIES,
    assumed_defaults,
    essential_config,
    model_from_hf_config,
    reading_notes,
)
from planner.engine.shape.parameters import count_parameters
from tests.engine.shape.oracle_configs import PUBLISHED

LLAMA = PUBLISHED["llama-3.1-8b"]
DECODER: dict[str, Any] = {
    "architecture": "decoder",
    "layers": 2,
    "hidden_size": 64,
    "attention_heads": 4,
    "vocab_size": 100,
}
VISION: dict[str, Any] = {
    "architecture": "vision_encoder",
    "layers": 2,
    "hidden_size": 64,
    "attention_heads": 4,
    "patch_size": 16,
    "image_size": 224,
}


def _is_model_or_named_problem(read: Callable[..., ModelSpec], values: dict[str, Any]) -> None:
    """Passes where a model comes of the values, or every problem names its field and a remedy."""
    try:
        total = count_parameters(read(values)).total
    except PlanError as error:
        found = [error]
    except PlanErrors as errors:
        found = errors.errors
    else:
        assert total > 0
        return
    assert found and all(error.field.startswith("model") and error.remedy for error in found)


def problems(read: Callable[..., Any], values: Any) -> list[PlanError]:
    with pytest.raises(HeadroomError) as caught:
        read(values)
    if isinstance(caught.value, PlanErrors):
        return caught.value.errors
    assert isinstance(caught.value, PlanError)
    return [caught.value]


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_a_size_that_says_which_model_it_is_must_be_there(key: str) -> None:
    config = {name: value for name, value in LLAMA.items() if name != key}
    [error] = problems(model_from_hf_config, config)
    assert error.field == f"model.hf_config.{key}"
    assert "missing" in error.message and key in error.remedy


@pytest.mark.parametrize("value", [0, -1, 4096.5, float("nan"), float("inf"), "4096", True, 10**12, [1], {}])
@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_key_value_heads", "vocab_size"])
def test_a_size_must_be_a_positive_whole_number(key: str, value: Any) -> None:
    errors = problems(model_from_hf_config, LLAMA | {key: value})
    assert errors[0].field == f"model.hf_config.{key}"
    assert errors[0].remedy


def test_null_for_a_size_that_must_be_there_reads_as_missing() -> None:
    [error] = problems(model_from_hf_config, LLAMA | {"hidden_size": None})
    assert error.field == "model.hf_config.hidden_size"


def test_heads_must_divide_the_width_and_be_divided_by_key_value_heads() -> None:
    [width] = problems(model_from_hf_config, LLAMA | {"hidden_size": 4100})
    assert width.field == "model.hf_config.hidden_size"
    [groups] = problems(model_from_hf_config, LLAMA | {"num_key_value_heads": 5})
    assert groups.field == "model.hf_config.num_attention_heads"


def test_a_head_dim_of_its_own_frees_the_width() -> None:
    assert model_from_hf_config(LLAMA | {"hidden_size": 4100, "head_dim": 128}).head_dim == 128


def test_all_problems_are_told_at_once_in_the_order_read() -> None:
    errors = problems(model_from_hf_config, {"model_type": "llama", "hidden_size": -1, "vocab_size": "many"})
    assert [error.field.rpartition(".")[2] for error in errors] == [
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "vocab_size",
    ]


@pytest.mark.parametrize(("word", "known"), [("LLaMA", "llama"), ("qwen3-moe", "qwen3_moe")])
def test_a_known_family_spelled_otherwise_is_asked_for(word: str, known: str) -> None:
    [error] = problems(model_from_hf_config, {"model_type": word})
    assert error.field == "model.hf_config.model_type" and error.value == word
    assert f"Is {known} meant?" in error.remedy


@pytest.mark.parametrize("word", ["lama", "minimax_m9", "gemma17", "falcon_h9"])
def test_an_unknown_family_is_never_told_a_name_alike(word: str) -> None:
    [error] = problems(model_from_hf_config, {"model_type": word, "hidden_size": 64})
    assert error.remedy == "Describe the model as an explicit architecture."


def test_an_unknown_family_of_llamas_shape_is_read_by_its_keys_with_a_warning() -> None:
    config = LLAMA | {"num_key_value_heads": 2, "model_type": "never_heard_of"}
    as_llama = model_from_hf_config(config | {"model_type": "llama"})
    assert count_parameters(model_from_hf_config(config)).total == count_parameters(as_llama).total
    assert [code for code, _ in reading_notes(config)] == ["family_not_known"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_local_experts", 8),
        ("kv_lora_rank", 512),
        ("mamba_d_state", 16),
        ("hybrid_override_pattern", "M-*"),
        ("layer_types", ["conv", "full_attention"]),
        ("linear_num_value_heads", 4),
        ("embedding_size", 128),
        ("vision_config", {"hidden_size": 8}),
    ],
)
def test_a_structural_key_that_the_family_does_not_read_stops_the_answer(key: str, value: Any) -> None:
    errors = problems(model_from_hf_config, LLAMA | {key: value})
    assert [error.field for error in errors] == [f"model.hf_config.{key}"]


def test_blocks_that_predict_further_tokens_are_named_where_they_are_not_counted() -> None:
    config = PUBLISHED["deepseek-v3"] | {"num_nextn_predict_layers": 1}
    assert [code for code, _ in reading_notes(config)] == ["prediction_blocks_not_counted"]


@pytest.mark.parametrize(
    ("config", "total"),
    [
        (
            {"model_type": "t5", "architectures": ["T5EncoderModel"], "d_model": 4096, "d_kv": 64}
            | {"d_ff": 10240, "num_layers": 24, "num_heads": 64, "vocab_size": 32128}
            | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
            4_762_310_656,
        ),
        (
            {"model_type": "mistral", "architectures": ["MistralModel"], "hidden_size": 4096}
            | {"intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}
            | {"num_key_value_heads": 8, "vocab_size": 32000},
            7_110_660_096,
        ),
    ],
)
def test_the_class_that_architectures_names_decides_the_head(config: dict[str, Any], total: int) -> None:
    assert count_parameters(model_from_hf_config(config)).total == total
    assert "architectures_head" in [code for code, _ in reading_notes(config)]


@pytest.mark.parametrize("value", [None, 7, [], "", "x" * 10_000_000])
def test_a_family_that_is_no_name_is_refused_shortly(value: Any) -> None:
    [error] = problems(model_from_hf_config, LLAMA | {"model_type": value})
    assert len(str(error)) < 2000


@pytest.mark.parametrize(
    "config",
    [
        PUBLISHED["gpt-neo-1.3b"] | {"attention_types": [[["global", "local"], 10**12]]},
        PUBLISHED["qwen3-30b-a3b"] | {"num_hidden_layers": 10_000, "mlp_only_layers": ["0"] * 10**6 + ["x"]},
        LLAMA | {"hidden_size": 10**5000},
        LLAMA | {"hidden_size": [0] * 10**6},
    ],
)
def test_large_values_are_answered_at_once(config: dict[str, Any]) -> None:
    started = time.perf_counter()
    _is_model_or_named_problem(model_from_hf_config, config)
    assert time.perf_counter() - started < 1.0


def test_of_very_many_unknown_fields_the_first_are_named() -> None:
    errors = problems(model_from_explicit, DECODER | {f"field_{number}": 1 for number in range(100_000)})
    assert len(errors) == 10


def test_key_value_heads_left_out_where_that_means_as_many_as_heads_are_no_assumption() -> None:
    config = {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}
    assert "num_key_value_heads" not in dict(assumed_defaults(config))


def test_a_missing_family_is_guessed_from_the_class_name() -> None:
    config = {"architectures": ["Qwen2MoeForCausalLM"]}
    [error] = problems(model_from_hf_config, config)
    assert error.field == "model.hf_config.model_type" and "qwen2_moe" in error.remedy


def test_a_model_of_several_parts_points_to_its_text() -> None:
    config = {"model_type": "gemma17", "text_config": {"hidden_size": 8}}
    [error] = problems(model_from_hf_config, config)
    assert error.value == "gemma17" and "text_config" in error.remedy


@pytest.mark.parametrize("value", [None, [], "llama", 3])
def test_a_config_must_be_an_object(value: Any) -> None:
    [error] = problems(model_from_hf_config, value)
    assert error.field == "model.hf_config"


def test_a_flag_must_be_true_or_false() -> None:
    [error] = problems(model_from_hf_config, LLAMA | {"tie_word_embeddings": "yes"})
    assert error.field == "model.hf_config.tie_word_embeddings"


def test_the_field_of_another_model_is_named() -> None:
    with pytest.raises(PlanError) as caught:
        model_from_hf_config(LLAMA | {"hidden_size": 0}, field="workload.ppo.critic.hf_config")
    assert caught.value.field == "workload.ppo.critic.hf_config.hidden_size"


def test_sizes_that_are_possible_one_by_one_may_be_absurd_together() -> None:
    huge = {"hidden_size": 10**8, "head_dim": 128, "num_hidden_layers": 10_000}
    [error] = problems(model_from_hf_config, LLAMA | huge)
    assert error.field == "model.hf_config"


def test_defaults_taken_for_absent_sizes_are_named() -> None:
    config = {key: value for key, value in LLAMA.items() if key != "intermediate_size"}
    assert dict(assumed_defaults(config))["intermediate_size"] == 11008


def test_keys_that_no_count_depends_on_are_ignored() -> None:
    noisy = LLAMA | {
        "architectures": ["LlamaForCausalLM"],
        "rope_scaling": {"factor": 8.0},
        "torch_dtype": "x",
    }
    assert model_from_hf_config(noisy) == model_from_hf_config(LLAMA)


@pytest.mark.parametrize(
    ("config", "window", "layers"),
    [
        (PUBLISHED["mistral-7b"], 4096, 32),
        (PUBLISHED["mistral-7b"] | {"sliding_window": None}, 0, 0),
        (PUBLISHED["gemma-2-9b"], 4096, 21),
        (PUBLISHED["gemma-3-1b"], 512, 22),
        (PUBLISHED["gpt-oss-20b"], 128, 12),
        (PUBLISHED["qwen2-7b"], 0, 0),
        (PUBLISHED["qwen2-7b"] | {"use_sliding_window": True, "max_window_layers": 20}, 4096, 8),
        (PUBLISHED["gpt-neo-1.3b"], 256, 12),
        (PUBLISHED["gemma-3-1b"] | {"layer_types": ["full_attention"] * 26}, 0, 0),
    ],
)
def test_windowed_layers(config: dict[str, Any], window: int, layers: int) -> None:
    model = model_from_hf_config(config)
    assert (model.sliding_window, model.windowed_layers) == (window, layers)


@pytest.mark.parametrize(
    ("name", "changes", "key"),
    [
        ("gemma-3-1b", {"layer_types": ["full_attention"]}, "layer_types"),
        ("gpt-neo-1.3b", {"attention_types": "global"}, "attention_types"),
        ("gpt-neo-1.3b", {"attention_types": [[["global"], 3]]}, "attention_types"),
        ("mixtral-8x7b", {"num_experts_per_tok": 9}, "num_experts_per_tok"),
        ("t5-small", {"feed_forward_proj": "double-gelu"}, "feed_forward_proj"),
        ("bert-base-uncased", {"is_decoder": True}, "is_decoder"),
        ("bert-base-uncased", {"position_embedding_type": "rotary"}, "position_embedding_type"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention"),
        ("vit-base-patch16-224", {"patch_size": 300}, "patch_size"),
        ("qwen3-30b-a3b", {"mlp_only_layers": 3}, "mlp_only_layers"),
    ],
)
def test_what_a_family_cannot_be(name: str, changes: dict[str, Any], key: str) -> None:
    [error] = problems(model_from_hf_config, PUBLISHED[name] | changes)
    assert error.field == f"model.hf_config.{key}"


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = sorted({key for config in PUBLISHED.values() for key in config} | {"head_dim", "layer_types"})


@given(family=st.sampled_from(sorted(FAMILIES)), values=st.dictionaries(st.sampled_from(_KEYS), _ANYTHING))
def test_no_config_ends_in_anything_but_a_model_or_a_named_problem(
    family: str, values: dict[str, Any]
) -> None:
    _is_model_or_named_problem(model_from_hf_config, values | {"model_type": family})


@given(name=st.sampled_from(sorted(PUBLISHED)), key=st.sampled_from(_KEYS), value=_ANYTHING)
def test_one_spoilt_key_never_ends_in_a_stack_trace(name: str, key: str, value: Any) -> None:
    _is_model_or_named_problem(model_from_hf_config, PUBLISHED[name] | {key: value})


def test_reading_a_config_does_not_change_it() -> None:
    before = json.dumps(PUBLISHED["deepseek-v3"])
    model_from_hf_config(PUBLISHED["deepseek-v3"])
    assert json.dumps(PUBLISHED["deepseek-v3"]) == before


# --- The explicit architecture ---------------------------------------------------------------------------


def test_explicit_defaults() -> None:
    model = model_from_explicit(DECODER)
    assert (model.kv_heads, model.head_dim, model.ffn_size) == (4, 16, 256)
    assert (model.position_embedding, model.norm, model.tied_embeddings) == ("rope", "layernorm", False)
    assert model.qkv_bias and model.attention_output_bias and model.ffn_bias


def test_explicit_gated_defaults_are_llamas() -> None:
    model = model_from_explicit(DECODER | {"hidden_size": 5120, "attention_heads": 40, "gated_ffn": True})
    assert (model.ffn_size, model.norm, model.ffn_bias) == (13824, "rmsnorm", False)


def test_the_gated_width_is_llamas() -> None:
    assert [gated_ffn_size(hidden) for hidden in (4096, 5120, 6656)] == [11008, 13824, 17920]


def test_learned_positions_where_max_positions_is_given() -> None:
    model = model_from_explicit(DECODER | {"max_positions": 128})
    assert model.position_embedding == "learned"
    plain = count_parameters(model_from_explicit(DECODER)).total
    assert count_parameters(model).total - plain == 128 * 64


def test_rope_with_max_positions_has_no_table() -> None:
    rope = model_from_explicit(DECODER | {"max_positions": 128, "position_embedding": "rope"})
    assert count_parameters(rope).total == count_parameters(model_from_explicit(DECODER)).total


@pytest.mark.parametrize("key", ["architecture", "layers", "hidden_size", "attention_heads", "vocab_size"])
def test_explicit_keys_that_must_be_there(key: str) -> None:
    errors = problems(model_from_explicit, {name: value for name, value in DECODER.items() if name != key})
    assert errors[0].field == f"model.{key}"


@pytest.mark.parametrize(
    ("base", "changes", "key"),
    [
        (DECODER, {"hiden_size": 3}, "hiden_size"),
        (DECODER, {"architecture": "decodr"}, "architecture"),
        (DECODER, {"position_embedding": "sinus"}, "position_embedding"),
        (DECODER, {"position_embedding": "learned"}, "max_positions"),
        (DECODER, {"attention_heads": 5}, "hidden_size"),
        (DECODER, {"kv_heads": 3}, "attention_heads"),
        (DECODER, {"expert_ffn_size": 12}, "expert_ffn_size"),
        (DECODER, {"experts": 8}, "experts_per_token"),
        (DECODER, {"experts": 8, "experts_per_token": 9}, "experts_per_token"),
        (DECODER, {"experts": 8, "experts_per_token": 2, "dense_layers": 3}, "dense_layers"),
        (DECODER, {"decoder_layers": 2}, "decoder_layers"),
        (DECODER, {"patch_size": 16}, "patch_size"),
        (DECODER, {"gated_ffn": 1}, "gated_ffn"),
        (DECODER, {"params_total": "7B"}, "params_total"),
        (DECODER, {"norm": "batchnorm"}, "norm"),
        (VISION, {"vocab_size": 10}, "vocab_size"),
        (VISION, {"patch_size": 300}, "patch_size"),
        ({**VISION, "patch_size": None}, {}, "patch_size"),
    ],
)
def test_explicit_problems_are_named(base: dict[str, Any], changes: dict[str, Any], key: str) -> None:
    [error] = problems(model_from_explicit, base | changes)
    assert error.field == f"model.{key}" and error.remedy


def test_an_unknown_explicit_field_suggests_the_near_one() -> None:
    [error] = problems(model_from_explicit, DECODER | {"hiden_size": 3})
    assert "hidden_size" in error.remedy


@given(
    changes=st.dictionaries(st.sampled_from([*DECODER, "experts", "kv_heads", "head_dim", "x"]), _ANYTHING)
)
def test_no_architecture_ends_in_a_stack_trace(changes: dict[str, Any]) -> None:
    _is_model_or_named_problem(model_from_explicit, DECODER | changes)


def test_a_part_that_is_null_is_no_default() -> None:
    config = {
        "model_type": "gemma3",
        "text_config": {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "vocab_size": 99,
        },
        "vision_config": None,
    }
    with pytest.raises(HeadroomError) as wrong:
        model_from_hf_config(config)
    assert "vision_config" in str([error.field for error in getattr(wrong.value, "errors", [wrong.value])])


def test_essential_keys_give_the_same_model() -> None:
    config = {
        "model_type": "qwen3",
        "_name_or_path": "a/b",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 99,
        "sliding_window": None,
        "quantization_config": {"ignore": ["x"] * 5000},
        "id2label": {str(label): "x" for label in range(2000)},
        "remarks": "none",
    }
    kept = essential_config(config)
    assert {"quantization_config", "remarks", "id2label"}.isdisjoint(kept)
    assert kept["num_labels"] == 2000
    assert model_from_hf_config(kept) == model_from_hf_config(config)
