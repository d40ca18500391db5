"""Talking to one fixed target: a checkpoint, the final adapter, or a base model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, overload

from pydantic import ValidationError

from arkor_tui.api.chat import AdapterRef, ChatDelta, ChatReply, ChatRequest, Message
from arkor_tui.api.wire import mistakes
from arkor_tui.errors import UsageError

if TYPE_CHECKING:
    from arkor_tui.connect.connection import Connection

    from .tools import AfterCalls, Tool, ToolCall, ToolChoice, ToolReply
    from .typed import TypedReply

T = TypeVar("T")


class Sampling(TypedDict, total=False):
    """How to generate, as in :class:`~arkor_tui.api.chat.ChatRequest`."""

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


class Infer:
    """``reply = await infer(messages)``, or ``async with infer.stream(messages) as deltas``.

    Always answers from the very target that it was made for. Nothing is retried or cached: each
    call is one request.
    """

    def __init__(
        self,
        connection: Callable[[], Awaitable[Connection]],
        *,
        adapter: AdapterRef | None = None,
        base_model: str | None = None,
    ) -> None:
        self._connection = connection
        self.adapter = adapter
        self.base_model = base_model

    async def __call__(
        self, messages: Sequence[Message] | str, **options: Unpack[InferOptions]
    ) -> ChatReply:
        """One whole reply. A text stands for one user message.

        Raises:
            UsageError: an option is unknown, or has a value that cannot be sent.
            ApiError: the backend refused the request.
            ConnectionFailedError: the backend could not be reached.
        """
        connection = await self._connection()
        return await connection.client.chat(connection.scope, self._request(messages, options))

    @asynccontextmanager
    async def stream(
        self, messages: Sequence[Message] | str, **options: Unpack[InferOptions]
    ) -> AsyncIterator[AsyncIterator[ChatDelta]]:
        """The reply piece by piece; leaving the block stops it."""
        connection = await self._connection()
        request = self._request(messages, options)
        async with connection.client.stream_chat(connection.scope, request) as deltas:
            yield deltas

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

    def _request(self, messages: Sequence[Message] | str, options: InferOptions) -> ChatRequest:
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        try:
            return ChatRequest.model_validate(
                {
                    **options,
                    "messages": [dict(message) for message in messages],
                    "adapter": self.adapter,
                    "base_model": self.base_model,
                }
            )
        except ValidationError as error:
            raise UsageError(f"The prompt cannot be sent: {mistakes(error)}.") from None
