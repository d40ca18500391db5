"""A streamed chat reply, piece by piece (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx

from arkor_tui.text.redact import redact_text
from arkor_tui.text.sanitize import plain

from .chat import ChatDelta, parse_delta
from .errors import ConnectionFailedError, NotArkorError, ReplyFailedError
from .sse import BrokenStreamError, open_frames
from .wire import read_json

CHAT_SECONDS = 1_800.0
"""For one whole reply, from the request to its last byte."""
_NOTHING = ChatDelta()


async def read_deltas(response: httpx.Response) -> AsyncGenerator[ChatDelta, None]:
    """The pieces of a reply until ``event: end`` or ``data: [DONE]``; what follows is ignored.

    Raises:
        ConnectionFailedError: the connection broke in the middle of the reply, or it has no end.
        ReplyFailedError: the server says that it cannot go on, in an event named ``error``.
        NotArkorError: the answer is not an event stream, or holds nothing at all.
    """
    seen = False
    try:
        async with open_frames(response, total=CHAT_SECONDS, unfinished=True) as frames:
            async for frame in frames:
                data = frame.data
                if frame.event == "end" or data.strip() == "[DONE]":
                    return
                if not data or frame.event == "ping":
                    continue
                if frame.event == "error":
                    raise _failed(data)
                seen = True
                delta = parse_delta(data)
                if delta != _NOTHING:
                    yield delta
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ConnectionFailedError(
            f"The connection broke in the middle of the reply: {reason}.",
            hint="Send the prompt again.",
        ) from error
    except TimeoutError as error:
        raise ConnectionFailedError(
            f"The reply did not end within {CHAT_SECONDS / 60:g} minutes.",
            hint="Ask for fewer tokens.",
        ) from error
    except BrokenStreamError as error:
        raise NotArkorError(f"The reply is not an event stream: {error}.") from error
    if not seen:
        raise NotArkorError("The server answered with an empty reply.", hint="Send it again.")


def _failed(data: str) -> ReplyFailedError:
    """What the embedded backend says of a reply that it cannot finish."""
    try:
        raw = read_json(data)
    except ValueError:
        raw = None
    told = raw.get("error") if isinstance(raw, dict) else None
    why = plain(redact_text(told if isinstance(told, str) else data), limit=1_000)
    return ReplyFailedError(
        f"The reply broke off: {why or 'the server gave no reason.'}",
        hint="What came before is not the whole answer. Send the prompt again.",
    )
