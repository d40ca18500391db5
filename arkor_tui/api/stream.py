"""A job's event stream that survives its connections (docs/protocol.md, section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx
from httpx_sse import ServerSentEvent

from arkor_tui.text.redact import redact_text
from arkor_tui.text.sanitize import plain

from .dedup import SeenEvents
from .errors import ApiError, ConnectionFailedError, StreamExhaustedError
from .events import (
    MalformedEventError,
    TrainingEvent,
    TrainingFailed,
    UnknownEvent,
    parse_event,
    waits_in,
)
from .reconnect import PERMANENT_STATUSES, ReconnectPolicy, StreamState
from .sse import BrokenStreamError, open_frames

OpenStream = Callable[[str | None], AbstractAsyncContextManager[httpx.Response]]
"""Opens the stream after an event id (None: from its start) and gives the unread 2xx answer."""


class StreamEvent(NamedTuple):
    """One event, once.

    ``id`` is the server's, None where it is not this event's alone: there is none, or an earlier
    event has it. ``data`` is the frame's JSON text as it came, but for the secrets of an address in
    a failure.
    """

    id: str | None
    event: TrainingEvent | UnknownEvent
    data: str


@dataclass(slots=True)
class StreamCounters:
    """What a stream went through so far."""

    connections: int = 0
    events: int = 0
    repeats: int = 0
    malformed: int = 0


class _StreamFailure(Exception):  # noqa: N818 an outcome of one connection, never seen outside
    """This connection is over and counts as a failure."""


@dataclass(slots=True)
class EventStream:
    """Follows one job across connections; iterate :meth:`events` once.

    ``last_event_id`` and ``seen`` say what was delivered before; both advance, so that the object
    knows where to go on. ``sleep`` waits between connections and ``on_state`` hears of every
    change of the connection, in order; it must not block.
    """

    open_stream: OpenStream
    policy: ReconnectPolicy = field(default_factory=ReconnectPolicy)
    last_event_id: str | None = None
    seen: SeenEvents = field(default_factory=SeenEvents)
    on_state: Callable[[StreamState], None] | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    counters: StreamCounters = field(default_factory=StreamCounters)
    _failures: int = 0
    _waits: str = ""

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Every event, each once and in order, until the server ends the stream.

        A frame that cannot be understood is skipped and counted. Time that the consumer takes for
        an event does not count as idle. Use ``contextlib.aclosing`` when leaving early.

        Raises:
            ApiError: opening was refused for good (401, 403, 410, 426).
            StreamExhaustedError: too many consecutive failures; the last one is its cause.
        """
        seen, counters = self.seen, self.counters
        while True:
            progressed = False
            try:
                async with self._one_connection() as frames:
                    # A frame is understood only when it is asked for, so that a consumer who
                    # leaves has marked none as seen that it did not get.
                    async for frame in frames:
                        name, data, event_id = frame.event, frame.data, frame.id
                        after = self.last_event_id
                        if event_id:
                            self.last_event_id = event_id
                        if name == "end":
                            self._tell(StreamState("ended"))
                            return
                        if name == "ping":
                            self._tell_waiting(waits_in(data))
                            continue
                        if not data:
                            continue
                        try:
                            event = parse_event(data, name)
                        except MalformedEventError:
                            counters.malformed += 1
                            continue
                        progressed = True
                        self._failures = 0
                        is_named = bool(event_id) and event_id not in seen
                        if not seen.add(event_id, data, after):
                            counters.repeats += 1
                            continue
                        counters.events += 1
                        if self._waits:
                            self._tell_waiting("")
                        if isinstance(event, TrainingFailed):  # what is archived is the text
                            data = redact_text(data)
                        yield StreamEvent(event_id if is_named else None, event, data)
            except _StreamFailure as failure:
                await self._back_off(failure)
                continue
            if progressed:
                # a clean end after progress is how servers rotate connections
                delay = self.policy.base_delay
                self._tell(StreamState("reconnecting", 0, delay, "the server closed the stream"))
                await self.sleep(delay)
            else:
                await self._back_off(_StreamFailure("closed without emitting any frame"))

    @asynccontextmanager
    async def _one_connection(self) -> AsyncIterator[AsyncGenerator[ServerSentEvent, None]]:
        """Open one connection and give its frames; whatever ends it early is a failure."""
        self._tell(StreamState("connecting"))
        self._waits = ""
        self.counters.connections += 1
        self.seen.begin()
        idle = self.policy.idle_timeout
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(idle):  # a server may take the request and say nothing
                    response = await stack.enter_async_context(
                        self.open_stream(self.last_event_id or None)
                    )
                self._tell(StreamState("live"))
                yield await stack.enter_async_context(open_frames(response, idle=idle))
        except TimeoutError as error:
            after = "" if idle is None else f" for {idle:g} s"
            raise _StreamFailure(f"no sign of life{after}") from error
        except ApiError as error:
            if error.status in PERMANENT_STATUSES:
                raise
            raise _StreamFailure(f"status {error.status}: {error.message}") from error
        except ConnectionFailedError as error:
            raise _StreamFailure(error.message) from error
        except BrokenStreamError as error:
            raise _StreamFailure(str(error)) from error
        except httpx.HTTPError as error:
            text = str(error) or type(error).__name__
            raise _StreamFailure(f"the connection broke: {text}") from error

    async def _back_off(self, failure: _StreamFailure) -> None:
        reason = plain(failure, limit=300, newlines=False)
        limit = self.policy.max_attempts
        if limit is not None and self._failures >= limit:
            count = self._failures + 1
            raise StreamExhaustedError(
                f"The event stream failed {count} times in a row, the last time because: {reason}.",
                count,
            ) from (failure.__cause__ or failure)
        delay = self.policy.delay(self._failures)
        self._failures += 1
        self._tell(StreamState("reconnecting", self._failures, delay, reason))
        await self.sleep(delay)

    def _tell_waiting(self, why: str) -> None:
        if why != self._waits:
            self._waits = why
            self._tell(StreamState("live", reason=why))

    def _tell(self, state: StreamState) -> None:
        if self.on_state is not None:
            self.on_state(state)
