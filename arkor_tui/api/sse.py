"""Server-sent events: httpx-sse reads them, from a body that nobody vouches for.

What arrives is decoded, bounded and timed here, before httpx-sse sees it. Its ids are those of the
format: an event without an id of its own has the one before it.
"""

from __future__ import annotations

import asyncio
import codecs
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import ClassVar, Self, cast

import httpx
from httpx_sse import EventSource, ServerSentEvent

from .http import UnusableAnswerError, refuse_packed

FRAME_LIMIT = 16 * 1024 * 1024  # characters; no frame of the protocol is near
_MEDIA_TYPE = "text/event-stream"


class BrokenStreamError(Exception):
    """The stream cannot be read on: not an event stream, or a frame beyond all measure."""


class EventText:
    """The text of an event stream, in the shape that httpx-sse reads: a response's.

    UTF-8 whatever the headers say, without a leading byte order mark, broken bytes as U+FFFD. Every
    line ends in LF, so that httpx-sse holds no CR back until it has seen what follows.
    """

    headers: ClassVar = {"content-type": _MEDIA_TYPE}

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        idle: float | None = None,
        total: float = math.inf,
        unfinished: bool = False,
    ) -> None:
        self._chunks = chunks
        self._now = asyncio.get_running_loop().time
        self._idle = math.inf if idle is None else idle
        self._until = self._now() + total
        self._ending = "\n\n" if unfinished else ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._at_start = True
        self._after_cr = False
        self._in_line = False
        self._held = 0  # characters since the last blank line, which httpx-sse has to keep

    def aiter_text(self) -> Self:
        """Give the pieces of text, as httpx-sse asks for them."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """Wait for the next piece.

        Raises:
            TimeoutError: none came within the seconds of ``idle``, or ``total`` is over.
            BrokenStreamError: the frame has become too long.
        """
        text = ""
        while not text:
            # only the waiting is timed: what the reader does between pieces is not idle
            when = min(self._now() + self._idle, self._until)
            async with asyncio.timeout_at(None if when == math.inf else when):
                chunk = await anext(self._chunks, None)
            if chunk is None:
                text, self._ending = self._ending, ""
                if not text:
                    raise StopAsyncIteration
                return text
            text = self._lines(self._decode(chunk))
        self._bound(text)
        return text

    def _lines(self, text: str) -> str:
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix("\n")
        if "\r" in text:
            self._after_cr = text[-1] == "\r"
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text

    def _bound(self, text: str) -> None:
        blank = text.rfind("\n\n")
        if blank >= 0:
            self._held = len(text) - blank - 2
        elif text[0] == "\n" and not self._in_line:
            self._held = len(text) - 1
        else:
            self._held += len(text)
        self._in_line = text[-1] != "\n"
        if self._held > FRAME_LIMIT:
            raise BrokenStreamError(f"a frame of more than {FRAME_LIMIT:,} characters")


@asynccontextmanager
async def open_frames(
    response: httpx.Response,
    *,
    idle: float | None = None,
    total: float = math.inf,
    unfinished: bool = False,
) -> AsyncIterator[AsyncGenerator[ServerSentEvent, None]]:
    """Read the frames of ``response``, also those that have a name or an id but no data.

    ``idle`` is how many seconds may pass without a byte, and ``total`` how many until the end;
    ``unfinished`` also gives a last frame that lacks its blank line.

    Raises:
        BrokenStreamError: it is packed, the content type is not an event stream's, or a frame is
            endless.
        TimeoutError: nothing came for ``idle`` seconds, or the end not in ``total`` seconds.
        httpx.HTTPError: the connection broke.
    """
    try:
        refuse_packed(response)
    except UnusableAnswerError as error:
        raise BrokenStreamError(str(error)) from error
    content_type = response.headers.get("content-type", "").partition(";")[0].strip()
    if content_type.lower() != _MEDIA_TYPE:
        raise BrokenStreamError(f"its content type is {content_type!r}, not an event stream's")
    body = cast(AsyncGenerator[bytes, None], response.aiter_bytes())
    async with aclosing(body):
        text = EventText(body, idle=idle, total=total, unfinished=unfinished)
        async with aclosing(EventSource(cast(httpx.Response, text)).aiter_sse()) as frames:
            yield frames
