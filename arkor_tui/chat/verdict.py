"""Constraints on a reply, and whether a reply keeps them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from arkor_tui.errors import UsageError

from .patterns import PatternError, check_pattern, matches

Kind = Literal["", "json", "schema", "regex", "choice", "grammar"]
KINDS: tuple[Kind, ...] = ("", "json", "schema", "regex", "choice", "grammar")


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a reply must be. ``value``: a schema, a pattern, choices apart by ``|``, a grammar.

    ``enforce`` has the backend decode nothing else; without it the reply is only judged.
    """

    kind: Kind = ""
    value: str = ""
    enforce: bool = True

    @classmethod
    def parse(cls, kind: str, value: str) -> Constraint:
        """Read what was typed; a kind that ends in ``?`` is judged but not enforced.

        Raises:
            UsageError: no such kind, or a value that is none of that kind.
        """
        name, enforce = kind.strip().rstrip("?"), not kind.strip().endswith("?")
        if name not in KINDS:
            raise UsageError(f"unknown kind {name!r}; known: {', '.join(k for k in KINDS if k)}")
        if name == "schema":
            try:
                schema = json.loads(value)
            except ValueError as error:
                raise UsageError(f"the schema is not JSON: {error}") from error
            if not isinstance(schema, dict):
                raise UsageError("the schema is not a JSON object")
        elif name == "regex":
            try:
                check_pattern(value)
            except PatternError as error:
                raise UsageError(f"the pattern is wrong: {error}") from error
        elif name in ("choice", "grammar") and not value.strip():
            raise UsageError("is empty")
        return cls(name, value, enforce)

    def structured_outputs(self) -> dict[str, Any] | None:
        """As the wire wants it; None where nothing is enforced."""
        if not self.enforce or not self.kind:
            return None
        if self.kind == "json":
            return {"json_object": True}
        if self.kind == "schema":
            return {"json": json.loads(self.value)}
        if self.kind == "choice":
            return {"choice": [part.strip() for part in self.value.split("|") if part.strip()]}
        return {self.kind: self.value}


@dataclass(frozen=True, slots=True)
class Verdict:
    """``passed`` is None where there was nothing to judge by."""

    passed: bool | None = None
    text: str = ""


def judge(reply: str, constraint: Constraint) -> Verdict:
    """Whether a reply is what the constraint says; text that looks like JSON is always checked.

    Blocks while a pattern is tried, some seconds at most: call it in a thread.
    """
    text = reply.strip()
    if constraint.kind in ("json", "schema") or (not constraint.kind and text[:1] in ("{", "[")):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            return Verdict(False, f"not JSON: {error}")
        if constraint.kind == "schema":
            return _by_schema(value, json.loads(constraint.value))
        return Verdict(True, "valid JSON")
    if constraint.kind == "regex":
        try:
            fits = matches(constraint.value, reply, whole=True)
        except PatternError as error:
            return Verdict(None, f"the pattern could not be tried: {error}")
        return Verdict(fits, "matches the pattern" if fits else "does not match the pattern")
    if constraint.kind == "choice":
        known = [part.strip() for part in constraint.value.split("|")]
        return Verdict(text in known, "one of the choices" if text in known else "none of them")
    return Verdict()


def _by_schema(value: Any, schema: dict[str, Any]) -> Verdict:
    import jsonschema  # only where a schema is used

    try:
        validator = jsonschema.validators.validator_for(schema)(schema)
        mistakes = sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.path)))
    except Exception as error:  # the schema itself is what is wrong, in one of many ways
        return Verdict(None, f"the schema cannot be used: {type(error).__name__}")
    if not mistakes:
        return Verdict(True, "matches the schema")
    first = mistakes[0]
    where = ".".join(str(part) for part in first.absolute_path) or "the whole"
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return Verdict(False, f"{where}: {first.message[:200]}{more}")
