"""Xid errors of the NVIDIA driver, from the kernel's log.

NVML reports Xids only to programs that listen when they happen. The kernel log still has those since boot
that its ring buffer has not dropped. Standard library only.
"""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from functools import cache

from inventory.wire.snapshot import Missing, XidError

# "NVRM: Xid (PCI:0000:07:00): 79, pid=1234, GPU has fallen off the bus."
_LINE = re.compile(
    r"^\d+,\d+,(?P<microseconds>\d+),[^;]*;NVRM: Xid \(PCI:(?P<bus>[0-9a-fA-F:.]+)\): (?P<code>\d+)",
    re.MULTILINE,
)
_MOST = 32
_MOST_BYTES = 16 * 2**20


def errors_of(bus_id: str) -> tuple[XidError, ...] | Missing:
    """The last Xids logged for the GPU at `bus_id` (``00000000:07:00.0``), oldest first.

    A `Missing` where the log may not be read, as in most containers.
    """
    try:
        text = _kernel_log(os.environ.get("HEADROOM_KERNEL_LOG", "/dev/kmsg"))
    except OSError as error:
        return Missing("no_permission" if isinstance(error, PermissionError) else "no_kernel_log")
    wanted = _bus(bus_id)
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    found = [
        XidError(int(line["code"]), at=_wall_clock(booted + int(line["microseconds"]) / 1e6))
        for line in _LINE.finditer(text)
        if _bus(line["bus"]) == wanted
    ]
    return tuple(found[-_MOST:])


def _bus(text: str) -> tuple[int, ...]:
    """(domain, bus, device) of ``0000:07:00``, ``00000000:07:00.0`` and the like."""
    domain, bus, device = text.split(":")[-3:]
    return int(domain, 16), int(bus, 16), int(device.partition(".")[0], 16)


def _wall_clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@cache
def _kernel_log(path: str) -> str:
    """Everything the log holds now. A read of /dev/kmsg gives one record, and would wait after the last."""
    pieces: list[bytes] = []
    size = 0
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while size < _MOST_BYTES:
            try:
                piece = os.read(handle, 65536)
            except BlockingIOError:
                break
            except BrokenPipeError:
                # The ring overtook this reader; the next read goes on with the oldest record left.
                continue
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
    finally:
        os.close(handle)
    return b"".join(pieces).decode("utf-8", errors="replace")
