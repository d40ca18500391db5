"""Where the server listens, whose folder it takes, and who can read what it writes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import struct
import subprocess
import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from arkor_tui.backend.inference import INFER_COMMAND
from arkor_tui.backend.runner import TRAIN_COMMAND
from arkor_tui.config.local_backend import read_local_backend
from arkor_tui.connect.detached import start_detached
from tests.support.amounts import patience

from .conftest import Server, everything, open_client, submit

PLANTED = "planted-planted-planted-planted"


def listening(server: Server) -> list[str]:
    """The addresses on which the process and its children accept connections."""
    assert server.process is not None
    return listening_of(server.process.pid)


def listening_of(parent: int) -> list[str]:
    """The same of a process by its id."""
    inodes = set()
    for pid in (parent, *_children(parent)):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                inodes.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state, inode = (line.split()[index] for index in (1, 3, 9))
            if state == "0A" and inode in inodes:
                raw = bytes.fromhex(local.partition(":")[0])
                words = struct.unpack(f">{len(raw) // 4}I", raw)
                found.append(socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words)))
    return found


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")


@needs_proc
async def test_it_listens_on_loopback_alone_whatever_it_does(
    server: Server, client: httpx.AsyncClient, script: Any
) -> None:
    assert listening(server) == ["127.0.0.1"]
    await everything(client, await submit(client, script("started", "log 1", "complete")))
    assert listening(server) == ["127.0.0.1"]


@needs_proc
def test_without_a_word_the_command_listens_on_loopback_alone() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "arkor_tui", "serve", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            assert first["type"] == "serving", first
            assert first["pid"] == process.pid
            addresses = listening_of(process.pid)
            assert addresses
            assert all(ip_address(address).is_loopback for address in addresses), addresses
            host = httpx.URL(first["url"]).host
            assert ip_address(host).is_loopback
        finally:
            process.terminate()
            _, said = process.communicate(timeout=patience(20))
    assert process.returncode == 0, said
    assert "not encrypted" not in said


@needs_proc
async def test_it_listens_elsewhere_if_it_is_asked_to_and_then_with_the_token(
    make_server: Any,
) -> None:
    server = make_server(host="0.0.0.0")
    assert listening(server) == ["0.0.0.0"]
    assert server.url.startswith("http://127.0.0.1:")  # for clients of this machine
    async with open_client(server, token="") as stranger:
        assert (await stranger.get("/v1/jobs")).status_code == 401
        assert (await stranger.post("/v1/auth/anonymous", json={})).status_code == 403
    async with open_client(server) as client:
        for host, status in (("192.168.1.5:80", 200), ("evil.example", 403)):
            answer = await client.get("/v1/jobs", headers={"Host": host})
            assert answer.status_code == status
    code, said = server.stop()
    assert code == 0
    assert "Listening on 0.0.0.0" in said
    assert "not encrypted" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_hands_no_token_to_other_machines(make_server: Any, host: str) -> None:
    if host == "::" and not socket.has_ipv6:
        pytest.skip("needs IPv6")
    server = make_server(host=host, allow_anonymous=True)
    if "Cannot listen" in server.first_line.get("error", ""):
        pytest.skip("needs IPv6")
    assert "other machines can ask" in server.first_line["error"]
    assert "--allow-anonymous" in server.first_line["hint"]
    assert not server.url


def test_no_host_is_not_every_host(make_server: Any) -> None:
    assert make_server(host="").first_line["error"] == "--host needs an address."


async def test_another_user_cannot_read_anything_nor_get_through_to_it(
    server: Server, client: httpx.AsyncClient, script: Any
) -> None:
    await everything(client, await submit(client, script("started", "checkpoint 1", "complete")))
    server.stop()
    server.start()
    for path in [server.data_dir, *server.data_dir.iterdir()]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path.name
    names = {path.name for path in server.data_dir.iterdir()}
    assert {"token", "backend.json", "backend.db", "server.log", "inference.log"} <= names
    for job in (server.data_dir / "jobs").iterdir():
        assert stat.S_IMODE(job.stat().st_mode) == 0o700
        assert stat.S_IMODE((job / "train.log").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "mode"),
    [(PLANTED, 0o644), (PLANTED, 0o620), ("short", 0o600), ("two words are none", 0o600), ("", 0)],
)
def test_a_token_that_others_could_know_is_replaced(
    make_server: Any, tmp_path: Path, content: str, mode: int
) -> None:
    folder = tmp_path / "backend"
    folder.mkdir(mode=0o700)
    (folder / "token").write_text(content)
    (folder / "token").chmod(mode)
    server = make_server()
    assert server.token != content
    assert len(server.token) > 40
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600


def test_a_token_stays_over_a_restart(make_server: Any) -> None:
    server = make_server()
    token = server.token
    server.stop()
    server.start()
    assert server.token == token


def test_a_link_in_place_of_the_token_is_replaced_and_what_it_names_left_alone(
    make_server: Any, tmp_path: Path
) -> None:
    folder, target = tmp_path / "backend", tmp_path / "target"
    folder.mkdir(mode=0o700)
    target.write_text(PLANTED)
    target.chmod(0o600)
    (folder / "token").symlink_to(target)
    server = make_server()
    assert server.token != PLANTED
    assert not (folder / "token").is_symlink()
    assert target.read_text() == PLANTED


def test_nobody_else_can_write_to_the_folder(make_server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "backend"
    folder.mkdir()
    folder.chmod(0o777)
    make_server()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
@pytest.mark.parametrize("what", ["folder", "token"])
def test_what_belongs_to_another_user_is_not_trusted(
    make_server: Any, tmp_path: Path, what: str
) -> None:
    folder = tmp_path / "backend"
    folder.mkdir(mode=0o700)
    (folder / "token").write_text(PLANTED)
    (folder / "token").chmod(0o600)
    os.chown(folder if what == "folder" else folder / "token", 12_345, 12_345)
    server = make_server()
    if what == "folder":
        assert "belongs to another user" in server.first_line["error"]
        assert not (folder / "backend.json").exists()
    else:
        assert server.token != PLANTED


@pytest.mark.parametrize("module", ["json", "arkor_tui"])
@pytest.mark.parametrize("command", [TRAIN_COMMAND, INFER_COMMAND])
def test_no_module_is_taken_from_the_folder_it_is_started_in(
    project: Path, tmp_path: Path, module: str, command: tuple[str, ...]
) -> None:
    """A cloned project may hold a ``json.py``; the engine's processes must not run it."""
    marker = tmp_path / "ran"
    (project / f"{module}.py").write_text(f"open({str(marker)!r}, 'w')\nraise SystemExit")
    unsafe = tuple(word for word in command if word != "-P")
    for words, runs_it in ((unsafe, True), (command, False)):
        subprocess.run(words, input=b"", capture_output=True, check=False, timeout=patience(60))
        assert marker.exists() is runs_it
        marker.unlink(missing_ok=True)


async def test_neither_do_processes_that_are_started_detached(
    project: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    (project / "json.py").write_text(f"open({str(marker)!r}, 'w')")
    log = tmp_path / "log"
    words = ("serve", "--data-dir", str(tmp_path / "data"))
    started = await start_detached(words, log=log, cwd=project, seconds=60)
    started.process.terminate()
    await asyncio.to_thread(started.process.wait)
    assert started.told("serving") is not None, log.read_text()
    assert not marker.exists()


def test_the_app_finds_a_backend_that_listens_everywhere(
    make_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARKOR_TUI_DATA_DIR", str(tmp_path / "data"))
    server = make_server("data/local", host="0.0.0.0")
    info = read_local_backend()
    assert info is not None
    assert info.url == server.url
    assert info.read_token() == server.token
    assert json.loads((server.data_dir / "backend.json").read_text())["url"] == server.url
