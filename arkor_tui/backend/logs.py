"""Log files that only their owner may read."""

from __future__ import annotations

import os
from io import BufferedWriter, TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

_LOG_BYTES = 1_000_000


def open_log(path: Path) -> BufferedWriter:
    """Open for appending, created with mode 0600."""
    return open(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab")


class RotatingLog(RotatingFileHandler):
    """Begins anew when it is full; what was last in it stays beside it as ``….1``.

    Whoever may connect can make the server complain: that must not fill the disk.
    """

    def __init__(self, path: Path, *, limit: int = _LOG_BYTES) -> None:
        super().__init__(path, maxBytes=limit, backupCount=1)

    def _open(self) -> TextIOWrapper:
        return TextIOWrapper(
            open_log(Path(self.baseFilename)), encoding="utf-8", errors="backslashreplace",
            write_through=True,
        )  # fmt: skip
