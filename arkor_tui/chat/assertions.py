"""What the answer to a golden prompt should be, and whether it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arkor_tui.api.wire import read_json
from arkor_tui.errors import UsageError
from arkor_tui.text.sanitize import plain

from .patterns import PatternError, check_pattern, matches
from .typed import SchemaForm, Verdict
from .verdict import judge_form

_LONGEST_VERDICT = 300


@dataclass(frozen=True, slots=True)
class Expect:
    """All of these must hold; nothing given passes whatever comes.

    ``contains`` and ``not_contains`` are texts (upper and lower case differ), ``regex`` is searched
    for in the first 10,000 characters, for 5 s at most, ``equals`` names fields of the JSON reply
    (``a.b`` for a field of a field) and their values, ``schema`` is a JSON schema, ``valid_json``
    wants any JSON, ``check`` is a function of the reply that returns True, False, or a text that
    says what is wrong.

    Raises:
        UsageError: a pattern is none.
    """

    contains: str | Sequence[str] = ()
    not_contains: str | Sequence[str] = ()
    regex: str | None = None
    equals: Mapping[str, Any] | None = None
    schema: Mapping[str, Any] | None = None
    valid_json: bool = False
    check: Callable[[str], bool | str | None] | None = None

    def __post_init__(self) -> None:
        if self.regex is not None:
            try:
                check_pattern(self.regex)
            except PatternError as error:
                raise UsageError(f"The pattern {self.regex!r} is wrong: {error}.") from error

    @property
    def is_empty(self) -> bool:
        """Whether nothing is expected."""
        return not (
            self.contains or self.not_contains or self.regex or self.equals or self.schema
            or self.valid_json or self.check
        )  # fmt: skip

    def judge(self, reply: str) -> Verdict:
        """Whether a reply keeps all of it; the first part that fails is named, in one line.

        Blocks where there is a pattern or a check of one's own: call it in a thread.
        """
        if self.is_empty:
            return Verdict()
        for part in (self._texts, self._pattern, self._json, self._function):
            try:
                wrong = part(reply)
            except PatternError as error:
                return Verdict(None, _line(f"could not be judged: {error}"))
            if wrong is not None:
                return Verdict(False, _line(wrong))
        return Verdict(True, "as expected")

    def _texts(self, reply: str) -> str | None:
        for text in _several(self.contains):
            if text not in reply:
                return f"lacks {text!r}"
        for text in _several(self.not_contains):
            if text in reply:
                return f"contains {text!r}"
        return None

    def _pattern(self, reply: str) -> str | None:
        if self.regex is None or matches(self.regex, reply):
            return None
        return f"nothing matches /{self.regex}/"

    def _json(self, reply: str) -> str | None:
        if self.schema is not None:
            found = judge_form(reply, SchemaForm(self.schema))
            if not found.passed:
                return found.text
        if not (self.valid_json or self.equals):
            return None
        try:
            value = read_json(reply)
        except (ValueError, RecursionError):
            return "is not JSON"
        for path, wanted in (self.equals or {}).items():
            found_value = _field(value, path)
            if not _same(found_value, wanted):
                return f"{path} is {_short(found_value)}, not {_short(wanted)}"
        return None

    def _function(self, reply: str) -> str | None:
        if self.check is None:
            return None
        answer = self.check(reply)
        if answer is True or answer is None:
            return None
        return answer if isinstance(answer, str) else "the check says no"


def fields_from(pairs: Sequence[str]) -> dict[str, Any]:
    """``FIELD=VALUE`` as ``equals`` takes it; a value is JSON, or else a text.

    Raises:
        UsageError: one is not of that form.
    """
    fields: dict[str, Any] = {}
    for pair in pairs:
        name, found, value = (part.strip() for part in pair.partition("="))
        if not (found and name):
            raise UsageError(f"{pair!r} is not of the form FIELD=VALUE.")
        try:
            fields[name] = json.loads(value)
        except ValueError:
            fields[name] = value
    return fields


class _Missing:
    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()


def _field(value: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return _MISSING
    return value


def _same(found: Any, wanted: Any) -> bool:
    """Equal as JSON is: ``true`` is not 1, though Python says so."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(_same(found[k], wanted[k]) for k in found)
    if isinstance(found, list) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == wanted)


def _line(text: str) -> str:
    return plain(text, limit=_LONGEST_VERDICT, newlines=False)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _several(texts: str | Sequence[str]) -> Sequence[str]:
    return (texts,) if isinstance(texts, str) and texts else texts or ()
