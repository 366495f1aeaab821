"""A layout for Slurm: the lines of gres.conf and of slurm.conf.

Format: Slurm's gres guide (GresTypes and Gres of slurm.conf; "MIG Management") and gres.conf(5) of Slurm
25.11, opened on 2026-11-29: MIG devices are found by ``AutoDetect=nvml``. A type is part of the name that
slurmd reports (``nvidia_a100_3g.20gb``); the profile alone serves too, as job scripts of public sites have it
(``--gres=gpu:1g.10gb:1`` at Queen's University Belfast and on GWDG's Grete).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from planner.mig.exports.layouts import HostLayout


def slurm(layouts: Iterable[HostLayout]) -> str:
    """Lines for both files, by host."""
    by_host: dict[str, Counter[str]] = {}
    for layout in layouts:
        counts = by_host.setdefault(layout.host or "<node>", Counter())
        for name, count in layout.counts:
            counts[name] += count * len(layout.indices)
    lines = ["# gres.conf"]
    lines += [f"NodeName={host} AutoDetect=nvml" for host in by_host]
    lines += ["# slurm.conf, together with the node's other settings", "GresTypes=gpu"]
    for host, counts in by_host.items():
        wanted = ",".join(f"gpu:{name}:{count}" for name, count in sorted(counts.items()))
        lines.append(f"NodeName={host} Gres={wanted}")
    return "\n".join(lines) + "\n"
