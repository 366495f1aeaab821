"""The clock that a chip holds in large matrix products: as measured by the card, and under its power limit.

Constants of a chip's architecture are fitted to one or two cards of it; what its other cards hold beside them
is read from public measurements, or follows from watts. Nothing here is fitted to training runs.
"""

from __future__ import annotations

from planner.engine.question.specs import AcceleratorSpec

#: Best rate of large 16-bit matrix products as measured, TFLOP/s. Most of them: stas00/ml-engineering,
#: compute/accelerator (maximum achievable matmul FLOPS, read 2026-11-29), and mag-/gpu_benchmark, which
#: collects the same of cards (commit 93322b7, 2024-10-06); RTX PRO 6000, RTX 5090: xzwgit/gpu-flops-bench
#: (cuBLASLt, commit 5a32ae9, 2026-08-20); L20: DefTruth/CUDA-Learn-Notes (cuBLAS). Left out are bursts of
#: milliseconds that a card cannot sustain (L4: 91 at 72 W; H200 NVL: 853 at 600 W).
MEASURED_TFLOPS = {
    "v100-sxm-16gb": 96.1,
    "v100-sxm-32gb": 94.0,
    "a100-sxm-40gb": 271.2,
    "a100-sxm-80gb": 271.2,
    "a100-pcie-80gb": 252.9,
    "a10g": 69.7,
    "a6000": 131.2,
    "rtx-3090": 78.0,
    "rtx-4090": 178.8,
    "l40s": 252.0,
    "l20": 110.0,
    "rtx-6000-ada": 278.5,
    "h100-sxm": 794.5,
    "h200-sxm": 794.5,
    "gh200": 828.6,
    "b200": 1745.0,
    "gb200": 1822.0,
    "b300": 1769.0,
    "rtx-pro-6000": 457.6,
    "rtx-5090": 254.0,
    "mi300x": 668.4,
    "mi325x": 784.9,
    "mi355x": 1565.0,
    # Of one table by one hand, beside its own H100 SXM (821.2), to which they are scaled here.
    "h100-pcie": 499.5 * 794.5 / 821.2,
    "h100-nvl": 488.5 * 794.5 / 821.2,
}
#: Dense 16-bit peak of their data sheets, TFLOP/s, that they were measured against; the same as shipped with
#: the catalog, so that a peak which is corrected there moves what the card reaches.
MEASURED_OF_TFLOPS = {
    "v100-sxm-16gb": 125,
    "v100-sxm-32gb": 125,
    "a100-sxm-40gb": 312,
    "a100-sxm-80gb": 312,
    "a100-pcie-80gb": 312,
    "a10g": 70,
    "a6000": 154.8,
    "rtx-3090": 71,
    "rtx-4090": 165.2,
    "l40s": 362,
    "l20": 119.5,
    "rtx-6000-ada": 364.2,
    "h100-sxm": 989.4,
    "h200-sxm": 989.4,
    "gh200": 989.4,
    "b200": 2250,
    "gb200": 2500,
    "b300": 2250,
    "rtx-pro-6000": 480,
    "rtx-5090": 209.5,
    "mi300x": 1307.4,
    "mi325x": 1307.4,
    "mi355x": 2500,
    "h100-pcie": 756,
    "h100-nvl": 835.5,
}
#: The cards that an architecture's efficiency is fitted to, or stands for: their measured share of the peak.
REFERENCE_SHARES = {
    "volta": 96.1 / 125,
    "ampere": 271.2 / 312,
    "ada": 278.5 / 364.2,
    "hopper": 794.5 / 989.4,
    "blackwell": 1745.0 / 2250,
    "blackwell_rtx": 457.6 / 480,
    "cdna3": 668.4 / 1307.4,
    "cdna4": 1565.0 / 2500,
}
#: Joules per 16-bit FLOP of large matrix products at the clock that the peak is stated for, by architecture,
#: then by card. Read from the above and from clocks under load: RTX 6000 Ada holds 0.71 of an RTX 4090's
#: share at 300 W; A100 PCIe 0.93 of an A100 SXM's at 300 W; H100 PCIe and NVL 0.81 and 0.73 of an H100 SXM's;
#: a B200 falls from 1965 to 1580 MHz at 1000 W (flashinfer pull 2899, 2026-03); MI325X at 1000 W against
#: MI300X at 750 W. GA102 (8 nm): an RTX 3090's training at limits of 230 to 320 W (blog.qwertyforce.dev,
#: "Optimal power limit", 2023). Turing as Volta, whose process it has.
JOULES_PER_FLOP = {
    "volta": 3.0e-12,
    "turing": 3.0e-12,
    "ampere": 1.15e-12,
    "ada": 1.8e-12,
    "hopper": 0.97e-12,
    "blackwell": 0.8e-12,
    "blackwell_rtx": 1.35e-12,
    "cdna3": 1.15e-12,
    "cdna4": 0.75e-12,
}
JOULES_PER_FLOP_OF_CARD = {
    "a10": 1.9e-12,
    "a10g": 1.9e-12,
    "a40": 1.9e-12,
    "a6000": 1.9e-12,
    # Their tensor cores run at half rate on fp32 sums, so a FLOP takes about twice the clock.
    "rtx-3090": 5.2e-12,
    "rtx-4090": 2.4e-12,
    "rtx-4070-ti-super": 2.4e-12,
    "rtx-5090": 2.4e-12,
}
#: Share of the power that does not follow the clock (leakage, memory, board), and the share of the clock
#: below which the voltage is at its least and power falls with the clock alone. Our judgement, held against
#: an RTX 3090's training (0.80, 0.90 and 0.95 of its best at 230, 280 and 320 W) and a GB300's matrix
#: products (617 TFLOP/s at 500 W against 1600 to 2174 at 1400; facebookexperimental/triton pull 2023, 2026).
STATIC_SHARE = 0.15
LEAST_VOLTAGE = 0.65
#: Clock that a limit above the catalog's can win at most, by architecture: V100 was also sold at 450 W, whose
#: boost clock is some 1.2 times what it holds at 300 W (NVIDIA data sheets of V100 and DGX-2H). Others: 1.
MOST_RAISED = {"volta": 1.2}


