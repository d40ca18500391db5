"""What a callback of the user raised, with the line that did."""

from __future__ import annotations

import asyncio
import traceback
from pathlib import Path

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.redact import redact_text
from arkor_tui.text.sanitize import plain

from .findings import Finding

_LONGEST_MESSAGE = 2_000
_OURS = str(Path(__file__).parent)

RAISED: tuple[type[BaseException], ...] = (
    Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError,
)  # fmt: skip
"""What a callback may raise and nobody but itself is ended by: ``sys.exit()`` is such a thing."""


class CallbackError(ArkorTuiError):
    """A callback raised; its own exception is the ``__cause__``.

    ``callback`` and ``event`` name what failed on what, ``file`` and ``line`` where (None where
    that is not known), ``others`` holds further failures on the same event: every callback of the
    list saw it.
    """

    def __init__(self, callback: str, event: str, cause: BaseException) -> None:
        self.file, self.line = _place_of(cause)
        where = f" ({Path(self.file).name}, line {self.line})" if self.file is not None else ""
        said = f": {cause}" if str(cause) else ""
        super().__init__(
            f"{callback} raised on {event}: {type(cause).__name__}{said}{where}",
            hint="The job itself goes on: `arkor-tui attach JOB` follows it, "
            "`arkor-tui cancel JOB` stops it.",
        )
        self.callback = callback
        self.event = event
        self.others: list[CallbackError] = []
        self.__cause__ = cause

    @property
    def frames(self) -> str:
        """The places that the exception came through, without the text of their lines."""
        stack = traceback.extract_tb(self.__cause__.__traceback__) if self.__cause__ else ()
        return "\n".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in stack)

    def as_finding(self) -> Finding:
        """What is kept with the run: no line of code, no login and no query of an address."""
        data = {
            "event": self.event,
            "message": redact_text(plain(self.message, limit=_LONGEST_MESSAGE)),
            "file": self.file,
            "line": self.line,
            "traceback": self.frames,
        }
        return Finding("error", self.callback, None, data)


def _place_of(error: BaseException) -> tuple[str | None, int | None]:
    """Find the last line of the file that the failing callback is from."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if str(Path(frame.filename).parent) != _OURS
    ]
    if not frames:
        return None, None
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return own[-1].filename, own[-1].lineno


def is_own(error: BaseException) -> bool:
    """Tell whether user code raised this itself, and was not ended by whoever waits for it."""
    if not isinstance(error, asyncio.CancelledError):
        return True
    task = asyncio.current_task()
    return task is None or task.cancelling() == 0
