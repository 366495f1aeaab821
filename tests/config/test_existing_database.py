"""A database of an earlier day opens: nothing of it is lost, and every name that it holds is still known.

``golden/database-2026-11-29.sqlite3.gz`` was written by the program of that day: its schema, the catalog
with one row edited by hand, and a host of eight GPUs that was probed once. The snapshot is the fake driver's.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = Path(__file__).with_name("golden") / "database-2026-11-29.sqlite3.gz"
ASKED = """
import json
from django.test import Client
from celery import current_app
from django_celery_beat.models import PeriodicTask
from inventory.store.models import Gpu, Host, Sample
from planner.catalog.models import Accelerator
from planner.catalog.selectors import current_catalog
current_app.loader.import_default_modules()
client = Client(headers={"host": "localhost"})
tasks = sorted(PeriodicTask.objects.values_list("task", flat=True))
print(json.dumps({
    "hosts": Host.objects.count(),
    "gpus": Gpu.objects.count(),
    "samples": Sample.objects.count(),
    "note": Accelerator.objects.get(slug="h100-sxm").note,
    "models": len(current_catalog().models()),
    "tasks": tasks,
    "unknown_tasks": sorted(set(tasks) - set(current_app.tasks)),
    "pages": [client.get(page).status_code for page in ("/", "/fleet/", "/compare", "/validation")],
}))
"""


def manage(data: Path, *arguments: str) -> str:
    environment = os.environ | {"HEADROOM_DATA": str(data), "DATABASE_URL": "", "LOG_LEVEL": "ERROR"}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    environment["DEBUG"] = "1"  # static files by name, since none were collected
    command = [sys.executable, "manage.py", *arguments]
    answer = subprocess.run(
        command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_an_existing_database_opens_unchanged(tmp_path: Path) -> None:
    (tmp_path / "headroom.sqlite3").write_bytes(gzip.decompress(WRITTEN.read_bytes()))
    manage(tmp_path, "migrate", "-v0")
    found = json.loads(manage(tmp_path, "shell", "-v0", "-c", ASKED).splitlines()[-1])
    assert (found["hosts"], found["gpus"], found["samples"]) == (1, 8, 8)
    assert found["note"] == "checked by hand"
    assert found["models"] == 149
    assert found["tasks"] == [
        "inventory.report_idle_gpus",
        "inventory.request_probes",
        "inventory.thin_history",
    ]
    assert not found["unknown_tasks"]
    assert found["pages"] == [200, 200, 200, 200]
