"""Files that somebody else may have written, read within bounds."""

from __future__ import annotations

import errno
import re
import tomllib
from pathlib import Path
from typing import Any

from arkor_tui.text.sanitize import plain

_WHERE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")
# tomllib takes time by the square of a name's parts: seconds for some ten thousand of them
_LONG_NAME = re.compile(r"(?<![\w\"'-])(?:[\w\"'-]+[ \t]*\.[ \t]*){200}")


class NotTomlError(ValueError):
    """The text is not TOML; ``line`` counts from 1, ``str(error)`` says why, harmlessly."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def read_limited(path: Path, most_bytes: int) -> bytes:
    """The content of a file that may be a pipe, and that may be endless.

    Raises:
        OSError: it cannot be read, or is larger than ``most_bytes``.
    """
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {most_bytes:,} bytes")
    return content


def read_toml(path: Path, most_bytes: int) -> tuple[str, dict[str, Any]]:
    """Text and content of a TOML file.

    Raises:
        OSError: as :func:`read_limited`.
        NotTomlError: it is not UTF-8, or not TOML.
    """
    try:
        text = read_limited(path, most_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise NotTomlError("is not UTF-8 text", line) from error
    if found := _LONG_NAME.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise NotTomlError("has a name of too many parts", line)
    try:
        return text, tomllib.loads(text)
    except RecursionError as error:
        raise NotTomlError("is not TOML: nested too deeply", 1) from error
    except ValueError as error:  # a number of thousands of digits is no TOMLDecodeError
        where = _WHERE.search(str(error))
        reason = str(error)[: where.start()] if where else str(error)
        line = int((where and where[1]) or (text.count("\n") + 1 if where else 1))
        shown = plain(reason, limit=200, newlines=False)
        raise NotTomlError(f"is not TOML: {shown}", line) from error
