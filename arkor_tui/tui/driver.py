"""The terminal: given back while the program is stopped, and missed when it is gone."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, cast

from textual.app import App

from .host import TerminalOwner
from .textual_compat import MOST_WAITING_WRITES, OwnedDriver

_LOOK_AGAIN_SECONDS = 0.05


class TerminalDriver(OwnedDriver):
    """Textual's driver, for terminals that other programs stop, take away and close."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self.use_output(_Output(sys.__stderr__, self._tell_gone))  # as Textual does
        self._is_stopped = False
        self._drawing = False
        self._behind = False

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._drawing = self.has_writer
        if self._drawing:
            # told by the loop: a second signal may come between reading a size and telling it, and
            # the app would then hear the older one last, and stay at it
            read_size: Any = signal.getsignal(signal.SIGWINCH)
            signal.signal(
                signal.SIGWINCH,
                lambda *what: self.call_soon(read_size, *what),
            )

    def stop_application_mode(self) -> None:
        self._drawing = False
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Write, or leave it out: a terminal that reads slowly, or not at all, holds nothing up.

        Textual would wait for it with everything else, archiving included. What was left out is
        drawn anew once the terminal has read what waits.
        """
        if self._drawing and (self._behind or self.waiting_writes >= MOST_WAITING_WRITES - 1):
            if not self._behind:
                self._behind = True
                self.call_soon(self._catch_up)
            return
        super().write(data)

    def _catch_up(self) -> None:
        if self.waiting_writes:
            self.loop.call_later(_LOOK_AGAIN_SECONDS, self._catch_up)
            return
        self._behind = False
        if self._drawing:
            self.owner.refresh(layout=True)

    def run_input_thread(self) -> None:
        """Read keys for as long as there is a terminal."""
        try:
            super().run_input_thread()
        except OSError:
            self._tell_gone()

    @property
    def is_gone(self) -> bool:
        """Whether nobody can see or type anything here any more."""
        hung_up = select.poll()
        hung_up.register(self.fileno, 0)  # a hang-up is told although nothing is asked for
        with suppress(OSError):
            return any(found & (select.POLLHUP | select.POLLNVAL) for _, found in hung_up.poll(0))
        return True

    def _tell_gone(self) -> None:
        owner = cast(TerminalOwner, self.owner)
        with suppress(RuntimeError):  # the loop has ended
            self.call_soon(owner.terminal_gone)

    # The two handlers run wherever the main thread is, and that may hold the lock of the output.

    def stop_asked(self) -> None:
        self.call_soon(self._stop)

    def continue_asked(self) -> None:
        self.call_soon(self._go_on)

    def _stop(self) -> None:
        if self.restarts and not self._is_stopped:
            self._is_stopped = True
            self.suspend_application_mode()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        if not self.restarts:
            return  # another program has the terminal, and whoever gave it takes it back
        if not self._is_stopped:
            # stopped by a signal that nobody can catch: a shell had the terminal meanwhile
            self.suspend_application_mode()
        self.resume()
        # from the background nothing is begun: the next SIGCONT tries again
        self._is_stopped = not self.reads_keys
        if not self._is_stopped:
            self.owner.refresh(layout=True)


class _Output:
    """A file that swallows what cannot be written any more, and says so once.

    Textual's thread would end with the first failure, and the app would wait for it for ever.
    """

    def __init__(self, file: IO[str] | None, on_gone: Callable[[], None]) -> None:
        assert file is not None, "an app has a terminal"
        self._file = file
        self._on_gone = on_gone
        self._gone = False

    def write(self, text: str) -> None:
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        self._try(self._file.flush)

    def fileno(self) -> int:
        return self._file.fileno()

    def _try(self, work: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            work()
        except BlockingIOError:
            pass  # it is slow, not gone
        except (OSError, ValueError):
            self._gone = True
            self._on_gone()
