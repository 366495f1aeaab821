"""NVLinks of one GPU: which are up, how fast, and to what.

The gateway passes in the library (`nv`), as it does to `mig`, and so remains its only importer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inventory.driver import names
from inventory.wire.snapshot import Missing, NvLink

Reading = Callable[..., Any]


def links(nv: Any, gpu: Any, reading: Reading, field_value: Reading) -> tuple[NvLink, ...] | Missing:
    """Every link of `gpu`, or the reason why there is none to report.

    reading: calls a function and turns errors into `Missing`.  field_value: (gpu, field id, scope) to its
    value.
    """
    count = reading(field_value, gpu, nv.NVML_FI_DEV_NVLINK_LINK_COUNT)
    if isinstance(count, Missing) and count.reason in names.LOST_REASONS:
        return count
    found: list[NvLink] = []
    for number in range(nv.NVML_NVLINK_MAX_LINKS if isinstance(count, Missing) else count):
        active = reading(nv.nvmlDeviceGetNvLinkState, gpu, number)
        if not isinstance(active, Missing):
            found.append(_link(nv, gpu, number, bool(active), reading, field_value))
        elif isinstance(count, Missing) and active.reason in ("invalid_argument", "not_supported"):
            # A driver that cannot count links answers like this past the last one.
            break
        else:
            found.append(NvLink(number, active=active))
    if not found and isinstance(count, Missing):
        return Missing("not_supported")
    return tuple(found)


def _link(nv: Any, gpu: Any, number: int, active: bool, reading: Reading, field_value: Reading) -> NvLink:
    if not active:
        down = Missing("link_inactive")
        return NvLink(number, active=False, speed_mb_per_s=down, remote_type=down, remote_bus_id=down)
    speed = reading(field_value, gpu, nv.NVML_FI_DEV_NVLINK_GET_SPEED, number)
    if isinstance(speed, Missing) and number in names.LINK_SPEED_FIELDS:
        speed = reading(field_value, gpu, names.LINK_SPEED_FIELDS[number])
    remote = reading(nv.nvmlDeviceGetNvLinkRemoteDeviceType, gpu, number)
    return NvLink(
        number,
        active=True,
        speed_mb_per_s=speed,
        remote_type=remote if isinstance(remote, Missing) else names.LINK_REMOTES.get(remote, "unknown"),
        remote_bus_id=reading(lambda: nv.nvmlDeviceGetNvLinkRemotePciInfo(gpu, number).busId),
    )
