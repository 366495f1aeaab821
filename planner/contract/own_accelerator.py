"""An accelerator that the catalog lacks, described by its figures, as the engine's record and back."""

from __future__ import annotations

from typing import Any, Final

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.contract.card_fields import CARD
from planner.contract.jsontext import excerpt
from planner.contract.section import Problems, Section, suggestion
from planner.engine.question.specs import AcceleratorSpec

OWN_SLUG: Final = "own"
OWN_NAME: Final = "own accelerator"
#: Kind of a card that is like none of the catalog; the engine times it by the mean of those measured.
NO_KIND: Final = "own"
#: PCIe 4.0 x16 in one direction (PCI Express Base Specification 4.0), where no link is given.
PCIE4_BYTES_PER_S: Final = 32e9
#: Up to the rate of PCIe 5.0 x16 in one direction a link without a like is taken for PCIe.
PCIE_AT_MOST_BYTES_PER_S: Final = 64e9
#: Peaks beside bf16's where neither they nor a like are given: TF32 has half of bf16's rate on every NVIDIA
#: data-center card since the A100, plain fp32 a sixteenth (their data sheets). Our judgement for others.
TF32_SHARE: Final = 1 / 2
FP32_SHARE: Final = 1 / 16
NEEDED: Final = ("memory_bytes", "bf16_flops_per_s", "memory_bandwidth_bytes_per_s")


def read_own_accelerator(
    data: dict[str, Any], path: str, catalog: Catalog, problems: Problems
) -> AcceleratorSpec | None:
    """The card that an object describes; None after a problem, which is noted.

    What it leaves out is that of its ``like``; rates that go with bf16 keep their proportion to it.
    """
    section = Section(data, path, problems)
    section.only(CARD.names)
    given = section.read_all(CARD.fields)
    like = _like(section, given["like"], catalog)
    if like is None and not section.has("like"):
        for name in NEEDED:
            if not section.has(name):
                section.missing(name, f"Give {name}, or name a card of the catalog in like.")
    if not all(section.ok(name) or not section.has(name) for name in CARD.names):
        return None
    if like is None and not all(section.ok(name) for name in NEEDED):
        return None
    return _spec(given, like)


def _like(section: Section, slug: str | None, catalog: Catalog) -> AcceleratorSpec | None:
    if slug is None:
        return None
    try:
        return catalog.accelerator(slug[:100]).spec
    except UnknownSlugError as unknown:
        known = ", ".join(record.slug for record in catalog.accelerators())
        section.fail(
            "like",
            "No accelerator of this name is in the catalog.",
            suggestion(unknown.suggestions, f"The catalog has {known}."),
        )
        return None


def _spec(given: dict[str, Any], like: AcceleratorSpec | None) -> AcceleratorSpec:
    """like: whose figures stand in; without it, those that must be there are."""
    bf16 = given["bf16_flops_per_s"] or (like.bf16_flops_per_s if like else 0.0)
    faster = bf16 / like.bf16_flops_per_s if like and like.bf16_flops_per_s else 1.0

    def beside(name: str, share: float) -> float:
        stated: float | None = given[name]
        return stated if stated is not None else (faster * getattr(like, name) if like else share * bf16)

    link = given["link_bytes_per_s"]
    if link is None:
        link = like.link_bytes_per_s if like else PCIE4_BYTES_PER_S
    kind = like.link if like else ("pcie" if link <= PCIE_AT_MOST_BYTES_PER_S else "own")
    return AcceleratorSpec(
        slug=OWN_SLUG,
        name=excerpt(given["name"] or OWN_NAME),
        vendor=like.vendor if like else "",
        architecture=like.architecture if like else NO_KIND,
        memory_bytes=int(given["memory_bytes"] or (like.memory_bytes if like else 0)),
        memory_bandwidth_bytes_per_s=given["memory_bandwidth_bytes_per_s"]
        or (like.memory_bandwidth_bytes_per_s if like else 0.0),
        fp32_flops_per_s=beside("fp32_flops_per_s", FP32_SHARE),
        tf32_flops_per_s=beside("tf32_flops_per_s", TF32_SHARE),
        bf16_flops_per_s=bf16,
        fp16_flops_per_s=beside("fp16_flops_per_s", 1.0),
        fp8_flops_per_s=beside("fp8_flops_per_s", 0.0),
        link=kind,
        link_bytes_per_s=link,
        power_watts=given["power_watts"] or (like.power_watts if like else None),
        ranks_per_accelerator=like.ranks_per_accelerator if like else 1,
        own=True,
        like=like.slug if like else None,
    )


def render_own_accelerator(card: AcceleratorSpec) -> dict[str, Any]:
    """The object that asks for the same card."""
    figures = {
        name: float(value)
        for name in CARD.names
        if name not in ("name", "like", "memory_bytes") and (value := getattr(card, name))
    }
    like = {} if card.like is None else {"like": card.like}
    return {"name": card.name, **like, "memory_bytes": card.memory_bytes, **figures}
