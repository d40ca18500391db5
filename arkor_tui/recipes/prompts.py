"""Golden prompts, in Python or in a file that a whole team can edit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arkor_tui.chat.assertions import Expect
from arkor_tui.chat.golden import Golden as Golden
from arkor_tui.chat.options import OPTION
from arkor_tui.config.atomic import reason_of
from arkor_tui.config.reading import NotTomlError, read_limited, read_toml
from arkor_tui.errors import UsageError

MOST_PROMPTS = 1_000
_MOST_BYTES = 8 * 2**20


class PromptFileError(UsageError):
    """A prompt file cannot be used; the message names the file and the entry."""


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


def _range(name: str) -> Any:
    """The range of an option of sampling, from the one table."""
    option = OPTION[name]
    return Field(ge=option.low, le=option.high)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    text: Annotated[str, Field(min_length=1)]
    system: str | None = None
    name: str = ""
    expect: _Expect = Field(default_factory=_Expect)
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    choice: list[str] = []
    regex: str | None = None
    temperature: Annotated[float, Field(strict=False), _range("temperature")] = 0.0
    max_tokens: Annotated[int, _range("max_tokens")] = 200
    seed: int | None = 0
    top_p: Annotated[float, Field(strict=False), _range("top_p")] | None = None
    stop: list[str] = []


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
        entry.temperature, entry.max_tokens, entry.seed, entry.name, entry.top_p, tuple(entry.stop),
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
