"""State files for the fake NVML library: hosts as they are met in the field.

A state is a dict of the keys that `libnvidia-ml.c` reads. Figures of real products (memory,
profile ids, slices) follow nvidia-smi listings in NVIDIA's MIG user guide (R550, 2024).
"""

from __future__ import annotations

from pathlib import Path

State = dict[str, str | int]

MIB = 2**20

# number -> (id, compute slices, MiB, name), as `nvidia-smi mig -lgip` lists them on an A100-SXM4-40GB.
A100_40_PROFILES = {
    0: (19, 1, 4864, "MIG 1g.5gb"),
    1: (14, 2, 9856, "MIG 2g.10gb"),
    2: (9, 3, 19968, "MIG 3g.20gb"),
    3: (5, 4, 19968, "MIG 4g.20gb"),
    4: (0, 7, 40192, "MIG 7g.40gb"),
}


def write(path: Path, state: State) -> Path:
    path.write_text("".join(f"{key}={value}\n" for key, value in state.items()), encoding="utf-8")
    return path


def host(gpus: int) -> State:
    return {
        "driver_version": "550.54.15",
        "nvml_version": "12.550.54.15",
        "cuda_version": 12040,
        "gpu_count": gpus,
    }


def each(values: State, gpu: int | str = "*") -> State:
    return {f"gpu.{gpu}.{key}": value for key, value in values.items()}


def memory(total_mib: int, used_mib: int, reserved_mib: int = 600) -> str:
    """total,reserved,free,used in bytes."""
    return ",".join(
        str(part * MIB) for part in (total_mib, reserved_mib, total_mib - reserved_mib - used_mib, used_mib)
    )


def identity(count: int, tag: str = "aaaa") -> State:
    """UUID, serial, bus address and peers of each GPU; they differ from one to the next."""
    state: State = {}
    for i in range(count):
        state |= each(
            {
                "uuid": f"GPU-{tag}{i:04d}-0000-4000-8000-00000000000{i % 10}",
                "serial": f"13209200{i:05d}",
                "pci_bus_id": f"00000000:{7 + 8 * i:02X}:00.0",
                **{f"topology.{j}": 20 if i // 2 == j // 2 else 50 for j in range(count)},
            },
            i,
        )
    return state


# A GPU that answers everything, like an A100-SXM4-40GB at work outside MIG.
A100 = {
    "name": "NVIDIA A100-SXM4-40GB",
    "architecture": 7,
    "compute_capability": "8,0",
    "vbios_version": "92.00.19.00.10",
    "inforom_version": "G506.0200.00.04",
    "board_id": 1792,
    "board_part_number": "692-2G506-0200-003",
    "multi_gpu_board": 0,
    "pci_device_id": 0x20B010DE,
    "pci_subsystem_id": 0x134F10DE,
    "memory": memory(40960, 30000),
    "utilization": "97,41",
    "encoder": "0,167000",
    "decoder": "0,167000",
    "pcie_generation": 4,
    "pcie_generation_max": 4,
    "pcie_width": 16,
    "pcie_width_max": 16,
    "pcie_replay": 0,
    **{f"clock.{n}": mhz for n, mhz in enumerate((1380, 1380, 1215, 1230))},
    **{f"clock_max.{n}": mhz for n, mhz in enumerate((1410, 1410, 1215, 1290))},
    "power_usage": 312500,
    "power_limit": 400000,
    "power_enforced_limit": 400000,
    "power_default_limit": 400000,
    "power_limits": "100000,400000",
    "energy": 123456789,
    "temperature.0": 54,
    "field.82": 61,
    "threshold.0": 95,
    "threshold.1": 92,
    "threshold.2": 95,
    "threshold.3": 85,
    "performance_state": 0,
    "throttle": 0x4,
    "persistence_mode": 1,
    "compute_mode": 0,
    "virtualization_mode": 0,
    "ecc_mode": "1,1",
    "ecc.0.0": 2,
    "ecc.0.1": 0,
    "ecc.1.0": 12,
    "ecc.1.1": 1,
    "remapped_rows": "1,0,0,0",
    "cpu_affinity": 0xFFFF,
    "numa_node": 0,
    "field.91": 12,
    **{f"nvlink_state.{link}": 1 for link in range(12)},
    **{f"nvlink_remote_type.{link}": 2 for link in range(12)},
    **{f"nvlink_remote.{link}": f"00000000:C{link % 8:X}:00.0" for link in range(12)},
    **{f"field.{84 + link}": 25781 for link in range(6)},
    **{f"field.{126 + link}": 25781 for link in range(6, 12)},
    "mig_mode": "0,0",
    "process.0": f"4242,{28000 * MIB},4294967295,4294967295",
}


def a100(count: int = 8) -> State:
    return {**host(count), "process_name.4242": "/usr/bin/python3.11", **each(A100), **identity(count)}


def mig_profiles() -> State:
    state: State = {}
    for number, (profile, slices, mebibytes, name) in A100_40_PROFILES.items():
        state[f"mig_profile.{number}"] = f"{profile},{slices},{mebibytes}"
        state[f"mig_profile_name.{number}"] = name
    return state


def a100_with_mig() -> State:
    """Eight A100; GPU 0 cut into 3g+2g+1g, the last without a compute instance; GPU 1 in MIG mode, uncut."""
    state = a100()
    # Utilisation and per-engine figures are not measured in MIG mode.
    cut = {"mig_mode": "1,1", "utilization": "!3", "encoder": "!3", "decoder": "!3", "nvlink_state.0": "!3"}
    state |= each({**mig_profiles(), **cut}, 0) | each({**mig_profiles(), **cut}, 1)
    # gi, profile id, ci, start, size, slices, MiB, used bytes
    rows = (
        (1, 9, 0, 4, 4, 3, 19968, 5000 * MIB),
        (3, 14, 0, 0, 2, 2, 9856, 13 * MIB),
        (9, 19, 99, 2, 1, 1, 4864, 0),
    )
    for k, row in enumerate(rows):
        state[f"gpu.0.mig.{k}"] = ",".join(map(str, row))
        state[f"gpu.0.mig_uuid.{k}"] = f"MIG-5c89852c-d268-5c3f-1b07-00000000000{k}"
    state["gpu.0.process.0"] = f"4242,{5000 * MIB},1,0"
    return state


def h100(count: int = 8) -> State:
    values = {**A100, "name": "NVIDIA H100 80GB HBM3", "architecture": 9, "compute_capability": "9,0"}
    values |= {"memory": memory(81559, 1000), "field.91": 18, "power_limits": "200000,700000"}
    values |= {f"nvlink_state.{link}": 1 for link in range(18)}
    values |= {(f"field.164.{link}" if link else "field.164"): 26562 for link in range(18)}
    return {**host(count), **each(values), **identity(count, "bbbb")}


def h200(count: int = 8) -> State:
    return h100(count) | each({"name": "NVIDIA H200", "memory": memory(143771, 0)})


def sixteen() -> State:
    """Sixteen A100 in one NVSwitch domain, as an a2-megagpu-16g has."""
    return a100(16)
