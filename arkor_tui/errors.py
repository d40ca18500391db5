"""What every failure of this package has in common: it says what happened and what to do next."""

from __future__ import annotations


class ArkorTuiError(Exception):
    """A failure that the user can understand and act on.

    ``str(error)`` is one sentence on what happened and why. ``hint``, where there is one, says what
    to do next. ``exit_code`` is what a command ends with (1: it failed, 2: it was used wrongly).
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ArkorTuiError):
    """The command, the trainer file or the environment asks for something that cannot work."""

    exit_code = 2
