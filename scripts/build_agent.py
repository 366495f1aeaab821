"""Put the host agent into one file: `make agent` writes build/headroom-agent.pyz.

The file holds the agent, the gateway to the driver and nvidia-ml-py, and runs with any Python from
3.11 on without anything to install: `python3 headroom-agent.pyz --server https://...`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipapp
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The fleet packages that the agent needs: the records that are sent, and the reading of the driver.
PACKAGES = ("wire", "driver")


def build(target: Path) -> Path:
    """Write the archive; returns its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    driver_module = find_spec("pynvml")
    assert driver_module is not None and driver_module.origin is not None
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        (stage / "headroom_agent").mkdir()
        for module in (ROOT / "headroom_agent").glob("*.py"):
            shutil.copy(module, stage / "headroom_agent")
        (stage / "inventory").mkdir()
        shutil.copy(ROOT / "inventory" / "__init__.py", stage / "inventory")
        for package in PACKAGES:
            shutil.copytree(
                ROOT / "inventory" / package,
                stage / "inventory" / package,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        shutil.copy(driver_module.origin, stage)
        start = ("import sys", "", "from headroom_agent.__main__ import main", "", "sys.exit(main())", "")
        (stage / "__main__.py").write_text("\n".join(start))
        zipapp.create_archive(stage, target, interpreter="/usr/bin/env python3", compressed=True)
    return target


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "headroom-agent.pyz"))
