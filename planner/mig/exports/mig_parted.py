"""A layout for NVIDIA's mig-parted, and for the MIG manager of the GPU operator, which reads the same.

Format: NVIDIA/mig-parted, api/spec/v1/spec.go, commit bd7160f4 (version v1; devices, mig-enabled,
mig-devices). mig-parted says how many, not where; it destroys and makes anew whatever differs, and stops
where an instance is in use (its issue 119).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from planner.mig.exports.layouts import HostLayout

NAME = "headroom"
NOT_A_LABEL = re.compile(r"[^A-Za-z0-9.-]+")


def config_name(host: str) -> str:
    """The name of a host's configuration."""
    return f"{NAME}-{NOT_A_LABEL.sub('-', host)}" if host else NAME


def mig_parted(layouts: Iterable[HostLayout]) -> str:
    """The YAML: one configuration a host, or a single one where hosts have no names."""
    lines = ["version: v1", "mig-configs:"]
    by_host: dict[str, list[HostLayout]] = {}
    for layout in layouts:
        by_host.setdefault(layout.host, []).append(layout)
    if not by_host:
        return "version: v1\nmig-configs:\n  headroom:\n    - devices: all\n      mig-enabled: false\n"
    for host, each in by_host.items():
        lines.append(f"  {config_name(host)}:")
        lines += [line for layout in each for line in _entry(layout)]
    return "\n".join(lines) + "\n"


def _entry(layout: HostLayout) -> Iterator[str]:
    yield f"    # {layout.slug}"
    yield f"    - devices: [{', '.join(map(str, layout.indices))}]"
    yield "      mig-enabled: true"
    yield "      mig-devices:"
    for name, count in layout.counts:
        yield f'        "{name}": {count}'
