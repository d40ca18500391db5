"""What the terminal can do, and the few sequences that this program sends to it by itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from arkor_tui.text.sanitize import plain

from .errors import ArkorTuiError

COPY_LIMIT = 74_994
"""Bytes of text that terminals accept in one OSC 52: 100,000 with base64 and frame. More is dropped
by many without a word."""
LOCAL_RATE, SSH_RATE = 4.0, 1.0
_SCREEN_PIECE = 240
"""Bytes that every GNU screen hands on in one piece; old ones stop at 256."""


class TooLongToCopyError(ArkorTuiError):
    """The terminal would not take so long a text; ``size`` and ``limit`` are bytes of UTF-8."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"That is too long to copy through a terminal: {size:,} bytes, {limit:,} are possible.",
            hint="Export it to a file instead.",
        )
        self.size = size
        self.limit = limit


def locale_variable(environ: Mapping[str, str]) -> str | None:
    """The variable that decides on the encoding: the first that is set counts, as in
    setlocale(3). None where none is."""
    return next((name for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), None)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the environment says of the terminal.

    ``tmux`` and ``screen`` say which multiplexer stands between; ``braille`` is whether charts can
    be drawn with dots, ``colour`` whether colours are wanted.
    """

    ssh: bool = False
    tmux: bool = False
    braille: bool = True
    colour: bool = True
    screen: bool = False

    @classmethod
    def detect(cls, environ: Mapping[str, str]) -> Capabilities:
        """Read it from environment variables."""
        # none at all is UTF-8 in Python's eyes
        name = locale_variable(environ)
        utf8 = name is None or "utf" in environ[name].lower()
        term = environ.get("TERM", "")
        # TERM reaches through SSH and tmux calls itself screen by default; STY does not reach
        screen = bool(environ.get("STY")) and not environ.get("TMUX")
        return cls(
            ssh=bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")),
            tmux=not screen and (bool(environ.get("TMUX")) or term.startswith(("tmux", "screen"))),
            braille=utf8 and term not in ("linux", "dumb"),
            colour=not environ.get("NO_COLOR"),
            screen=screen,
        )

    @property
    def redraws_per_second(self) -> float:
        """How often a chart may be drawn anew by itself, where the settings do not say."""
        return SSH_RATE if self.ssh else LOCAL_RATE


def osc52(text: str, *, tmux: bool, screen: bool = False, limit: int = COPY_LIMIT) -> str:
    """The sequence that puts a text on the clipboard of whoever sits at the terminal.

    The text is sanitised: what is pasted elsewhere runs no terminal sequence there.

    Raises:
        TooLongToCopyError: it is longer than ``limit`` bytes of UTF-8.
    """
    content = plain(text).encode("utf-8")
    if len(content) > limit:
        raise TooLongToCopyError(len(content), limit)
    encoded = base64.b64encode(content).decode("ascii")
    return _through(f"\x1b]52;c;{encoded}\x07", tmux=tmux, screen=screen)


def osc9(text: str, *, tmux: bool, screen: bool = False) -> str:
    """The sequence of a desktop notification.

    It begins with this program's name: a number and a semicolon at its beginning would be a command
    to some terminals (ConEmu starts programs on ``9;7``), and run names are foreign text.
    """
    return _through(f"\x1b]9;arkor-tui: {_one_line(text)}\x07", tmux=tmux, screen=screen)


def title(text: str) -> str:
    """The sequence that sets the window's title; multiplexers understand it themselves."""
    return f"\x1b]2;{_one_line(text)}\x07"


def _one_line(text: str) -> str:
    return plain(text, limit=200, newlines=False)


def _through(sequence: str, *, tmux: bool, screen: bool) -> str:
    """Wrapped so that the multiplexer hands it on (tmux with its option allow-passthrough)."""
    if tmux:
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if screen:
        pieces = range(0, len(sequence), _SCREEN_PIECE)
        return "".join(f"\x1bP{sequence[at : at + _SCREEN_PIECE]}\x1b\\" for at in pieces)
    return sequence
