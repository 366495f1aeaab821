"""What a GPU's readings mean: busy or idle, throttled, faulty.

Pure: reads one `snapshot.Gpu`. A missing reading never makes a GPU idle or healthy; it makes the answer None.
"""

from __future__ import annotations

from inventory.wire.policy import IDLE_MEMORY_SHARE, IDLE_UTILIZATION_PERCENT
from inventory.wire.snapshot import Gpu, Missing, Reading

# Reasons that mean "slower than it could be", unlike "nothing to do" and "as configured".
THROTTLING = frozenset(
    {
        "sw_power_cap",
        "hw_slowdown",
        "sw_thermal_slowdown",
        "hw_thermal_slowdown",
        "hw_power_brake_slowdown",
        "board_limit",
        "reliability",
    }
)
# A busy GPU of today usually runs at its power cap, so only the other reasons are worth an event.
ALARMING = THROTTLING - {"sw_power_cap", "board_limit"}

FAULT_WORDS = {
    "gpu_lost": "The driver has lost this GPU; it needs a reset or a reboot.",
    "reset_required": "The driver requests a reset of this GPU.",
    "row_remap_failure": "Row remapping failed: the board should be replaced.",
    "row_remap_pending": "Remapped memory rows take effect after a reset.",
    "retired_pages_pending": "Retired memory pages take effect after a reset.",
    "uncorrected_ecc": "Uncorrected memory errors since the driver was loaded.",
    "nvlink_down": "An NVLink is down while others are up.",
    "unread": "The driver stopped responding while this GPU was being read.",
}

# Reasons for missing fields that concern the whole GPU.
_WHOLE = {
    "gpu_lost": "gpu_lost",
    "reset_required": "reset_required",
    "timeout": "unread",
    "crashed": "unread",
}


def faults(gpu: Gpu) -> tuple[str, ...]:
    """Slugs of the GPU's faults, keys of `FAULT_WORDS`; empty when none is known."""
    found: list[str] = []
    for reading in (
        gpu.uuid,
        gpu.memory.total_bytes,
        gpu.power.usage_w,
        gpu.temperature.gpu_c,
        gpu.processes,
    ):
        if isinstance(reading, Missing) and reading.reason in _WHOLE:
            found.append(_WHOLE[reading.reason])
    if gpu.remapped_rows.failure is True:
        found.append("row_remap_failure")
    if gpu.remapped_rows.pending is True:
        found.append("row_remap_pending")
    if gpu.retired_pages.pending is True:
        found.append("retired_pages_pending")
    if _positive(gpu.ecc.volatile_uncorrected):
        found.append("uncorrected_ecc")
    if _broken_link(gpu):
        found.append("nvlink_down")
    return tuple(dict.fromkeys(found))


def idle(gpu: Gpu) -> bool | None:
    """Whether nothing runs on the GPU; None where the driver does not report enough to tell."""
    if isinstance(gpu.processes, tuple) and gpu.processes:
        return False
    used = gpu.utilization.gpu_percent
    if isinstance(used, int) and used > IDLE_UTILIZATION_PERCENT:
        return False
    if _held(gpu):
        return False
    if isinstance(used, int) and isinstance(gpu.processes, tuple):
        return True
    if isinstance(gpu.processes, tuple) and gpu.mig.mode is True:
        # Utilisation cannot be measured under MIG; no process in any instance is enough.
        return True
    return None


def _held(gpu: Gpu) -> bool:
    """Whether more memory is in use than a driver keeps for itself."""
    used, total = gpu.memory.used_bytes, gpu.memory.total_bytes
    return isinstance(used, int) and isinstance(total, int) and used > IDLE_MEMORY_SHARE * total


def throttling(gpu: Gpu) -> tuple[str, ...]:
    """Reasons worth an alarm for which the clocks are lowered now."""
    if isinstance(gpu.throttle_reasons, Missing):
        return ()
    return tuple(reason for reason in gpu.throttle_reasons if reason in ALARMING)


def _positive(reading: Reading[int]) -> bool:
    return isinstance(reading, int) and reading > 0


def _broken_link(gpu: Gpu) -> bool:
    if isinstance(gpu.nvlinks, Missing):
        return False
    states = {link.active for link in gpu.nvlinks}
    return states >= {True, False}
