"""The terminal that the run was started from: a bell, and a desktop notice where it has them."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, Unpack

from arkor_tui.terminal import Capabilities, osc9

from .delivery import Attempt, Send
from .destination import Destination
from .message import Message
from .notifier import Notifier
from .options import Options

CONTROLLING = "/dev/tty"


class BellNotifier(Notifier):
    """Rings the terminal and sends it a desktop notice (OSC 9). It needs no address."""

    service = "Bell"
    default_env = ""

    def __init__(self, destination: Destination | None = None, **options: Unpack[Options]) -> None:
        here = destination or Destination("Bell", "The bell of this terminal", "tty", "")
        super().__init__(here, **options)

    @classmethod
    def from_env(
        cls,
        name: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """The same as the constructor: there is no address to look up."""
        return cls(**options)

    @classmethod
    def from_settings(cls, path: Path | None = None, **options: Unpack[Options]) -> Self:
        """The same as the constructor: there is no address to look up."""
        return cls(**options)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Send]:
        """Nothing to open."""

        async def send(message: Message) -> Attempt:
            return ring(sequence(message.text, os.environ))

        yield send


def sequence(text: str, environ: Mapping[str, str]) -> bytes:
    """The bell and the notice of a text, which may be foreign."""
    terminal = Capabilities.detect(environ)
    notice = osc9(text, tmux=terminal.tmux, screen=terminal.screen)
    return ("\x07" + notice).encode("utf-8", "replace")


def ring(content: bytes) -> Attempt:
    """Write to the controlling terminal, or to stderr's if that is one; never waits for it."""
    for path in (CONTROLLING, _terminal_of_stderr()):
        if path is None:
            continue
        try:
            # not blocking: a terminal that was stopped with ctrl+s must not stop the run
            terminal = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            os.write(terminal, content)
        except OSError as error:
            return Attempt(False, f"could not be rung: {error.strerror}")
        finally:
            os.close(terminal)
        return Attempt(True)
    return Attempt(False, "cannot be rung: there is no terminal")


def _terminal_of_stderr() -> str | None:
    try:
        return os.ttyname(sys.__stderr__.fileno()) if sys.__stderr__ is not None else None
    except (OSError, ValueError):
        return None
