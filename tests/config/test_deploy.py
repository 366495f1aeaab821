"""What larger installations are started from: names that exist, and nothing that Django warns of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = set(
    re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
)
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))


def manifests() -> list[dict[str, Any]]:
    return [part for path in MANIFESTS for part in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def test_compose_names_settings_and_services_that_exist() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert set(services) == {"prepare", "web", "worker", "searcher", "beat", "db", "queue"}
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services)
        if name not in ("db", "queue"):
            assert set(service["environment"]) <= SETTINGS
            assert service["read_only"] and service["cap_drop"] == ["ALL"]


def test_manifests_name_settings_that_exist_and_give_nobody_root() -> None:
    kinds = [part["kind"] for part in manifests()]
    assert kinds.count("Deployment") == 4 and "Job" in kinds
    for part in manifests():
        if part["kind"] == "ConfigMap":
            assert set(part["data"]) <= SETTINGS
        pod = part.get("spec", {}).get("template", {}).get("spec")
        if pod is None:
            continue
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert container["resources"]["limits"]["memory"]
            assert container["securityContext"]["readOnlyRootFilesystem"]


def test_web_pods_are_probed_for_life_and_readiness() -> None:
    (web,) = [part for part in manifests() if part["metadata"]["name"] == "headroom-web"]
    (container,) = web["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_image_names_settings_that_exist() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    own = set(re.findall(r"\b((?:HEADROOM|LOG|STATIC)_[A-Z_]+|PORT)=", text))
    assert {"HEADROOM_DATA", "PORT"} <= own <= SETTINGS
    assert "USER 10001" in text


@pytest.mark.parametrize("more", [{}, {"TRUSTED_PROXY": "192.0.2.9"}], ids=str)
def test_check_deploy_is_clean(tmp_path: Path, more: dict[str, str]) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HEADROOM_DATA": str(tmp_path / "data"),
        "HEADROOM_HOST": "0.0.0.0",
        "ALLOWED_HOSTS": "headroom.example.org",
        **more,
    }
    said = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
