"""A look at a dataset before anything is submitted."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from arkor_tui.errors import UsageError
from arkor_tui.text.sanitize import plain

from .layout import Layout
from .sources import Dataset, FileDataset

_MOST_BYTES = 8_000_000
_MOST_PROBLEMS = 20


class UnreadableDatasetError(UsageError):
    """A file of rows cannot be read; ``short`` says it for a narrow place, the reason first."""

    def __init__(self, path: Path, reason: str, *, is_missing: bool = False) -> None:
        shown = plain(path, limit=300, newlines=False)
        super().__init__(
            f"Cannot read {shown}: {reason}.",
            hint="Name a .jsonl file; a relative path starts at the trainer file's folder.",
        )
        what = "there is no such file" if is_missing else f"cannot be read: {reason}"
        self.short = f"{what}: {shown}"


@dataclass(frozen=True, slots=True)
class DatasetPreview:
    """The first rows; ``problems`` names lines that are not right, ``note`` what was not looked
    at. ``broken`` says why the embedded backend will not train on this file; empty where nothing
    of the kind was found."""

    rows: tuple[dict[str, Any], ...] = ()
    problems: tuple[str, ...] = ()
    note: str = ""
    broken: str = ""


def preview(
    dataset: Dataset, folder: Path, *, limit: int = 5, layout: Layout | None = None
) -> DatasetPreview:
    """Read the beginning of a file; blocks. What a backend fetches itself is not fetched here.

    The first ``limit`` rows are kept. With a ``layout`` rows are held against it too.

    Raises:
        UnreadableDatasetError: the file cannot be read.
    """
    if not isinstance(dataset, FileDataset):
        return DatasetPreview(note="The backend reads this dataset when the run starts.")
    path = Path(dataset.source(folder).path)
    look = _Look(limit, layout)
    try:
        facts = path.stat()  # a pipe would be waited for without end
        if not stat.S_ISREG(facts.st_mode) and not stat.S_ISDIR(facts.st_mode):
            raise UnreadableDatasetError(path, "it is no regular file")
        with path.open("rb") as file:
            look.read(file, whole=facts.st_size <= _MOST_BYTES)
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or "its name is none that a file can have"
        missing = isinstance(error, FileNotFoundError)
        raise UnreadableDatasetError(path, reason, is_missing=missing) from error
    return look.found()


class _Look:
    """What the beginning of one file holds."""

    def __init__(self, limit: int, layout: Layout | None) -> None:
        self._limit = limit
        self._layout = layout
        self._rows: list[dict[str, Any]] = []
        self._problems: list[str] = []
        self._certain = 0  # of the problems, those that the backend will find too
        self._count = self._read_rows = 0
        self._whole = True

    def read(self, file: BinaryIO, *, whole: bool) -> None:
        """At most ``_MOST_BYTES``, and no further than too many problems."""
        self._whole = whole
        number, left = 0, _MOST_BYTES
        while left > 0 and (line := file.readline(left)):
            number, left = number + 1, left - len(line)
            if not line.strip():
                continue
            if len(self._problems) >= _MOST_PROBLEMS:
                self._whole = False
                return
            if left <= 0 and not whole and not line.endswith(b"\n"):
                if not self._count:
                    self._problems.append(f"line {number}: longer than {len(line):,} bytes")
                return  # the rest of this line was not read: it may be right
            self._count += 1
            self._take(number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)

    def _take(self, number: int, line: bytes) -> None:
        try:
            row = _row(line)
        except ValueError as error:
            self._blame(number, str(error))
            return
        self._read_rows += 1
        if len(self._rows) < self._limit:
            self._rows.append(row)
        if self._layout is not None:
            self._layout = self._layout.told_by(row)
            if problem := self._layout.problem(row):
                self._blame(number, problem)

    def _blame(self, number: int, what: str) -> None:
        self._problems.append(f"line {number}: {what}")
        self._certain += 1

    def found(self) -> DatasetPreview:
        """All of it."""
        broken = self._problems[0] if self._certain else ""
        if self._certain > 1:
            broken += f" (and {self._certain - 1} more{'' if self._whole else ' so far'})"
        if self._whole and not self._count:
            broken = "has no rows"
        note = _note(self._count, self._read_rows, self._whole)
        return DatasetPreview(tuple(self._rows), tuple(self._problems), note, broken)


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from error
    except RecursionError as error:
        raise ValueError("not JSON: nested too deeply") from error
    except json.JSONDecodeError as error:  # its own text names a line too, which is always 1
        what = error.msg[:1].lower() + error.msg[1:]
        raise ValueError(f"not JSON: {what} at character {error.pos + 1}") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 all of these are told alike
    return row


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _note(count: int, rows: int, whole: bool) -> str:
    if whole:
        return f"{count:,} row" if count == 1 else f"{count:,} rows"
    return f"only the beginning was read: the first {rows:,} rows" if rows else "no row was found"
