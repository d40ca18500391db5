"""Talking to one fixed target: a checkpoint, the final adapter, or a base model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from pydantic import ValidationError

from arkor_tui.api.chat import AdapterRef, ChatDelta, ChatReply, ChatRequest, Message
from arkor_tui.api.wire import mistakes
from arkor_tui.errors import UsageError

if TYPE_CHECKING:
    from .connection import Connection


class InferOptions(TypedDict, total=False):
    """Settings of one prompt, as in :class:`~arkor_tui.api.chat.ChatRequest`."""

    temperature: float
    top_p: float
    max_tokens: int
    tools: list[dict[str, Any]]
    tool_choice: str | dict[str, Any]
    response_format: dict[str, Any]
    structured_outputs: Any
    stop: str | list[str]
    presence_penalty: float
    frequency_penalty: float
    seed: int


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
