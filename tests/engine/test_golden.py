"""Published step times and plausible orders of size, with the one set of constants that ships."""

import json
from typing import Any

import pytest

from planner.accuracy.calibration import DATA_DIRECTORY
from planner.contract.parse import parse_plan_request
from tests.engine.questions import answer, catalog, question

KORTHIKANTI = [
    json.loads(line)
    for line in (DATA_DIRECTORY / "runs" / "korthikanti_2022.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("run", KORTHIKANTI, ids=lambda run: run["row_id"])
def test_korthikanti_2022_table_5(run: dict[str, Any]) -> None:
    """Korthikanti et al. 2022, table 5: iteration times of 22B to 1T models on A100-80, within 25 %."""
    result = answer(parse_plan_request(run["request"], catalog()))
    assert result.time.step_s == pytest.approx(run["measured"]["step_s"], rel=0.25)


def test_all_eight_rows_are_there() -> None:
    assert len(KORTHIKANTI) == 8


#: NVIDIA NeMo, Long Sequence Performance (24.12: H100; 25.04: B200), as measured runs.
LONG = [
    row
    for line in (DATA_DIRECTORY / "runs" / "further.jsonl").read_text(encoding="utf-8").splitlines()
    if '"nemo-long-sequence"' in line and (row := json.loads(line))
]


@pytest.mark.parametrize("run", LONG, ids=lambda run: run["row_id"])
def test_steps_of_a_thousand_to_a_million_tokens(run: dict[str, Any]) -> None:
    """4k to 1M tokens a sequence, with context parallelism from 32k on, within 20 %."""
    result = answer(parse_plan_request(run["request"], catalog()))
    assert result.time.step_s == pytest.approx(run["measured"]["step_s"], rel=0.2)


@pytest.mark.parametrize(
    ("instance", "cards", "micro", "seconds"),
    [("g6.2xlarge", 1, 4, 8100), ("g6.12xlarge", 4, 8, 1980), ("g6.48xlarge", 8, 8, 1080)],
)
def test_qlora_of_8b_on_l4_takes_as_long_as_published(
    instance: str, cards: int, micro: int, seconds: float
) -> None:
    """philschmid/deep-learning-pytorch-huggingface, fine-tune-llms-in-2025.ipynb: 5.5M tokens, Liger, within
    a quarter; the card has 72 W for a peak of 121 TFLOP/s."""
    asked = question(
        model="llama-3.1-8b",
        task="qlora",
        tokens=5.5e6,
        sequence_length=1024,
        global_batch_size=16 * cards,
        activation_recompute="full",
        loss="fused",
        cluster={"instance_type": instance, "nodes": 1},
        layout={"micro_batch_size": micro, "sharding": "none"},
    )
    assert answer(asked).time.total_s == pytest.approx(seconds, rel=0.25)


def test_llama_65b_takes_about_three_weeks() -> None:
    """Touvron et al. 2023, section 2.4: 2,048 A100-80, about 380 tokens/s each, 1.4T tokens in 21 days."""
    shape = {
        "architecture": "decoder",
        "layers": 80,
        "hidden_size": 8192,
        "attention_heads": 64,
        "ffn_size": 22016,
        "gated_ffn": True,
        "vocab_size": 32000,
        "position_embedding": "rope",
        "norm": "rmsnorm",
        "bias": False,
    }
    result = answer(
        question(
            model=shape,
            tokens=1.4e12,
            global_batch_size=2048,
            cluster={"instance_type": "p4de.24xlarge", "nodes": 256},
        )
    )
    assert result.parameters.total == pytest.approx(65.2e9, rel=0.01)
    assert result.fits
    assert 250 <= result.time.tokens_per_s_per_accelerator <= 550
    assert 14 <= result.time.total_s / 86_400 <= 30


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "llama-3.1-8b", "cluster": {"instance_type": "p5.48xlarge", "nodes": 16}},
        {"model": "llama-2-7b", "cluster": {"instance_type": "p4de.24xlarge", "nodes": 8}},
        {
            "model": "gpt-3-175b",
            "cluster": {"instance_type": "p4de.24xlarge", "nodes": 64},
            "framework": "megatron",
            "global_batch_size": 1024,
        },
        {
            "model": "llama-3.1-70b",
            "cluster": {"instance_type": "p5.48xlarge", "nodes": 32},
            "framework": "megatron",
        },
        {"model": "bert-large-uncased", "sequence_length": 512, "global_batch_size": 4096},
        {"model": "gpt2-xl", "sequence_length": 1024, "global_batch_size": 512},
    ],
    ids=lambda settings: settings["model"],
)
def test_dense_16_bit_training_is_as_efficient_as_published_runs(settings: dict[str, Any]) -> None:
    result = answer(question(**settings))
    assert result.fits
    assert 0.25 <= result.time.model_flops_utilization <= 0.60


def test_qlora_of_65b_fits_in_48_gb() -> None:
    """Dettmers et al. 2023, abstract: a 65B model can be fine-tuned on a single 48 GB GPU."""
    cluster = {"accelerator": "l40s", "accelerators_per_node": 1, "nodes": 1}
    result = answer(
        question(
            model="llama-2-70b",
            task="qlora",
            sequence_length=512,
            global_batch_size=16,
            cluster=cluster,
            activation_recompute="full",
        )
    )
    assert result.fits
    assert result.memory.per_accelerator_bytes.weights > 0.45 * 69e9
