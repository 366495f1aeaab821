"""The one gateway to NVML: the only module that imports pynvml.

Run as ``python -m inventory.driver.nvml`` it reads every field of every GPU and writes one JSON line per
reading, so that the parent process keeps what was read before a driver hung or crashed (see
`inventory.driver.probing`). It is independent of Django, deadlines and the database. Each reading is a value
or a `Missing` with a reason; an error in one reading does not affect another.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pynvml as nv

from inventory.driver import links, mig, names, xid
from inventory.wire.snapshot import Missing, Process
from inventory.wire.snapshot_json import encode

Handle = Any
# From Linux's prctl.h.
PR_SET_PDEATHSIG = 1


def reason_of(error: Exception) -> str:
    """Slug for an NVML error, e.g. ``not_supported``; an unknown code keeps its number."""
    if isinstance(error, nv.NVMLError):
        return names.REASONS.get(error.value, f"nvml_error_{error.value}")
    return "unreadable"


def reading(call: Callable[..., Any], *arguments: Any) -> Any:
    """What `call` returns, or a `Missing`. Bytes that are not UTF-8 are escaped."""
    try:
        return call(*arguments)
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", errors="backslashreplace")
    except Exception as error:
        # Foreign code runs here; whatever it raises costs only this field.
        return Missing(reason_of(error))


def _memory(gpu: Handle) -> tuple[Any, ...]:
    try:
        info = nv.nvmlDeviceGetMemoryInfo(gpu, version=nv.nvmlMemory_v2)
        return info.total, info.used, info.free, info.reserved
    except nv.NVMLError as error:
        # Drivers before 510 know only the first version, which counts reserved memory as used.
        if error.value in names.LOST_CODES:
            raise
        info = nv.nvmlDeviceGetMemoryInfo(gpu)
        return info.total, info.used, info.free, Missing(reason_of(error))


def _utilization(gpu: Handle) -> tuple[Any, ...]:
    rates = nv.nvmlDeviceGetUtilizationRates(gpu)
    return rates.gpu, rates.memory


def _power_limits(gpu: Handle) -> tuple[Any, ...]:
    low, high = nv.nvmlDeviceGetPowerManagementLimitConstraints(gpu)
    return low / 1e3, high / 1e3


def _two_modes(call: Callable[[Handle], Any]) -> Callable[[Handle], tuple[Any, ...]]:
    def read(gpu: Handle) -> tuple[Any, ...]:
        current, pending = call(gpu)
        return bool(current), bool(pending)

    return read


def _remapped_rows(gpu: Handle) -> tuple[Any, ...]:
    corrected, uncorrected, pending, failure = nv.nvmlDeviceGetRemappedRows(gpu)
    return corrected, uncorrected, bool(pending), bool(failure)


def _pci(gpu: Handle) -> tuple[Any, ...]:
    info = nv.nvmlDeviceGetPciInfo(gpu)
    return _bus_id(gpu), info.pciDeviceId, info.pciSubSystemId


# Bus addresses by handle: a GPU that fell off the bus no longer reports its address, by which the kernel's
# log names it.
_BUS_IDS: dict[int | None, str] = {}


def _bus_id(gpu: Handle) -> Any:
    where = ctypes.cast(gpu, ctypes.c_void_p).value
    found = reading(lambda: nv.nvmlDeviceGetPciInfo(gpu).busId)
    if isinstance(found, Missing):
        return _BUS_IDS.get(where, found)
    return _BUS_IDS.setdefault(where, found)


def _xid_errors(gpu: Handle) -> Any:
    bus_id = _bus_id(gpu)
    return bus_id if isinstance(bus_id, Missing) else xid.errors_of(bus_id)


def _throttle_reasons(gpu: Handle) -> tuple[str, ...]:
    try:
        mask = nv.nvmlDeviceGetCurrentClocksEventReasons(gpu)
    except nv.NVMLError as error:
        if error.value != nv.NVML_ERROR_FUNCTION_NOT_FOUND:
            raise
        mask = nv.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)
    return tuple(name for bit, name in names.THROTTLE_REASONS.items() if mask & bit)


def _field_value(gpu: Handle, field_id: int, scope: int = 0) -> Any:
    (value,) = nv.nvmlDeviceGetFieldValues(gpu, [(field_id, scope)])
    if value.nvmlReturn != nv.NVML_SUCCESS:
        raise nv.NVMLError(value.nvmlReturn)
    return getattr(value.value, names.VALUE_TYPES[value.valueType])


def _cpus(gpu: Handle) -> str:
    words = -(-(os.cpu_count() or 1) // 64)
    # A host may have more CPUs than this process may see; 16 words are 1,024 CPUs.
    masks = nv.nvmlDeviceGetCpuAffinity(gpu, max(words, 16))
    return names.cpu_list(tuple(masks))


def _processes(gpu: Handle) -> tuple[Process, ...]:
    compute = [("compute", p) for p in nv.nvmlDeviceGetComputeRunningProcesses(gpu)]
    graphics = reading(nv.nvmlDeviceGetGraphicsRunningProcesses, gpu)
    if not isinstance(graphics, Missing):
        compute += [("graphics", p) for p in graphics]
    return tuple(_process(kind, info) for kind, info in compute)


def _process(kind: str, info: Any) -> Process:
    def instance(number: int) -> Any:
        return Missing("no_mig") if number == names.NO_INSTANCE else number

    memory = info.usedGpuMemory
    return Process(
        pid=info.pid,
        kind=kind,
        name=reading(nv.nvmlSystemGetProcessName, info.pid),
        user=names.user_of(info.pid),
        memory_bytes=Missing("not_reported") if memory is None else memory,
        gpu_instance_id=instance(info.gpuInstanceId),
        compute_instance_id=instance(info.computeInstanceId),
    )


def _numa_node(gpu: Handle) -> int:
    try:
        return int(nv.nvmlDeviceGetNumaNodeId(gpu))
    except nv.NVMLError as error:
        # The call is for coherent platforms; elsewhere the kernel knows the node of the PCI device.
        bus_id = _bus_id(gpu)
        node = Missing("unknown") if isinstance(bus_id, Missing) else names.numa_node_of(bus_id)
        if isinstance(node, Missing):
            raise error from None
        return node


def _retired(cause: int) -> Callable[[Handle], int]:
    return lambda gpu: len(nv.nvmlDeviceGetRetiredPages(gpu, cause))


def _ecc(kind: int, counter: int) -> Callable[[Handle], Any]:
    return lambda gpu: nv.nvmlDeviceGetTotalEccErrors(gpu, kind, counter)


def _clock(call: Callable[..., Any], which: int) -> Callable[[Handle], Any]:
    return lambda gpu: call(gpu, which)


def _named(call: Callable[[Handle], Any], names: dict[int, str]) -> Callable[[Handle], Any]:
    return lambda gpu: names.get(call(gpu), "unknown")


def _flag(call: Callable[[Handle], Any]) -> Callable[[Handle], Any]:
    return lambda gpu: bool(call(gpu))


def _milli(call: Callable[[Handle], Any]) -> Callable[[Handle], Any]:
    return lambda gpu: call(gpu) / 1e3


def _threshold(which: int) -> Callable[[Handle], Any]:
    return lambda gpu: nv.nvmlDeviceGetTemperatureThreshold(gpu, which)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one or more leaves of `snapshot.Gpu`, named by dotted path, from a device handle."""

    paths: tuple[str, ...]
    call: Callable[[Handle], Any]

    def read(self, gpu: Handle) -> Iterator[tuple[str, Any]]:
        """(path, value or `Missing`) of each leaf."""
        result = reading(self.call, gpu)
        if isinstance(result, Missing):
            result = (result,) * len(self.paths)
        elif len(self.paths) == 1:
            result = (result,)
        yield from zip(self.paths, result, strict=True)


