"""Answers ``POST /v1/inference/chat`` from the inference process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from starlette.responses import Response, StreamingResponse

from arkor_tui.text.sanitize import plain

from .chatrequest import CheckedChat, InvalidChatError, check_chat
from .gate import answer, refuse
from .inference import InferenceProcess
from .models import ModelRegistry, UnknownModelError
from .runner import JobRunner
from .spec import TrainingSpec
from .store import Store, encode

FINAL = "final"
"""Folder of the final adapter, within a job's folder."""

_ERROR_LIMIT = 2_000


class _NotThere(Exception):  # noqa: N818 becomes a 404
    """No such job, or it has no such adapter yet."""


async def chat_reply(
    body: Any,
    *,
    store: Store,
    runner: JobRunner,
    inference: InferenceProcess,
    models: ModelRegistry,
    may_name_files: bool = True,
) -> Response:
    """Check, find the weights, and answer, streamed or whole.

    A failure before the first piece has its own status; a later one ends the stream with an error
    frame. Without ``may_name_files`` a base model may not be a path.
    """
    try:
        chat = check_chat(body)
        if not may_name_files:
            _refuse_path(chat)
        source, adapter = await _weights(chat, store, runner, models)
    except InvalidChatError as error:
        return refuse(400, str(error), error.code)
    except _NotThere as error:
        return refuse(404, str(error), "not_found")
    messages = inference.chat(chat.spec, source, adapter)
    try:
        first = await anext(messages)
        if first["type"] == "error":
            await messages.aclose()
            return _refused(first)
        if chat.stream:
            return _Stream(chat, first, messages)
        async with aclosing(messages):
            while first["type"] == "delta":
                first = await anext(messages)
        return _refused(first) if first["type"] == "error" else answer(_whole(chat, first))
    except BaseException:
        await messages.aclose()
        raise


def _refuse_path(chat: CheckedChat) -> None:
    if (chat.target.base_model or "").startswith("/"):
        raise InvalidChatError(
            "baseModel is a path, which an anonymous identity may not name; see serve --map-model."
        )


async def _weights(
    chat: CheckedChat, store: Store, runner: JobRunner, models: ModelRegistry
) -> tuple[str, Path | None]:
    """What the engine loads: the base, and the adapter's folder if there is one."""
    target = chat.target
    if target.base_model is not None:
        try:
            return (await asyncio.to_thread(models.find, target.base_model)).source, None
        except UnknownModelError as error:
            raise InvalidChatError(f"baseModel: {error}") from error
    assert target.job_id is not None
    job = await store.job(target.job_id)
    if job is None:
        shown = plain(target.job_id, limit=80, newlines=False)
        raise _NotThere(f"There is no job {shown!r}.")
    spec = await store.spec(job.id)
    folder = runner.job_folder(job.id)
    if target.step is None:
        if job.status != "completed" or not (folder / FINAL).is_dir():
            raise _NotThere(f"The job {job.name!r} is {job.status}: it has no final adapter.")
        return await _base_of(spec, models), folder / FINAL
    saved = await store.checkpoints(job.id)
    if target.step not in saved or not (folder / saved[target.step]).is_dir():
        steps = ", ".join(map(str, saved)) or "none yet"
        raise _NotThere(
            f"The job {job.name!r} has no checkpoint {target.step}. Its checkpoints: {steps}."
        )
    return await _base_of(spec, models), folder / saved[target.step]


async def _base_of(spec: TrainingSpec, models: ModelRegistry) -> str:
    try:
        return await asyncio.to_thread(models.source_of, spec)
    except UnknownModelError as error:
        raise _NotThere(f"The base model of this job is gone: {error}") from error


def _refused(message: dict[str, Any]) -> Response:
    status = message.get("status")
    return refuse(
        status if isinstance(status, int) and 400 <= status < 600 else 500,
        plain(message.get("error"), limit=_ERROR_LIMIT),
        message.get("code"),
    )


def _usage(message: dict[str, Any]) -> dict[str, int]:
    usage = message.get("usage") or {}
    prompt, completion = int(usage.get("promptTokens", 0)), int(usage.get("completionTokens", 0))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _whole(chat: CheckedChat, done: dict[str, Any]) -> dict[str, Any]:
    """A reply in one piece, in OpenAI's shape (docs/protocol.md, section 6)."""
    message: dict[str, Any] = {"role": "assistant", "content": done.get("text", "")}
    if done.get("toolCalls"):
        message = {"role": "assistant", "content": None, "tool_calls": done["toolCalls"]}
    return {
        "id": f"chat_{time.time_ns():x}",
        "object": "chat.completion",
        "model": chat.name,
        "choices": [{"index": 0, "finish_reason": done.get("finishReason"), "message": message}],
        "usage": _usage(done),
    }


class _Stream(StreamingResponse):
    """A streamed reply. The generation stops when the client goes away."""

    def __init__(
        self,
        chat: CheckedChat,
        first: dict[str, Any],
        messages: AsyncGenerator[dict[str, Any], None],
    ) -> None:
        self._messages = messages
        super().__init__(_frames(chat, first, messages), media_type="text/event-stream")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with aclosing(self._messages):
            await super().__call__(scope, receive, send)


async def _frames(
    chat: CheckedChat, first: dict[str, Any], messages: AsyncGenerator[dict[str, Any], None]
) -> AsyncIterator[str]:
    message = first
    while message["type"] == "delta":
        yield _frame(chat, {"content": message["text"]})
        message = await anext(messages)
    if message["type"] == "error":
        text = plain(message.get("error"), limit=_ERROR_LIMIT)
        yield f"event: error\ndata: {encode({'error': text, 'code': message.get('code')})}\n\n"
        yield "event: end\ndata: {}\n\n"
        return
    delta = {"tool_calls": message["toolCalls"]} if message.get("toolCalls") else {}
    yield _frame(chat, delta, message.get("finishReason"), _usage(message))
    yield "data: [DONE]\n\n"


def _frame(
    chat: CheckedChat,
    delta: dict[str, Any],
    finish: str | None = None,
    usage: dict[str, int] | None = None,
) -> str:
    body: dict[str, Any] = {
        "object": "chat.completion.chunk",
        "model": chat.name,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    if usage is not None:
        body["usage"] = usage
    return f"data: {encode(body)}\n\n"
