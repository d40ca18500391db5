"""Golden prompts: what is asked, what the answer should be, and asking it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.sanitize import plain

from .assertions import Expect
from .infer import Infer
from .options import OPTIONS, InferOptions, Sampling, infer_options, sampling_of
from .strict import strict_schema
from .typed import ChoiceForm, Form, RegexForm, SchemaForm
from .verdict import Verdict, judge_form

if TYPE_CHECKING:
    from pydantic import BaseModel


def messages_of(text: str, system: str | None) -> list[dict[str, Any]]:
    """One prompt as a chat; without a system prompt where that is empty."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": text}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return messages


@dataclass(frozen=True, slots=True)
class Golden:
    """One golden prompt: what is asked, how, and what the answer should be.

    ``schema`` (a pydantic model class or a JSON schema), ``choice`` and ``regex`` have the backend
    decode nothing else, and a reply that is something else fails: one that was cut, say.
    ``system`` None stands for the system prompt of the run's rows, an empty text for none.
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
    top_p: float | None = None
    stop: Sequence[str] = ()

    def asked_of(self, rows_prompt: str) -> Golden:
        """As it is asked of a model whose rows begin with this system prompt."""
        return self if self.system is not None else replace(self, system=rows_prompt)

    def sampled(self, sampling: Sampling) -> Golden:
        """With these options of sampling instead; those that are not given stay."""
        given: Any = {**sampling}
        if isinstance(given.get("stop"), str):
            given["stop"] = (given["stop"],)
        return replace(self, **{name: given[name] for name in given if name in _SAMPLED})

    def messages(self) -> list[dict[str, Any]]:
        """As a chat."""
        return messages_of(self.text, self.system)

    def options(self) -> InferOptions:
        """Sampling settings and constraint."""
        values = {option.name: getattr(self, option.name, None) for option in OPTIONS}
        options = infer_options(sampling_of(values))
        form = self._form()
        return {**options, **form.options()} if form is not None else options

    def judge(self, reply: str) -> Verdict:
        """Whether a reply has the form that was asked for, and is what is expected.

        Blocks as :meth:`Expect.judge` does.
        """
        form = self._form()
        verdict = judge_form(reply, form) if form is not None else Verdict()
        if self.expect.is_empty or verdict.passed is False:
            return verdict
        return self.expect.judge(reply)

    def _form(self) -> Form[Any] | None:
        if self.schema is not None:
            return SchemaForm(schema_of(self.schema))
        if self.choice:
            return ChoiceForm(self.choice)
        return RegexForm(self.regex) if self.regex is not None else None


_SAMPLED = frozenset(option.name for option in OPTIONS) & Golden.__dataclass_fields__.keys()


def schema_of(schema: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema, from a model class where one is given."""
    if isinstance(schema, type):
        return strict_schema(schema.model_json_schema())
    return dict(schema)


@dataclass(frozen=True, slots=True)
class GoldenAnswer:
    """What a golden prompt was answered; ``seconds`` until the whole reply was there.

    ``error`` is why there is no answer, or no verdict although something was expected.
    """

    reply: str
    verdict: Verdict
    seconds: float
    error: str | None = None


async def ask_golden(infer: Infer, prompt: Golden) -> GoldenAnswer:
    """Ask once and judge. Whatever goes wrong becomes an answer without a verdict."""
    began = time.perf_counter()
    try:
        reply = await infer(prompt.messages(), **prompt.options())
    except Exception as error:
        took = time.perf_counter() - began
        why = f"could not be asked: {_words(error)}"
        return GoldenAnswer("", Verdict(None, why), took, why)
    took = time.perf_counter() - began
    verdict = await asyncio.to_thread(_judged, prompt, reply.text)
    unjudged = verdict.passed is None and verdict.text
    return GoldenAnswer(reply.text, verdict, took, verdict.text if unjudged else None)


def _judged(prompt: Golden, reply: str) -> Verdict:
    try:
        return prompt.judge(reply)
    except Exception as error:  # of a function of the user's own
        return Verdict(None, f"could not be judged: {_words(error)}")


def _words(error: Exception) -> str:
    text = str(error) if isinstance(error, ArkorTuiError) else f"{type(error).__name__}: {error}"
    return plain(text, limit=300, newlines=False)
