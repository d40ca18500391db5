"""One prompt to one target: streamed, timed, judged, archived."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arkor_tui.archive.errors import ArchiveError
from arkor_tui.archive.records import Exchange, now
from arkor_tui.chat.infer import Infer, InferOptions
from arkor_tui.chat.tools import ToolCall
from arkor_tui.chat.verdict import KINDS, Constraint, judge
from arkor_tui.errors import ArkorTuiError, UsageError

from .session import Session
from .updates import Target


@dataclass(frozen=True, slots=True)
class AskSettings:
    """How to generate. None leaves it to the backend; ``max_tokens`` counts tokens."""

    system: str = ""
    temperature: float | None = 0.0
    top_p: float | None = None
    max_tokens: int | None = 200
    seed: int | None = None
    stop: tuple[str, ...] = ()
    constraint: Constraint = field(default_factory=Constraint)
    tools: str = ""
    """A Python file whose functions, marked with ``@tool``, the model may call."""
    tool_choice: str = "auto"

    def options(self) -> InferOptions:
        """As keyword arguments of a prompt."""
        options: InferOptions = {}
        if self.temperature is not None:
            options["temperature"] = self.temperature
        if self.top_p is not None:
            options["top_p"] = self.top_p
        if self.max_tokens is not None:
            options["max_tokens"] = self.max_tokens
        if self.seed is not None:
            options["seed"] = self.seed
        if self.stop:
            options["stop"] = list(self.stop)
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
    pieces: int = 0
    finish_reason: str | None = None
    error: str | None = None
    hint: str = ""
    verdict: str | None = None
    passed: bool | None = None
    stopped: bool = False
    calls: list[ToolCall] = field(default_factory=list)
    """What the model had functions do, in order."""

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


async def ask(
    session: Session,
    answer: Answer,
    messages: Sequence[Mapping[str, Any]],
    settings: AskSettings,
    *,
    on_change: Callable[[Answer], None] = lambda _: None,
    group: str | None = None,
) -> Answer:
    """Fill ``answer`` from its target; it and the prompt are archived however it ends.

    Being cancelled stops the generation and keeps what has come. A failure is told in the answer.
    """
    began = time.perf_counter()
    try:
        infer = session.infer(answer.target)
        if settings.tools:
            await _with_tools(infer, answer, messages, settings, on_change)
            return answer
        async with infer.stream(list(messages), **settings.options()) as deltas:
            async for delta in deltas:
                if delta.text:
                    if answer.first_token_s is None:
                        answer.first_token_s = time.perf_counter() - began
                    answer.text += delta.text
                    answer.pieces += 1
                    on_change(answer)
                answer.finish_reason = delta.finish_reason or answer.finish_reason
                count = delta.usage.get("completion_tokens") if delta.usage else None
                if type(count) is int and 0 <= count < 2**53:
                    answer.tokens = count
        verdict = await asyncio.to_thread(judge, answer.text, settings.constraint)
        answer.verdict, answer.passed = verdict.text or None, verdict.passed
    except ArkorTuiError as error:
        answer.error, answer.hint = error.message, error.hint or ""
    except BaseException:
        answer.stopped, answer.finish_reason = True, "stopped"
        raise
    finally:
        answer.total_s = time.perf_counter() - began
        on_change(answer)
        await _keep(session, _record(answer, messages, settings, group))
    return answer


async def _keep(session: Session, exchange: Exchange) -> None:
    """An answer that cannot be archived is an answer all the same."""
    try:
        await session.archive.write(lambda a: a.save_exchange(exchange))
    except ArchiveError as error:
        session.on_report(f"This answer is not archived. {error.message} {error.hint or ''}")


async def _with_tools(
    infer: Infer,
    answer: Answer,
    messages: Sequence[Mapping[str, Any]],
    settings: AskSettings,
    on_change: Callable[[Answer], None],
) -> None:
    """The whole round trip: each call and its result, then the answer."""
    from arkor_tui.run.loading import load_tools

    tools = await asyncio.to_thread(load_tools, settings.tools)

    def heard(call: ToolCall) -> None:
        if answer.calls and answer.calls[-1].id == call.id:
            answer.calls[-1] = call
        else:
            answer.calls.append(call)
        on_change(answer)

    options: Any = settings.options()
    options.pop("structured_outputs", None)  # the wire allows one of the two
    choice = settings.tool_choice or "auto"
    reply = await infer.with_tools(
        list(messages), tools, tool_choice=choice, on_call=heard, **options
    )
    answer.text, answer.finish_reason = reply.text, reply.reply.finish_reason
    if reply.problem:
        answer.verdict, answer.passed = reply.problem, False


def _record(
    answer: Answer, messages: Sequence[Mapping[str, Any]], settings: AskSettings, group: str | None
) -> Exchange:
    target = answer.target
    options: dict[str, Any] = dict(settings.options())
    return Exchange(
        run_key=target.run.key if target.run is not None else None,
        target=target.kind,
        step=target.step,
        model=target.model or (target.run.model if target.run is not None else ""),
        messages=tuple(dict(message) for message in messages),
        reply=answer.text,
        settings=options,
        finish_reason=answer.finish_reason,
        first_token_s=answer.first_token_s,
        total_s=answer.total_s,
        tokens=answer.tokens,
        verdict=answer.verdict,
        error=answer.error,
        group=group,
        created_at=now(),
    )


def settings_from(texts: Mapping[str, str]) -> tuple[AskSettings | None, dict[str, str]]:
    """Settings as typed into a form, or what is wrong with which field."""
    wrong: dict[str, str] = {}

    def read(name: str, kind: Callable[[str], Any], low: float, high: float) -> Any:
        text = texts.get(name, "").strip()
        if not text:
            return None
        try:
            value = kind(text)
        except ValueError:
            wrong[name] = "a whole number" if kind is int else "a number"
            return None
        if not low <= value <= high:
            wrong[name] = f"from {low:g} to {high:g}"
        return value

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
    settings = AskSettings(
        system=texts.get("system", ""),
        temperature=read("temperature", float, 0, 2),
        top_p=read("top_p", float, 0, 1),
        max_tokens=read("max_tokens", int, 1, 100_000),
        seed=read("seed", int, 0, 2**31),
        tools=tools,
        tool_choice=choice or "auto",
        stop=tuple(word for word in texts.get("stop", "").split("|") if word),
        constraint=constraint,
    )
    return (None, wrong) if wrong else (settings, {})
