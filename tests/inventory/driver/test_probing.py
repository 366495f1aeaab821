"""What a probe of this host says, whatever its driver does. The driver is a compiled library."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inventory.driver import nvml
from inventory.driver.probing import read_snapshot
from inventory.wire.snapshot import Gpu, Host, HostSnapshot, Missing
from inventory.wire.snapshot_json import from_json, to_json
from tests.fakes.nvml import states
from tests.inventory.conftest import SetState

MIB = 2**20
ROOT = Path(__file__).resolve().parents[3]
# Neuron tools may exist on a developer's machine; none of these hosts has them.
pytestmark = pytest.mark.usefixtures("no_neuron")


@pytest.fixture
def no_neuron(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inventory.driver.neuron._tool", lambda name: None)


def unavailable(snapshot: HostSnapshot) -> dict[str, Any]:
    return to_json(snapshot)["unavailable"]


class TestHealthyHosts:
    def test_every_field_of_a_working_gpu_is_a_value(self, fake_driver: SetState, tmp_path: Path) -> None:
        fake_driver(states.a100(2))
        (tmp_path / "kernel-log").write_text(
            "4,1,5000000,-;NVRM: Xid (PCI:0000:07:00): 63, pid='<unknown>', row remapper\n"
            "4,2,6000000,-;NVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.\n"
        )
        snapshot = read_snapshot()
        gpu = snapshot.gpus[0]
        assert (snapshot.status, snapshot.reason) == ("ok", "")
        assert (snapshot.host.hostname, snapshot.host.driver_version) == ("gpu-host-1", "550.54.15")
        assert snapshot.host.cuda_version == "12.4"
        assert (gpu.name, gpu.architecture, gpu.compute_capability) == (
            "NVIDIA A100-SXM4-40GB",
            "ampere",
            "8.0",
        )
        assert gpu.pci.bus_id == "00000000:07:00.0"
        assert gpu.pci.device_id == 0x20B010DE
        assert gpu.memory.total_bytes == 40960 * MIB
        assert gpu.memory.used_bytes == 30000 * MIB
        assert gpu.memory.reserved_bytes == 600 * MIB
        assert (gpu.utilization.gpu_percent, gpu.utilization.memory_percent) == (97, 41)
        assert (gpu.clocks.sm_mhz, gpu.clocks.memory_max_mhz) == (1380, 1215)
        assert (gpu.power.usage_w, gpu.power.min_limit_w, gpu.power.max_limit_w) == (312.5, 100.0, 400.0)
        assert gpu.power.energy_j == 123456.789
        assert (gpu.temperature.gpu_c, gpu.temperature.memory_c, gpu.temperature.slowdown_c) == (54, 61, 92)
        assert (gpu.ecc.mode, gpu.ecc.volatile_corrected, gpu.ecc.aggregate_uncorrected) == (True, 2, 1)
        assert (gpu.remapped_rows.corrected, gpu.remapped_rows.failure) == (1, False)
        assert gpu.throttle_reasons == ("sw_power_cap",)
        assert (gpu.pcie.generation, gpu.pcie.width, gpu.pcie.replay_count) == (4, 16, 0)
        assert gpu.affinity.cpus == "0-15"
        assert (gpu.persistence_mode, gpu.compute_mode, gpu.virtualization_mode) == (True, "default", "none")
        assert gpu.mig.mode is False
        assert gpu.mig.instances == ()
        assert [x.code for x in gpu.xid_errors] == [63]
        assert [x.code for x in snapshot.gpus[1].xid_errors] == [79]

    def test_processes_carry_name_memory_and_no_command_line(self, fake_driver: SetState) -> None:
        fake_driver(states.a100(1))
        (process,) = read_snapshot().gpus[0].processes
        assert (process.pid, process.name, process.memory_bytes) == (4242, "/usr/bin/python3.11", 28000 * MIB)
        assert process.gpu_instance_id == Missing("no_mig")

    def test_nvlinks_have_state_speed_and_remote(self, fake_driver: SetState) -> None:
        state = states.a100(1) | {"gpu.0.nvlink_state.5": 0}
        fake_driver(state)
        links = read_snapshot().gpus[0].nvlinks
        assert isinstance(links, tuple)
        assert len(links) == 12
        assert {link.speed_mb_per_s for link in links if link.active} == {25781}
        assert links[0].remote_type == "switch"
        assert links[5].active is False
        assert links[5].speed_mb_per_s == Missing("link_inactive")

    def test_topology_is_a_symmetric_matrix(self, fake_driver: SetState) -> None:
        fake_driver(states.a100(4))
        topology = read_snapshot().topology
        assert topology[0] == ("self", "multiple", "system", "system")
        assert all(topology[a][b] == topology[b][a] for a in range(4) for b in range(4))

    @pytest.mark.parametrize(
        ("state", "count", "name", "mebibytes"),
        [
            (states.sixteen(), 16, "NVIDIA A100-SXM4-40GB", 40960),
            (states.h100(), 8, "NVIDIA H100 80GB HBM3", 81559),
            (states.h200(), 8, "NVIDIA H200", 143771),
        ],
        ids=["sixteen", "h100", "h200"],
    )
    def test_kinds_of_host(
        self, fake_driver: SetState, state: states.State, count: int, name: str, mebibytes: int
    ) -> None:
        fake_driver(state)
        snapshot = read_snapshot()
        assert len({gpu.uuid for gpu in snapshot.gpus}) == count
        assert {gpu.name for gpu in snapshot.gpus} == {name}
        assert {gpu.memory.total_bytes for gpu in snapshot.gpus} == {mebibytes * MIB}

    def test_hopper_links_use_the_scoped_field(self, fake_driver: SetState) -> None:
        fake_driver(states.h100(1))
        links = read_snapshot().gpus[0].nvlinks
        assert [link.speed_mb_per_s for link in links] == [26562] * 18


class TestMig:
    def test_instances_have_profile_placement_memory_and_uuid(self, fake_driver: SetState) -> None:
        fake_driver(states.a100_with_mig())
        gpus = read_snapshot().gpus
        instances = gpus[0].mig.instances
        assert isinstance(instances, tuple)
        assert [(i.profile, i.start, i.size, i.gpu_instance_id) for i in instances] == [
            ("2g.10gb", 0, 2, 3),
            ("1g.5gb", 2, 1, 9),
            ("3g.20gb", 4, 4, 1),
        ]
        assert instances[0].uuid == "MIG-5c89852c-d268-5c3f-1b07-000000000001"
        assert instances[2].memory_total_bytes == 19968 * MIB
        assert instances[2].memory_used_bytes == 5000 * MIB
        assert instances[1].uuid == Missing("no_compute_instance")
        assert gpus[1].mig.mode is True
        assert gpus[1].mig.instances == ()

    def test_utilisation_under_mig_is_not_supported_rather_than_zero(self, fake_driver: SetState) -> None:
        fake_driver(states.a100_with_mig())
        snapshot = read_snapshot()
        assert snapshot.gpus[0].utilization.gpu_percent == Missing("not_supported")
        assert unavailable(snapshot)["gpus.0.utilization.gpu_percent"] == "not_supported"
        assert snapshot.gpus[2].utilization.gpu_percent == 97

    def test_without_privileges_placement_has_a_reason_and_the_rest_stays(
        self, fake_driver: SetState
    ) -> None:
        fake_driver(states.a100_with_mig() | {"gpu.0.mig_admin": "!4"})
        instances = read_snapshot().gpus[0].mig.instances
        assert isinstance(instances, tuple)
        assert [i.profile for i in instances] == ["3g.20gb", "2g.10gb"]
        assert {i.start for i in instances} == {Missing("no_permission")}

    def test_processes_name_their_instance(self, fake_driver: SetState) -> None:
        fake_driver(states.a100_with_mig())
        (process,) = read_snapshot().gpus[0].processes
        assert (process.gpu_instance_id, process.compute_instance_id) == (1, 0)


class TestPartlyReadable:
    def test_a_field_that_is_not_supported_loses_no_other(self, fake_driver: SetState) -> None:
        fake_driver(states.a100(1))  # the A100 SXM has no fan
        snapshot = read_snapshot()
        assert snapshot.gpus[0].fan_speed_percent == Missing("not_supported")
        assert unavailable(snapshot)["gpus.0.fan_speed_percent"] == "not_supported"

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            (4, "no_permission"),
            (10, "timeout"),
            (16, "reset_required"),
            (999, "unknown_error"),
            (777, "nvml_error_777"),
        ],
    )
    def test_each_error_code_becomes_its_reason(self, fake_driver: SetState, code: int, reason: str) -> None:
        fake_driver(states.a100(1) | {"gpu.0.power_usage": f"!{code}"})
        gpu = read_snapshot().gpus[0]
        assert gpu.power.usage_w == Missing(reason)
        assert gpu.power.limit_w == 400.0

    def test_a_gpu_that_falls_off_the_bus_keeps_what_was_read_and_the_others(
        self, fake_driver: SetState
    ) -> None:
        fake_driver(states.a100(4) | {"gpu.2.lost_after": 8})
        snapshot = read_snapshot()
        lost = snapshot.gpus[2]
        assert snapshot.status == "ok"
        assert lost.uuid == "GPU-aaaa0002-0000-4000-8000-000000000002"
        assert lost.power.usage_w == Missing("gpu_lost")
        assert lost.processes == Missing("gpu_lost")
        assert lost.nvlinks == Missing("gpu_lost")
        assert [gpu.power.usage_w for i, gpu in enumerate(snapshot.gpus) if i != 2] == [312.5] * 3

    def test_the_xid_of_a_gpu_that_fell_off_the_bus(self, fake_driver: SetState, tmp_path: Path) -> None:
        fake_driver(states.a100(2) | {"gpu.1.lost_after": 8})
        (tmp_path / "kernel-log").write_text(
            "4,2,6000000,-;NVRM: Xid (PCI:0000:0f:00): 79, fell off the bus.\n"
        )
        assert [x.code for x in read_snapshot().gpus[1].xid_errors] == [79]

    def test_a_gpu_without_a_handle_keeps_its_place(self, fake_driver: SetState) -> None:
        fake_driver(states.a100(3) | {"gpu.1.handle": "!15"})
        snapshot = read_snapshot()
        assert [gpu.index for gpu in snapshot.gpus] == [0, 1, 2]
        assert snapshot.gpus[1].uuid == Missing("gpu_lost")
        assert snapshot.topology[0][1] == "gpu_lost"
        assert snapshot.gpus[2].name == "NVIDIA A100-SXM4-40GB"

    def test_text_that_is_not_utf8_keeps_its_bytes_escaped(self, fake_driver: SetState) -> None:
        fake_driver(
            states.a100(1) | {"gpu.0.name": r"NVIDIA \xff\xfeA100", "gpu.0.pci_bus_id": r"\xff:07:00.0"}
        )
        gpu = read_snapshot().gpus[0]
        assert gpu.name == r"NVIDIA \xff\xfeA100"
        assert gpu.pci.bus_id == r"\xff:07:00.0"

    def test_a_driver_without_the_second_memory_call(self, old_driver: SetState) -> None:
        old_driver(states.a100(1))
        gpu = read_snapshot().gpus[0]
        assert gpu.memory.reserved_bytes == Missing("function_not_found")
        # The first version counts what the driver keeps for itself as used.
        assert gpu.memory.used_bytes == 30600 * MIB
        assert gpu.throttle_reasons == ("sw_power_cap",)

    def test_a_gpu_that_refuses_the_second_memory_call(self, fake_driver: SetState) -> None:
        fake_driver(states.a100(1) | {"gpu.0.memory_v2": "!25"})
        assert read_snapshot().gpus[0].memory.reserved_bytes == Missing("version_mismatch")

    def test_old_driver_names_profiles_by_slices_and_memory(self, old_driver: SetState) -> None:
        old_driver(states.a100_with_mig())
        instances = read_snapshot().gpus[0].mig.instances
        assert [i.profile for i in instances] == ["2g.10gb", "1g.5gb", "3g.20gb"]


class TestDriversThatCannotStart:
    @pytest.mark.parametrize(
        ("code", "status"),
        [
            (9, "driver_not_loaded"),
            (12, "no_nvml"),
            (18, "driver_mismatch"),
            (4, "no_permission"),
            (999, "failed"),
        ],
    )
    def test_status_says_why(self, fake_driver: SetState, code: int, status: str) -> None:
        fake_driver({"init": f"!{code}"})
        snapshot = read_snapshot()
        assert snapshot.status == status
        assert snapshot.reason
        assert snapshot.gpus == ()

    def test_an_error_whose_words_are_not_utf8(self, fake_driver: SetState) -> None:
        fake_driver({"init": "!777", "error_string": r"\xff\xfe broken"})
        snapshot = read_snapshot()
        assert (snapshot.status, snapshot.host.driver_version) == ("failed", Missing("nvml_error_777"))
        assert r"\xff\xfe broken (code 777)" in snapshot.reason

    def test_no_library_is_a_normal_state(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HEADROOM_NVML_LIBRARY", str(tmp_path / "nowhere.so"))
        snapshot = read_snapshot()
        assert snapshot.status == "no_nvml"
        assert snapshot.host.driver_version == Missing("library_not_found")

    def test_library_by_absolute_path(
        self, driver_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("HEADROOM_NVML_LIBRARY", str(driver_folder / "libnvidia-ml.so.1"))
        monkeypatch.setenv("FAKE_NVML_STATE", str(states.write(tmp_path / "state", states.h100(2))))
        assert len(read_snapshot().gpus) == 2


class TestDriversThatMisbehave:
    def test_a_hang_ends_at_the_deadline_and_keeps_what_was_read(self, fake_driver: SetState) -> None:
        fake_driver(states.a100(3) | {"gpu.1.power_usage": "!hang"})
        started = time.monotonic()
        snapshot = read_snapshot(deadline_s=2)
        assert time.monotonic() - started < 4
        assert snapshot.status == "timeout"
        assert "gpus.1.power.usage_w" in snapshot.reason
        assert snapshot.gpus[0].power.usage_w == 312.5
        assert snapshot.gpus[1].name == "NVIDIA A100-SXM4-40GB"
        assert snapshot.gpus[1].power.usage_w == Missing("timeout")
        assert snapshot.gpus[2].name == Missing("timeout")
        assert len(snapshot.gpus) == 3

    def test_a_hang_while_starting(self, fake_driver: SetState) -> None:
        fake_driver({"init": "!hang"})
        snapshot = read_snapshot(deadline_s=1)
        assert (snapshot.status, snapshot.gpus) == ("timeout", ())

    def test_a_segmentation_fault_is_recorded_with_the_call_that_made_it(self, fake_driver: SetState) -> None:
        fake_driver(states.a100(2) | {"gpu.1.vbios_version": "!segv"})
        snapshot = read_snapshot()
        assert snapshot.status == "crashed"
        assert "SIGSEGV" in snapshot.reason
        assert "gpus.1.vbios_version" in snapshot.reason
        assert snapshot.gpus[0].vbios_version == "92.00.19.00.10"
        assert snapshot.gpus[1].memory.total_bytes == 40960 * MIB
        assert snapshot.gpus[1].vbios_version == Missing("crashed")

    def test_a_hang_while_shutting_down_loses_nothing(self, fake_driver: SetState) -> None:
        fake_driver(states.a100(1) | {"shutdown": "!hang"})
        snapshot = read_snapshot(deadline_s=3)
        assert snapshot.gpus[0].power.usage_w == 312.5
        assert snapshot.status == "ok"


@pytest.mark.parametrize(
    "state", [states.a100_with_mig(), states.h200(2), {"init": "!18"}], ids=["mig", "h200", "bad"]
)
def test_a_snapshot_survives_its_json(fake_driver: SetState, state: states.State) -> None:
    fake_driver(state)
    snapshot = read_snapshot()
    assert from_json(to_json(snapshot)) == snapshot


def test_every_field_of_the_record_has_one_reader() -> None:
    empty = HostSnapshot(Host("h", "2026-01-01T00:00:00Z"), "ok", gpus=(Gpu(0),))
    fields = {path.removeprefix("gpus.0.") for path in unavailable(empty) if path.startswith("gpus.0.")}
    read = [path for reader in nvml.READERS for path in reader.paths]
    assert len(read) == len(set(read))
    assert set(read) == fields


def test_a_hung_driver_call_ends_with_the_process_that_made_it(fake_driver: SetState) -> None:
    fake_driver({"init": "!hang"})
    script = "from inventory.driver.probing import read_snapshot; read_snapshot(deadline_s=60)"
    asker = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    try:
        children = wait_for(lambda: Path(f"/proc/{asker.pid}/task/{asker.pid}/children").read_text().split())
    finally:
        asker.kill()
        asker.wait()
    assert len(children) == 1
    wait_for(lambda: not Path(f"/proc/{children[0]}").exists())


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found