def _one(path: str, call: Callable[[Handle], Any]) -> Reader:
    return Reader((path,), call)


def _many(group: str, names: str, call: Callable[[Handle], tuple[Any, ...]]) -> Reader:
    return Reader(tuple(f"{group}.{name}" for name in names.split()), call)


READERS: tuple[Reader, ...] = (
    _one("uuid", nv.nvmlDeviceGetUUID),
    _one("name", nv.nvmlDeviceGetName),
    _one("serial", nv.nvmlDeviceGetSerial),
    _many("pci", "bus_id device_id subsystem_id", _pci),
    _many("memory", "total_bytes used_bytes free_bytes reserved_bytes", _memory),
    _many("mig", "mode pending_mode", _two_modes(nv.nvmlDeviceGetMigMode)),
    _one("mig.instances", lambda gpu: mig.instances(nv, gpu, reading)),
    _many("utilization", "gpu_percent memory_percent", _utilization),
    _one("utilization.encoder_percent", lambda gpu: nv.nvmlDeviceGetEncoderUtilization(gpu)[0]),
    _one("utilization.decoder_percent", lambda gpu: nv.nvmlDeviceGetDecoderUtilization(gpu)[0]),
    _one("architecture", _named(nv.nvmlDeviceGetArchitecture, names.ARCHITECTURES)),
    _one("compute_capability", lambda gpu: "{}.{}".format(*nv.nvmlDeviceGetCudaComputeCapability(gpu))),
    _one("vbios_version", nv.nvmlDeviceGetVbiosVersion),
    _one("inforom_version", nv.nvmlDeviceGetInforomImageVersion),
    _one("board.id", nv.nvmlDeviceGetBoardId),
    _one("board.part_number", nv.nvmlDeviceGetBoardPartNumber),
    _one("board.multi_gpu", _flag(nv.nvmlDeviceGetMultiGpuBoard)),
    _one("pcie.generation", nv.nvmlDeviceGetCurrPcieLinkGeneration),
    _one("pcie.generation_max", nv.nvmlDeviceGetMaxPcieLinkGeneration),
    _one("pcie.width", nv.nvmlDeviceGetCurrPcieLinkWidth),
    _one("pcie.width_max", nv.nvmlDeviceGetMaxPcieLinkWidth),
    _one("pcie.replay_count", nv.nvmlDeviceGetPcieReplayCounter),
    *(_one(f"clocks.{n}_mhz", _clock(nv.nvmlDeviceGetClockInfo, c)) for n, c in names.CLOCKS.items()),
    *(_one(f"clocks.{n}_max_mhz", _clock(nv.nvmlDeviceGetMaxClockInfo, c)) for n, c in names.CLOCKS.items()),
    _one("power.usage_w", _milli(nv.nvmlDeviceGetPowerUsage)),
    _one("power.limit_w", _milli(nv.nvmlDeviceGetPowerManagementLimit)),
    _one("power.enforced_limit_w", _milli(nv.nvmlDeviceGetEnforcedPowerLimit)),
    _one("power.default_limit_w", _milli(nv.nvmlDeviceGetPowerManagementDefaultLimit)),
    _many("power", "min_limit_w max_limit_w", _power_limits),
    _one("power.energy_j", _milli(nv.nvmlDeviceGetTotalEnergyConsumption)),
    _one("temperature.gpu_c", lambda gpu: nv.nvmlDeviceGetTemperature(gpu, nv.NVML_TEMPERATURE_GPU)),
    _one("temperature.memory_c", lambda gpu: _field_value(gpu, nv.NVML_FI_DEV_MEMORY_TEMP)),
    _one("temperature.shutdown_c", _threshold(nv.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN)),
    _one("temperature.slowdown_c", _threshold(nv.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)),
    _one("temperature.memory_max_c", _threshold(nv.NVML_TEMPERATURE_THRESHOLD_MEM_MAX)),
    _one("temperature.gpu_max_c", _threshold(nv.NVML_TEMPERATURE_THRESHOLD_GPU_MAX)),
    _one("fan_speed_percent", nv.nvmlDeviceGetFanSpeed),
    _one("performance_state", names.known_state(nv.nvmlDeviceGetPerformanceState)),
    _one("throttle_reasons", _throttle_reasons),
    _one("persistence_mode", _flag(nv.nvmlDeviceGetPersistenceMode)),
    _one("compute_mode", _named(nv.nvmlDeviceGetComputeMode, names.COMPUTE_MODES)),
    _one("virtualization_mode", _named(nv.nvmlDeviceGetVirtualizationMode, names.VIRTUALIZATION_MODES)),
    _many("ecc", "mode pending_mode", _two_modes(nv.nvmlDeviceGetEccMode)),
    _one("ecc.volatile_corrected", _ecc(nv.NVML_MEMORY_ERROR_TYPE_CORRECTED, nv.NVML_VOLATILE_ECC)),
    _one("ecc.volatile_uncorrected", _ecc(nv.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nv.NVML_VOLATILE_ECC)),
    _one("ecc.aggregate_corrected", _ecc(nv.NVML_MEMORY_ERROR_TYPE_CORRECTED, nv.NVML_AGGREGATE_ECC)),
    _one("ecc.aggregate_uncorrected", _ecc(nv.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nv.NVML_AGGREGATE_ECC)),
    _many("remapped_rows", "corrected uncorrected pending failure", _remapped_rows),
    _one("retired_pages.single_bit", _retired(nv.NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS)),
    _one("retired_pages.double_bit", _retired(nv.NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR)),
    _one("retired_pages.pending", _flag(nv.nvmlDeviceGetRetiredPagesPendingStatus)),
    _one("xid_errors", _xid_errors),
    _one("nvlinks", lambda gpu: links.links(nv, gpu, reading, _field_value)),
    _one("affinity.numa_node", _numa_node),
    _one("affinity.cpus", _cpus),
    _one("processes", _processes),
)


