"""Names for NVML's numbers, and what the kernel says where NVML does not.

The numbers are those of nvml.h (as in nvidia-ml-py 13). They are separate from the gateway so that they can
be read and tested without the library. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inventory.wire.snapshot import Missing

REASONS: dict[int, str] = {
    1: "uninitialized",
    2: "invalid_argument",
    3: "not_supported",
    4: "no_permission",
    5: "already_initialized",
    6: "not_found",
    7: "insufficient_size",
    8: "insufficient_power",
    9: "driver_not_loaded",
    10: "timeout",
    11: "irq_issue",
    12: "library_not_found",
    13: "function_not_found",
    14: "corrupted_inforom",
    15: "gpu_lost",
    16: "reset_required",
    17: "operating_system",
    18: "driver_mismatch",
    19: "in_use",
    20: "out_of_memory",
    21: "no_data",
    22: "vgpu_ecc_not_supported",
    23: "insufficient_resources",
    24: "frequency_not_supported",
    25: "version_mismatch",
    26: "deprecated",
    27: "not_ready",
    28: "gpu_not_found",
    29: "invalid_state",
    30: "reset_type_not_supported",
    999: "unknown_error",
}

# Codes for which an older version of the same call would not help.
LOST_CODES = frozenset({4, 15, 16, 28})

LOST_REASONS = frozenset({"gpu_lost", "reset_required", "gpu_not_found"})

THROTTLE_REASONS: dict[int, str] = {
    0x001: "gpu_idle",
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}

ARCHITECTURES: dict[int, str] = {
    2: "kepler",
    3: "maxwell",
    4: "pascal",
    5: "volta",
    6: "turing",
    7: "ampere",
    8: "ada",
    9: "hopper",
    10: "blackwell",
    13: "rubin",
}

COMPUTE_MODES: dict[int, str] = {0: "default", 1: "exclusive_thread", 2: "prohibited", 3: "exclusive_process"}
VIRTUALIZATION_MODES: dict[int, str] = {
    0: "none",
    1: "passthrough",
    2: "vgpu",
    3: "host_vgpu",
    4: "host_vsga",
}
TOPOLOGY: dict[int, str] = {
    0: "internal",
    10: "single",
    20: "multiple",
    30: "hostbridge",
    40: "node",
    50: "system",
}
LINK_REMOTES: dict[int, str] = {0: "gpu", 1: "ibm_npu", 2: "switch"}
CLOCKS: dict[str, int] = {"graphics": 0, "sm": 1, "memory": 2, "video": 3}

# Member of the value union by nvmlValueType_t.
VALUE_TYPES: dict[int, str] = {
    0: "dVal",
    1: "uiVal",
    2: "ulVal",
    3: "ullVal",
    4: "sllVal",
    5: "siVal",
    6: "usVal",
}

# NVML_FI_DEV_NVLINK_SPEED_MBPS_L0..L5 and _L6..L11, for drivers without the scoped field.
LINK_SPEED_FIELDS: dict[int, int] = {
    **{link: 84 + link for link in range(6)},
    **{link: 126 + link for link in range(6, 12)},
}

# What NVML gives as instance number of a process outside MIG.
NO_INSTANCE = 0xFFFFFFFF
UNKNOWN_PERFORMANCE_STATE = 32


def known_state(call: Callable[[Any], int]) -> Callable[[Any], Any]:
    """`call`, with NVML's "unknown" P-state turned into a missing value."""

    def read(gpu: Any) -> Any:
        state = call(gpu)
        return Missing("unknown") if state == UNKNOWN_PERFORMANCE_STATE else state

    return read


def cpu_list(masks: tuple[int, ...]) -> str:
    """Kernel-style list (``0-3,8``) of the bits set in 64-bit words, lowest first."""
    mask = sum(word << (64 * position) for position, word in enumerate(masks))
    runs: list[str] = []
    cpu = 0
    while mask >> cpu:
        if not mask >> cpu & 1:
            cpu += 1
            continue
        first = cpu
        while mask >> cpu & 1:
            cpu += 1
        runs.append(str(first) if cpu - 1 == first else f"{first}-{cpu - 1}")
    return ",".join(runs)


def numa_node_of(bus_id: str, root: str = "/sys/bus/pci/devices") -> int | Missing:
    """NUMA node of a PCI device as the kernel knows it; -1 there means it has none."""
    domain, _, rest = bus_id.lower().partition(":")
    try:
        node = int(Path(root, f"{domain[-4:]}:{rest}", "numa_node").read_text())
    except (OSError, ValueError):
        return Missing("not_reported")
    return Missing("no_numa") if node < 0 else node


def user_of(pid: int) -> str | Missing:
    """Login name (or number) of a process's owner, where this process may see it."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except FileNotFoundError:
        # Another PID namespace (a container), or the process just ended.
        return Missing("not_visible")
    except OSError:
        return Missing("no_permission")
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return str(uid)
