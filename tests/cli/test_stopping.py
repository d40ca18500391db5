"""``arkor-tui serve --stop``: it ends our backend, waits until it is gone, and nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.cli import main, stopping
from arkor_tui.config.local_backend import (
    LocalBackendInfo,
    backend_file,
    is_alive,
    is_served,
    was_stopped,
    write_local_backend,
)
from tests.backend.conftest import Server, make_server, open_client, script, submit, until
from tests.support.amounts import patience

__all__ = ["make_server", "script"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def server(make_server: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The backend of the data folder, with stand-ins for its engine."""
    monkeypatch.setenv("ARKOR_TUI_DATA_DIR", str(backend_folder(home).parent))
    running: Server = make_server(str(backend_folder(home)), jobs=3)
    return running


def backend_folder(home: Path) -> Path:
    return home / "data" / "local"


def told(capsys: Capture) -> dict[str, Any]:
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """The real command, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "arkor_tui", "serve", "--stop", *words],
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )


def test_the_command_that_serves_is_ended_by_the_command_that_stops() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "arkor_tui", "serve", "--json"], stdout=subprocess.PIPE, text=True
    ) as serving:
        try:
            assert serving.stdout is not None
            pid = json.loads(serving.stdout.readline())["pid"]
            # nobody has waited for it yet: who started it may have other things to do
            done = command()
            assert done.returncode == 0, done.stderr
            assert done.stdout == f"The embedded backend (pid {pid}) has stopped.\n"
            assert serving.wait(timeout=patience(20)) == 0
        finally:
            serving.kill()
    assert not backend_file().exists()
    again = command("--json")
    assert json.loads(again.stdout) == {
        "type": "result", "status": "not-running", "pid": None, "liveJobs": None,
        "lostJobs": None,
    }  # fmt: skip
    assert (again.returncode, again.stderr) == (0, "")


def test_a_stop_is_remembered_until_somebody_starts_it(
    server: Server, capsys: Capture, home: Path
) -> None:
    """r15: also where it had crashed before, and nothing runs that could be ended."""
    assert server.process is not None
    assert not was_stopped()
    server.process.kill()
    server.process.wait()
    assert not was_stopped()  # a crash is nobody's wish
    assert main(["serve", "--stop"]) == 0
    assert was_stopped()
    assert main(["serve", "--unless-stopped"]) == 1  # what was about to start it by itself
    assert "was stopped" in capsys.readouterr().err
    server.start()
    assert not was_stopped()
    assert main(["serve", "--stop"]) == 0
    assert was_stopped()


def test_one_that_is_just_starting_is_stopped_too(
    server: Server, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r15: it holds its folder, and says only a moment later where it is."""
    assert server.process is not None
    said = [backend_file().read_text()]
    backend_file().unlink()

    def served() -> bool:
        if said:
            backend_file().write_text(said.pop())
            return True
        return is_served()

    monkeypatch.setattr(stopping, "is_served", served)
    assert main(["serve", "--stop", "--json"]) == 0
    assert told(capsys)["pid"] == server.process.pid


async def test_jobs_that_had_not_ended_are_told_and_go_on(
    server: Server, script: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    request = script("started", "log 1", "checkpoint 1", f"wait {go}", "complete")
    async with open_client(server) as client:
        jobs = [await submit(client, request) for _ in range(2)]
        for job_id in jobs:
            await until(client, job_id, "checkpoint.saved")
        lost = await submit(client, script("started", "log 1", f"wait {go}", "complete"))
        await until(client, lost, "training.log")
    assert server.process is not None
    done = await _thread(command)
    assert done.stdout.splitlines() == [
        f"The embedded backend (pid {server.process.pid}) has stopped.",
        "3 jobs had not ended: they go on from the last checkpoint at the next start.",
        "1 of these had no checkpoint yet, and will be marked failed then.",
    ]
    assert server.process.wait(timeout=patience(10)) == 0
    go.touch()
    server.start()
    async with open_client(server) as client:
        for job_id in jobs:
            await until(client, job_id, "training.completed")
        await until(client, lost, "training.failed")
    assert json.loads((await _thread(command, "--json")).stdout) == {
        "type": "result", "status": "stopped", "pid": server.process.pid, "liveJobs": 0,
        "lostJobs": 0,
    }  # fmt: skip


async def _thread(work: Any, *words: str) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = await asyncio.to_thread(work, *words)
    return done


def test_a_process_that_only_has_its_number_is_left_alone(home: Path, capsys: Capture) -> None:
    token = home / "token"
    token.touch(0o600)
    token.write_text("t" * 43)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        write_local_backend(LocalBackendInfo("http://127.0.0.1:1", other.pid, token))
        assert main(["serve", "--stop"]) == 1
        err = capsys.readouterr().err
        assert f"Process {other.pid} does not answer" in err
        assert str(backend_file()) in err
        assert other.poll() is None
        assert other.stdin is not None
        other.stdin.close()
        assert other.wait(timeout=patience(10)) == 1  # of itself: its input has ended
    assert not is_alive(other.pid)
    assert main(["serve", "--stop"]) == 0
    assert capsys.readouterr().out == "No embedded backend runs.\n"


def test_one_that_does_not_end_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert server.process is not None
    with monkeypatch.context() as patched:
        patched.setattr(stopping, "_STOP_SECONDS", 0.0)
        patched.setattr(os, "kill", lambda pid, number: None)
        assert main(["serve", "--stop", "--json"]) == 1
    found = told(capsys)
    assert found["type"] == "error"
    assert "was told to stop, and still runs" in found["message"]
    assert f"kill -9 {server.process.pid}" in found["hint"]
    assert server.process.poll() is None


@pytest.mark.parametrize(
    "words", [["--port", "1"], ["--data-dir", "x"], ["--jobs", "2"], ["--host", "::1"]]
)
def test_it_goes_with_no_other_option(words: list[str], capsys: Capture) -> None:
    assert main(["serve", "--stop", *words]) == 2
    assert "goes with no other option" in capsys.readouterr().err
