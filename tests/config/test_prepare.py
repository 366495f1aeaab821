"""Setting up: once, privately, and again only when there is something new."""

import stat
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from config import prepare, supervisor


@pytest.mark.django_db
def test_the_local_user_gets_a_random_private_password_once(tmp_path: Path) -> None:
    file = tmp_path / "admin-password"
    prepare.ensure_local_user(file)
    user, password = User.objects.get(), file.read_text(encoding="utf-8").strip()
    assert user.is_superuser and user.check_password(password) and len(password) >= 16
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    prepare.ensure_local_user(file)
    assert User.objects.count() == 1
    assert file.read_text(encoding="utf-8").strip() == password


@pytest.mark.django_db
def test_an_administrator_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    User.objects.create_superuser("ada", password="a long enough phrase")
    prepare.ensure_local_user(tmp_path / "admin-password")
    assert User.objects.count() == 1
    assert not (tmp_path / "admin-password").exists()


def test_static_files_are_collected_again_only_after_a_change(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "page.css").write_text("a {}", encoding="utf-8")
    settings.DATA, settings.STATIC_ROOT = tmp_path, tmp_path / "static"
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    collected = []

    def collect(*_: object, **__: object) -> None:
        collected.append(1)
        settings.STATIC_ROOT.mkdir(exist_ok=True)
        (settings.STATIC_ROOT / "staticfiles.json").write_text("{}", encoding="utf-8")

    monkeypatch.setattr(prepare, "call_command", collect)
    prepare._collect_static_if_changed()
    prepare._collect_static_if_changed()
    assert len(collected) == 1
    (source / "page.css").write_text("a { color: red }", encoding="utf-8")
    prepare._collect_static_if_changed()
    assert len(collected) == 2
    # In a container they are part of the image, which is read-only; its data folder is new.
    (tmp_path / "prepared.json").unlink()
    monkeypatch.setattr(prepare.os, "access", lambda *_: False)
    prepare._collect_static_if_changed()
    assert len(collected) == 2


@pytest.mark.django_db
def test_beyond_this_machine_the_greeting_says_what_is_missing(settings: Settings) -> None:
    settings.LOCAL, settings.HOST = False, "0.0.0.0"
    said = supervisor._greeting()
    assert "TLS" in said and "manage.py createsuperuser" in said
    User.objects.create_superuser("ada")
    assert "createsuperuser" not in supervisor._greeting()
