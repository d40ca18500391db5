"""Processes of ours that outlive the one that starts them."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.sanitize import plain

_READY_SECONDS = 60.0
_MOST_TOLD = 65_536  # bytes
_MOST_SAID = 1_000  # bytes of a log


@dataclass(frozen=True, slots=True)
class Detached:
    """A process that was started, with what it told and the log that it writes to."""

    process: subprocess.Popen[bytes]
    line: bytes
    """What it told through its :class:`ReadyPipe`; empty where it ended or takes too long."""
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
        """What it told, where that is an object of this ``type``."""
        try:
            line = json.loads(self.line)
            return line if line["type"] == kind else None
        except (ValueError, KeyError, TypeError):
            return None

    def why(self) -> str:
        """Why it ended without being ready, made plain; blocks on the disk."""
        if (told := self.told("failed")) is not None:
            words = (told.get("message"), told.get("hint"))
            return plain(" ".join(str(word) for word in words if word), limit=_MOST_SAID)
        with self.log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._begin, end - _MOST_SAID))
            said = file.read().decode("utf-8", "replace").strip()
        return plain(said, limit=_MOST_SAID) or "it said nothing."


async def start_detached(
    words: Sequence[str], *, log: Path, cwd: Path, seconds: float = _READY_SECONDS
) -> Detached:
    """Start ``arkor-tui WORDS --ready-fd N`` in a session of its own, and wait until it is ready.

    What it prints goes to the log. A dropped terminal does not take it down, and neither does the
    end of this process or of its event loop. The wait ends after ``seconds`` at the latest.

    Raises:
        OSError: the log cannot be written, or no process can be started.
    """
    process, begin, pipe = await asyncio.to_thread(_start, words, log, cwd)
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(pipe, ready.set)
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
        line = os.read(pipe, _MOST_TOLD)  # all of it is there: it is written at once
    except TimeoutError:
        return Detached(process, b"", log, begin)
    finally:
        loop.remove_reader(pipe)
        os.close(pipe)
    found = Detached(process, line, log, begin)
    if not line or found.told("failed") is not None:
        await asyncio.to_thread(process.wait)
    return found


def _start(
    words: Sequence[str], log_path: Path, cwd: Path
) -> tuple[subprocess.Popen[bytes], int, int]:
    # no process of asyncio: its transport would kill it when the loop is closed
    descriptor = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        begin = log_path.stat().st_size
        incoming, outgoing = os.pipe()
        try:
            process = subprocess.Popen(
                # -P: no module is taken from the folder that it happens to run in; -u: what it
                # prints is in the log at once, whatever becomes of it
                [
                    sys.executable, "-P", "-u", "-m", "arkor_tui", *words,
                    "--ready-fd", str(outgoing),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=cwd,
                pass_fds=(outgoing,),
            )  # fmt: skip
        except BaseException:
            os.close(incoming)
            raise
        finally:
            os.close(outgoing)
    return process, begin, incoming


def add_ready_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--ready-fd``, which :func:`start_detached` gives."""
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)


class ReadyPipe:
    """Where a detached process tells once that it is ready, or why it will never be.

    It is a pipe of its own: whatever a trainer file prints while it is imported goes elsewhere.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_inheritable(descriptor, False)  # no child keeps it open

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Tell why, where this process fails before it was ready."""
        if isinstance(error, ArkorTuiError):
            self.tell("failed", message=error.message, hint=error.hint)
        elif isinstance(error, Exception):
            self.tell("failed", message=f"{type(error).__name__}: {error}")

    def tell(self, kind: str, **fields: object) -> None:
        """Tell, once; whoever started this process may be gone, and it goes on all the more."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with suppress(BrokenPipeError), open(descriptor, "wb", buffering=0) as pipe:
            pipe.write(json.dumps({"type": kind, **fields}).encode() + b"\n")
