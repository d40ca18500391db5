"""Who answers prompts. One protocol, and behind it Arkor's: its cloud and the embedded backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from arkor_tui.api.chat import ChatDelta, ChatReply, ChatRequest, Choice, Message
from arkor_tui.api.wire import mistakes
from arkor_tui.errors import UsageError

from .options import InferOptions
from .target import Target

if TYPE_CHECKING:
    from arkor_tui.connect.connection import Connection


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt to one target."""

    target: Target
    messages: Sequence[Message]
    options: InferOptions


@dataclass(slots=True)
class ReplyStream:
    """The pieces of a reply as they come; :attr:`reply` is what they amount to so far."""

    deltas: AsyncIterator[ChatDelta]
    text: str = ""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    _calls: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __aiter__(self) -> ReplyStream:
        return self

    async def __anext__(self) -> ChatDelta:
        delta = await anext(self.deltas)
        self.text += delta.text
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.usage = delta.usage or self.usage
        for part in delta.tool_calls or ():
            self._take(part)
        return delta

    def _take(self, part: Any) -> None:
        """A call comes in parts: its name with the first, its arguments piece by piece."""
        if not isinstance(part, dict):
            return
        place = part.get("index")
        place = place if type(place) is int else len(self._calls)
        told = part.get("function")
        told = told if isinstance(told, dict) else {}
        call = self._calls.setdefault(place, {"type": "function", "function": {"arguments": ""}})
        if isinstance(part.get("id"), str):
            call["id"] = part["id"]
        if isinstance(told.get("name"), str):
            call["function"]["name"] = told["name"]
        if isinstance(told.get("arguments"), str):
            call["function"]["arguments"] += told["arguments"]

    @property
    def reply(self) -> ChatReply:
        """As a reply that was not streamed."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self._calls:
            message["tool_calls"] = [self._calls[place] for place in sorted(self._calls)]
        choice = Choice(finish_reason=self.finish_reason, message=message)
        return ChatReply(choices=[choice], usage=self.usage)


class Provider(Protocol):
    """Answers prompts. Nothing is retried or cached: each question is one request."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def serves(self) -> frozenset[str]:
        """The names of the options that it knows; others are refused by name."""

    def stream(self, question: Question) -> AbstractAsyncContextManager[ReplyStream]:
        """Ask; leaving the block stops the generation.

        Raises:
            UsageError: the question cannot be sent.
            ApiError: it was refused.
            ConnectionFailedError: nobody answers.
        """

    async def reply(self, question: Question) -> ChatReply:
        """Ask for the whole reply at once; raises as :meth:`stream` does."""

    async def is_here(self) -> bool:
        """Whether it reads the files of this machine, so that a run's rows are here."""


class ArkorProvider:
    """Arkor's cloud or the embedded backend, through a connection made with the first prompt."""

    name = "Arkor"
    serves = frozenset(ChatRequest.model_fields) - {"messages", "adapter", "base_model", "stream"}

    def __init__(self, connection: Callable[[], Awaitable[Connection]]) -> None:
        self._connection = connection

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[ReplyStream]:
        """Ask; leaving the block stops the generation."""
        request = _request(question)
        connection = await self._connection()
        async with connection.client.stream_chat(connection.scope, request) as deltas:
            yield ReplyStream(deltas)

    async def reply(self, question: Question) -> ChatReply:
        """Ask for the whole reply at once."""
        request = _request(question)
        connection = await self._connection()
        return await connection.client.chat(connection.scope, request)

    async def is_here(self) -> bool:
        """Whether it is the embedded backend of this user."""
        return (await self._connection()).kind == "local"


def _request(question: Question) -> ChatRequest:
    target = question.target
    try:
        return ChatRequest.model_validate(
            {
                **question.options,
                "messages": [dict(message) for message in question.messages],
                "adapter": target.adapter,
                "base_model": target.model if target.kind == "base" else None,
            }
        )
    except ValidationError as error:
        raise UsageError(f"The prompt cannot be sent: {mistakes(error)}.") from None