def family(chip: AcceleratorSpec) -> str:
    """The chip's architecture as kernels tell it apart: Blackwell's RTX cards (GB202) have neither B200's
    tensor memory nor its fifth-generation tensor core instructions, but those of Ampere and Ada.

    Source: CUDA C++ Programming Guide, compute capabilities 10.0 and 12.0; CUTLASS (tcgen05 is 10.x alone).
    """
    rtx = chip.architecture == "blackwell" and chip.link.startswith("pcie")
    return "blackwell_rtx" if rtx else chip.architecture


def clock(power: float, needed: float) -> float:
    """Share of the full clock in large matrix products at ``power`` watts, a ratio; ``needed`` keeps it.

    Dynamic power goes with clock times voltage squared; the voltage follows the clock down to its least.
    power: the limit.  needed: watts at the full clock.  Source: STATIC_SHARE and LEAST_VOLTAGE.
    """
    left = max((power / needed - STATIC_SHARE) / (1.0 - STATIC_SHARE), 0.01)
    cubic: float = left ** (1.0 / 3.0)
    return cubic if cubic >= LEAST_VOLTAGE else left / LEAST_VOLTAGE**2


#: Clock that the reference card itself holds at its own limit, by architecture: what a card that nobody
#: measured is held against. 1 where power does not limit it (A100 SXM).
REFERENCE_CLOCKS = {
    name: clock(watts, JOULES_PER_FLOP[name] * peak * 1e12)
    for name, watts, peak in (
        ("volta", 300.0, 125.0),
        ("turing", 70.0, 65.0),
        ("ada", 300.0, 364.2),
        ("hopper", 700.0, 989.4),
        ("blackwell", 1000.0, 2250.0),
        ("blackwell_rtx", 600.0, 480.0),
        ("cdna3", 750.0, 1307.4),
        ("cdna4", 1400.0, 2500.0),
    )
}


def peak_16_bit(chip: AcceleratorSpec) -> float:
    """Dense peak of one chip in 16 bits, FLOP/s.  Source: the catalog."""
    return chip.bf16_flops_per_s or chip.fp16_flops_per_s


def needed_watts(chip: AcceleratorSpec) -> float:
    """Watts of large matrix products at the full clock, 0 where nothing is known.

    Source: JOULES_PER_FLOP.
    """
    joules = JOULES_PER_FLOP_OF_CARD.get(chip.slug, JOULES_PER_FLOP.get(family(chip), 0.0))
    return joules * peak_16_bit(chip)


def held_clock(chip: AcceleratorSpec, limit_watts: float | None) -> float:
    """Share of its full clock that a chip holds in large matrix products, a ratio: 1 where watts are unknown.

    limit_watts: what it may draw, None for its own limit. A limit above its own wins at most MOST_RAISED.
    """
    needed, own = needed_watts(chip), chip.power_watts
    watts = limit_watts or own
    if not needed or not watts:
        return 1.0
    if own and watts > own:
        most = min(clock(own, needed), 1.0) * MOST_RAISED.get(chip.architecture, 1.0)
        return min(clock(watts, needed), most)
    return min(clock(watts, needed), 1.0)


def sustained_share(chip: AcceleratorSpec, limit_watts: float | None) -> float:
    """Share of its peak that a chip reaches in large matrix products, over that of the card which its
    architecture's efficiency is fitted to, a ratio.

    limit_watts: what it may draw, None for its own limit. Cards that nobody measured have what the power law
    leaves of their peak.  Source: MEASURED_TFLOPS; ``clock``.
    """
    reference = REFERENCE_SHARES.get(family(chip), 1.0)
    own = held_clock(chip, None)
    limited = held_clock(chip, limit_watts) / own if own else 1.0
    if chip.slug in MEASURED_TFLOPS:
        return limited * MEASURED_TFLOPS[chip.slug] / MEASURED_OF_TFLOPS[chip.slug] / reference
    return limited * own / REFERENCE_CLOCKS.get(family(chip), 1.0)
