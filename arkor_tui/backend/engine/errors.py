"""Failures of the engine, and the one place that turns any exception into text for people."""

from __future__ import annotations

import errno

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.sanitize import plain

_LIMIT = 2000


class EngineError(ArkorTuiError):
    """Training or inference cannot go on; the message says what, why and what to do next."""


class DatasetError(EngineError):
    """The dataset cannot be read, or its rows are not what the format asks for."""


class ModelError(EngineError):
    """The base model or an adapter cannot be loaded."""


class RequestError(EngineError):
    """One chat request cannot be served. ``status`` is the HTTP status to answer with."""

    def __init__(
        self, message: str, *, status: int = 400, code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


def explain(error: BaseException) -> str:
    """One harmless text for people: what happened, why, and what to do next. Never a traceback."""
    if isinstance(error, ArkorTuiError):
        text = f"{error.message} {error.hint}" if error.hint else error.message
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" while writing {error.filename}" if error.filename else ""
        text = f"The disk is full{where}. Free some space, then start the run again."
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        text = (
            "There is not enough memory. Use a smaller model, a smaller batch size or a shorter "
            "maxLength."
        )
    elif isinstance(error, ModuleNotFoundError):
        text = (
            f"The local engine is not installed completely: the module {error.name} is missing. "
            "Install it with: pip install 'arkor-tui[local]'"
        )
    elif isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        text = f"The system refused access to a file{where}: {error.strerror or error}."
    else:
        text = (
            f"The engine stopped unexpectedly: {type(error).__name__}: {error}. "
            "The job's log file has the details."
        )
    return plain(text, limit=_LIMIT)
