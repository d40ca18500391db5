"""Every private name of Textual that this program uses, each behind a name of ours.

pyproject.toml pins Textual's minor version for this; after an upgrade tests/tui/
test_textual_compat.py tells what is gone or has another shape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from textual.app import App, ReturnType
from textual.binding import Binding
from textual.drivers._writer_thread import MAX_QUEUED_WRITES
from textual.drivers.linux_driver import LinuxDriver
from textual.keys import _character_to_key
from textual.message_pump import MessagePump
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.notifications import Notification

MOST_WAITING_WRITES = MAX_QUEUED_WRITES
"""Pieces of output that wait for a terminal before writing blocks."""


def key_of_character(character: str) -> str:
    """Name the key of one character, as bindings name it."""
    return _character_to_key(character)


def parent_of(node: MessagePump) -> MessagePump | None:
    """Give the node that a message goes to next; a removed one has none."""
    return node._parent


def own_bindings(pane: Widget) -> Iterator[Binding]:
    """Give a pane's bindings with the keys that the user gave them."""
    bindings = pane._bindings.copy()
    bindings.apply_keymap(pane.app._keymap)
    for several in bindings.key_to_bindings.values():
        yield from several


# the app


def is_leaving(app: App[Any]) -> bool:
    """Say whether the app has been told to exit."""
    return app._exit


def is_processing(app: App[Any]) -> bool:
    """Say whether the app runs and its views are not being closed."""
    return app.is_running and app._running


def inside(app: App[Any]) -> AbstractContextManager[None]:
    """Make this app the active one, for tasks that are older than it."""
    return app._context()


def driver_of(app: App[Any]) -> Driver | None:
    """Give the driver of the terminal; None before the app runs."""
    return app._driver


def remember_copied(app: App[Any], text: str) -> None:
    """Have pasting inside the app give this text, without writing to the terminal."""
    app._clipboard = text


def toasts_of(app: App[Any]) -> list[Notification]:
    """List the toasts that are shown."""
    return list(app._notifications)


def withdraw_toast(app: App[Any], toast: Notification) -> None:
    """Take back a toast that is shown."""
    app._unnotify(toast)


class OwnedApp(App[ReturnType]):
    """An app that decides what an exception ends, and never shows a traceback."""

    def handle_failure(self, error: Exception) -> None:
        """Deal with what a handler or worker raised; as it stands it ends the app."""
        super()._handle_exception(error)

    def _handle_exception(self, error: Exception) -> None:
        self.handle_failure(error)

    def _fatal_error(self) -> None:
        # local variables, which Textual would print, may hold secrets
        self._close_messages_no_wait()

    @property
    def failure(self) -> Exception | None:
        """Give what ended the app, where it was no wish of the user."""
        return self._exception


class OwnedDriver(LinuxDriver):
    """Textual's driver for Unix terminals, with what is needed to look after one."""

    def use_output(self, file: Any) -> None:
        """Write to this file from now on; before the application mode begins."""
        self._file: Any = file

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Give the loop of the app."""
        return self._loop

    @property
    def owner(self) -> App[Any]:
        """Give the app."""
        return self._app

    def call_soon(self, work: Callable[..., object], *args: object) -> None:
        """Do something on the app's loop, from whichever thread or signal handler.

        Raises:
            RuntimeError: the loop has ended.
        """
        self._loop.call_soon_threadsafe(work, *args)

    @property
    def has_writer(self) -> bool:
        """Say whether a thread writes what is drawn."""
        return self._writer_thread is not None

    @property
    def waiting_writes(self) -> int:
        """Count the pieces of output that the terminal has not taken yet."""
        return self._writer_thread._queue.qsize() if self._writer_thread is not None else 0

    @property
    def restarts(self) -> bool:
        """Say whether the terminal is ours to take back; another program may have it."""
        return self._auto_restart

    @property
    def reads_keys(self) -> bool:
        """Say whether a thread reads keys."""
        return self._key_thread is not None and self._key_thread.is_alive()

    def resume(self) -> None:
        """Take the terminal back and have the app tell that it goes on."""
        self._must_signal_resume = True
        self.resume_application_mode()

    def stop_asked(self) -> None:
        """Hear that the terminal is to be given back; called in a signal handler."""
        super()._sigtstp_application()

    def continue_asked(self) -> None:
        """Hear that the program goes on; called in a signal handler."""
        super()._sigcont_application()

    def _sigtstp_application(self, *_: object) -> None:
        self.stop_asked()

    def _sigcont_application(self, *_: object) -> None:
        self.continue_asked()
