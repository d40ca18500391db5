"""Whether rows are laid out as their format asks, before a run is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from arkor_tui.text.sanitize import one_line

from .formats import FORMATS, FormatType, RowError, guess_format, known_formats
from .formats import to_example as read_row

_LONGEST = 250  # characters of a problem: names and values in it are the dataset's


@dataclass(frozen=True, slots=True)
class Layout:
    """A format, or None where the columns of the first row tell it; ``columns`` are the dataset's
    names of the format's columns, where they differ."""

    kind: FormatType | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, setting: object) -> Layout | None:
        """From ``dataset_format`` as a trainer has it; None where it is none that is known."""
        columns: object = None
        if isinstance(setting, Mapping):
            columns = setting.get("columnMapping") or setting.get("column_mapping")
            setting = setting.get("type")
            if setting is None:
                return None
        if setting is None:
            return cls()
        names = columns if isinstance(columns, Mapping) else {}
        if setting not in FORMATS:
            return None
        return cls(setting, {str(name): str(column) for name, column in names.items()})

    def told_by(self, row: Mapping[str, Any]) -> Layout:
        """With the format that ``row`` has; as it is where that is known, or no format fits."""
        if self.kind is None:
            return replace(self, kind=guess_format(row, self.columns))
        return self

    def problem(self, row: Mapping[str, Any]) -> str:
        """What is wrong with ``row``, in words of one line; empty where nothing is."""
        if self.kind is None:
            names = one_line(", ".join(list(row)[:8]), limit=120) or "no columns"
            return f"fits no format: it has {names}. Formats and their columns: {known_formats()}"
        try:
            read_row(row, 1, self.kind, self.columns)
        except RowError as error:
            return one_line(str(error), limit=_LONGEST)
        return ""
