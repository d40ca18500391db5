"""The terminal: given back while the program is stopped, and missed when it is gone."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from textual.app import App
from textual.drivers._writer_thread import MAX_QUEUED_WRITES
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from .app import ArkorApp

_LOOK_AGAIN_SECONDS = 0.05


class TerminalDriver(LinuxDriver):
    """Textual's driver, for terminals that other programs stop, take away and close."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._file: Any = _Output(sys.__stderr__, self._tell_gone)  # as Textual does
        self._is_stopped = False
        self._drawing = False
        self._behind = False

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._drawing = self._writer_thread is not None
        if self._drawing:
            # told by the loop: a second signal may come between reading a size and telling it, and
            # the app would then hear the older one last, and stay at it
            read_size: Any = signal.getsignal(signal.SIGWINCH)
            signal.signal(
                signal.SIGWINCH,
                lambda *what: self._loop.call_soon_threadsafe(read_size, *what),
            )

    def stop_application_mode(self) -> None:
        self._drawing = False
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Write, or leave it out: a terminal that reads slowly, or not at all, holds nothing up.

        Textual would wait for it with everything else, archiving included. What was left out is
        drawn anew once the terminal has read what waits.
        """
        if self._drawing and (self._behind or self._waiting() >= MAX_QUEUED_WRITES - 1):
            if not self._behind:
                self._behind = True
                self._loop.call_soon_threadsafe(self._catch_up)
            return
        super().write(data)

    def _waiting(self) -> int:
        return self._writer_thread._queue.qsize() if self._writer_thread is not None else 0

    def _catch_up(self) -> None:
        if self._waiting():
            self._loop.call_later(_LOOK_AGAIN_SECONDS, self._catch_up)
            return
        self._behind = False
        if self._drawing:
            self._app.refresh(layout=True)

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
        app: ArkorApp = self._app  # type: ignore[assignment] # this driver is that app's own
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(app.terminal_gone)

    # The two handlers run wherever the main thread is, and that may hold the lock of the output.

    def _sigtstp_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)

    def _sigcont_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._go_on)

    def _stop(self) -> None:
        if self._auto_restart and not self._is_stopped:
            self._is_stopped = True
            self.suspend_application_mode()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        if not self._auto_restart:
            return  # another program has the terminal, and whoever gave it takes it back
        if not self._is_stopped:
            # stopped by a signal that nobody can catch: a shell had the terminal meanwhile
            self.suspend_application_mode()
        self._must_signal_resume = True
        self.resume_application_mode()
        # from the background nothing is begun: the next SIGCONT tries again
        self._is_stopped = self._key_thread is None or not self._key_thread.is_alive()
        if not self._is_stopped:
            self._app.refresh(layout=True)


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
