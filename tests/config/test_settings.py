"""The environment decides, and what it leaves open has a default that runs."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASKED = [
    "ALLOWED_HOSTS",
    "CELERY_ACCEPT_CONTENT",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
    "DATABASES",
    "EMBEDDED_BROKER",
    "HTTPS",
    "LOCAL",
    "LOGIN_REQUIRED",
    "MIDDLEWARE",
    "SECRET_KEY",
    "SECURE_HSTS_SECONDS",
    "SESSION_COOKIE_SECURE",
]


def settings_under(data: Path, **environment: str) -> dict[str, Any]:
    """The project's settings as a fresh process sees them under this environment."""
    ask = (
        "import json; from config import settings;"
        f"print(json.dumps({{name: getattr(settings, name) for name in {ASKED!r}}}, default=str))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HEADROOM_DATA": str(data), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_defaults_run_on_one_machine(tmp_path: Path) -> None:
    data = tmp_path / "data"
    found = settings_under(data)
    database = found["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.sqlite3"
    assert database["NAME"] == str(data / "headroom.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["OPTIONS"]["timeout"] >= 5
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert found["EMBEDDED_BROKER"] and found["CELERY_BROKER_URL"].startswith("redis+socket:///")
    assert found["LOCAL"] and not found["LOGIN_REQUIRED"] and not found["HTTPS"]
    assert found["CELERY_ACCEPT_CONTENT"] == ["json"]


def test_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first, second = settings_under(data)["SECRET_KEY"], settings_under(data)["SECRET_KEY"]
    assert first == second and len(first) >= 50
    assert first != settings_under(tmp_path / "other")["SECRET_KEY"]
    assert stat.S_IMODE((data / "secret-key").stat().st_mode) == 0o600


def test_a_data_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        settings_under(tmp_path / "file" / "data")
    assert "ImproperlyConfigured: HEADROOM_DATA cannot be used" in refused.value.stderr


def test_postgresql_and_redis_by_environment_alone(tmp_path: Path) -> None:
    found = settings_under(
        tmp_path / "data",
        DATABASE_URL="postgres://planner:s%40fe@db.example.org:5433/headroom",
        CELERY_BROKER_URL="redis://queue.example.org:6379/3",
    )
    database = found["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"]) == ("db.example.org", 5433)
    assert (database["USER"], database["PASSWORD"], database["NAME"]) == ("planner", "s@fe", "headroom")
    assert "transaction_mode" not in database.get("OPTIONS", {})
    assert not found["EMBEDDED_BROKER"]
    assert found["CELERY_RESULT_BACKEND"] == "redis://queue.example.org:6379/3"


@pytest.mark.parametrize(
    "environment", [{"ALLOWED_HOSTS": "headroom.example.org"}, {"HEADROOM_HOST": "0.0.0.0"}], ids=str
)
def test_beyond_loopback_it_is_strict_by_itself(tmp_path: Path, environment: dict[str, str]) -> None:
    found = settings_under(tmp_path / "data", **environment)
    assert not found["LOCAL"]
    assert found["HTTPS"] and found["SESSION_COOKIE_SECURE"] and found["SECURE_HSTS_SECONDS"] >= 31_536_000
    assert "django.contrib.auth.middleware.LoginRequiredMiddleware" in found["MIDDLEWARE"]


def test_env_example_lists_every_setting_and_no_other() -> None:
    source = (ROOT / "config" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", source))
    listed = set(
        re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert len(read) > 10
    # What libraries read by themselves, before there are settings.
    telemetry = (ROOT / "config" / "telemetry.py").read_text(encoding="utf-8")
    theirs = set(re.findall(r"\"((?:OTEL|PROMETHEUS)_[A-Z_]+)\"", telemetry))
    assert read <= listed <= read | theirs
