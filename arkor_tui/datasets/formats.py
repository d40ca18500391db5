"""Dataset rows to examples: the five formats, their columns, and what can be wrong with a row.

The embedded backend reads rows with it, and whoever sets a run up is told beforehand what it would
say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from arkor_tui.params import FormatType as FormatType

FORMATS: tuple[FormatType, ...] = get_args(FormatType)
"""In the order in which they are guessed."""

Row = Mapping[str, Any]
Message = dict[str, Any]

COLUMNS: dict[FormatType, tuple[str, ...]] = {
    "chatml": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "input", "output"),
    "prompt_completion": ("prompt", "completion"),
    "text": ("text",),
}
"""Columns of each format."""

_OPTIONAL = frozenset({"input"})
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
}


class RowError(ValueError):
    """One row is not what its format asks for; the text names the column."""


@dataclass(frozen=True, slots=True)
class Example:
    """One training example: a conversation, or plain text. ``line`` counts from 1."""

    line: int
    messages: tuple[Message, ...] | None = None
    text: str | None = None


def guess_format(columns: Iterable[str], mapping: Mapping[str, str]) -> FormatType | None:
    """The first format whose required columns are all there, after ``mapping``; None if none is."""
    present = set(columns)
    for kind in FORMATS:
        if all(mapping.get(c, c) in present for c in COLUMNS[kind] if c not in _OPTIONAL):
            return kind
    return None


def known_formats() -> str:
    """Every format with its columns, for people."""
    return "; ".join(f"{kind}: {', '.join(COLUMNS[kind])}" for kind in FORMATS)


def to_example(row: Row, line: int, format_type: FormatType, mapping: Mapping[str, str]) -> Example:
    """Read one row.

    ``alpaca`` and ``prompt_completion`` become a conversation of one question and one answer, since
    that is how the trained model is talked to. In ``alpaca``, a non-empty input follows the
    instruction after a blank line.

    Raises:
        RowError: a column is missing or has the wrong type.
    """
    read = _READERS[format_type]
    return read(_Columns(row, mapping), line)


@dataclass(frozen=True, slots=True)
class _Columns:
    """A row, looked at through the column mapping."""

    row: Row
    mapping: Mapping[str, str]

    def name(self, column: str) -> str:
        return self.mapping.get(column, column)

    def get(self, column: str) -> Any:
        name = self.name(column)
        if name not in self.row:
            has = ", ".join(list(self.row)[:8]) or "no columns"
            raise RowError(f"column {name!r} is missing (the row has {has})")
        return self.row[name]

    def text(self, column: str) -> str:
        return _text(self.get(column), f"column {self.name(column)!r}")

    def messages(self, column: str) -> list[Any]:
        value = self.get(column)
        if not isinstance(value, list):
            raise RowError(f"column {self.name(column)!r} is {_type(value)}, not a list")
        if not value:
            raise RowError(f"column {self.name(column)!r} is an empty list")
        return value


def _chatml(columns: _Columns, line: int) -> Example:
    found = columns.messages("messages")
    return Example(line, messages=tuple(_message(m, i) for i, m in enumerate(found, 1)))


def _sharegpt(columns: _Columns, line: int) -> Example:
    messages = []
    for number, turn in enumerate(columns.messages("conversations"), 1):
        if not isinstance(turn, dict):
            raise RowError(f"turn {number} is {_type(turn)}, not an object")
        if "from" not in turn and "role" in turn:
            raise RowError(
                f"turn {number} has 'role' instead of 'from': use the format chatml with messages "
                f"mapped to {columns.name('conversations')!r}"
            )
        speaker = turn.get("from")
        if not isinstance(speaker, str) or speaker not in _SPEAKERS:
            raise RowError(f"turn {number}: 'from' is {_show(speaker)}, not human, gpt or system")
        if "value" not in turn:
            raise RowError(f"turn {number} has no 'value'")
        text = _text(turn["value"], f"turn {number}: 'value'")
        messages.append({"role": _SPEAKERS[speaker], "content": text})
    return Example(line, messages=tuple(messages))


def _alpaca(columns: _Columns, line: int) -> Example:
    question = columns.text("instruction")
    extra = columns.row.get(columns.name("input"))
    if extra is not None:
        extra = _text(extra, f"column {columns.name('input')!r}")
        question = f"{question}\n\n{extra}" if extra else question
    return _exchange(question, columns.text("output"), line)


def _prompt_completion(columns: _Columns, line: int) -> Example:
    return _exchange(columns.text("prompt"), columns.text("completion"), line)


def _plain_text(columns: _Columns, line: int) -> Example:
    text = columns.text("text")
    if not text.strip():
        raise RowError(f"column {columns.name('text')!r} is empty")
    return Example(line, text=text)


_READERS: dict[FormatType, Callable[[_Columns, int], Example]] = {
    "chatml": _chatml,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt_completion": _prompt_completion,
    "text": _plain_text,
}


def _exchange(question: str, answer: str, line: int) -> Example:
    return Example(
        line,
        messages=(
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ),
    )


def _message(value: Any, number: int) -> Message:
    if not isinstance(value, dict):
        raise RowError(f"message {number} is {_type(value)}, not an object")
    role = value.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise RowError(f"message {number}: role is {_show(role)}, not system, user or assistant")
    content = value.get("content")
    if isinstance(content, list):
        content = "".join(_part(part, number) for part in content)
    if content is None and role == "assistant" and value.get("tool_calls"):
        _valid_text_everywhere(value["tool_calls"], f"message {number}: tool_calls")
        return dict(value)
    if "content" not in value:
        raise RowError(f"message {number} has no content")
    text = _text(content, f"message {number}: content")
    return {**value, "content": text}


def _part(part: Any, number: int) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        text: str = part["text"]
        return text
    raise RowError(f"message {number}: content has a part that is not text")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise RowError(f"{where} is {_type(value)}, not a string")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise RowError(f"{where} holds half of a character (a lone surrogate)") from None
    return value


def _valid_text_everywhere(value: Any, where: str) -> None:
    left = [value]  # no recursion: rows nest as deep as they like
    while left:
        item = left.pop()
        if isinstance(item, str):
            _text(item, where)
        elif isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list):
            left += item


def _type(value: Any) -> str:
    """The JSON name of the value's type, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def _show(value: Any) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:40] + "…")
    return "missing" if value is None else _type(value)
