"""From a driver's product name to the catalog's slug. Pure.

Product names are those that NVML reports (nvidia-smi -L, drivers R470 to R570), as published in NVIDIA's
open-source mock of NVML (go-nvml, 2026-07) and the GPU operator's test data. Memory distinguishes products
that share a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# (pattern over the name in lower case, catalog slug); the first that fits wins.
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), slug)
    for pattern, slug in (
        (r"a100.*sxm4.*40gb", "a100-sxm-40gb"),
        (r"a100.*sxm4.*80gb", "a100-sxm-80gb"),
        (r"a100.*80gb pcie|a100.*pcie.*80gb", "a100-pcie-80gb"),
        (r"\ba30\b", "a30"),
        (r"h100 pcie", "h100-pcie"),
        (r"h100 nvl", "h100-nvl"),
        (r"h100.*hbm3|h100.*sxm", "h100-sxm"),
        (r"h200 nvl", "h200-nvl"),
        (r"\bh200\b", "h200-sxm"),
        (r"\bb200\b", "b200"),
        (r"\bl40s\b", "l40s"),
        (r"\bl4\b", "l4"),
        (r"\ba10g\b", "a10g"),
        (r"\bt4\b", "t4"),
        (r"v100.*sxm2.*16gb", "v100-sxm-16gb"),
        (r"v100.*sxm[23].*32gb", "v100-sxm-32gb"),
        (r"rtx pro 6000", "rtx-pro-6000"),
        (r"rtx 4070 ti super", "rtx-4070-ti-super"),
        (r"trainium1", "trainium1"),
        (r"trainium2", "trainium2"),
    )
)


def accelerator_slug(name: str, known: Iterable[str]) -> str | None:
    """The catalog's slug for a driver's product name, or None where the catalog has no such chip."""
    text = name.lower()
    slug = next((slug for pattern, slug in _NAMES if pattern.search(text)), None)
    return slug if slug in set(known) else None
