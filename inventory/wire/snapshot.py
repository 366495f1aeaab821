"""What one probe of one host saw, as frozen records.

Pure: standard library only; independent of NVML, Django, files and the clock. Every leaf is a value or a
`Missing` with the reason why there is none, so that "not measurable" is never read as zero. Field names carry
their unit; the JSON form of these records is in `inventory.wire.snapshot_json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

SCHEMA = 1

# Limits on what one snapshot may hold; more than that is rejected as an error of the driver or agent.
MAX_GPUS = 64
MAX_LIST = 4096
MAX_TEXT = 512


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands in for a value that is missing. `reason` is a short slug such as ``not_supported``."""

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
    """The circuit board that carries the GPU."""

    id: Reading[int] = UNREAD
    part_number: Reading[str] = UNREAD
    multi_gpu: Reading[bool] = UNREAD


@dataclass(frozen=True, slots=True)
class Pci:
    """The GPU's PCI address and identifiers."""

    bus_id: Reading[str] = UNREAD
    device_id: Reading[int] = UNREAD
    subsystem_id: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Pcie:
    """The PCIe link: generation and lanes, now and at most, and the driver's count of replays."""

    generation: Reading[int] = UNREAD
    generation_max: Reading[int] = UNREAD
    width: Reading[int] = UNREAD
    width_max: Reading[int] = UNREAD
    replay_count: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Memory:
    """GPU memory in bytes.

    `used_bytes` excludes `reserved_bytes` where the driver separates them (v2 call); with the v1 call the
    driver counts reserved memory as used and `reserved_bytes` is missing.
    """

    total_bytes: Reading[int] = UNREAD
    used_bytes: Reading[int] = UNREAD
    free_bytes: Reading[int] = UNREAD
    reserved_bytes: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Utilization:
    """Percentage of the last sample period in which the engine was busy."""

    gpu_percent: Reading[int] = UNREAD
    memory_percent: Reading[int] = UNREAD
    encoder_percent: Reading[int] = UNREAD
    decoder_percent: Reading[int] = UNREAD


@dataclass(frozen=True, slots=True)
class Clocks:
    """Clock rates in MHz, now and at most."""

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
    """Power in watts, and energy in joules since the driver was loaded."""

    usage_w: Reading[float] = UNREAD
    limit_w: Reading[float] = UNREAD
    enforced_limit_w: Reading[float] = UNREAD
    default_limit_w: Reading[float] = UNREAD
    min_limit_w: Reading[float] = UNREAD
    max_limit_w: Reading[float] = UNREAD
    energy_j: Reading[float] = UNREAD


@dataclass(frozen=True, slots=True)
class Temperature:
    """Temperatures in °C, with the thresholds at which the GPU slows down or shuts down."""

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
    """Memory rows replaced by spare ones. `pending`: takes effect after a reset."""

    corrected: Reading[int] = UNREAD
    uncorrected: Reading[int] = UNREAD
    pending: Reading[bool] = UNREAD
    failure: Reading[bool] = UNREAD


@dataclass(frozen=True, slots=True)
class RetiredPages:
    """Memory pages taken out of use, by the kind of error. `pending`: takes effect after a reset."""

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
    """One link. `speed_mb_per_s` is one direction, in 10^6 bytes per second."""

    link: int
    active: Reading[bool] = UNREAD
    speed_mb_per_s: Reading[int] = UNREAD
    remote_type: Reading[str] = UNREAD
    remote_bus_id: Reading[str] = UNREAD


@dataclass(frozen=True, slots=True)
class Affinity:
    """The CPUs closest to the GPU. `cpus` is a list in the kernel's form: ``0-31,64-95``."""

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
    """MIG mode, now and after the next reset, and the MIG instances that exist."""

    mode: Reading[bool] = UNREAD
    pending_mode: Reading[bool] = UNREAD
    instances: Reading[tuple[MigInstance, ...]] = UNREAD


@dataclass(frozen=True, slots=True)
class Process:
    """A process that holds a context. `kind` is ``compute`` or ``graphics``. Command lines are not kept."""

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

    `status` is ``ok`` when the probe ran to its end, even if single fields are missing; otherwise it says
    what stopped it (``no_nvml``, ``driver_mismatch``, ``timeout``, ``crashed`` ...) and `reason` explains it
    in words. `topology` is a square matrix in order of index: how GPU i reaches GPU j (``self``, ``single``,
    ``multiple``, ``hostbridge``, ``node``, ``system``).
    """

    host: Host
    status: str
    reason: str = ""
    gpus: tuple[Gpu, ...] = ()
    topology: Reading[tuple[tuple[str, ...], ...]] = UNREAD


def value_or_none(reading: Reading[T]) -> T | None:
    """The value, or None for a missing one: for database columns that are null where unknown."""
    return None if isinstance(reading, Missing) else reading
