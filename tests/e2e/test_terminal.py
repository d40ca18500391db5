"""``start`` on a real terminal: the bar, and what Ctrl-C asks."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from arkor_tui.cli import main
from tests.support.amounts import patience

from .conftest import Backend

pytestmark = pytest.mark.engine
_DEADLINE = patience(60)  # seconds until a screen that does not come is a failure


class Terminal:
    """A command on a pseudo terminal of 80 columns."""

    def __init__(self, *arguments: str) -> None:
        self.fd, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "arkor_tui", *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
        )
        os.close(other)
        self.seen = ""

    def until(self, pattern: str) -> None:
        """Read until the screen has shown this."""
        end = time.monotonic() + _DEADLINE
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"{pattern!r} did not come; seen: {self.seen[-2000:]!r}"
            try:
                self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError:
                raise AssertionError(f"it ended before {pattern!r}: {self.seen!r}") from None

    def press(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def interrupt(self) -> None:
        self.seen = ""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        """Read what is left; the exit code."""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode("utf-8", "replace")
        return self.process.wait(timeout=patience(10))


@pytest.fixture
def terminal(backend: Backend, project: Path) -> Iterator[Terminal]:
    """The triage starter, long enough not to end by itself."""
    main(["init"])
    trainer = project / "trainer.py"
    trainer.write_text(trainer.read_text().replace("max_steps=100", "max_steps=100_000"))
    running = Terminal("start", "--backend", "local")
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()
    os.close(running.fd)


def test_stay_then_cancel(terminal: Terminal) -> None:
    terminal.until(r"step 10/100000")
    terminal.interrupt()
    terminal.until(r"\[s\]tay\? ")
    terminal.press("s\n")
    terminal.until(r"step=\d+ loss=")
    terminal.interrupt()
    terminal.until(r"\[s\]tay\? ")
    terminal.press("c\n")
    terminal.until(r"triage-run cancelled")
    assert terminal.end() == 1


def test_enter_leaves_it_running(terminal: Terminal, capfd: pytest.CaptureFixture[str]) -> None:
    terminal.until(r"step=5 loss=")
    terminal.interrupt()
    terminal.until(r"\[s\]tay\? ")
    terminal.press("\n")
    terminal.until(r"the job goes on")
    assert terminal.end() == 130
    capfd.readouterr()
    assert main(["cancel", "latest", "--backend", "local"]) == 0
    assert "cancelled" in capfd.readouterr().out
