"""Constraints on a reply, and whether a reply keeps them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from arkor_tui.errors import UsageError

from .patterns import PatternError, check_pattern
from .typed import ChoiceForm, Form, GrammarForm, RegexForm, SchemaForm, form_of
from .typed import Verdict as Verdict

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
        elif name in ("choice", "grammar", "regex") and not value.strip(" |\n"):
            raise UsageError("is empty")
        elif name == "regex":
            try:
                check_pattern(value)
            except PatternError as error:
                raise UsageError(f"the pattern is wrong: {error}") from error
        return cls(name, value, enforce)

    def form(self) -> Form[Any] | None:
        """The form that the reply must have; None where any will do, or any JSON."""
        if self.kind in ("", "json"):
            return None
        if self.kind == "schema":
            return form_of(schema=json.loads(self.value))
        if self.kind == "choice":
            return form_of(choice=[part.strip() for part in self.value.split("|") if part.strip()])
        return form_of(regex=self.value) if self.kind == "regex" else form_of(grammar=self.value)

    def structured_outputs(self) -> dict[str, Any] | None:
        """As the wire wants it; None where nothing is enforced."""
        if not self.enforce or not self.kind:
            return None
        form = self.form()
        return form.options()["structured_outputs"] if form else {"json_object": True}


def judge(reply: str, constraint: Constraint) -> Verdict:
    """Whether a reply is what the constraint says; text that looks like JSON is always checked.

    Blocks while a pattern is tried, some seconds at most: call it in a thread.
    """
    form = constraint.form()
    if form is not None:
        return judge_form(reply, form)
    text = reply.strip()
    if constraint.kind == "json" or text[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            return Verdict(False, f"not JSON: {error}")
        return Verdict(True, "valid JSON")
    return Verdict()


_PASSED: tuple[tuple[type[Form[Any]], str], ...] = (
    (SchemaForm, "matches the schema"),
    (RegexForm, "matches the pattern"),
    (ChoiceForm, "one of the choices"),
    (GrammarForm, "follows the grammar"),
)


def judge_form(reply: str, form: Form[Any]) -> Verdict:
    """Whether a reply has a form, in words; blocks as :func:`judge` does."""
    verdict = form.read(reply).verdict
    if not verdict.passed:
        return verdict
    return Verdict(True, next(text for kind, text in _PASSED if isinstance(form, kind)))
