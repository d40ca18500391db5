"""First paint of the app in a pseudo-terminal, against a bare Textual app with one Static.

The Runs screen may take 1.5 times as long, and with 10,000 archived runs 1.2 times its own time
with 10. Best of several starts each, taken turn by turn. Python keeps its bytecode from one start
to the next, as it does for an installed package, even where PYTHONDONTWRITEBYTECODE is set.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from fcntl import ioctl
from pathlib import Path

from .report import Figure, at_most, command_line, run

BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("ready-to-read")
Bare().run()
"""
STARTS = 7
TARGET_BARE, TARGET_MANY = 1.5, 1.2


def seconds_to(text: bytes, arguments: list[str], environment: dict[str, str]) -> float:
    """Start a program in a pty of 120 by 36 cells; seconds until ``text`` is on screen."""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, *arguments], environment)
    ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    began = time.perf_counter()
    seen = b""
    try:
        while text not in seen:
            ready, _, _ = select.select([master], [], [], 20)
            if not ready:
                raise TimeoutError(f"{text!r} did not appear: {seen[-500:]!r}")
            seen += os.read(master, 65536)
        return time.perf_counter() - began
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(master)


def fill(path: Path, count: int) -> None:
    """An archive with that many runs."""
    from arkor_tui.api.jobs import Job
    from arkor_tui.archive.store import Archive

    jobs = [
        Job.model_validate(
            {
                "id": f"job_{number:06}", "orgId": "o", "projectId": "p",
                "name": f"run-{number:06}",
                "status": "completed", "config": {"model": "arkor-tui/tiny"},
                "createdAt": f"2026-01-{1 + number % 28:02}T00:00:{number % 60:02}Z",
            }
        )
        for number in range(count)
    ]  # fmt: skip
    with Archive.open(path) as archive:
        archive.sync_jobs("local", "local", "demo", jobs)


def measure() -> list[Figure]:
    """Best of each, and their ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environments = []
        for count in (10, 10_000):
            data = folder / f"data{count}"
            data.mkdir(mode=0o700)
            fill(data / "history.db", count)
            environments.append(
                {
                    **os.environ,
                    "HOME": name,
                    "PYTHONDONTWRITEBYTECODE": "",
                    "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
                    "TERM": "xterm-256color",
                    "ARKOR_TUI_DATA_DIR": str(data),
                    "ARKOR_TUI_CONFIG_DIR": str(folder / "config"),
                }
            )
        bare: list[float] = []
        shown: list[float] = []
        few: list[float] = []
        many: list[float] = []
        for _ in range(STARTS):
            bare.append(seconds_to(b"ready-to-read", ["-c", BARE], environments[0]))
            shown.append(seconds_to(b"1 Runs", ["-m", "arkor_tui"], environments[0]))
            few.append(seconds_to(b"run-0000", ["-m", "arkor_tui"], environments[0]))
            many.append(seconds_to(b"run-00", ["-m", "arkor_tui"], environments[1]))
    bare_best, first, listed = min(bare), min(shown), min(few)
    return [
        at_most(TARGET_BARE, "first paint, against a bare Textual app", first / bare_best),
        Figure("first paint", first * 1e3, "ms"),
        at_most(TARGET_MANY, "runs listed with 10,000, against 10", min(many) / listed),
        Figure("runs listed", listed * 1e3, "ms"),
    ]


def main() -> int:
    """Print the figures."""
    return run(command_line(__doc__), measure)


if __name__ == "__main__":
    raise SystemExit(main())
