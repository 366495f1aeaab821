"""MIG instances of one GPU, as far as this user may see them.

The gateway passes in the library (`nv`) and so remains its only importer. Two views are joined: MIG devices
(visible to every user: UUID, memory) and GPU instances (profile and placement: visible to root or with the
MIG capabilities). Fields that one view lacks keep the reason.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inventory.wire.snapshot import MigInstance, Missing

# More GPU instances than any GPU has: NVML needs a buffer for the most it could return.
MAX_INSTANCES = 16
MEBIBYTE = 2**20

Reading = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile that the GPU offers, under the id that its instances carry."""

    id: int
    name: str
    memory_bytes: int
    compute_slices: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A GPU instance with its profile, and where it lies in memory slices; each a value or a `Missing`."""

    id: int
    profile: Any
    start: Any
    size: Any


def instances(nv: Any, gpu: Any, reading: Reading) -> Any:
    """Every MIG instance of `gpu`: one record per compute instance, and one per GPU instance without any.

    Raises the library's error where MIG is unsupported; returns () where it is switched off.
    """
    current, _ = nv.nvmlDeviceGetMigMode(gpu)
    if not current:
        return ()
    profiles = _profiles(nv, gpu)
    placed = reading(_gpu_instances, nv, gpu, profiles)
    found: list[MigInstance] = []
    with_compute: set[Any] = set()
    for index in range(nv.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        device = reading(nv.nvmlDeviceGetMigDeviceHandleByIndex, gpu, index)
        if isinstance(device, Missing):
            if device.reason in ("not_found", "invalid_argument"):
                continue
            found.append(_unreadable(device))
            continue
        record = _of_device(nv, gpu, device, profiles, placed, reading)
        with_compute.add(record.gpu_instance_id)
        found.append(record)
    if not isinstance(placed, Missing):
        found += [_without_compute(p) for p in placed.values() if p.id not in with_compute]
    return tuple(sorted(found, key=_order))


def _profiles(nv: Any, gpu: Any) -> dict[int, Profile]:
    """Profiles this GPU offers, by the id that its instances carry."""
    found: dict[int, Profile] = {}
    for number in range(nv.NVML_GPU_INSTANCE_PROFILE_COUNT):
        for version in (2, 1):
            try:
                info = nv.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number, version=version)
            except nv.NVMLError:
                continue
            size = info.memorySizeMB * MEBIBYTE
            name = info.name if version == 2 else _profile_name(info.sliceCount, size)
            found[info.id] = Profile(info.id, name.removeprefix("MIG "), size, info.sliceCount)
            break
    return found


def _profile_name(slices: int, memory_bytes: int) -> str:
    """``1g.5gb`` and the like for drivers that do not name profiles; memory rounds up to whole GiB."""
    return f"{slices}g.{-(-memory_bytes // 2**30)}gb"


def _gpu_instances(nv: Any, gpu: Any, profiles: dict[int, Profile]) -> dict[int, Placed]:
    found: dict[int, Placed] = {}
    for profile in profiles.values():
        handles = (nv.c_nvmlGpuInstance_t * MAX_INSTANCES)()
        count = ctypes.c_uint(MAX_INSTANCES)
        nv.nvmlDeviceGetGpuInstances(gpu, profile.id, handles, ctypes.byref(count))
        for handle in handles[: count.value]:
            info = nv.nvmlGpuInstanceGetInfo(handle)
            found[info.id] = Placed(info.id, profile, info.placement.start, info.placement.size)
    return found


def _of_device(
    nv: Any, gpu: Any, device: Any, profiles: dict[int, Profile], placed: Any, reading: Reading
) -> MigInstance:
    gpu_instance = reading(nv.nvmlDeviceGetGpuInstanceId, device)
    place = _place(nv, gpu, gpu_instance, profiles, placed, reading)
    attributes = reading(nv.nvmlDeviceGetAttributes, device)
    memory = reading(nv.nvmlDeviceGetMemoryInfo, device)
    lost = isinstance(attributes, Missing)
    slices = attributes if lost else attributes.gpuInstanceSliceCount
    size = attributes if lost else attributes.memorySizeMB * MEBIBYTE
    name = place.profile.name if isinstance(place.profile, Profile) else place.profile
    if isinstance(name, Missing) and not lost:
        name = _profile_name(slices, size)
    return MigInstance(
        uuid=reading(nv.nvmlDeviceGetUUID, device),
        profile=name,
        gpu_instance_id=gpu_instance,
        compute_instance_id=reading(nv.nvmlDeviceGetComputeInstanceId, device),
        start=place.start,
        size=place.size,
        memory_total_bytes=size if isinstance(memory, Missing) else memory.total,
        memory_used_bytes=memory if isinstance(memory, Missing) else memory.used,
        compute_slices=slices,
    )


def _place(
    nv: Any, gpu: Any, number: Any, profiles: dict[int, Profile], placed: Any, reading: Reading
) -> Placed:
    """Where GPU instance `number` lies; asked for directly where the list was refused."""
    if isinstance(number, Missing):
        return Placed(-1, number, number, number)
    if not isinstance(placed, Missing) and number in placed:
        known: Placed = placed[number]
        return known
    info = reading(lambda: nv.nvmlGpuInstanceGetInfo(nv.nvmlDeviceGetGpuInstanceById(gpu, number)))
    if isinstance(info, Missing):
        return Placed(number, info, info, info)
    profile = profiles.get(info.profileId, Missing("unknown"))
    return Placed(number, profile, info.placement.start, info.placement.size)


def _without_compute(place: Placed) -> MigInstance:
    none = Missing("no_compute_instance")
    return MigInstance(
        uuid=none,
        profile=place.profile.name,
        gpu_instance_id=place.id,
        compute_instance_id=none,
        start=place.start,
        size=place.size,
        memory_total_bytes=place.profile.memory_bytes,
        memory_used_bytes=none,
        compute_slices=place.profile.compute_slices,
    )


def _unreadable(reason: Missing) -> MigInstance:
    return MigInstance(*(reason,) * 9)


def _order(instance: MigInstance) -> tuple[int, int]:
    def number(reading: Any) -> int:
        return MAX_INSTANCES if isinstance(reading, Missing) else reading

    start = instance.start if not isinstance(instance.start, Missing) else instance.gpu_instance_id
    return number(start), number(instance.compute_instance_id)
