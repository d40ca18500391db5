"""A streamed chat reply, piece by piece (protocol reference, section 6)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

from .chat import ChatDelta, parse_delta
from .errors import ConnectionFailedError, NotArkorError
from .sse import BrokenStreamError, read_frames


async def read_deltas(response: httpx.Response) -> AsyncIterator[ChatDelta]:
    """The pieces of a reply until ``event: end`` or ``data: [DONE]``; what follows is ignored.

    Raises:
        ConnectionFailedError: the connection broke in the middle of the reply.
        NotArkorError: the answer is not an event stream, or holds nothing at all.
    """
    seen = False
    frames = read_frames(response)
    try:
        async for frame in frames:
            if frame.event == "end" or frame.data.strip() == "[DONE]":
                return
            if not frame.data or frame.event == "ping":
                continue
            seen = True
            delta = parse_delta(frame.data)
            if delta != ChatDelta():
                yield delta
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ConnectionFailedError(
            f"The connection broke in the middle of the reply: {reason}.",
            hint="Send the prompt again.",
        ) from error
    except BrokenStreamError as error:
        raise NotArkorError(f"The reply is not an event stream: {error}.") from error
    finally:
        await frames.aclose()
    if not seen:
        raise NotArkorError("The server answered with an empty reply.", hint="Send it again.")
