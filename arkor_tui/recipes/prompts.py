"""Golden prompts, in Python or in a file that a whole team can edit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arkor_tui.chat.assertions import Expect
from arkor_tui.chat.infer import InferOptions
from arkor_tui.chat.patterns import PatternError, check_pattern, matches
from arkor_tui.chat.verdict import Constraint, Verdict, judge
from arkor_tui.config.atomic import reason_of
from arkor_tui.config.reading import NotTomlError, read_limited, read_toml
from arkor_tui.errors import UsageError

MOST_PROMPTS = 1_000
_MOST_BYTES = 8 * 2**20


class PromptFileError(UsageError):
    """A prompt file cannot be used; the message names the file and the entry."""


@dataclass(frozen=True, slots=True)
class Golden:
    """One golden prompt: what is asked, how, and what the answer should be.

    ``schema`` (a pydantic model class or a JSON schema), ``choice`` and ``regex`` have the backend
    decode nothing else, and a reply that is something else fails: one that was cut, say.
    ``max_tokens`` counts tokens.
    """

    text: str
    system: str | None = None
    expect: Expect = field(default_factory=Expect)
    schema: type[BaseModel] | Mapping[str, Any] | None = None
    choice: Sequence[str] = ()
    regex: str | None = None
    temperature: float = 0.0
    max_tokens: int = 200
    seed: int | None = 0
    name: str = ""

    def messages(self) -> list[dict[str, Any]]:
        """As a chat."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": self.text}]
        if self.system:
            messages.insert(0, {"role": "system", "content": self.system})
        return messages

    def options(self) -> InferOptions:
        """Sampling settings and constraint."""
        options: InferOptions = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        if self.seed is not None:
            options["seed"] = self.seed
        if self.schema is not None:
            options["structured_outputs"] = {"json": schema_of(self.schema)}
        elif self.choice:
            options["structured_outputs"] = {"choice": list(self.choice)}
        elif self.regex is not None:
            options["structured_outputs"] = {"regex": self.regex}
        return options

    def judge(self, reply: str) -> Verdict:
        """Whether a reply has the form that was asked for, and is what is expected.

        Blocks as :meth:`Expect.judge` does.
        """
        form = self._form(reply)
        if self.expect.is_empty or form.passed is False:
            return form
        return self.expect.judge(reply)

    def _form(self, reply: str) -> Verdict:
        if self.schema is not None:
            return judge(reply, Constraint("schema", json.dumps(schema_of(self.schema))))
        if self.choice:
            known = reply.strip() in self.choice
            return Verdict(known, "one of the choices" if known else "none of the choices")
        if self.regex is not None and _is_pattern_here(self.regex):
            try:
                fits = matches(self.regex, reply, whole=True)
            except PatternError as error:
                return Verdict(None, f"could not be judged: {error}")
            return Verdict(fits, "matches the pattern" if fits else "does not match the pattern")
        return Verdict()


def _is_pattern_here(pattern: str) -> bool:
    """A backend may understand patterns that are none here; those are left to it."""
    try:
        check_pattern(pattern)
    except PatternError:
        return False
    return True


def schema_of(schema: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema, from a model class where one is given."""
    if isinstance(schema, type):
        from arkor_tui.chat.strict import strict_schema

        return strict_schema(schema.model_json_schema())
    return dict(schema)


def golden(prompt: str | Golden, **usual: Any) -> Golden:
    """A golden prompt of its own, or a text with the usual settings."""
    return prompt if isinstance(prompt, Golden) else Golden(prompt, **usual)


class _Expect(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    contains: str | list[str] = []
    not_contains: str | list[str] = []
    regex: str | None = None
    equals: dict[str, Any] | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    valid_json: bool = False


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    text: Annotated[str, Field(min_length=1)]
    system: str | None = None
    name: str = ""
    expect: _Expect = Field(default_factory=_Expect)
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    choice: list[str] = []
    regex: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2, strict=False)] = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 200
    seed: int | None = 0


def read_prompts(path: str | Path) -> list[Golden]:
    """The golden prompts of a TOML file (``[[prompt]]`` tables) or of a JSONL file.

    Raises:
        PromptFileError: it cannot be read, or an entry cannot be used.
    """
    file = Path(path).expanduser()
    try:
        entries = _toml(file) if file.suffix == ".toml" else _lines(file)
    except OSError as error:
        raise PromptFileError(f"{file} cannot be read: {reason_of(error)}.") from error
    if not entries:
        raise PromptFileError(
            f"{file} holds no prompts.",
            hint="TOML: a [[prompt]] table with text = … for each. JSONL: one object a line.",
        )
    if len(entries) > MOST_PROMPTS:
        raise PromptFileError(f"{file} holds {len(entries):,} prompts, more than {MOST_PROMPTS:,}.")
    return [_entry(file, where, raw) for where, raw in entries]


def _toml(file: Path) -> list[tuple[str, Any]]:
    try:
        _, raw = read_toml(file, _MOST_BYTES)
    except NotTomlError as error:
        raise PromptFileError(f"{file}, line {error.line}: {error}.") from error
    unknown = set(raw) - {"prompt"}
    prompts = raw.get("prompt", [])
    if unknown or not isinstance(prompts, list):
        raise PromptFileError(
            f"{file}: only [[prompt]] tables belong here.",
            hint="Each prompt begins with a line [[prompt]].",
        )
    return [(f"prompt {number}", entry) for number, entry in enumerate(prompts, 1)]


def _lines(file: Path) -> list[tuple[str, Any]]:
    try:
        text = read_limited(file, _MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        broken = error.object.count(b"\n", 0, error.start) + 1
        raise PromptFileError(f"{file}, line {broken}: it is not UTF-8 text.") from error
    entries = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PromptFileError(f"{file}, line {number}: not JSON: {error}") from error
        entries.append((f"line {number}", {"text": value} if isinstance(value, str) else value))
    return entries


def _entry(file: Path, where: str, raw: Any) -> Golden:
    if not isinstance(raw, dict):
        raise PromptFileError(f"{file}, {where}: it is no object with a text.", hint=_fields())
    try:
        entry = _Entry.model_validate(raw)
        expect = Expect(
            contains=entry.expect.contains,
            not_contains=entry.expect.not_contains,
            regex=entry.expect.regex,
            equals=entry.expect.equals,
            schema=entry.expect.json_schema,
            valid_json=entry.expect.valid_json,
        )
    except ValidationError as error:
        raise PromptFileError(f"{file}, {where}: {_wrong(error)}.", hint=_fields()) from error
    except UsageError as error:
        raise PromptFileError(f"{file}, {where}: {error.message}") from error
    return Golden(
        entry.text, entry.system, expect, entry.json_schema, entry.choice, entry.regex,
        entry.temperature, entry.max_tokens, entry.seed, entry.name,
    )  # fmt: skip


_IN_WORDS = {"missing": "it is missing", "extra_forbidden": "there is no such field"}


def _wrong(error: ValidationError) -> str:
    """What is wrong with which field, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc']))}: {_IN_WORDS.get(item['type'], item['msg'])}"
        for item in error.errors(include_url=False, include_input=False)
    )


def _fields() -> str:
    def names(model: type[BaseModel]) -> str:
        return ", ".join(field.alias or name for name, field in model.model_fields.items())

    return f"Fields of a golden prompt: {names(_Entry)}. Of its expect: {names(_Expect)}."
