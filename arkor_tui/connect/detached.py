"""Processes of ours that outlive the one that starts them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arkor_tui.text.sanitize import plain


@dataclass(frozen=True, slots=True)
class Detached:
    """A process that was started, with its first line and the log that it writes to."""

    process: subprocess.Popen[bytes]
    line: bytes
    """Its first line of output; empty where it ended, or took too long to come."""
    log: Path
    _begin: int

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self.process.poll() is not None

    def told(self, kind: str) -> dict[str, Any] | None:
        """Its first line, where that is an object of this ``type``."""
        try:
            line = json.loads(self.line)
            return line if line["type"] == kind else None
        except (ValueError, KeyError, TypeError):
            return None

    def said(self) -> str:
        """What it wrote to its log, made plain; blocks on the disk."""
        with self.log.open("rb") as file:
            file.seek(self._begin)
            return plain(file.read().decode("utf-8", "replace").strip(), limit=1_000)


async def start_detached(words: Sequence[str], *, log: Path, cwd: Path, seconds: float) -> Detached:
    """Start ``arkor-tui WORDS`` in a session of its own, and wait for its first line of output.

    A dropped terminal does not take it down, and neither does the end of this process or of its
    event loop. The wait ends after ``seconds`` at the latest.

    Raises:
        OSError: the log cannot be written, or no process can be started.
    """
    process, begin = await asyncio.to_thread(_start, words, log, cwd)
    assert process.stdout is not None
    loop = asyncio.get_running_loop()
    with process.stdout as out:
        ready = asyncio.Event()
        loop.add_reader(out, ready.set)
        try:
            async with asyncio.timeout(seconds):
                await ready.wait()
        except TimeoutError:
            return Detached(process, b"", log, begin)
        finally:
            loop.remove_reader(out)
        line = out.readline()  # all of it is there: it is written at once
    if not line:
        await asyncio.to_thread(process.wait)
    return Detached(process, line, log, begin)


def _start(words: Sequence[str], log_path: Path, cwd: Path) -> tuple[subprocess.Popen[bytes], int]:
    # no process of asyncio: its transport would kill it when the loop is closed
    descriptor = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        begin = log_path.stat().st_size
        process = subprocess.Popen(
            # -P: no module is taken from the folder that it happens to run in
            [sys.executable, "-P", "-m", "arkor_tui", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            cwd=cwd,
        )
    return process, begin
