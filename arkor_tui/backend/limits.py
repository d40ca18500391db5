"""How much one backend takes on at a time, so that nobody can use it up for everybody else.

None of it stands in the way of a person with some runs: it is there for loops that went wild and
for other users of the machine, who can open connections without having a token.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_BYTES = 64 * 1024
"""Of a request's line and headers."""
HEAD_SECONDS = 10.0
"""Until a request's line and headers must have come."""
BODY_BYTES = 4 * 1024 * 1024
BODY_SECONDS = 30.0
"""Until a request's body must have come."""
MAX_STREAMS = 200
"""Event streams that are open at a time."""
MAX_CHATS = 128
"""Chats that are answered or wait for their turn."""
MAX_LIVE_JOBS = 1_000
"""Jobs that are queued or running."""
MAX_IDENTITIES = 10_000
"""Anonymous identities that were ever made."""

_MAX_CONNECTIONS = 512


def max_connections() -> int:
    """Half of the files that this process may open, so that jobs can always be started."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if soft < 0 else max(16, min(_MAX_CONNECTIONS, soft // 2))


class Slots:
    """At most ``count`` of something at a time."""

    def __init__(self, count: int) -> None:
        self._free = count

    def take(self) -> bool:
        """Take one; False if there is none left."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Free one that was taken."""
        self._free += 1


class PatientProtocol(H11Protocol):
    """HTTP/1.1 for clients that say what they want soon, and for so many connections at a time.

    uvicorn itself waits for ever for the end of a request's headers, and for the rest of a body
    that was refused.
    """

    max_connections: int = _MAX_CONNECTIONS
    head_seconds: float = HEAD_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()
            return
        self._expect_a_request()

    def data_received(self, data: bytes) -> None:
        """Some bytes have come: perhaps the last ones of the headers."""
        super().data_received(data)
        cycle: Any = self.cycle  # None until the first request
        if cycle is not None and not cycle.response_complete:
            self._stop_waiting()  # a request is under way, which has its own limits
        else:
            self._expect_a_request()

    def on_response_complete(self) -> None:
        """An answer is out, perhaps before all of its request was read."""
        super().on_response_complete()
        begun = self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]
        if begun and self.cycle.response_complete:
            self._expect_a_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_a_request(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.abort()


def protocol_for(connections: int, head_seconds: float) -> type[Any]:
    """:class:`PatientProtocol` with these limits."""
    limits = {"max_connections": connections, "head_seconds": head_seconds}
    return type("LimitedProtocol", (PatientProtocol,), limits)
