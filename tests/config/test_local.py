"""Secrets stay private, and a socket's path stays short enough for the system."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.local import LONGEST_SOCKET_PATH, broker_socket, secret_in_file


def test_all_who_ask_at_once_get_the_same_secret(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: secret_in_file(path, random_bytes=32), range(32)))
    assert len(secrets) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["key"], "a draft was left behind"


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("told\n", encoding="utf-8")
    path.chmod(0o644)
    with pytest.raises(PermissionError, match="chmod 600"):
        secret_in_file(path, random_bytes=32)


def test_socket_lies_in_the_data_folder_while_its_path_is_short() -> None:
    assert broker_socket(Path("/srv/headroom")) == Path("/srv/headroom/run/broker.sock")


@pytest.mark.parametrize("parent", ["/srv/" + "deep" * 30, "/srv/it's odd", "/srv/ünder"])
def test_an_awkward_data_folder_gets_a_short_socket_of_its_own(parent: str) -> None:
    sockets = [broker_socket(Path(parent) / name) for name in ("a", "b")]
    assert not any(str(socket).startswith("/srv") for socket in sockets)
    assert sockets[0] != sockets[1]
    assert all(len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH for socket in sockets)
