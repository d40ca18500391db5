"""Structured outputs: what a reply must look like, enforced token by token through llguidance."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from arkor_tui.backend.ipc import ChatSpec, Constraint
from arkor_tui.text.sanitize import plain

from .errors import RequestError

_WHITESPACE = r"\n?[ ]{0,16}"
"""Between the parts of a JSON reply unless told otherwise: enough to indent, no endless blanks."""

_JSON_KINDS = ("json", "json_object")
_OPTIONS = ("disable_any_whitespace", "disable_additional_properties", "whitespace_pattern")


def invalid(message: str) -> RequestError:
    """The error of a constraint that cannot be met or read."""
    return RequestError(plain(message, limit=800), status=400, code="invalid_schema")


def grammar_of(chat: ChatSpec) -> str | None:
    """The llguidance grammar that the reply to ``chat`` must follow; None for a free reply.

    Raises:
        RequestError: the constraint is not valid, or no tool has the wanted name.
    """
    if chat.tool_choice is not None:
        return _tool_grammar(chat.tools, chat.tool_choice)
    return None if chat.constraint is None else _constraint_grammar(chat.constraint)


def _constraint_grammar(constraint: Constraint) -> str:
    from llguidance import LLMatcher, grammar_from, regex_to_lark

    options = {
        name: value for name, value in constraint.options.items() if value not in (None, False)
    }
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise invalid(
            f"structuredOutputs has options that are not known here: {', '.join(unknown)}."
        )
    if options and constraint.kind not in _JSON_KINDS:
        raise invalid(f"{sorted(options)[0]} applies to JSON only, not to {constraint.kind}.")
    value = constraint.value
    try:
        if constraint.kind in _JSON_KINDS:
            schema = value if constraint.kind == "json" else {"type": "object"}
            return _json_grammar(schema, options)
        if constraint.kind == "regex":
            # \d is 0-9, as in JavaScript and JSON Schema: digits of other scripts surprise people
            pattern = regex_to_lark(_text(value, "regex"), use_ascii="d")
            return str(LLMatcher.grammar_from_lark(f"start: /{pattern}/"))
        if constraint.kind == "choice":
            return _choice_grammar(value)
        return str(grammar_from("grammar", _text(value, "grammar")))
    except ValueError as error:
        raise invalid(f"The {constraint.kind} constraint is not valid: {error}") from error


def _json_grammar(schema: Any, options: dict[str, Any]) -> str:
    from llguidance import LLMatcher

    if isinstance(schema, str):
        schema = json.loads(schema)
    if not isinstance(schema, dict):
        raise invalid("The JSON schema is not an object.")
    if options.get("disable_additional_properties"):
        schema = closed(schema)
    pattern = options.get("whitespace_pattern")
    if options.get("disable_any_whitespace"):
        if pattern is not None:
            raise invalid("disable_any_whitespace and whitespace_pattern exclude each other.")
        whitespace: dict[str, Any] = {"whitespace_flexible": False}
    else:
        pattern = _WHITESPACE if pattern is None else _text(pattern, "whitespace_pattern")
        whitespace = {"whitespace_pattern": pattern}
    return str(LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=whitespace))


def closed(schema: Any) -> Any:
    """``schema`` with ``additionalProperties: false`` in every object that does not set it."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # what enum, const, default and examples hold are values, not schemas
    values = ("enum", "const", "default", "examples")
    result = {key: item if key in values else closed(item) for key, item in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        result["additionalProperties"] = False
    return result


def _choice_grammar(value: Any) -> str:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
        raise invalid("choice needs a list of strings that are not empty.")
    return "start: " + " | ".join(_literal(choice) for choice in value)


def _literal(text: str) -> str:
    """``text`` as a string of a grammar."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid("A choice holds half of a character (a lone surrogate).") from None
    return json.dumps(text, ensure_ascii=False)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{name} must be a string that is not empty.")
    return value


def _tool_grammar(tools: list[dict[str, Any]], wanted: str) -> str:
    """``{"name": …, "arguments": …}`` of one of the tools, without white space around it."""
    functions = [tool.get("function", tool) for tool in tools]
    if wanted != "required":
        functions = [function for function in functions if function.get("name") == wanted]
    if not functions:
        names = ", ".join(str(t.get("function", t).get("name")) for t in tools) or "none"
        raise invalid(f"toolChoice asks for {wanted}, but the tools are: {names}.")
    rules = []
    for number, function in enumerate(functions):
        name = function.get("name")
        if not isinstance(name, str) or not name:
            raise invalid(f"Tool {number + 1} has no name.")
        schema = function.get("parameters") or {"type": "object"}
        if not isinstance(schema, dict):
            raise invalid(f"The parameters of the tool {name} are not a JSON schema.")
        schema = {**schema, "x-guidance": {"whitespace_flexible": False}}
        head = _literal(f'{{"name":{json.dumps(name, ensure_ascii=False)},"arguments":')
        # each schema has a document of its own here, so that its $refs keep their meaning
        rules.append(f'tool_{number}: {head} %json {json.dumps(schema)} "}}"')
    start = "start: " + " | ".join(f"tool_{n}" for n in range(len(rules)))
    return "\n".join([start, *rules])


class Vocabulary:
    """A tokenizer as llguidance sees it; made once per model."""

    def __init__(self, tokenizer: Any, *, size: int, ends: Iterable[int]) -> None:
        from llguidance.hf import from_tokenizer

        self.size = size
        known = len(tokenizer)
        self._inner = from_tokenizer(
            tokenizer,
            n_vocab=max(size, known),
            eos_token=sorted(end for end in ends if end < max(size, known)) or None,
        )

    def matcher(self, grammar: str) -> Matcher:
        """A fresh matcher of ``grammar``.

        Raises:
            RequestError: the grammar is not valid; the text is llguidance's.
        """
        from llguidance import LLMatcher

        failed, messages = LLMatcher.validate_grammar_with_warnings(grammar, self._inner)
        if failed:
            raise invalid(
                f"The constraint is not valid: {messages[0] if messages else 'no reason'}"
            )
        return Matcher(LLMatcher(self._inner, grammar, log_level=0), self.size)


class Matcher:
    """Where one reply stands in its grammar."""

    def __init__(self, inner: Any, size: int) -> None:
        self._inner = inner
        self._size = size
        self._check()

    @property
    def complete(self) -> bool:
        """The reply follows the grammar and nothing more can come."""
        return bool(self._inner.is_stopped())

    def allowed(self) -> torch.Tensor:
        """Which tokens may come next (bool, vocabulary)."""
        bits = np.frombuffer(self._inner.compute_bitmask(), dtype=np.uint8)
        self._check()
        mask = np.unpackbits(bits, bitorder="little", count=self._size)
        return torch.from_numpy(mask.view(np.bool_))

    def accept(self, token: int) -> None:
        """Go on with ``token``."""
        self._inner.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._inner.is_error():
            raise invalid(f"The constraint cannot be followed: {self._inner.get_error()}")


def tool_call_of(text: str) -> dict[str, Any] | None:
    """The call in a reply that followed a tool grammar: name, and arguments as JSON text.

    None if the reply was cut off.
    """
    try:
        call = json.loads(text)
        name, arguments = call["name"], call["arguments"]
    except (ValueError, KeyError, TypeError):
        return None
    return {
        "name": name,
        "arguments": json.dumps(arguments, ensure_ascii=False, separators=(",", ":")),
    }
