"""The fields of an accelerator that the catalog lacks: ``cluster.accelerator`` given as an object."""

from __future__ import annotations

from typing import Any

from planner.contract.field import Field, table

MOST_FLOPS_PER_S = 1e19
MOST_BYTES_PER_S = 1e17
RATE = "FLOP/s"
BANDWIDTH = "byte/s"


def _number(name: str, label: str, says: str, unit: str, maximum: float, query: str, **more: Any) -> Field:
    return Field(name, "number", label, says, unit=unit, maximum=maximum, query=query, **more)


CARD = table(
    "cluster.accelerator",
    Field(
        "name",
        "text",
        "Name of the card",
        "What an accelerator that the catalog lacks is called in the answer.",
        otherwise="own accelerator",
        query="card",
    ),
    Field(
        "like",
        "text",
        "Like which card",
        "A card of the catalog whose efficiencies and missing figures stand in. Without one it gets "
        "the mean of all measured kinds and a wider range.",
        otherwise="none",
        query="card_like",
    ),
    _number(
        "memory_bytes",
        "Memory",
        "Memory of one card, as its driver reports it; 80Gi is read too.",
        "bytes",
        1e15,
        "card_memory",
        otherwise="that of the card in “like”",
    ),
    _number(
        "bf16_flops_per_s",
        "bf16 peak",
        "Dense peak in bf16 without structured sparsity; 989T is read too.",
        RATE,
        MOST_FLOPS_PER_S,
        "card_bf16",
        otherwise="that of the card in “like”",
    ),
    _number(
        "fp16_flops_per_s",
        "fp16 peak",
        "Dense peak in fp16.",
        RATE,
        MOST_FLOPS_PER_S,
        "card_fp16",
        otherwise="as in bf16",
    ),
    _number(
        "fp8_flops_per_s",
        "fp8 peak",
        "Dense peak in fp8, of a card that has such units.",
        RATE,
        MOST_FLOPS_PER_S,
        "card_fp8",
        otherwise="as its like has it beside bf16, else none",
    ),
    _number(
        "tf32_flops_per_s",
        "tf32 peak",
        "Dense peak on 32-bit operands in matrix units.",
        RATE,
        MOST_FLOPS_PER_S,
        "card_tf32",
        otherwise="as its like has it beside bf16, else half of bf16",
    ),
    _number(
        "fp32_flops_per_s",
        "fp32 peak",
        "Peak of plain 32-bit arithmetic.",
        RATE,
        MOST_FLOPS_PER_S,
        "card_fp32",
        otherwise="as its like has it beside bf16, else a sixteenth of bf16",
    ),
    _number(
        "memory_bandwidth_bytes_per_s",
        "Memory bandwidth",
        "Peak of one card's memory; 3.35T is read too.",
        BANDWIDTH,
        MOST_BYTES_PER_S,
        "card_bandwidth",
        otherwise="that of the card in “like”",
    ),
    _number(
        "link_bytes_per_s",
        "Link",
        "The link between cards of one machine, of one card in one direction: 450G for NVLink 4, 32G for "
        "PCIe 4.",
        BANDWIDTH,
        MOST_BYTES_PER_S,
        "card_link",
        otherwise="that of the card in “like”, else PCIe 4",
    ),
    _number(
        "power_watts",
        "Power",
        "The card's power limit.",
        "watts",
        1e5,
        "card_power",
        otherwise="that of the card in “like”",
    ),
)
