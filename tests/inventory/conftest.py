"""A host whose driver is the fake library, loaded the way the real one is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.nvml import states

SOURCE = Path(states.__file__).with_name("libnvidia-ml.c")


def compile_fake(folder: Path, *flags: str) -> Path:
    """Build libnvidia-ml.so.1 into `folder`; returns the folder, for LD_LIBRARY_PATH."""
    target = folder / "libnvidia-ml.so.1"
    subprocess.run(
        [
            "gcc",
            "-shared",
            "-fPIC",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wl,-soname,libnvidia-ml.so.1",
            *flags,
            "-o",
            str(target),
            str(SOURCE),
        ],
        check=True,
    )
    return folder


@pytest.fixture(scope="session")
def driver_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_fake(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="session")
def old_driver_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library without the symbols that drivers before 510 lack."""
    return compile_fake(tmp_path_factory.mktemp("old-driver"), "-DOLD_DRIVER")


SetState = Callable[[states.State], None]


@pytest.fixture
def fake_driver(driver_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SetState:
    """Call with a state to give this host that driver; call again to change what it says."""
    return _installer(driver_folder, tmp_path, monkeypatch)


@pytest.fixture
def old_driver(old_driver_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SetState:
    return _installer(old_driver_folder, tmp_path, monkeypatch)


def _installer(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SetState:
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{folder}{os.pathsep}{inherited}".strip(os.pathsep))
    monkeypatch.setenv("FAKE_NVML_STATE", str(tmp_path / "driver-state"))
    monkeypatch.setenv("HEADROOM_KERNEL_LOG", str(tmp_path / "kernel-log"))
    monkeypatch.setenv("HEADROOM_HOSTNAME", "gpu-host-1")

    def install(state: states.State) -> None:
        states.write(tmp_path / "driver-state", state)

    return install
