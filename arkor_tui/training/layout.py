"""Whether rows are laid out as their format asks, before a run is started.

The embedded backend refuses a dataset of which one row is not right. It reads rows by itself
(``local/engine/formats.py``); nothing is told here of a row that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from arkor_tui.plain import one_line

from .form import FORMATS

_NEEDS: dict[str, tuple[str, ...]] = {
    "chatml": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "output"),
    "prompt_completion": ("prompt", "completion"),
    "text": ("text",),
}
_ROLES = ("system", "developer", "user", "assistant", "tool")
_SPEAKERS = ("human", "user", "gpt", "assistant", "system", "tool")


class _Wrong(ValueError):  # noqa: N818 it never leaves this module
    """What is wrong with a row."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A format, or None where the columns of the first row tell it; ``columns`` are the dataset's
    names of the format's columns, where they differ."""

    kind: str | None = None
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
        if not isinstance(setting, str) or setting not in FORMATS:
            return None
        return cls(setting, {str(name): str(column) for name, column in names.items()})

    def told_by(self, row: Mapping[str, Any]) -> Layout:
        """With the format that ``row`` has; as it is where that is known, or no format fits."""
        if self.kind is None:
            for kind in FORMATS:
                if all(self.columns.get(name, name) in row for name in _NEEDS[kind]):
                    return Layout(kind, self.columns)
        return self

    def problem(self, row: Mapping[str, Any]) -> str:
        """What is wrong with ``row``, in words of one line; empty where nothing is."""
        if self.kind is None:
            known = "; ".join(f"{kind}: {', '.join(_NEEDS[kind])}" for kind in FORMATS)
            return f"fits no format: it has {_names(row)}. Formats and their columns: {known}"
        try:
            _CHECKS[self.kind](row, self.columns)
        except _Wrong as error:
            return str(error)
        return ""


def _chatml(row: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    for number, message in enumerate(_list(row, columns, "messages", "chatml"), 1):
        where = f"message {number}"
        if not isinstance(message, dict):
            raise _Wrong(f"{where} is {_kind(message)}, not an object")
        role = message.get("role")
        if role not in _ROLES:
            raise _Wrong(f"{where}: role is {_shown(role)}, not system, user or assistant")
        content = message.get("content")
        if content is None and role == "assistant" and message.get("tool_calls"):
            _texts(message["tool_calls"], f"{where}: tool_calls")
        elif "content" not in message:
            raise _Wrong(f"{where} has no content")
        elif isinstance(content, list):
            for part in content:
                is_text = isinstance(part, dict) and part.get("type") == "text"
                if not is_text or not isinstance(part.get("text"), str):
                    raise _Wrong(f"{where}: content has a part that is not text")
            # halves of one character may lie in two parts
            _text("".join(part["text"] for part in content), f"{where}: content")
        else:
            _text(content, f"{where}: content")


def _sharegpt(row: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    for number, turn in enumerate(_list(row, columns, "conversations", "sharegpt"), 1):
        where = f"turn {number}"
        if not isinstance(turn, dict):
            raise _Wrong(f"{where} is {_kind(turn)}, not an object")
        if turn.get("from") not in _SPEAKERS:
            raise _Wrong(f"{where}: “from” is {_shown(turn.get('from'))}, not human or gpt")
        if "value" not in turn:
            raise _Wrong(f"{where} has no “value”")
        _text(turn["value"], f"{where}: “value”")


def _alpaca(row: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    extra = columns.get("input", "input")
    _column(row, columns, "instruction", "alpaca")
    if row.get(extra) is not None:
        _text(row[extra], f"column “{one_line(extra, limit=60)}”")
    _column(row, columns, "output", "alpaca")


def _prompt_completion(row: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    _column(row, columns, "prompt", "prompt_completion")
    _column(row, columns, "completion", "prompt_completion")


def _plain_text(row: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    if not _column(row, columns, "text", "text").strip():
        raise _Wrong(f"column “{one_line(columns.get('text', 'text'), limit=60)}” is empty")


_CHECKS: dict[str, Callable[[Mapping[str, Any], Mapping[str, str]], None]] = {
    "chatml": _chatml,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt_completion": _prompt_completion,
    "text": _plain_text,
}


def _get(row: Mapping[str, Any], columns: Mapping[str, str], name: str, kind: str) -> Any:
    column = columns.get(name, name)
    if column not in row:
        shown = one_line(column, limit=60)
        raise _Wrong(f"has no column “{shown}”, which {kind} needs; it has {_names(row)}")
    return row[column]


def _column(row: Mapping[str, Any], columns: Mapping[str, str], name: str, kind: str) -> str:
    value = _get(row, columns, name, kind)
    return _text(value, f"column “{one_line(columns.get(name, name), limit=60)}”")


def _list(row: Mapping[str, Any], columns: Mapping[str, str], name: str, kind: str) -> list[Any]:
    value = _get(row, columns, name, kind)
    shown = one_line(columns.get(name, name), limit=60)
    if not isinstance(value, list):
        raise _Wrong(f"column “{shown}” is {_kind(value)}, not a list")
    if not value:
        raise _Wrong(f"column “{shown}” is an empty list")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"{where} is {_kind(value)}, not a text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _Wrong(f"{where} holds half of a character") from None
    return value


def _texts(value: object, where: str) -> None:
    """Every text in it is whole; without recursion, as rows nest as deep as they like."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            _text(item, where)
        elif isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list):
            left += item


def _names(row: Mapping[str, Any]) -> str:
    return one_line(", ".join(list(row)[:8]), limit=120) or "no columns"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"“{one_line(value, limit=40)}”"
    return "missing" if value is None else _kind(value)


def _kind(value: object) -> str:
    """What JSON calls it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
