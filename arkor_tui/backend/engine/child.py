"""What the two child processes share: a clean channel to the server, and dying with it.

The real stdout is kept for protocol lines. File descriptor 1 itself is pointed at stderr, so that
a ``print`` in a library, or in its C code, lands in the job's log and never in the protocol.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

_PR_SET_PDEATHSIG = 1
_CHUNK = 65536


class Channel:
    """Writes protocol lines, one whole line at a time, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._ended = False

    @classmethod
    def take_stdout(cls) -> Channel:
        """Keep stdout for the protocol and send everything else that is printed to stderr."""
        sys.stdout.flush()
        kept = os.dup(1)
        os.set_inheritable(kept, False)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(kept)

    def emit(self, kind: str, **fields: Any) -> None:
        """Write one line. After :meth:`finish` nothing more is written.

        Raises:
            ValueError: a field is not finite (JSON has no NaN).
        """
        self._write({"type": kind, **fields}, last=False)

    def finish(self, kind: str, **fields: Any) -> bool:
        """Write the terminal line, once. False if another thread has already written one."""
        return self._write({"type": kind, **fields}, last=True)

    def _write(self, message: dict[str, Any], *, last: bool) -> bool:
        line = json.dumps(message, allow_nan=False, separators=(",", ":")) + "\n"
        data = memoryview(line.encode("ascii"))
        with self._lock:
            if self._ended:
                return False
            self._ended = last
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:  # the server is gone: nobody is left to work for
                os._exit(0)
        return True


def read_lines(descriptor: int = 0) -> Iterator[bytes]:
    """Lines from ``descriptor`` as they come, without Python's buffering in between."""
    pending = b""
    while chunk := os.read(descriptor, _CHUNK):
        pending += chunk
        *lines, pending = pending.split(b"\n")
        yield from (line for line in lines if line.strip())


def serve_lines(lines: Iterator[bytes], handle: Callable[[dict[str, Any]], None]) -> None:
    """Hand each message of ``lines`` to ``handle`` in a thread; end the process at end of file."""

    def work() -> None:
        with contextlib.suppress(OSError):
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    message = None
                if isinstance(message, dict):
                    handle(message)
                else:
                    print("a line that is not a JSON object was ignored", file=sys.stderr)
        # stdin has closed, so the server is gone. No clean-up: a step or a C call may be running
        # in another thread, and every file is written under a temporary name first.
        os._exit(0)

    threading.Thread(target=work, name="stdin", daemon=True).start()


def die_with_parent() -> None:
    """Let the parent alone decide when this process ends, and end when it dies.

    Ctrl-C in a terminal reaches every process of the group; only the server acts on it. On Linux
    the kernel tells when the parent has died, also while no one reads stdin. It sends the
    signal when the parent *thread* ends, which may happen in a server that lives on; so the
    handler looks whether the parent is really gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()

    def check(_signal: int, _frame: object) -> None:
        if os.getppid() != parent:
            os._exit(0)

    with contextlib.suppress(OSError, ValueError, AttributeError):
        signal.signal(signal.SIGUSR1, check)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0)