def _cuda_version() -> str:
    number = nv.nvmlSystemGetCudaDriverVersion_v2()
    return f"{number // 1000}.{number % 1000 // 10}"


def _topology(handles: list[Handle]) -> Any:
    """Square matrix of how each GPU reaches each other; a lost GPU has its reason in its cells."""

    def level(a: int, b: int) -> str:
        if a == b:
            return "self"
        if handles[a] is None or handles[b] is None:
            return "gpu_lost"
        found = reading(nv.nvmlDeviceGetTopologyCommonAncestor, handles[a], handles[b])
        return found.reason if isinstance(found, Missing) else names.TOPOLOGY.get(found, "unknown")

    upper = {(a, b): level(a, b) for a in range(len(handles)) for b in range(a, len(handles))}
    return tuple(tuple(upper[min(a, b), max(a, b)] for b in range(len(handles))) for a in range(len(handles)))


def stream(emit: Callable[[dict[str, Any]], None]) -> None:
    """Read everything, calling `emit` once per event.

    Events: ``{"failed": slug, "code": n, "text": ...}`` when NVML cannot start; ``{"host": path}``,
    ``{"gpu": index, "path": ...}`` and ``{"topology": true}`` with `value` and `missing`;
    ``{"count": n}`` once; ``{"begin": "gpus.3.memory"}`` before each call into the driver;
    ``{"done": true}`` last.
    """

    def send(head: dict[str, Any], value: Any) -> None:
        missing: dict[str, str] = {}
        emit({**head, "value": encode(value, missing), "missing": missing})

    emit({"begin": "nvmlInit"})
    try:
        nv.nvmlInit()
    except nv.NVMLError as error:
        emit({"failed": reason_of(error), "code": error.value, "text": str(reading(str, error))})
        return
    emit({"begin": "host"})
    send({"host": "driver_version"}, reading(nv.nvmlSystemGetDriverVersion))
    send({"host": "nvml_version"}, reading(nv.nvmlSystemGetNVMLVersion))
    send({"host": "cuda_version"}, reading(_cuda_version))
    try:
        count = nv.nvmlDeviceGetCount()
    except nv.NVMLError as error:
        emit({"failed": reason_of(error), "code": error.value, "text": str(reading(str, error))})
        return
    emit({"count": count})
    handles: list[Handle] = []
    for index in range(count):
        emit({"begin": f"gpus.{index}"})
        handle = reading(nv.nvmlDeviceGetHandleByIndex, index)
        handles.append(None if isinstance(handle, Missing) else handle)
        for reader in READERS:
            if isinstance(handle, Missing):
                leaves = [(path, handle) for path in reader.paths]
            else:
                emit({"begin": f"gpus.{index}.{reader.paths[0]}"})
                leaves = list(reader.read(handle))
            for path, value in leaves:
                send({"gpu": index, "path": path}, value)
    emit({"begin": "topology"})
    send({"topology": True}, _topology(handles))
    # Sent before the library is shut down, so that a driver that hangs there loses nothing.
    emit({"done": True})
    nv.nvmlShutdown()


def die_with_parent() -> None:
    """Ask the kernel to end this process with its parent, since nobody else would end a hung call."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Write the events of `stream` to standard output, one JSON object per line."""
    die_with_parent()
    # Libraries may print to file descriptor 1, so the events get their own copy of it.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    preload = os.environ.get("HEADROOM_NVML_LIBRARY")
    if preload:
        # An absolute path for hosts whose driver lives outside the loader's search path.
        try:
            ctypes.CDLL(preload, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            events.write(json.dumps({"failed": "library_not_found", "code": 12, "text": str(error)}) + "\n")
            return
    stream(lambda event: print(json.dumps(event), file=events, flush=True))


if __name__ == "__main__":
    main()
