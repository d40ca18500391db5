"""Whoever reads our output goes away: no word about it, and what was under way goes on."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from arkor_tui.archive.store import Archive
from arkor_tui.session.supervision import host_of
from tests.e2e.test_supervisor import diary, is_running
from tests.support.amounts import patience
from tests.support.kills import World, end, wait_for
from tests.support.recorded_runs import fill


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["pipe", "terminal"])
def test_callbacks_go_on_elsewhere(world: World, how: str) -> None:
    on_terminal = how == "terminal"
    reader, writer = pty.openpty() if on_terminal else os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "arkor_tui", "start", *([] if on_terminal else ["--json"])],
        stdin=writer if on_terminal else subprocess.DEVNULL,
        stdout=writer,
        stderr=writer if on_terminal else subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_take_terminal if on_terminal else None,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
    )
    os.close(writer)
    seen = b""
    while b"checkpoint" not in seen:
        seen += os.read(reader, 65536)
    os.close(reader)
    said = process.communicate(timeout=patience(60))[1] or b""
    assert process.returncode == (128 + signal.SIGHUP if on_terminal else 1), said
    assert b"Traceback" not in said
    with Archive.open() as archive:
        (run,) = [run for run in archive.runs() if not run.is_terminal]
    state = host_of(run)
    assert state is not None
    assert state.kind == "supervisor"
    assert is_running(state.pid)
    ledger = world.ledger(run.identity.job_id)
    wait_for(
        "its first line", lambda: any(line[0] == str(state.pid) for line in diary(world.folder))
    )
    end(world, ledger)
    count = ledger.check_complete()

    # every event came to the one process or to the other, and to each only once
    for pid in (process.pid, state.pid):
        numbers = [int(line[2]) for line in diary(world.folder) if line[0] == str(pid)]
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == count


@pytest.mark.parametrize("command", ["runs", "runs show evil", "runs export triage-run", "doctor"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_a_pipe_that_was_closed(home: Path, command: str, form: str) -> None:
    fill(home / "data" / "history.db")
    reader, writer = os.pipe()
    os.close(reader)  # before the first line: whatever is written is too much
    words = command.replace("evil", "job_bad").split() + form.split()
    done = subprocess.run(
        [sys.executable, "-m", "arkor_tui", *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


def test_an_error_that_nobody_reads(home: Path) -> None:
    """Both ends are closed: no traceback in whatever comes after, and the code says what it was."""
    del home
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "arkor_tui", "runs", "show", "nothing", "--json"],
        stdout=writer, stderr=writer, check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == 2


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_a_terminal_that_reads_nothing_holds_nothing_up(world: World) -> None:
    """ctrl+s, or a line that is dead and does not know it yet: events are archived all the same."""
    ledger = asyncio.run(world.submit())  # the app alone watches it
    app = world.open_app()
    app.open_live()
    ledger.look()
    wait_for("more than one screen of them", lambda: ledger.count() > len(ledger.kept) + 100)
    end(world, ledger)
    app.until(r"(?s)cancelled.*Checkpoints")
    app.press("q")
    assert app.end() == 0
    ledger.check_complete()
