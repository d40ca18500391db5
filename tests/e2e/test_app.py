"""The app on a real terminal, against the real embedded backend: the whole story by keys."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyte
import pytest

from tests.support.amounts import patience
from tests.support.recorded_runs import HOSTILE, fill

_DEADLINE = patience(90)  # seconds until a screen that does not come is a failure
_CONTROLS = re.compile("[\x9b\x9d\u202e]|\x1b\\]0;owned|\x1b\\]52")


class Screen:
    """The program in a pty, and what its terminal shows.

    Where the terminal is the ``controlling`` one, the kernel sends the signals of terminals.
    ``command`` makes of the program's words those that start it.
    """

    def __init__(
        self,
        columns: int = 120,
        rows: int = 36,
        arguments: Sequence[str] = ("--backend", "local"),
        *,
        controlling: bool = True,
        command: Callable[..., Sequence[str]] = lambda *words: words,
    ) -> None:
        self.fd, other = pty.openpty()
        self._open = True
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command(sys.executable, "-m", "arkor_tui", *arguments),
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=_take_terminal if controlling else None,
            # LINES and COLUMNS, which a test runner may set, would be believed in place of the pty
            env={
                **{k: v for k, v in os.environ.items() if k not in ("LINES", "COLUMNS")},
                "TERM": "xterm-256color",
                "LANG": "C.UTF-8",
            },
        )
        os.close(other)
        self.raw = b""
        self._unseen = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def text(self) -> str:
        # pyte knows no private CSI with "<", ">" or "=", which terminals ignore or answer
        self._stream.feed(re.sub(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]", b"", self._unseen))
        self._unseen = b""
        # not its ``display``: that knows no wide letter whose first half was written over
        rows = (self._screen.buffer[row] for row in range(self._screen.lines))
        columns = range(self._screen.columns)
        return "\n".join("".join(row[column].data for column in columns) for row in rows)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # the program has ended
            return False
        self.raw += data
        self._unseen += data
        return bool(data)

    def until(self, pattern: str) -> str:
        """Read until the screen shows this; returns the screen."""
        end = time.monotonic() + _DEADLINE
        while not re.search(pattern, self.text):
            left = end - time.monotonic()
            assert left > 0, f"{pattern!r} did not come:\n{self.text}"
            if not self._read(min(left, 1.0)) and self.process.poll() is not None:
                raise AssertionError(f"it ended before {pattern!r}:\n{self.text}")
        return self.text

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def end(self) -> int:
        """Wait for the program's end; its exit code."""
        while self.process.poll() is None:
            self._read(0.1)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal, as a dropped line does."""
        if self._open:
            self._open = False
            os.close(self.fd)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def screens() -> Iterator[list[Screen]]:
    """Terminals to be closed at the end."""
    opened: list[Screen] = []
    yield opened
    for screen in opened:
        screen.close()


@pytest.fixture
def backend_to_stop(home: Path) -> Iterator[None]:
    """Whatever embedded backend the app starts is stopped at the end."""
    yield
    info = home / "data" / "local" / "backend.json"
    if info.exists():
        with suppress(ProcessLookupError):
            os.kill(json.loads(info.read_text())["pid"], signal.SIGTERM)


@pytest.mark.engine
@pytest.mark.usefixtures("backend_to_stop")
def test_from_the_welcome_to_talking_in_mid_run_and_back_again(
    screens: list[Screen], project: Path
) -> None:
    pytest.importorskip("torch")
    first = Screen()
    screens.append(first)
    first.until("Train here: Support triage")
    first.press("\r")
    first.until("nothing is overwritten")
    first.press("\r")
    first.until(r"running")
    assert (project / "trainer.py").exists()
    first.until(r"Checkpoint 25 is ready: press i")
    first.press("i")
    first.until(r"Console · triage-run")
    first.until(r"I can't log in")
    first.press("\r")
    first.until(r"first token \d+ ms")
    first.press("\x02")  # ctrl+b: the base beside
    first.until(r"base \+ step")
    first.until(r"This is about signing in")
    first.until(r"(?s)tokens/s.*tokens/s.*tokens/s")  # all three replies have ended
    first.press("\x1b")
    first.until(r"(?s)\A(?!.*⏎ send)")  # the prompt has lost the focus
    first.press("3")
    first.until(r"◆ checkpoint 25 saved")
    first.press("q")
    first.until(r"is still training|Leave running")
    first.press("l")
    assert first.end() == 0

    again = Screen()
    screens.append(again)
    again.until(r"triage-run")
    again.until(r"✓ completed")
    again.press("\r")
    again.until(r"(?s)◆ 100 .*✓ training completed")
    again.press("q")
    assert again.end() == 0


def test_nothing_from_outside_reaches_the_terminal_as_more_than_text(
    screens: list[Screen], home: Path
) -> None:
    (home / "data").mkdir(mode=0o700)
    fill(home / "data" / "history.db")
    screen = Screen()
    screens.append(screen)
    screen.until(r"evil")
    screen.press("fff")  # the failed ones
    screen.until(r"by created ↓ · failed")
    screen.press("\r")
    screen.until(r"The run failed: boom")
    screen.press("q")
    screen.end()
    assert HOSTILE not in screen.raw.decode("utf-8", "replace")
    assert _CONTROLS.search(screen.raw.decode("utf-8", "replace")) is None
