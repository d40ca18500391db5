"""One prompt to one target: streamed, timed, judged. Who calls keeps what has been said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arkor_tui.errors import ArkorTuiError, UsageError

from .infer import Infer
from .options import USUAL, InferOptions, Sampling, infer_options, read_sampling
from .target import Target
from .tools import Tool, ToolCall
from .verdict import KINDS, Constraint, judge

ToolsOf = Callable[[str], Sequence[Tool]]
"""Loads the tools of a file; may block, and raise :class:`UsageError`."""


@dataclass(frozen=True, slots=True)
class AskSettings:
    """How to ask: what a person chose once for many prompts."""

    system: str = ""
    sampling: Sampling = field(default_factory=lambda: USUAL)
    constraint: Constraint = field(default_factory=Constraint)
    tools: str = ""
    """A Python file whose functions, marked with ``@tool``, the model may call."""
    tool_choice: str = "auto"

    def options(self) -> InferOptions:
        """As keyword arguments of a prompt."""
        options = infer_options(self.sampling)
        outputs = self.constraint.structured_outputs()
        if outputs is not None:
            options["structured_outputs"] = outputs
        return options


@dataclass(slots=True)
class Answer:
    """A reply as it grows. Times are seconds since the prompt was sent."""

    target: Target
    text: str = ""
    first_token_s: float | None = None
    total_s: float | None = None
    tokens: int | None = None
    usage: dict[str, Any] | None = None
    pieces: int = 0
    finish_reason: str | None = None
    failure: ArkorTuiError | None = None
    verdict: str | None = None
    passed: bool | None = None
    stopped: bool = False
    calls: list[ToolCall] = field(default_factory=list)
    """What the model had functions do, in order."""

    @property
    def error(self) -> str | None:
        """Why there is no whole answer."""
        return self.failure.message if self.failure is not None else None

    @property
    def hint(self) -> str:
        """What to do about the error."""
        return (self.failure.hint or "") if self.failure is not None else ""

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.total_s is not None

    @property
    def tokens_per_second(self) -> float | None:
        """Of the time after the first token; None where too little was measured."""
        if self.total_s is None or self.first_token_s is None:
            return None
        count = self.tokens if self.tokens is not None else self.pieces
        spent = self.total_s - self.first_token_s
        return (count - 1) / spent if count > 1 and spent > 0 else None


OnChange = Callable[[Answer], None]
Keep = Callable[[Answer], Awaitable[None]]
"""Is given each answer when it has ended, however it ended."""


async def ask(
    infer: Infer,
    answer: Answer,
    messages: Sequence[Mapping[str, Any]],
    settings: AskSettings,
    *,
    on_change: OnChange = lambda _: None,
    keep: Keep | None = None,
    tools_of: ToolsOf | None = None,
) -> Answer:
    """Fill ``answer`` from its target, and hand it to ``keep`` however it ends.

    Being cancelled stops the generation and keeps what has come. A failure is told in the answer.
    """
    began = time.perf_counter()
    try:
        if settings.tools and tools_of is not None:
            tools = await asyncio.to_thread(tools_of, settings.tools)
            await _with_tools(infer, answer, messages, settings, tools, on_change)
            return answer
        async with infer.stream(list(messages), **settings.options()) as pieces:
            async for delta in pieces:
                if delta.text:
                    if answer.first_token_s is None:
                        answer.first_token_s = time.perf_counter() - began
                    answer.text += delta.text
                    answer.pieces += 1
                    on_change(answer)
                answer.finish_reason, answer.usage = pieces.finish_reason, pieces.usage
        count = (answer.usage or {}).get("completion_tokens")
        if type(count) is int and 0 <= count < 2**53:
            answer.tokens = count
        verdict = await asyncio.to_thread(judge, answer.text, settings.constraint)
        answer.verdict, answer.passed = verdict.text or None, verdict.passed
    except ArkorTuiError as error:
        answer.failure = error
    except BaseException:
        answer.stopped, answer.finish_reason = True, "stopped"
        raise
    finally:
        answer.total_s = time.perf_counter() - began
        on_change(answer)
        if keep is not None:
            await keep(answer)
    return answer


async def ask_each(
    answers: Sequence[Answer], ask_one: Callable[[Answer], Awaitable[object]], on_turn: OnChange
) -> None:
    """Fill answers one after the other, as the time machine does.

    That is quicker on a small machine, and disturbs training less, than all at once. ``on_turn``
    hears of each answer before it is asked for and when it is there.
    """
    for answer in answers:
        on_turn(answer)
        await ask_one(answer)
        on_turn(answer)


async def _with_tools(
    infer: Infer,
    answer: Answer,
    messages: Sequence[Mapping[str, Any]],
    settings: AskSettings,
    tools: Sequence[Tool],
    on_change: OnChange,
) -> None:
    """The whole round trip: each call and its result, then the answer."""

    def heard(call: ToolCall) -> None:
        if answer.calls and answer.calls[-1].id == call.id:
            answer.calls[-1] = call
        else:
            answer.calls.append(call)
        on_change(answer)

    # the wire allows tools or a constraint, not both
    choice = settings.tool_choice or "auto"
    reply = await infer.with_tools(
        list(messages), tools, tool_choice=choice, on_call=heard, **settings.sampling
    )
    answer.text, answer.finish_reason = reply.text, reply.reply.finish_reason
    answer.usage = reply.reply.usage
    if reply.problem:
        answer.verdict, answer.passed = reply.problem, False


def settings_from(texts: Mapping[str, str]) -> tuple[AskSettings | None, dict[str, str]]:
    """Settings as typed into a form, or what is wrong with which field."""
    sampling, wrong = read_sampling(texts)
    constraint = Constraint()
    try:
        constraint = Constraint.parse(texts.get("constraint_kind", ""), texts.get("constraint", ""))
    except UsageError as error:
        kind = texts.get("constraint_kind", "").strip().rstrip("?")
        wrong["constraint" if kind in KINDS else "constraint_kind"] = error.message
    tools, choice = (texts.get(name, "").strip() for name in ("tools", "tool_choice"))
    if choice and not tools:
        wrong["tool_choice"] = "needs a tools file"
    if texts.get("history", "").strip() not in ("", "yes", "no"):
        wrong["history"] = "yes or no"
    if wrong:
        return None, wrong
    settings = AskSettings(texts.get("system", ""), sampling, constraint, tools, choice or "auto")
    return settings, {}
