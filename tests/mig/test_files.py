"""Files of the partitions page: each is of the answer that the page and the JSON show."""

from __future__ import annotations

import csv
import io
import re
from urllib.parse import urlencode

import pytest
from django.test import Client

from tests.mig.visiting import ROW, address, text_of

pytestmark = pytest.mark.django_db


def test_files_are_of_the_answer_on_the_page(client: Client) -> None:
    query = address(at="node-1").removeprefix("/mig?")
    shown = text_of(client, f"/mig?{query}")
    names = re.findall(r'href="/mig/files/([^?"]+)\?', shown)
    assert names == [
        "steps.sh",
        "mig-parted.yaml",
        "gpu-operator.yaml",
        "device-plugin.yaml",
        "dra.yaml",
        "slurm.conf",
    ]
    for name in names:
        answer = client.get(f"/mig/files/{name}?{query}")
        assert answer.status_code == 200
        assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
        assert answer.content
    script = client.get(f"/mig/files/steps.sh?{query}").content.decode()
    value = client.get(f"/mig.json?{query}").json()
    assert [line.strip() for line in script.splitlines() if line.strip().startswith("nvidia-smi")] == [
        command.split("  # on")[0] for command in value["commands"]
    ]
    assert client.get(f"/mig/files/nothing.txt?{query}").status_code == 404
    assert client.get("/mig/files/steps.sh?" + urlencode(ROW | {"want": "x"})).status_code == 404


def test_a_hosts_name_runs_nothing_in_the_script(client: Client) -> None:
    query = address(at="$(reboot)", n="1").removeprefix("/mig?")
    script = client.get(f"/mig/files/steps.sh?{query}").content.decode()
    assert "= '$(reboot)' ]" in script
    assert '"$(reboot)"' not in script


def test_the_csv_has_every_instance_of_the_json(client: Client) -> None:
    query = address(label="web", count="9").removeprefix("/mig?")
    rows = list(csv.DictReader(io.StringIO(client.get(f"/mig.csv?{query}").content.decode())))
    value = client.get(f"/mig.json?{query}").json()
    placed = sorted((str(each["gpu"]), each["profile"], str(each["start"])) for each in value["placements"])
    assert (
        sorted(
            (row["gpu"], row["profile"], row["start"])
            for row in rows
            if row["demand"] == "web" and row["gpu"]
        )
        == placed
    )
    assert next(row["state"] for row in rows if not row["gpu"]).startswith("no place for")
