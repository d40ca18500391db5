"""What a monitor tells: plain data that a screen or a command can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arkor_tui.archive.records import LogRow
from arkor_tui.errors import ArkorTuiError

if TYPE_CHECKING:
    from arkor_tui.run.findings import Finding


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """What the stream went through since following began.

    ``reconnects`` counts connections after the first, ``repeats`` events that came again and were
    dropped, ``missing`` events whose counted ids were skipped, ``malformed`` frames that could not
    be understood, ``gaps`` log events with no finite number for either loss or eval loss.
    """

    events: int = 0
    reconnects: int = 0
    repeats: int = 0
    missing: int = 0
    malformed: int = 0
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class Update:
    """What changed since the last update; everything in it is on disk already."""

    rows: tuple[LogRow, ...] = ()
    checkpoints: tuple[int, ...] = ()
    """Steps of the checkpoints that were saved just now."""
    ended: bool = False
    """The run ended with this update."""
    findings: tuple[Finding, ...] = ()
    """What recipes of this process found."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why following stopped, or what went wrong in a callback."""

    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """From an exception of any kind."""
        if isinstance(error, ArkorTuiError):
            return cls(error.message, error.hint or "")
        return cls(f"{type(error).__name__}: {error}")
