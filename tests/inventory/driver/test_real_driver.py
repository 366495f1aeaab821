"""The gateway against a real NVIDIA driver, field by field beside what `nvidia-smi -q -x` prints.

Run by `make test-gpu` on a machine with a GPU. Readings that change from one second to the next are
given room; everything else must be equal. HEADROOM_GOLDEN=1 writes the anonymised snapshot to
tests/inventory/golden/, where every machine's tests hold the codec against it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from inventory.driver.probing import read_snapshot
from inventory.wire.snapshot import Gpu, HostSnapshot, Missing
from inventory.wire.snapshot_json import from_json, to_json

pytestmark = pytest.mark.gpu
GOLDEN = Path(__file__).parents[1] / "golden"
MIB = 2**20


@pytest.fixture(scope="module")
def snapshot() -> HostSnapshot:
    found = read_snapshot()
    assert found.status == "ok", found.reason
    return found


@pytest.fixture(scope="module")
def smi() -> ElementTree.Element:
    done = subprocess.run(["nvidia-smi", "-q", "-x"], capture_output=True, text=True, check=True, timeout=60)
    return ElementTree.fromstring(done.stdout)


def number(text: str) -> float:
    """The number at the start of ``312.50 W`` and the like."""
    found = re.match(r"-?[\d.]+", text.strip())
    assert found is not None, text
    return float(found[0])


def enabled(text: str) -> bool:
    return text.strip() in ("Enabled", "Yes")


# reading -> (path in the XML, how its text is read, by how much the two may differ)
SAME: dict[str, tuple[str, Callable[[str], Any], float]] = {
    "uuid": ("uuid", str.strip, 0),
    "name": ("product_name", str.strip, 0),
    "serial": ("serial", str.strip, 0),
    "vbios_version": ("vbios_version", str.strip, 0),
    "board.part_number": ("board_part_number", str.strip, 0),
    "pci.bus_id": ("pci/pci_bus_id", str.strip, 0),
    "persistence_mode": ("persistence_mode", enabled, 0),
    "mig.mode": ("mig_mode/current_mig", enabled, 0),
    "mig.pending_mode": ("mig_mode/pending_mig", enabled, 0),
    "ecc.mode": ("ecc_mode/current_ecc", enabled, 0),
    "memory.total_bytes": ("fb_memory_usage/total", lambda text: number(text) * MIB, MIB),
    "memory.reserved_bytes": ("fb_memory_usage/reserved", lambda text: number(text) * MIB, 2 * MIB),
    "memory.used_bytes": ("fb_memory_usage/used", lambda text: number(text) * MIB, 64 * MIB),
    "pcie.generation_max": ("pci/pci_gpu_link_info/pcie_gen/max_link_gen", number, 0),
    "pcie.width_max": (
        "pci/pci_gpu_link_info/link_widths/max_link_width",
        lambda text: number(text.rstrip("x")),
        0,
    ),
    "power.limit_w": ("gpu_power_readings/current_power_limit", number, 0.01),
    "power.max_limit_w": ("gpu_power_readings/max_power_limit", number, 0.01),
    "temperature.gpu_c": ("temperature/gpu_temp", number, 5),
    "clocks.sm_max_mhz": ("max_clocks/sm_clock", number, 0),
    "clocks.memory_max_mhz": ("max_clocks/mem_clock", number, 0),
    "remapped_rows.corrected": ("remapped_rows/remapped_row_corr", number, 0),
    "remapped_rows.uncorrected": ("remapped_rows/remapped_row_unc", number, 0),
}


def reading(gpu: Gpu, path: str) -> Any:
    value: Any = gpu
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("path", SAME)
def test_same_as_nvidia_smi(snapshot: HostSnapshot, smi: ElementTree.Element, path: str) -> None:
    where, read, room = SAME[path]
    shown = smi.findall("gpu")
    assert len(shown) == len(snapshot.gpus)
    for gpu, element in zip(snapshot.gpus, shown, strict=True):
        text = element.findtext(where)
        ours = reading(gpu, path)
        if text is None or text.strip() in ("N/A", "[N/A]"):
            assert isinstance(ours, Missing), f"nvidia-smi has no {where}, we say {ours}"
            continue
        assert not isinstance(ours, Missing), f"nvidia-smi says {text}, we say {ours.reason}"
        if room:
            assert abs(ours - read(text)) <= room
        else:
            assert ours == read(text)


def test_host(snapshot: HostSnapshot, smi: ElementTree.Element) -> None:
    assert snapshot.host.driver_version == smi.findtext("driver_version")
    assert snapshot.host.cuda_version == smi.findtext("cuda_version")


def test_survives_its_json(snapshot: HostSnapshot) -> None:
    assert from_json(to_json(snapshot)) == snapshot
    if os.environ.get("HEADROOM_GOLDEN"):
        body = anonymised(to_json(snapshot))
        kind = re.sub(r"[^a-z0-9]+", "-", str(snapshot.gpus[0].name).lower()).strip("-")
        (GOLDEN / f"{kind}-{len(snapshot.gpus)}.json").write_text(json.dumps(body, indent=1) + "\n")


def anonymised(body: dict[str, Any]) -> dict[str, Any]:
    """Without what identifies a machine, a board or a user."""
    body["host"] |= {"hostname": "gpu-host", "machine_id": "0" * 32}
    for gpu in body["gpus"]:
        gpu["uuid"] = f"GPU-00000000-0000-4000-8000-{gpu['index']:012d}"
        gpu["serial"] = gpu["serial"] and "0" * len(gpu["serial"])
        gpu["processes"] = []
        for number_of, instance in enumerate(gpu["mig"]["instances"] or []):
            instance["uuid"] = instance["uuid"] and f"MIG-{number_of:08d}"
    kept = {path: why for path, why in body["unavailable"].items() if ".processes." not in path}
    return body | {"unavailable": kept}
