"""Frames of a server-sent event stream, read by httpx-sse from bytes that nobody vouches for."""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

LINE_LIMIT = 16 * 1024 * 1024  # characters without a line break; no frame of the protocol is near


class BrokenStreamError(Exception):
    """The stream cannot be read on: not an event stream, or a line beyond all measure."""


class _Utf8Response:
    """What :class:`EventSource` needs of a response, read as the SSE standard says.

    The standard fixes UTF-8 and drops one leading byte order mark; httpx would follow the
    response's charset, and httpx-sse leaves the mark in the first field's name.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.headers = response.headers
        self._response = response

    async def aiter_text(self) -> AsyncIterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        first, unbroken = True, 0
        async for chunk in self._response.aiter_bytes():
            text = decoder.decode(chunk)
            if not text:
                continue
            if first:
                text, first = text.removeprefix("\ufeff"), False
            end = max(text.rfind("\n"), text.rfind("\r"))
            unbroken = unbroken + len(text) if end < 0 else len(text) - end
            if unbroken > LINE_LIMIT:
                raise BrokenStreamError(f"a line of more than {LINE_LIMIT:,} characters")
            if text:
                yield text
        if rest := decoder.decode(b"", True):
            yield rest


async def read_frames(response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
    """The frames of ``response``.

    As httpx-sse gives them: ``id`` sticks from frame to frame, and a stray blank line after the
    first id gives a frame without data.

    Raises:
        BrokenStreamError: the content type is not an event stream's, or a line is endless.
        httpx.HTTPError: the connection broke.
    """
    source = EventSource(cast(httpx.Response, _Utf8Response(response)))
    frames = source.aiter_sse()
    try:
        async for frame in frames:
            yield frame
    except SSEError as error:
        raise BrokenStreamError(str(error)) from error
    finally:
        await frames.aclose()
