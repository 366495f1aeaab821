"""How a host or a GPU is doing at a glance: badges, and cells of the heat map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inventory.pages.words import memory
from inventory.store.models import Gpu, Host
from inventory.wire import health

# Ten shades of utilisation; the page's stylesheet has a class for each.
SHADES = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """One GPU in the heat map. `css` is its shade, `text` its content; `title` says the rest."""

    uuid: str
    css: str
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Badge:
    """A word with a colour."""

    css: str
    text: str


def host_badges(host: Host, gpus: Sequence[Gpu], now: datetime) -> tuple[Badge, ...]:
    """A host's state at a glance: words, with colours."""
    found: list[Badge] = []
    if host.last_probe_at is None:
        found.append(Badge("", "never probed"))
    elif host.failures:
        found.append(Badge("bad", host.status.replace("_", " ")))
    if host.last_probe_at is not None and (host.stale_at is None or host.stale_at <= now):
        found.append(Badge("warn", "stale"))
    faulty = sum(1 for gpu in gpus if gpu.faults)
    if faulty:
        found.append(Badge("bad", f"{faulty} faulty"))
    if not host.probing_enabled:
        found.append(Badge("", "probing off"))
    idle = sum(1 for gpu in gpus if gpu.idle_since is not None)
    if idle and not found:
        found.append(Badge("", "idle" if idle == len(gpus) else f"{idle} idle"))
    if not found:
        found.append(Badge("good", "ok" if gpus else "no accelerators"))
    return tuple(found)


def cell(gpu: Gpu) -> Cell:
    """A GPU's shade by utilisation where it is measured.

    Faults and unknown values have marks of their own.
    """
    used = gpu.utilization_percent
    if gpu.state == Gpu.State.LOST:
        css, text = "lost", "lost"
    elif used is None:
        css, text = "unknown", "MIG" if gpu.mig_mode else "?"
    else:
        css, text = f"u{min(SHADES - 1, used * SHADES // 100)}", str(used)
    if gpu.faults:
        css += " fault"
    return Cell(gpu.uuid, css, text, _cell_title(gpu))


def _cell_title(gpu: Gpu) -> str:
    used = gpu.utilization_percent
    parts = [
        f"GPU {gpu.index}",
        gpu.name,
        "utilisation not measurable" if used is None else f"utilisation {used} %",
        f"memory {memory(gpu.memory_used_bytes)} of {memory(gpu.memory_total_bytes)}",
    ]
    parts += [health.FAULT_WORDS[slug] for slug in gpu.faults.split() if slug in health.FAULT_WORDS]
    return ", ".join(part for part in parts if part)
