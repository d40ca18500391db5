"""The options of one prompt: one table, and what the SDK, commands and forms make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast


class Sampling(TypedDict, total=False):
    """How to generate; :data:`OPTIONS` tells kind, range and meaning of each."""

    temperature: float
    top_p: float
    max_tokens: int
    stop: str | list[str]
    presence_penalty: float
    frequency_penalty: float
    seed: int


class InferOptions(Sampling, total=False):
    """Settings of one prompt, as in :class:`~arkor_tui.api.chat.ChatRequest`."""

    tools: list[dict[str, Any]]
    tool_choice: str | dict[str, Any]
    response_format: dict[str, Any]
    structured_outputs: Any


@dataclass(frozen=True, slots=True)
class Option:
    """One option of sampling: its name in Python, how it is typed, and what it may be.

    ``kind`` is float, int, or str for texts of which there may be several.
    """

    name: str
    kind: type[float] | type[int] | type[str]
    label: str
    hint: str
    low: float = 0
    high: float = 0
    in_form: bool = True

    @property
    def flag(self) -> str:
        """The option of a command."""
        return f"--{self.name.replace('_', '-')}"

    def read(self, text: str) -> float | int | list[str] | None:
        """Read what was typed into a form; None where it is left to the backend.

        Raises:
            ValueError: what it has to be, in words.
        """
        if self.kind is str:
            return [word for word in text.split("|") if word] or None
        return self.number(text) if text.strip() else None

    def number(self, text: str) -> float | int:
        """Read a number, within its range.

        Raises:
            ValueError: what it has to be, in words.
        """
        try:
            value = int(text) if self.kind is int else float(text)
        except ValueError:
            raise ValueError("a whole number" if self.kind is int else "a number") from None
        if not self.low <= value <= self.high:
            raise ValueError(f"from {_shown(self.low)} to {_shown(self.high)}")
        return value


OPTIONS: tuple[Option, ...] = (
    Option("temperature", float, "temperature", "0 always the likeliest, up to 2", 0, 2),
    Option("top_p", float, "top-p", "0 to 1", 0, 1),
    Option("max_tokens", int, "max tokens", "the longest reply", 1, 1_000_000),
    Option("seed", int, "seed", "the same seed, the same reply", 0, 2**31),
    Option("stop", str, "stop words", "apart by |"),
    Option("presence_penalty", float, "presence penalty", "-2 to 2; Arkor's cloud", -2, 2, False),
    Option("frequency_penalty", float, "frequency penalty", "-2 to 2; Arkor's cloud", -2, 2, False),
)
OPTION = {option.name: option for option in OPTIONS}
USUAL: Sampling = {"temperature": 0.0, "max_tokens": 200}
"""What is asked with where a person has set nothing."""


def _shown(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def sampling_of(values: Mapping[str, Any]) -> Sampling:
    """Pick the options of sampling that are set, by name."""
    return cast(
        Sampling,
        {o.name: values[o.name] for o in OPTIONS if values.get(o.name) not in (None, [], ())},
    )


def infer_options(sampling: Sampling) -> InferOptions:
    """Copy options of sampling, to add what else a prompt may have."""
    return cast(InferOptions, dict(sampling))


def read_sampling(texts: Mapping[str, str]) -> tuple[Sampling, dict[str, str]]:
    """Read what was typed into a form, and what is wrong with which field."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for option in OPTIONS:
        try:
            values[option.name] = option.read(texts.get(option.name, ""))
        except ValueError as error:
            wrong[option.name] = str(error)
    return sampling_of(values), wrong


def typed_sampling(sampling: Sampling) -> dict[str, str]:
    """Write options as they are typed into a form."""
    values: Mapping[str, Any] = sampling
    texts = {}
    for option in OPTIONS:
        value = values.get(option.name)
        if value is None:
            texts[option.name] = ""
        elif option.kind is str:
            texts[option.name] = value if isinstance(value, str) else "|".join(value)
        else:
            texts[option.name] = f"{value:g}" if isinstance(value, float) else str(value)
    return texts
