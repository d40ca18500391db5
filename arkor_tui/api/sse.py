"""Frames of a server-sent event stream, read from bytes that nobody vouches for.

httpx-sse would do for the format, but its ids stick from frame to frame: an id of a frame's own,
which is what repeats are recognised by, cannot be told from an inherited one.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator
from typing import NamedTuple

import httpx

FRAME_LIMIT = 16 * 1024 * 1024  # characters; no frame of the protocol is near


class BrokenStreamError(Exception):
    """The stream cannot be read on: not an event stream, or a frame beyond all measure."""


class Frame(NamedTuple):
    """What stood between two blank lines. ``id`` is None where this very frame carried none."""

    event: str
    data: str
    id: str | None


class FrameDecoder:
    """Bytes in, cut anywhere; frames out (WHATWG HTML, "Interpreting an event stream").

    UTF-8 whatever the headers say, without a leading byte order mark; lines end in LF, CR LF or
    CR. Unlike a browser it also gives frames that have a name or an id but no data: a bare
    ``event: end`` means what it says.
    """

    __slots__ = ("_after_cr", "_at_start", "_data", "_event", "_id", "_line", "_size", "_text")

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._at_start = True
        self._after_cr = False
        self._line: list[str] = []  # pieces of the line that has not ended yet
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None
        self._size = 0

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that this piece completes.

        Raises:
            BrokenStreamError: the frame has become too long.
        """
        text = self._text.decode(chunk)
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        if not text:
            return []
        if self._after_cr and text[0] == "\n":
            text = text[1:]
        self._after_cr = text.endswith("\r") if text else False
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        rest = lines.pop()
        frames: list[Frame] = []
        if lines:
            if self._line:
                self._line.append(lines[0])
                lines[0] = "".join(self._line)
                self._line = []
            frames = self._read(lines)
        if rest:
            self._line.append(rest)
        self._size = 0 if frames else self._size + len(text)
        if self._size > FRAME_LIMIT:
            raise BrokenStreamError(f"a frame of more than {FRAME_LIMIT:,} characters")
        return frames

    def finish(self) -> list[Frame]:
        """The frame that the end of the stream left without its blank line, if any."""
        line, self._line = "".join(self._line), []
        return self._read([line, ""])

    def _read(self, lines: list[str]) -> list[Frame]:
        frames: list[Frame] = []
        event, data, own_id = self._event, self._data, self._id
        for line in lines:
            if line:
                name, _, value = line.partition(":")
                if value[:1] == " ":
                    value = value[1:]
                if name == "data":
                    data.append(value)
                elif name == "event":
                    event = value
                elif name == "id" and "\0" not in value:
                    own_id = value
            elif data or event or own_id is not None:
                frames.append(Frame(event, "\n".join(data), own_id))
                event, data, own_id = "", [], None
        self._event, self._data, self._id = event, data, own_id
        return frames


async def read_frames(
    response: httpx.Response, *, unfinished: bool = False
) -> AsyncGenerator[list[Frame], None]:
    """The frames of ``response``: a list, perhaps empty, for each piece that arrives.

    ``unfinished`` also gives a last frame that lacks its blank line.

    Raises:
        BrokenStreamError: the content type is not an event stream's, or a frame is endless.
        httpx.HTTPError: the connection broke.
    """
    content_type = response.headers.get("content-type", "").partition(";")[0].strip()
    if content_type.lower() != "text/event-stream":
        raise BrokenStreamError(f"its content type is {content_type!r}, not an event stream's")
    decoder = FrameDecoder()
    async for chunk in response.aiter_bytes():
        yield decoder.feed(chunk)
    if unfinished:
        yield decoder.finish()
