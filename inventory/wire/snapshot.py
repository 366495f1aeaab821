"""What one probe of one host saw, as frozen records.

Pure: standard library only. Knows nothing of NVML, Django, files or the clock.
Every leaf is a value or a `Missing` with the reason why there is none, so that
"not measurable" can never be read as zero. Field names carry their unit; the
JSON form of these records is in `inventory.wire.snapshot_json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

SCHEMA = 1

# Bounds on what one snapshot may hold; a driver or an agent that says more is not believed.
MAX_GPUS = 64
MAX_LIST = 4096
MAX_TEXT = 512


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands where a value should be. `reason` is a short slug such as ``not_supported``."""

    reason: str


T = TypeVar("T")
Reading: TypeAlias = T | Missing

UNREAD = Missing("not_reported")


@dataclass(frozen=True, slots=True)
class Host:
    """The machine itself. `taken_at` is the host's own clock, ISO 8601 in UTC."""

    hostname: str
    taken_at: str
    machine_id: Reading[str] = UNREAD
    driver_version: Reading[str] = UNREAD
    cuda_version: Reading[str] = UNREAD
    nvml_version: Reading[str] = UNREAD


@dataclass(frozen=True, slots=True)
class Board:
    id: Reading[int] = UNREAD
    part_number: Reading[str] = UNREAD
    multi_gpu: Reading[bool] = UNREAD


@dataclass(frozen=True, slots=True)
class Pci:
    bus_id: Reading[str] = UNREAD
    device_id: Reading[int] = UNREAD
    subsystem_id: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Pcie:
    generation: Reading[int] = UNREAD
    generation_max: Reading[int] = UNREAD
    width: Reading[int] = UNREAD
    width_max: Reading[int] = UNREAD
    replay_count: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Memory:
    """`used_bytes` excludes `reserved_bytes` where the driver tells them apart (v2 call);
    with the v1 call the driver counts reserved memory as used and `reserved_bytes` is missing."""

    total_bytes: Reading[int] = UNREAD
    used_bytes: Reading[int] = UNREAD
    free_bytes: Reading[int] = UNREAD
    reserved_bytes: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Utilization:
    """Share of the last sample period in which the engine was busy."""

    gpu_percent: Reading[int] = UNREAD
    memory_percent: Reading[int] = UNREAD
    encoder_percent: Reading[int] = UNREAD
    decoder_percent: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Clocks:
    graphics_mhz: Reading[int] = UNREAD
    sm_mhz: Reading[int] = UNREAD
    memory_mhz: Reading[int] = UNREAD
    video_mhz: Reading[int] = UNREAD
    graphics_max_mhz: Reading[int] = UNREAD
    sm_max_mhz: Reading[int] = UNREAD
    memory_max_mhz: Reading[int] = UNREAD
    video_max_mhz: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Power:
    usage_w: Reading[float] = UNREAD
    limit_w: Reading[float] = UNREAD
    enforced_limit_w: Reading[float] = UNREAD
    default_limit_w: Reading[float] = UNREAD
    min_limit_w: Reading[float] = UNREAD
    max_limit_w: Reading[float] = UNREAD
    energy_j: Reading[float] = UNREAD


@dataclass(frozen=True, slots=True)
class Temperature:
    gpu_c: Reading[int] = UNREAD
    memory_c: Reading[int] = UNREAD
    slowdown_c: Reading[int] = UNREAD
    shutdown_c: Reading[int] = UNREAD
    gpu_max_c: Reading[int] = UNREAD
    memory_max_c: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Ecc:
    """Volatile counts restart with the driver; aggregate ones live as long as the board."""

    mode: Reading[bool] = UNREAD
    pending_mode: Reading[bool] = UNREAD
    volatile_corrected: Reading[int] = UNREAD
    volatile_uncorrected: Reading[int] = UNREAD
    aggregate_corrected: Reading[int] = UNREAD
    aggregate_uncorrected: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class RemappedRows:
    corrected: Reading[int] = UNREAD
    uncorrected: Reading[int] = UNREAD
    pending: Reading[bool] = UNREAD
    failure: Reading[bool] = UNREAD


@dataclass(frozen=True, slots=True)
class RetiredPages:
    single_bit: Reading[int] = UNREAD
    double_bit: Reading[int] = UNREAD
    pending: Reading[bool] = UNREAD


