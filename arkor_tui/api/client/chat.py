"""Calls that ask a model (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx

from arkor_tui.api.chat import ChatDelta, ChatReply, ChatRequest, parse_reply
from arkor_tui.api.deltas import CHAT_SECONDS, read_deltas
from arkor_tui.api.scope import Scope

from .caller import Caller, query_of

_WAITS = httpx.Timeout(30.0, connect=10.0, read=600.0)  # a model may have to be loaded first


class ChatCalls(Caller):
    """Questions and their answers."""

    async def chat(self, scope: Scope, request: ChatRequest) -> ChatReply:
        """One whole reply. Never retried: each call is one billed request."""
        wire = {**request.to_wire(), "stream": False}
        body = await self.send(
            "POST",
            "/v1/inference/chat",
            query=query_of(scope),
            body=wire,
            waits=_WAITS,
            seconds=CHAT_SECONDS,
        )
        try:
            return parse_reply(body)
        except ValueError as error:
            raise self.not_arkor("POST /v1/inference/chat") from error

    @asynccontextmanager
    async def stream_chat(
        self, scope: Scope, request: ChatRequest
    ) -> AsyncIterator[AsyncIterator[ChatDelta]]:
        """A streamed reply, piece by piece. Leaving the block stops reading it."""
        wire = {**request.to_wire(), "stream": True}
        opening = self.stream(
            "POST",
            "/v1/inference/chat",
            query=query_of(scope),
            body=wire,
            headers={"Accept": "text/event-stream"},
            waits=_WAITS,
            seconds=CHAT_SECONDS,
        )
        async with opening as response, aclosing(read_deltas(response)) as deltas:
            yield deltas
