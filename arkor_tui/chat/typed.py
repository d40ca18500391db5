"""Replies of a given form: what is asked of the backend, and whether the reply is that.

A backend enforces a form while it decodes, yet a reply may still be empty, cut off, or meet the
schema and fail a validator of the model; so every reply is read again on this side.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import to_json

from arkor_tui.api.wire import read_json
from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.text.sanitize import plain

from .options import InferOptions
from .patterns import PatternError, check_pattern, matches
from .strict import strict_schema, without_made_nulls

T = TypeVar("T")
_LIMIT = 300  # characters of a problem; parts of it come from the reply


class ReplyError(ArkorTuiError):
    """A reply is not what was asked for. ``field`` is the path that fails (``items.0.price``)."""

    def __init__(self, problem: str, *, text: str, field: str | None = None) -> None:
        super().__init__(f"The reply is not what was asked for: {problem}.")
        self.problem = problem
        self.text = text
        self.field = field


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a reply is what it has to be, in words. ``passed`` is None where it was not judged.

    That is so where there was nothing to judge by (then ``text`` is empty), or nobody here could.
    """

    passed: bool | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class TypedReply(Generic[T]):
    """A reply as read. ``value`` is None exactly where there is a ``problem`` (or it is JSON null).

    ``text`` is what the model wrote. ``field`` is the path of the first field that fails, where one
    does. ``unchecked`` says why nobody looked whether the text keeps its form, where nobody could.
    """

    value: T | None
    text: str
    problem: str | None = None
    field: str | None = None
    unchecked: str | None = None
    finish_reason: str | None = None

    @property
    def verdict(self) -> Verdict:
        """Pass, fail, or not checked."""
        if self.problem is not None:
            return Verdict(False, self.problem)
        if self.unchecked is not None:
            return Verdict(None, self.unchecked)
        return Verdict(True, "as asked for")

    def unwrap(self) -> T:
        """The value.

        Raises:
            ReplyError: there is a problem; it names the field.
        """
        if self.problem is not None:
            raise ReplyError(self.problem, text=self.text, field=self.field)
        return cast(T, self.value)


class Form(ABC, Generic[T]):
    """What a reply must be: options that make the backend enforce it, and how it is read."""

    @abstractmethod
    def options(self) -> InferOptions:
        """What to send along with the prompt."""

    def read(self, text: str, finish_reason: str | None = None) -> TypedReply[T]:
        """Read a reply. Never raises for what a model wrote. May take seconds: use a thread."""
        reply = replace(self._read(text), finish_reason=finish_reason)
        cut = finish_reason == "length"
        if reply.problem is None and reply.unchecked is None:
            return reply
        if cut:
            return replace(
                reply, value=None, problem="cut by max_tokens before it was whole", field=None
            )
        if not text.strip():
            return replace(reply, value=None, problem="the reply is empty", field=None)
        return reply

    @abstractmethod
    def _read(self, text: str) -> TypedReply[T]:
        """As :meth:`read`, of a text alone."""


