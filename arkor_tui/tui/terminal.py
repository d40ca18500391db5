"""What the terminal can do, and the few sequences that this program sends to it by itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from arkor_tui.errors import ArkorTuiError
from arkor_tui.plain import plain

COPY_LIMIT = 74_994
"""Bytes that terminals accept in one OSC 52; more is dropped by many without a word."""
LOCAL_RATE, SSH_RATE = 4.0, 1.0


class TooLongToCopyError(ArkorTuiError):
    """The terminal would not take so long a text."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the environment says of the terminal."""

    ssh: bool = False
    tmux: bool = False
    braille: bool = True
    colour: bool = True

    @classmethod
    def detect(cls, environ: Mapping[str, str]) -> Capabilities:
        """Read it from environment variables."""
        locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
        utf8 = "utf" in locale.lower() or not locale
        term = environ.get("TERM", "")
        return cls(
            ssh=bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")),
            tmux=bool(environ.get("TMUX")) or term.startswith(("tmux", "screen")),
            braille=utf8 and term not in ("linux", "dumb"),
            colour=not environ.get("NO_COLOR"),
        )

    @property
    def redraws_per_second(self) -> float:
        """How often a chart may be drawn anew by itself."""
        return SSH_RATE if self.ssh else LOCAL_RATE


def osc52(text: str, *, tmux: bool) -> str:
    """The sequence that puts a text on the clipboard of whoever sits at the terminal.

    Raises:
        TooLongToCopyError: no terminal would take it.
    """
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(encoded) > COPY_LIMIT:
        raise TooLongToCopyError(
            f"That is too long to copy through a terminal: {len(encoded):,} bytes encoded, "
            f"{COPY_LIMIT:,} are possible.",
            hint="Export it to a file instead.",
        )
    return _through(f"\x1b]52;c;{encoded}\x07", tmux)


def osc9(text: str, *, tmux: bool) -> str:
    """The sequence of a desktop notification."""
    return _through(f"\x1b]9;{_harmless(text)}\x07", tmux)


def title(text: str) -> str:
    """The sequence that sets the window's title."""
    return f"\x1b]2;{_harmless(text)}\x07"


def _harmless(text: str) -> str:
    return plain(text, limit=200, newlines=False).replace("\t", " ").replace("\n", " ")


def _through(sequence: str, tmux: bool) -> str:
    """tmux hands on what is wrapped so (with its option allow-passthrough)."""
    if not tmux:
        return sequence
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
