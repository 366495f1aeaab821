"""How fast fused attention kernels run, as published: shares of the 16-bit peak by kernel and chip.

Nothing here is fitted to training runs. Each entry describes one curve of a published plot by three numbers:
the share of the dense peak that long sequences reach at a head width of 128, the share of it that is left at
64, and the length at which half of it is reached.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.engine.grid.plan_grid import ARCHITECTURES, ATTENTION_KERNELS, Array

#: A causal mask leaves tiles half empty and work unevenly spread: so many tokens more to reach half the
#: rate. FlashAttention-2, H100, forward and backward: 163 to 328 TFLOP/s at 512 to 16k (half at 540),
#: without a mask half at some 220 (FlashAttention repository's plots; Shah et al. 2024, figures 5 and 6).
CAUSAL_TOKENS = 320.0


class Curves(NamedTuple):
    """The fields of ``Curve`` as arrays of shape (kernels, architectures)."""

    share: Array
    narrow: Array
    half_tokens: Array


class Curve(NamedTuple):
    """One direction of one kernel on one chip.

    share: of the dense 16-bit peak, long sequences, heads of 128.  narrow: rate at heads of 64 over that at
    128.  half_tokens: length at which half the rate is reached, without a mask.
    """

    share: float
    narrow: float
    half_tokens: float


class Rates(NamedTuple):
    """Forward and backward curve, and where they are from."""

    forward: Curve
    backward: Curve
    source: str


SHAH = "Shah et al. 2024, figures 5 to 7: H100 SXM, by length and head width"
DAO = "Dao 2023, figures 4 to 7, and the FlashAttention repository's plots: A100 SXM"
ZADOURI = "Zadouri et al. 2026 (FlashAttention-4): up to 1613 TFLOP/s, 1.3 times cuDNN 9.13, 2.7 times Triton"
GEFORCE = (
    "RTX 5090: 187 of 209.5 TFLOP/s forward (gau-nernst, Writing Speed-of-Light Flash Attention for 5090,"
    " 2025);"
    " RTX A5000: 82 and 77 of 94 (gpu-mode/ring-attention issue 10, 2024); Ada between them"
)
XFORMERS = (
    "A100: 94 to 115 TFLOP/s forward (facebookresearch/xformers issues 712, 924, 2023), 52 backward (its pull"
    " 587, 2022), and 1.4 times as much since NVIDIA/cutlass pull 992 (2023)"
)
SMALLER = (
    "0.55 and 0.25 (0.35 since cutlass pull 992) of FlashAttention-2 on a small card"
    " (Dao-AILab/flash-attention issue 416, 2023)"
)
JUDGED = "our judgement, between neighbours"

#: By kernel, then architecture.
PUBLISHED: dict[str, dict[str, Rates]] = {
    "flash_1": {
        "ampere": Rates(
            Curve(0.34, 1.05, 60.0), Curve(0.29, 1.05, 60.0), DAO + ": 55 to 83 TFLOP/s, Triton's some more"
        ),
        "hopper": Rates(Curve(0.19, 1.05, 60.0), Curve(0.15, 1.05, 60.0), JUDGED + " of A100's by clock"),
        "blackwell": Rates(Curve(0.08, 1.05, 60.0), Curve(0.06, 1.05, 60.0), JUDGED + " of A100's by clock"),
        "ada": Rates(Curve(0.42, 1.0, 60.0), Curve(0.32, 1.0, 60.0), JUDGED),
        "blackwell_rtx": Rates(Curve(0.45, 1.0, 60.0), Curve(0.35, 1.0, 60.0), JUDGED),
        "volta": Rates(Curve(0.4, 1.0, 200.0), Curve(0.3, 1.0, 200.0), JUDGED),
        "turing": Rates(
            Curve(0.4, 1.0, 200.0), Curve(0.3, 1.0, 200.0), JUDGED + ": Dao et al. 2022, appendix E"
        ),
        "cdna3": Rates(Curve(0.2, 0.9, 200.0), Curve(0.15, 0.9, 200.0), JUDGED),
    },
    "flash_2": {
        "ampere": Rates(Curve(0.70, 0.86, 100.0), Curve(0.60, 0.88, 230.0), DAO + ": 99 to 189 TFLOP/s"),
        "hopper": Rates(Curve(0.375, 0.875, 100.0), Curve(0.327, 0.9, 260.0), SHAH),
        "blackwell": Rates(
            Curve(0.19, 0.9, 100.0), Curve(0.155, 0.9, 260.0), JUDGED + ": mma.sync, as on H100"
        ),
        "ada": Rates(Curve(0.67, 0.95, 100.0), Curve(0.6, 0.95, 260.0), GEFORCE),
        "blackwell_rtx": Rates(Curve(0.79, 0.95, 100.0), Curve(0.71, 0.95, 260.0), GEFORCE),
        "cdna3": Rates(
            Curve(0.36, 0.85, 200.0), Curve(0.22, 0.85, 400.0), JUDGED + ": AMD's composable kernels"
        ),
        "cdna4": Rates(
            Curve(0.40, 0.85, 200.0), Curve(0.28, 0.85, 400.0), JUDGED + ": AMD's composable kernels"
        ),
    },
    "flash_3": {
        "hopper": Rates(Curve(0.655, 0.765, 200.0), Curve(0.57, 0.84, 400.0), SHAH),
        "blackwell": Rates(Curve(0.69, 0.8, 300.0), Curve(0.53, 0.8, 500.0), ZADOURI),
    },
    "cudnn": {
        "ampere": Rates(Curve(0.66, 0.86, 100.0), Curve(0.57, 0.88, 230.0), JUDGED + ": as FlashAttention-2"),
        "hopper": Rates(Curve(0.61, 0.68, 110.0), Curve(0.525, 0.83, 360.0), SHAH),
        "blackwell": Rates(Curve(0.55, 0.7, 200.0), Curve(0.43, 0.8, 400.0), ZADOURI),
    },
    # PyTorch's memory-efficient kernel (CUTLASS, from xFormers), without a mask.
    "memory_efficient": {
        "ampere": Rates(Curve(0.34, 1.0, 60.0), Curve(0.235, 1.0, 60.0), XFORMERS),
        "hopper": Rates(Curve(0.17, 1.0, 60.0), Curve(0.12, 1.0, 60.0), XFORMERS + "; H100 by its clock"),
        "blackwell": Rates(Curve(0.1, 1.0, 60.0), Curve(0.06, 1.0, 60.0), JUDGED + ": mma.sync, as H100"),
        "ada": Rates(Curve(0.37, 1.0, 60.0), Curve(0.21, 1.0, 60.0), SMALLER),
        "blackwell_rtx": Rates(Curve(0.43, 1.0, 60.0), Curve(0.25, 1.0, 60.0), SMALLER),
        "volta": Rates(Curve(0.4, 1.0, 200.0), Curve(0.25, 1.0, 200.0), JUDGED),
        "turing": Rates(Curve(0.4, 1.0, 200.0), Curve(0.25, 1.0, 200.0), JUDGED),
    },
}
#: A kernel that a chip does not have is answered by the next that it has, in this order.
FALLBACKS = ("cudnn", "flash_3", "flash_2", "flash_1")


def rates_of(kernel: str, architecture: str) -> Rates:
    """The published rates of a kernel on a chip, or those of the nearest kernel that runs there.

    Chips without a measured kernel have what Ampere has. Source: PUBLISHED.
    """
    table = PUBLISHED.get(kernel)
    if table is not None and architecture in table:
        return table[architecture]
    after = FALLBACKS[FALLBACKS.index(kernel) :] if kernel in FALLBACKS else FALLBACKS
    after = ("flash_1",) if kernel == "memory_efficient" else after
    for other in (*after, *reversed(FALLBACKS)):
        if architecture in PUBLISHED[other]:
            return PUBLISHED[other][architecture]
    return PUBLISHED["flash_2"]["ampere"]


def _table(direction: str, name: str) -> Array:
    return np.array(
        [
            [getattr(getattr(rates_of(kernel, chip), direction), name) for chip in ARCHITECTURES]
            for kernel in ATTENTION_KERNELS
        ]
    )


FORWARD = Curves(*(_table("forward", name) for name in Curves._fields))
BACKWARD = Curves(*(_table("backward", name) for name in Curves._fields))
