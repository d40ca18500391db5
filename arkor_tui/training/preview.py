"""A look at a dataset before anything is submitted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arkor_tui.errors import UsageError

from .datasets import Dataset, FileDataset

_MOST_BYTES = 8_000_000


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
    count = 0
    try:
        with path.open("rb") as file:
            whole = path.stat().st_size <= _MOST_BYTES
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                count += 1
                if len(rows) >= limit and not whole:
                    break
                try:
                    row = json.loads(line)
                except ValueError as error:
                    problems.append(f"line {number}: not JSON: {error}")
                    continue
                if not isinstance(row, dict):
                    problems.append(f"line {number}: not a JSON object")
                elif len(rows) < limit:
                    rows.append(row)
    except OSError as error:
        raise UsageError(
            f"Cannot read {path}: {error.strerror or error}.",
            hint="Name a .jsonl file; a relative path starts at the trainer file's folder.",
        ) from error
    note = f"{count:,} rows" if whole else f"a large file: the first {limit} rows"
    return DatasetPreview(tuple(rows), tuple(problems[:20]), note)