class ModelForm(Form[T]):
    """JSON that becomes an instance of a pydantic model (or of any type that pydantic knows).

    Raises:
        UsageError: the type has no strict JSON schema.
    """

    def __init__(self, model: type[T]) -> None:
        self._name = re.sub(r"[^A-Za-z0-9_-]", "_", getattr(model, "__name__", "reply"))[:64]
        try:
            self._adapter: TypeAdapter[T] = TypeAdapter(model)
            schema = self._adapter.json_schema()
        except PydanticUserError as error:
            raise UsageError(
                f"{self._name} has no JSON schema: {error.message}.",
                hint="Give a pydantic model (a subclass of pydantic.BaseModel).",
            ) from error
        self.schema = strict_schema(schema)

    def options(self) -> InferOptions:
        """A strict ``response_format``."""
        part = {"name": self._name, "schema": self.schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": part}}

    def _read(self, text: str) -> TypedReply[T]:
        try:
            found = read_json(text.strip())
        except ValueError as error:
            return TypedReply(None, text, _not_json(error))
        found = without_made_nulls(found, self.schema)
        try:
            # as JSON, so that a strict model takes a date as a string
            value = self._adapter.validate_json(to_json(found, inf_nan_mode="constants"))
        except ValidationError as error:
            return _failing(
                text,
                [(item["loc"], item["msg"]) for item in error.errors(include_input=False)],
            )
        return TypedReply(value, text)


class SchemaForm(Form[Any]):
    """JSON that keeps a JSON schema; ``schema`` goes out as it is."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)

    def options(self) -> InferOptions:
        """``structured_outputs.json``."""
        return {"structured_outputs": {"json": self.schema}}

    def _read(self, text: str) -> TypedReply[Any]:
        import jsonschema  # only where a schema is used

        try:
            value = read_json(text.strip())
        except ValueError as error:
            return TypedReply(None, text, _not_json(error))
        try:
            validator = jsonschema.validators.validator_for(self.schema)(self.schema)
            mistakes = sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.path)))
        except Exception as error:  # the schema itself is what is wrong, in one of many ways
            why = f"valid JSON; the schema cannot be used here: {type(error).__name__}"
            return TypedReply(value, text, unchecked=why)
        if mistakes:
            return _failing(text, [(tuple(e.absolute_path), e.message) for e in mistakes])
        return TypedReply(value, text)


class ChoiceForm(Form[str]):
    """One of a few texts.

    Raises:
        UsageError: there is none, or one is blank.
    """

    def __init__(self, choices: Sequence[str]) -> None:
        # a lone text is a sequence of letters, and never what was meant
        self.choices = [choices] if isinstance(choices, str) else list(choices)
        if not self.choices or not all(choice.strip() for choice in self.choices):
            raise UsageError("A choice needs at least one text, and none may be blank.")

    def options(self) -> InferOptions:
        """``structured_outputs.choice``."""
        return {"structured_outputs": {"choice": self.choices}}

    def _read(self, text: str) -> TypedReply[str]:
        for candidate in (text, text.strip()):
            if candidate in self.choices:
                return TypedReply(candidate, text)
        known = plain(", ".join(self.choices), limit=_LIMIT, newlines=False)
        return TypedReply(None, text, f"none of the choices ({known})")


class RegexForm(Form[str]):
    """A text that matches a pattern as a whole."""

    def __init__(self, pattern: str) -> None:
        if not pattern:
            raise UsageError("The pattern is empty.")
        self.pattern = pattern
        self._why = ""
        try:
            check_pattern(pattern)
        except PatternError as error:  # the backend's dialect may have what ours lacks
            self._why = f"the pattern cannot be read here: {error}"

    def options(self) -> InferOptions:
        """``structured_outputs.regex``."""
        return {"structured_outputs": {"regex": self.pattern}}

    def _read(self, text: str) -> TypedReply[str]:
        if self._why:
            return TypedReply(text, text, unchecked=self._why)
        try:
            if matches(self.pattern, text, whole=True):
                return TypedReply(text, text)
        except PatternError as error:
            return TypedReply(text, text, unchecked=_short(f"not checked: {error}"))
        return TypedReply(None, text, "does not match the pattern")


class GrammarForm(Form[str]):
    """A text that follows an EBNF (Lark or GBNF) grammar.

    It is checked on this side where llguidance is installed (the extra ``local``).
    """

    def __init__(self, grammar: str) -> None:
        if not grammar.strip():
            raise UsageError("The grammar is empty.")
        self.grammar = grammar

    def options(self) -> InferOptions:
        """``structured_outputs.grammar``."""
        return {"structured_outputs": {"grammar": self.grammar}}

    def _read(self, text: str) -> TypedReply[str]:
        try:
            from llguidance import LLMatcher, LLTokenizer, grammar_from
        except ImportError:
            why = "not checked here: that needs the extra 'local' (llguidance)"
            return TypedReply(text, text, unchecked=why)
        tokenizer = LLTokenizer("byte")
        try:
            matcher = LLMatcher(tokenizer, grammar_from("grammar", self.grammar), log_level=0)
        except ValueError as error:
            return TypedReply(text, text, unchecked=_short(f"cannot read the grammar: {error}"))
        if matcher.is_error():
            why = _short(f"cannot read the grammar: {matcher.get_error()}")
            return TypedReply(text, text, unchecked=why)
        tokens = tokenizer.tokenize_bytes(text.encode("utf-8", "replace"))
        if matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting():
            return TypedReply(text, text)
        return TypedReply(None, text, "does not follow the grammar")


def form_of(
    model: Any = None,
    *,
    schema: Mapping[str, Any] | None = None,
    choice: Sequence[str] | None = None,
    regex: str | None = None,
    grammar: str | None = None,
) -> Form[Any]:
    """The one form that is given.

    Raises:
        UsageError: none or several are given, or one cannot be sent.
    """
    if sum(part is not None for part in (model, schema, choice, regex, grammar)) != 1:
        raise UsageError("Give exactly one of a model class, schema, choice, regex and grammar.")
    if schema is not None:
        return SchemaForm(schema)
    if choice is not None:
        return ChoiceForm(choice)
    if regex is not None:
        return RegexForm(regex)
    if grammar is not None:
        return GrammarForm(grammar)
    return ModelForm(model)


def _not_json(error: ValueError) -> str:
    return _short(f"not JSON: {error}")


def _short(text: str) -> str:
    return plain(text, limit=_LIMIT, newlines=False)


def _failing(text: str, mistakes: Sequence[tuple[Sequence[Any], str]]) -> TypedReply[Any]:
    """A reply with wrong fields: path and message of each."""
    path, message = mistakes[0]
    field = _short(".".join(str(part) for part in path)) or None
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    problem = f"{field or 'the whole'}: {_short(message)}{more}"
    return TypedReply(None, text, problem, field)
