"""A dataset to examples: every line is read, and everything that is wrong is said at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from arkor_tui.backend.spec import DatasetSpec
from arkor_tui.datasets.formats import (
    COLUMNS,
    Example,
    FormatType,
    RowError,
    guess_format,
    known_formats,
    to_example,
)
from arkor_tui.text.sanitize import plain

from .errors import DatasetError

_SHOWN = 5
_ENOUGH = 10_000
"""Wrong lines after which a file is not read on: it is no dataset."""
_LONGEST_PROBLEM = 250
_BOMS = {
    b"\xff\xfe": "it looks like UTF-16; save it as UTF-8",
    b"\xfe\xff": "it looks like UTF-16; save it as UTF-8",
    b"\x1f\x8b": "it is gzip-compressed; unpack it first",
    b"PAR1": "it is a Parquet file; export it as JSON Lines first",
    b"PK\x03\x04": "it is a zip archive; unpack it first",
}


def read_examples(dataset: DatasetSpec) -> list[Example]:
    """All examples of ``dataset``, in its order.

    Raises:
        DatasetError: it cannot be fetched, is empty, or has lines that are not right. Then nothing
            is skipped: the text counts the lines (up to 10,000) and names the first ones.
    """
    if dataset.kind == "file":
        return read_file(Path(dataset.location), dataset)
    if dataset.kind == "blob":
        from .fetch import fetched_blob

        with fetched_blob(dataset.location, dataset.token) as (path, shown):
            return read_file(path, dataset, name=shown)
    from .hub import hub_files

    return read_files(hub_files(dataset), dataset)


def read_file(path: Path, dataset: DatasetSpec, *, name: str | None = None) -> list[Example]:
    """All examples of the JSON Lines file at ``path``, which messages call ``name``."""
    return read_files([(name or str(path), path)], dataset)


def read_files(files: list[tuple[str, Path]], dataset: DatasetSpec) -> list[Example]:
    """The examples of several files (name for people, path), one after the other."""
    examples: list[Example] = []
    format_type = dataset.format
    for name, path in files:
        reader = _Reader(name, dataset, format_type)
        examples += reader.read(path)
        format_type = reader.format_type
    if not examples:
        raise DatasetError(
            f"The dataset {files[0][0] if files else dataset.location} has no rows.",
            hint="It needs at least one JSON object on a line of its own.",
        )
    return examples


def _told_format(row: Mapping[str, Any], mapping: Mapping[str, str]) -> FormatType:
    found = guess_format(row, mapping)
    if found is not None:
        return found
    there = plain(", ".join(sorted(row)[:50]), limit=500, newlines=False) or "none"
    raise DatasetError(
        f"Cannot tell the dataset's format from its columns ({there}). The formats and their "
        f"columns are: {known_formats()}.",
        hint="Set datasetFormat to a type, with a columnMapping if your columns have other names.",
    )


def _check_mapping(format_type: FormatType, mapping: Mapping[str, str]) -> None:
    unknown = sorted(set(mapping) - set(COLUMNS[format_type]))
    if unknown:
        names = plain(", ".join(unknown), limit=500, newlines=False)
        raise DatasetError(
            f"columnMapping names {names}, which the format {format_type} does not "
            f"have; it has {', '.join(COLUMNS[format_type])}.",
            hint="Write the format's column on the left and your dataset's column on the right.",
        )


class _Reader:
    """Reads one file and keeps what is wrong with it, by line."""

    def __init__(self, name: str, dataset: DatasetSpec, format_type: FormatType | None) -> None:
        self.name = plain(name, limit=300, newlines=False)
        self.mapping = dataset.column_mapping
        self.format_type = format_type
        self.problems: list[tuple[int, str]] = []
        self.wrong = 0
        if format_type is not None:
            _check_mapping(format_type, self.mapping)

    def read(self, path: Path) -> list[Example]:
        examples = []
        try:
            with path.open("rb") as file:
                self._refuse_other_kinds(file.peek(4)[:4])
                for line, row in self._rows(file):
                    try:
                        examples.append(self._example(row, line))
                    except RowError as error:
                        self._blame(line, str(error))
        except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
            reason = getattr(error, "strerror", None) or "its name is none that a file can have"
            raise DatasetError(
                f"Cannot read the dataset {self.name}: {reason}.",
                hint="Check the path and that you may read the file.",
            ) from error
        if self.wrong:
            self._refuse()
        return examples

    def _blame(self, line: int, what: str) -> None:
        self.wrong += 1
        if len(self.problems) < _SHOWN:
            self.problems.append((line, plain(what, limit=_LONGEST_PROBLEM, newlines=False)))
        if self.wrong >= _ENOUGH:
            self._refuse()

    def _example(self, row: dict[str, Any], line: int) -> Example:
        if self.format_type is None:
            self.format_type = _told_format(row, self.mapping)
            _check_mapping(self.format_type, self.mapping)
        return to_example(row, line, self.format_type, self.mapping)

    def _rows(self, lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows with their line numbers; what is no row goes to ``problems``. Blank lines are fine.

        Only LF (or CR LF) ends a line: JSON strings may hold other Unicode line separators.
        """
        for number, raw in enumerate(lines, 1):
            content = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not content.strip():
                continue
            try:
                row = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
            except UnicodeDecodeError as error:
                self._blame(number, f"not valid UTF-8 at byte {error.start + 1}")
            except json.JSONDecodeError as error:
                self._blame(number, f"not valid JSON: {_lower(error.msg)} at {error.pos + 1}")
            except RecursionError:
                self._blame(number, "not valid JSON: nested too deeply")
            except ValueError as error:
                self._blame(number, f"not valid JSON: {error}")
            else:
                if isinstance(row, dict):
                    yield number, row
                else:
                    self._blame(number, _not_an_object(row))

    def _refuse_other_kinds(self, start: bytes) -> None:
        for magic, reason in _BOMS.items():
            if start.startswith(magic):
                raise DatasetError(
                    f"The dataset {self.name} is not a JSON Lines file: {reason}.",
                    hint="A dataset has one JSON object a line, in UTF-8.",
                )

    def _refuse(self) -> NoReturn:
        count = self.wrong
        shown = "; ".join(f"line {line}: {what}" for line, what in self.problems)
        more = f"; and {count - _SHOWN:,} more" if count > _SHOWN else ""
        more += ", and perhaps others: it was read no further" if count >= _ENOUGH else ""
        lines = "line that is" if count == 1 else "lines that are"
        raise DatasetError(
            plain(
                f"The dataset {self.name} has {count:,} {lines} not right: {shown}{more}.",
                limit=1500,
                newlines=False,
            ),
            hint="Nothing was trained. Correct or remove them, then start again.",
        )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _not_an_object(row: Any) -> str:
    if isinstance(row, list):
        return "a JSON list instead of an object (each row is an object on a line of its own)"
    return "a JSON value that is not an object"
