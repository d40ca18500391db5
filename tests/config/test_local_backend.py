from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.config.local_backend import (
    LocalBackendError,
    LocalBackendInfo,
    backend_file,
    is_alive,
    read_local_backend,
    write_local_backend,
)


@pytest.fixture
def token_file(home: Path) -> Path:
    path = home / "data" / "local" / "token"
    path.parent.mkdir(parents=True)
    path.touch(0o600)
    path.write_text("a-local-token-of-this-server\n")
    return path


def put(token_file: Path, **changes: Any) -> None:
    content = {
        "url": "http://127.0.0.1:8123/",
        "pid": os.getpid(),
        "tokenFile": str(token_file),
        "version": "0.1.0",
        "startedAt": "2026-11-23T20:00:00+00:00",
        **changes,
    }
    backend_file().write_text(json.dumps(content))


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_no_file_is_no_backend() -> None:
    assert read_local_backend() is None


def test_a_running_backend(token_file: Path) -> None:
    put(token_file)
    info = read_local_backend()
    assert info == LocalBackendInfo(
        "http://127.0.0.1:8123", os.getpid(), token_file, "0.1.0", "2026-11-23T20:00:00+00:00"
    )
    assert info.read_token() == "a-local-token-of-this-server"
    assert "a-local-token" not in repr(info)


def test_what_the_server_writes_is_read_and_owner_only(token_file: Path) -> None:
    info = LocalBackendInfo("http://127.0.0.1:1", os.getpid(), token_file, "1", None)
    path = write_local_backend(info)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_local_backend() == info


def test_a_token_file_beside_it_may_be_relative(token_file: Path) -> None:
    put(token_file, tokenFile="token")
    info = read_local_backend()
    assert info is not None
    assert info.read_token() == "a-local-token-of-this-server"


def test_a_stale_file_is_no_backend(token_file: Path, dead_pid: int) -> None:
    put(token_file, pid=dead_pid)
    assert read_local_backend() is None


@pytest.mark.parametrize(
    "changes",
    [{"pid": "1"}, {"pid": None}, {"url": 5}, {"tokenFile": None}, {"pid": 0}, {"pid": -1}],
)
def test_an_incomplete_file_is_no_backend(token_file: Path, changes: dict[str, Any]) -> None:
    put(token_file, **changes)
    assert read_local_backend() is None


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_torn_file_is_no_backend(token_file: Path, content: str) -> None:
    backend_file().write_text(content)
    assert read_local_backend() is None


def test_an_unreadable_file_is_told(token_file: Path) -> None:
    backend_file().mkdir()
    with pytest.raises(LocalBackendError, match="Cannot read"):
        read_local_backend()


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.5:8000",
        "http://0.0.0.0:8000",
        "https://api.arkor.ai",
        "https://127.0.0.1:1",
        "http://127.0.0.1.example.com:80",
        "http://127.0.0.1@example.com",
        "http://user@127.0.0.1:1",
        "http://localhost.example.com",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://[::2]:1",
        "http://[",
        "http://",
        "",
    ],
)
def test_a_url_beyond_this_machine_is_refused(token_file: Path, url: str) -> None:
    put(token_file, url=url)
    with pytest.raises(LocalBackendError, match="not on this machine"):
        read_local_backend()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_token_file_that_others_can_read_is_refused(token_file: Path, mode: int) -> None:
    token_file.chmod(mode)
    put(token_file)
    info = read_local_backend()
    assert info is not None
    with pytest.raises(LocalBackendError, match=f"mode {mode:04o}") as caught:
        info.read_token()
    assert "chmod 600" in (caught.value.hint or "")


@pytest.mark.parametrize("content", ["", " \n", "two tokens", "a\nb", "\x00", "schlüssel"])
def test_no_usable_token_is_told(token_file: Path, content: str) -> None:
    token_file.write_text(content)
    with pytest.raises(LocalBackendError, match="no usable token"):
        LocalBackendInfo("http://127.0.0.1:1", 1, token_file).read_token()


def test_a_missing_token_file_is_told(token_file: Path) -> None:
    token_file.unlink()
    with pytest.raises(LocalBackendError, match="Cannot read the token"):
        LocalBackendInfo("http://127.0.0.1:1", 1, token_file).read_token()


def test_alive(dead_pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_alive(os.getpid())
    assert not is_alive(dead_pid)
    assert not is_alive(0)
    assert not is_alive(10**30)

    def someone_elses(pid: int, signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", someone_elses)
    assert is_alive(12345)
