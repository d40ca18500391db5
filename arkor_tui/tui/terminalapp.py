"""An app on somebody's terminal: its clipboard, its signals, what is told there, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

from textual import events
from textual.worker import WorkerFailed

from arkor_tui.archive.errors import ArchiveError
from arkor_tui.config.settings import Settings
from arkor_tui.errors import ArkorTuiError
from arkor_tui.terminal import Capabilities, osc52
from arkor_tui.text.sanitize import one_line, plain

from .textual_compat import OwnedApp, driver_of, remember_copied, toasts_of, withdraw_toast

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.notifications import SeverityLevel

    from .chart.frame import Symbols

_LONGEST_TOAST, _MOST_LINES = 900, 12
_LONGEST_PRINTED = 4_000  # characters of a line that a callback printed
_TELL_AGAIN_SECONDS = 60.0
"""Before the same failure of the archive is told once more: it is asked all the time."""
_TERMINAL_SECONDS = 1.0
"""Between looks whether the terminal is still there."""


class TerminalApp(OwnedApp[None]):
    """Knows its terminal and nothing of runs."""

    def __init__(self, settings: Settings, capabilities: Capabilities | None) -> None:
        super().__init__()
        self.settings = settings
        self.capabilities = capabilities or Capabilities.detect(os.environ)
        wishes = settings.app
        self.redraws_per_second = wishes.redraws_per_second or self.capabilities.redraws_per_second
        """How often a chart may be drawn anew by itself."""
        self.symbols = chosen_symbols(wishes.symbols, braille=self.capabilities.braille)
        self.printed: deque[str] = deque(maxlen=2_000)
        """What trainer files printed, newest last."""
        self._unfinished = ""
        self._archive_failure = ("", 0.0)

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice; on a Unix terminal ours."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        from .driver import TerminalDriver

        return TerminalDriver

    def on_mount(self) -> None:
        """Look after the terminal, and catch what callbacks print."""
        self.set_interval(_TERMINAL_SECONDS, self._look_at_terminal)
        self.begin_capture_print(self)

    def on_resize(self, event: events.Resize) -> None:
        """Draw all of a view that is as big as before: in between the terminal was not.

        Textual lays nothing out then, and what the terminal has cut off would stay away.
        """
        if self.screen_stack and event.size == self.screen.outer_size:
            self.refresh()

    async def on_event(self, event: events.Event) -> None:
        """As Textual does; what is pasted may come from anywhere, and fields draw all they hold."""
        if isinstance(event, events.Paste):
            event.text = plain(event.text)
        await super().on_event(event)

    def on_print(self, event: events.Print) -> None:
        """Keep what a callback prints, for Live to show."""
        first, *others = event.text.split("\n")
        # a callback may print without end, and never break the line
        self._unfinished += first[: _LONGEST_PRINTED - len(self._unfinished)]
        for line in others:
            self.printed.append(self._unfinished)
            self._unfinished = line[:_LONGEST_PRINTED]

    # what is told

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """As Textual's, but whoever calls: a toast is short, harmless, and never markup."""
        del markup
        lines = plain(message, limit=_LONGEST_TOAST).split("\n")
        if len(lines) > _MOST_LINES:
            lines = [*lines[:_MOST_LINES], "…"]
        super().notify(
            "\n".join(lines),
            title=one_line(title, limit=80),
            severity=severity,
            timeout=timeout,
            markup=False,
        )

    def withdraw(self, ending: str) -> None:
        """Take back what was told and ends so: nobody needs it any more."""
        for told in toasts_of(self):
            if told.message.endswith(ending):
                withdraw_toast(self, told)

    def tell_problem(self, error: ArkorTuiError) -> None:
        """A failure where the user looks: what happened, and what to do."""
        text = plain(error.message, limit=500)
        if error.hint:
            text += "\n" + plain(error.hint, limit=300)
        self.notify(text, severity="error", markup=False, timeout=12)

    def handle_failure(self, error: Exception) -> None:
        """A disk that is full or damaged ends what was asked for, and not the app."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if isinstance(cause, ArchiveError):
            self.tell_archive(cause)
        else:
            super().handle_failure(error)

    def tell_archive(self, error: ArchiveError) -> None:
        """A failure of the archive: once, not each time that it is asked."""
        told, when = self._archive_failure
        if told != error.message or time.monotonic() - when > _TELL_AGAIN_SECONDS:
            self._archive_failure = (error.message, time.monotonic())
            self.tell_problem(error)

    def report(self, text: str) -> None:
        """Say what is being done."""
        self.notify(plain(text, limit=300), markup=False, timeout=4)

    def copy(self, text: str, what: str = "") -> None:
        """Put a text on the clipboard of the terminal, and say so, or why not."""
        try:
            sequence = osc52(text, tmux=self.capabilities.tmux)
        except ArkorTuiError as error:
            self.tell_problem(error)
            return
        remember_copied(self, text)
        self.write_out(sequence)
        said = f"Copied {what}: " if what else "Copied "
        self.notify(f"{said}{len(text):,} characters.", timeout=2, markup=False)

    def write_out(self, sequence: str) -> None:
        """Write one of our own control sequences to the terminal."""
        driver = driver_of(self)
        if driver is not None:
            driver.write(sequence)

    # leaving

    async def show(self, *, mouse: bool = True) -> None:
        """Run on the terminal to the end.

        A dropped line and a polite kill leave in order too: the terminal is as it was before.
        """
        loop = asyncio.get_running_loop()
        ends = (signal.SIGHUP, signal.SIGTERM)
        for end in ends:
            loop.add_signal_handler(end, self.leave, end)
        try:
            await self.run_async(mouse=mouse)
        finally:
            for end in ends:
                loop.remove_signal_handler(end)

    def leave(self, number: signal.Signals) -> None:
        """End because of a signal; runs go on, as with “Leave running”."""
        self.exit(return_code=128 + number)

    def terminal_gone(self) -> None:
        """End because nobody can see this any more."""
        self.leave(signal.SIGHUP)

    def _look_at_terminal(self) -> None:
        # no signal tells it to a job of the background
        if getattr(driver_of(self), "is_gone", False):
            self.terminal_gone()


def chosen_symbols(wish: str | None, *, braille: bool) -> Symbols:
    """What charts are drawn with: the user's wish, else what the terminal can show."""
    known: dict[str | None, Symbols] = {"braille": "braille", "block": "block", "ascii": "ascii"}
    if wish in known:
        return known[wish]
    return "braille" if braille else "ascii"
