"""Talking to one fixed target: a checkpoint, the final adapter, or a base model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from arkor_tui.api.chat import AdapterRef, ChatReply, Message
from arkor_tui.errors import UsageError

from .options import InferOptions, Sampling
from .provider import Provider, Question, ReplyStream
from .target import Target

if TYPE_CHECKING:
    from .tools import AfterCalls, Tool, ToolCall, ToolChoice, ToolReply
    from .typed import TypedReply

T = TypeVar("T")


class Infer:
    """``reply = await infer(messages)``, or ``async with infer.stream(messages) as deltas``.

    Always answers from the very target that it was made for. Nothing is retried or cached: each
    call is one request.
    """

    def __init__(self, provider: Provider, target: Target) -> None:
        self.provider = provider
        self.target = target

    @property
    def adapter(self) -> AdapterRef | None:
        """The weights that answer; None for a base model."""
        return self.target.adapter

    @property
    def base_model(self) -> str | None:
        """The base model that answers; None for an adapter."""
        return self.target.model if self.target.kind == "base" else None

    async def __call__(
        self, messages: Sequence[Message] | str, **options: Unpack[InferOptions]
    ) -> ChatReply:
        """One whole reply. A text stands for one user message.

        Raises:
            UsageError: an option is unknown, or has a value that cannot be sent.
            ApiError: the backend refused the request.
            ConnectionFailedError: the backend could not be reached.
        """
        return await self.provider.reply(self._question(messages, options))

    @asynccontextmanager
    async def stream(
        self, messages: Sequence[Message] | str, **options: Unpack[InferOptions]
    ) -> AsyncIterator[ReplyStream]:
        """The reply piece by piece; leaving the block stops it."""
        async with self.provider.stream(self._question(messages, options)) as pieces:
            yield pieces

    @overload
    async def typed(
        self, messages: Sequence[Message] | str, model: type[T], **options: Unpack[Sampling]
    ) -> TypedReply[T]: ...

    @overload
    async def typed(
        self,
        messages: Sequence[Message] | str,
        *,
        schema: Mapping[str, Any],
        **options: Unpack[Sampling],
    ) -> TypedReply[Any]: ...

    @overload
    async def typed(
        self,
        messages: Sequence[Message] | str,
        *,
        choice: Sequence[str],
        **options: Unpack[Sampling],
    ) -> TypedReply[str]: ...

    @overload
    async def typed(
        self, messages: Sequence[Message] | str, *, regex: str, **options: Unpack[Sampling]
    ) -> TypedReply[str]: ...

    @overload
    async def typed(
        self, messages: Sequence[Message] | str, *, grammar: str, **options: Unpack[Sampling]
    ) -> TypedReply[str]: ...

    async def typed(
        self,
        messages: Sequence[Message] | str,
        model: type[Any] | None = None,
        *,
        schema: Mapping[str, Any] | None = None,
        choice: Sequence[str] | None = None,
        regex: str | None = None,
        grammar: str | None = None,
        **options: Unpack[Sampling],
    ) -> TypedReply[Any]:
        """A reply of a given form: a pydantic model, a JSON schema, a choice, a pattern, a grammar.

        What the model wrote never raises: the reply's ``problem`` says what is wrong with it, and
        its ``unwrap()`` raises for those who want that.

        Raises:
            UsageError: not exactly one form is given, or it cannot be sent.
            ApiError: the backend refused the request.
            ConnectionFailedError: the backend could not be reached.
        """
        from .typed import form_of

        form = form_of(model, schema=schema, choice=choice, regex=regex, grammar=grammar)
        clash = set(options) & {"response_format", "structured_outputs", "tools", "tool_choice"}
        if clash:
            raise UsageError(f"{min(clash)} and a form exclude each other.")
        request: InferOptions = {**options, **form.options()}
        reply = await self(messages, **request)
        return await asyncio.to_thread(form.read, reply.text, reply.finish_reason)

    async def with_tools(
        self,
        messages: Sequence[Message] | str,
        tools: Sequence[Tool],
        *,
        max_rounds: int = 4,
        tool_choice: ToolChoice = "auto",
        then: AfterCalls | None = None,
        on_call: Callable[[ToolCall], None] | None = None,
        **options: Unpack[Sampling],
    ) -> ToolReply:
        """Let the model call functions until it answers with text: :func:`.tools.converse`.

        Raises:
            UsageError: a tool or an option cannot be sent.
            ApiError: the backend refused a request; ``tool_calling_not_configured`` where it has
                no automatic choice. Nothing is retried.
            ConnectionFailedError: the backend could not be reached.
        """
        from .tools import converse

        return await converse(
            self,
            messages,
            tools,
            max_rounds=max_rounds,
            tool_choice=tool_choice,
            then=then,
            on_call=on_call,
            options=options,
        )

    def _question(self, messages: Sequence[Message] | str, options: InferOptions) -> Question:
        unserved = sorted(set(options) - self.provider.serves)
        if unserved:
            raise UsageError(
                f"The prompt cannot be sent: {self.provider.name} has no option "
                f"{', '.join(unserved)}."
            )
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return Question(self.target, messages, options)
