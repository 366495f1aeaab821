"""One probe of this host, made so that a bad driver cannot hurt the calling process.

NVML runs in a child process with a deadline; a hang, a crash or a version mismatch becomes a snapshot whose
status says so, with everything that was read before it. Hosts with Neuron devices are read by
`inventory.driver.neuron` instead. Standard library and the pure records only: neither Django nor pynvml is
imported here, so the host agent can use it too.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inventory.driver import neuron
from inventory.wire.snapshot import MAX_TEXT, UNREAD, Gpu, Host, HostSnapshot, Missing, Reading
from inventory.wire.snapshot_json import assemble

DEFAULT_DEADLINE_S = 20.0
# Most bytes that a sane child sends: 64 GPUs x 4,096 processes stay below it.
MAX_OUTPUT_BYTES = 64 * 2**20
# A process stuck in the kernel does not die; waiting longer for it would hang the calling process as well.
KILL_GRACE_S = 1.0

# Status of a probe whose driver could not be started, by reason, with words and what to do.
START_FAILURES: dict[str, tuple[str, str]] = {
    "library_not_found": (
        "no_nvml",
        "libnvidia-ml.so.1 was not found: this host has no NVIDIA driver. "
        "That is normal for a host without GPUs; otherwise install the driver.",
    ),
    "python_package_missing": (
        "no_nvml",
        "The Python package nvidia-ml-py is not installed here; install it to read NVIDIA GPUs.",
    ),
    "driver_not_loaded": (
        "driver_not_loaded",
        "The NVIDIA driver's library is installed but its kernel module is not loaded; load it or reboot.",
    ),
    "driver_mismatch": (
        "driver_mismatch",
        "The NVIDIA library and the loaded kernel module are of different versions, "
        "as after an upgrade without a reboot; reboot or reload the module.",
    ),
    "no_permission": (
        "no_permission",
        "This user may not open the NVIDIA devices; give it access to /dev/nvidia*.",
    ),
    "timeout": ("timeout", "The NVIDIA driver timed out while starting."),
}


@dataclass(slots=True)
class _Heard:
    """What the child process has sent so far."""

    host: dict[str, Any] = field(default_factory=dict)
    host_missing: dict[str, str] = field(default_factory=dict)
    gpus: dict[int, dict[str, Any]] = field(default_factory=dict)
    gpu_missing: dict[int, dict[str, str]] = field(default_factory=dict)
    topology: Reading[tuple[tuple[str, ...], ...]] = UNREAD
    count: int = 0
    at: str = "start"
    failed: dict[str, Any] | None = None
    done: bool = False

    def take(self, event: dict[str, Any]) -> None:
        """Add one event of `inventory.driver.nvml.stream`."""
        if "begin" in event:
            self.at = event["begin"]
        elif "host" in event:
            _store(self.host, self.host_missing, event["host"], event)
        elif "gpu" in event:
            index = event["gpu"]
            readings = self.gpus.setdefault(index, {})
            _store(readings, self.gpu_missing.setdefault(index, {}), event["path"], event)
        elif "topology" in event:
            self.topology = tuple(tuple(row) for row in event["value"])
        elif "count" in event:
            self.count = event["count"]
        elif "failed" in event:
            self.failed = event
        elif "done" in event:
            self.done = True


def _store(readings: dict[str, Any], missing: dict[str, str], path: str, event: dict[str, Any]) -> None:
    readings[path] = event["value"]
    for inner, reason in event["missing"].items():
        missing[f"{path}.{inner}" if inner else path] = reason


def read_snapshot(*, deadline_s: float = DEFAULT_DEADLINE_S) -> HostSnapshot:
    """One snapshot of this host.

    Never raises for what a driver does, and returns by the deadline (plus `KILL_GRACE_S`). Works, with status
    ``no_nvml``, on a host without any accelerator.
    """
    started = time.monotonic()
    heard = _Heard()
    ending = _run_child(heard, deadline_s)
    status, reason, rest = _judge(heard, ending, deadline_s)
    gpus = tuple(_gpu(heard, index, rest) for index in range(heard.count))
    topology = heard.topology
    if heard.count == 0 and status in ("no_nvml", "ok"):
        left = max(1.0, deadline_s - (time.monotonic() - started))
        try:
            devices = neuron.read_devices(deadline_s=left)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            words = f"neuron-ls or neuron-monitor said something unexpected: {error!r}"
            return HostSnapshot(_host(heard, rest), "failed", words[:MAX_TEXT], (), Missing("failed"))
        if devices:
            return HostSnapshot(_host(heard, rest), "ok", "", devices, Missing("not_supported"))
    if isinstance(topology, Missing):
        topology = Missing(rest)
    return HostSnapshot(_host(heard, rest), status, reason, gpus, topology)


def _gpu(heard: _Heard, index: int, rest: str) -> Gpu:
    readings = {**heard.gpus.get(index, {}), "index": index}
    found: Gpu = assemble(Gpu, readings, heard.gpu_missing.get(index, {}), rest)
    return found


def _host(heard: _Heard, rest: str) -> Host:
    readings = {
        **heard.host,
        "hostname": os.environ.get("HEADROOM_HOSTNAME") or socket.gethostname(),
        "taken_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    missing = dict(heard.host_missing)
    machine_id = _machine_id()
    if isinstance(machine_id, Missing):
        missing["machine_id"] = machine_id.reason
    else:
        readings["machine_id"] = machine_id
    found: Host = assemble(Host, readings, missing, rest)
    return found


def _machine_id(path: str = "/etc/machine-id") -> Reading[str]:
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return Missing("not_reported")
    return text or Missing("not_reported")


def _judge(heard: _Heard, ending: str, deadline_s: float) -> tuple[str, str, str]:
    """(status, reason in words, slug for whatever was not read)."""
    if heard.failed is not None:
        slug = str(heard.failed["failed"])
        status, words = START_FAILURES.get(
            slug, ("failed", f"NVML could not start: {heard.failed['text']} (code {heard.failed['code']}).")
        )
        return status, words, slug
    if ending == "timeout":
        return (
            "timeout",
            f"The driver gave no answer within {deadline_s:g} s while reading {heard.at}.",
            "timeout",
        )
    if ending and not heard.done:
        return (
            "crashed",
            f"The driver's library ended the probe ({ending}) while reading {heard.at}.",
            "crashed",
        )
    return "ok", "", "not_reported"


def _run_child(heard: _Heard, deadline_s: float) -> str:
    """Run the gateway, filling `heard`. Returns "" when it ended well, else ``timeout`` or how it ended."""
    if find_spec("pynvml") is None:
        heard.failed = {"failed": "python_package_missing", "code": 0, "text": ""}
        return ""
    child = subprocess.Popen(
        [sys.executable, "-m", "inventory.driver.nvml"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": _python_path(), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        in_time = _listen(child, heard, time.monotonic() + deadline_s)
        if not in_time:
            return "timeout"
        code = child.wait(timeout=KILL_GRACE_S)
    except subprocess.TimeoutExpired:
        # It sent everything, then hung while shutting the library down: nothing is lost.
        return "" if heard.done else "timeout"
    finally:
        _end(child)
    if code == 0 or heard.done:
        return ""
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _listen(child: subprocess.Popen[bytes], heard: _Heard, until: float) -> bool:
    """Take events until the child closes its output; False when the deadline passed first."""
    assert child.stdout is not None
    buffer = b""
    size = 0
    with selectors.DefaultSelector() as waiting:
        waiting.register(child.stdout, selectors.EVENT_READ)
        while not heard.done:
            left = until - time.monotonic()
            if left <= 0 or not waiting.select(timeout=left):
                return False
            chunk = os.read(child.stdout.fileno(), 65536)
            size += len(chunk)
            if not chunk or size > MAX_OUTPUT_BYTES:
                return True
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                heard.take(json.loads(line))
    return True


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdout is not None:
        child.stdout.close()
    if child.poll() is None:
        child.kill()
        try:
            child.wait(timeout=KILL_GRACE_S)
        except subprocess.TimeoutExpired:
            # In an uninterruptible call of the driver. It ends when the call returns, and init reaps it.
            return


def _python_path() -> str:
    """Where the child finds this package: the checkout, or the archive the agent runs from."""
    root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH", "")
    return f"{root}{os.pathsep}{inherited}" if inherited else root