@dataclass(frozen=True, slots=True)
class XidError:
    """One `NVRM: Xid` line of the kernel log."""

    code: int
    at: Reading[str] = UNREAD


@dataclass(frozen=True, slots=True)
class NvLink:
    """One link; `speed_mb_per_s` is one direction, in units of 10^6 bytes a second."""

    link: int
    active: Reading[bool] = UNREAD
    speed_mb_per_s: Reading[int] = UNREAD
    remote_type: Reading[str] = UNREAD
    remote_bus_id: Reading[str] = UNREAD


@dataclass(frozen=True, slots=True)
class Affinity:
    """`cpus` is a list in the form of the kernel: ``0-31,64-95``."""

    numa_node: Reading[int] = UNREAD
    cpus: Reading[str] = UNREAD


@dataclass(frozen=True, slots=True)
class MigInstance:
    """One GPU instance with one compute instance in it; `start` and `size` are memory slices."""

    uuid: Reading[str] = UNREAD
    profile: Reading[str] = UNREAD
    gpu_instance_id: Reading[int] = UNREAD
    compute_instance_id: Reading[int] = UNREAD
    start: Reading[int] = UNREAD
    size: Reading[int] = UNREAD
    memory_total_bytes: Reading[int] = UNREAD
    memory_used_bytes: Reading[int] = UNREAD
    compute_slices: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Mig:
    mode: Reading[bool] = UNREAD
    pending_mode: Reading[bool] = UNREAD
    instances: Reading[tuple[MigInstance, ...]] = UNREAD


@dataclass(frozen=True, slots=True)
class Process:
    """A process that holds a context; `kind` is ``compute`` or ``graphics``. No command line is kept."""

    pid: int
    kind: str
    name: Reading[str] = UNREAD
    user: Reading[str] = UNREAD
    memory_bytes: Reading[int] = UNREAD
    gpu_instance_id: Reading[int] = UNREAD
    compute_instance_id: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator. `kind` is ``nvidia`` or ``neuron``; `index` is the driver's enumeration."""

    index: int
    kind: str = "nvidia"
    uuid: Reading[str] = UNREAD
    name: Reading[str] = UNREAD
    serial: Reading[str] = UNREAD
    architecture: Reading[str] = UNREAD
    compute_capability: Reading[str] = UNREAD
    vbios_version: Reading[str] = UNREAD
    inforom_version: Reading[str] = UNREAD
    board: Board = field(default_factory=Board)
    pci: Pci = field(default_factory=Pci)
    pcie: Pcie = field(default_factory=Pcie)
    memory: Memory = field(default_factory=Memory)
    utilization: Utilization = field(default_factory=Utilization)
    clocks: Clocks = field(default_factory=Clocks)
    power: Power = field(default_factory=Power)
    temperature: Temperature = field(default_factory=Temperature)
    fan_speed_percent: Reading[int] = UNREAD
    performance_state: Reading[int] = UNREAD
    throttle_reasons: Reading[tuple[str, ...]] = UNREAD
    persistence_mode: Reading[bool] = UNREAD
    compute_mode: Reading[str] = UNREAD
    virtualization_mode: Reading[str] = UNREAD
    ecc: Ecc = field(default_factory=Ecc)
    remapped_rows: RemappedRows = field(default_factory=RemappedRows)
    retired_pages: RetiredPages = field(default_factory=RetiredPages)
    xid_errors: Reading[tuple[XidError, ...]] = UNREAD
    nvlinks: Reading[tuple[NvLink, ...]] = UNREAD
    affinity: Affinity = field(default_factory=Affinity)
    mig: Mig = field(default_factory=Mig)
    processes: Reading[tuple[Process, ...]] = UNREAD


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """One probe of one host.

    `status` is ``ok`` when the probe ran to its end, whatever single fields lack; otherwise it
    says what stopped it (``no_nvml``, ``driver_mismatch``, ``timeout``, ``crashed`` ...) and
    `reason` says it in words. `topology` is a square matrix in order of index: how GPU i
    reaches GPU j (``self``, ``single``, ``multiple``, ``hostbridge``, ``node``, ``system``).
    """

    host: Host
    status: str
    reason: str = ""
    gpus: tuple[Gpu, ...] = ()
    topology: Reading[tuple[tuple[str, ...], ...]] = UNREAD


def value_or_none(reading: Reading[T]) -> T | None:
    """The value, or None for a missing one: for database columns that are null where unknown."""
    return None if isinstance(reading, Missing) else reading
