"""Ending child processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


def kill(process: asyncio.subprocess.Process) -> None:
    """Kill a child, if it still lives.

    Not ``process.kill()``: that one asks for the exit code first, and takes it away from the event
    loop when the child has just ended.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
