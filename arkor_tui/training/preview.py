"""A look at a dataset before anything is submitted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from arkor_tui.errors import UsageError
from arkor_tui.plain import plain

from .datasets import Dataset, FileDataset

_MOST_BYTES = 8_000_000
_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class DatasetPreview:
    """The first rows; ``problems`` names lines that cannot be read, ``note`` what was not looked
    at."""

    rows: tuple[dict[str, Any], ...] = ()
    problems: tuple[str, ...] = ()
    note: str = ""


def preview(dataset: Dataset, folder: Path, *, limit: int = 5) -> DatasetPreview:
    """Read the first rows of a file; blocks. What a backend fetches itself is not fetched here.

    Raises:
        UsageError: the file cannot be read.
    """
    if not isinstance(dataset, FileDataset):
        return DatasetPreview(note="The backend reads this dataset when the run starts.")
    path = Path(dataset.source(folder).path)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    count, left = 0, _MOST_BYTES
    try:
        with path.open("rb") as file:
            whole = path.stat().st_size <= _MOST_BYTES
            number = 0
            while left > 0 and (line := file.readline(left)):
                number, left = number + 1, left - len(line)
                if not line.strip():
                    continue
                count += 1
                if len(problems) >= _MOST_PROBLEMS or (len(rows) >= limit and not whole):
                    whole = False
                    break
                try:
                    row = _row(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
                except ValueError as error:
                    cut = left <= 0 and not line.endswith(b"\n")
                    reason = f"longer than {len(line):,} bytes" if cut else str(error)
                    problems.append(f"line {number}: {reason}")
                    continue
                if len(rows) < limit:
                    rows.append(row)
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        shown = plain(path, limit=300, newlines=False)
        reason = getattr(error, "strerror", None) or "its name is none that a file can have"
        raise UsageError(
            f"Cannot read {shown}: {reason}.",
            hint="Name a .jsonl file; a relative path starts at the trainer file's folder.",
        ) from error
    return DatasetPreview(tuple(rows), tuple(problems), _note(count, len(rows), whole))


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from error
    except RecursionError as error:
        raise ValueError("not JSON: nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 all of these are told alike
    return row


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _note(count: int, rows: int, whole: bool) -> str:
    if whole:
        return f"{count:,} rows"
    return f"only the beginning was read: the first {rows} rows" if rows else "no row was found"
