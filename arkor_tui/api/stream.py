"""A job's event stream that survives its connections (protocol reference, section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

from arkor_tui.plain import plain

from .errors import ApiError, ConnectionFailedError, StreamExhaustedError
from .events import MalformedEventError, TrainingEvent, UnknownEvent, parse_event
from .reconnect import PERMANENT_STATUSES, ReconnectPolicy, StreamState
from .seen import SeenIds
from .sse import BrokenStreamError, read_frames

OpenStream = Callable[[str | None], AbstractAsyncContextManager[httpx.Response]]
"""Opens the stream after an event id (None: from its start) and gives the unread 2xx answer."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event, once.

    ``id`` is the server's, None where the frame had none of its own; ``data`` is the frame's JSON
    text as it came.
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
    seen: SeenIds = field(default_factory=SeenIds)
    on_state: Callable[[StreamState], None] | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    counters: StreamCounters = field(default_factory=StreamCounters)
    _failures: int = 0
    _ended: bool = False

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Every event, each once and in order, until the server ends the stream.

        A frame that cannot be understood is skipped and counted. Time that the consumer takes for
        an event does not count as idle. Use ``contextlib.aclosing`` when leaving early.

        Raises:
            ApiError: opening was refused for good (401, 403, 410, 426).
            StreamExhaustedError: too many consecutive failures; the last one is its cause.
        """
        while True:
            progressed = False
            try:
                connection = self._one_connection()
                try:
                    async for event in connection:
                        progressed = True
                        if event is not None:
                            yield event
                finally:
                    await connection.aclose()
                if self._ended:
                    self._tell(StreamState("ended"))
                    return
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

    async def _one_connection(self) -> AsyncGenerator[StreamEvent | None, None]:
        """One connection's events; None stands for a repeat, which is progress all the same."""
        self._tell(StreamState("connecting"))
        self.counters.connections += 1
        try:
            async with self.open_stream(self.last_event_id or None) as response:
                self._tell(StreamState("live"))
                frames = read_frames(response)
                previous: tuple[str, str] | None = None
                try:
                    with _Watchdog(self.policy.idle_timeout) as watchdog:
                        async for frame in frames:
                            watchdog.busy()
                            if frame.id:
                                self.last_event_id = frame.id
                            if frame.event == "end":
                                self._ended = True
                                return
                            if frame.data and frame.event != "ping":
                                data = frame.data
                                try:
                                    event = parse_event(data)
                                except MalformedEventError:
                                    self.counters.malformed += 1
                                else:
                                    self._failures = 0
                                    own_id = _own_id(frame.id, data, previous)
                                    previous = (frame.id, data)
                                    if own_id is not None and not self.seen.add(own_id):
                                        self.counters.repeats += 1
                                        yield None
                                    else:
                                        self.counters.events += 1
                                        yield StreamEvent(own_id, event, data)
                            watchdog.waiting()
                finally:
                    await frames.aclose()
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

    def _tell(self, state: StreamState) -> None:
        if self.on_state is not None:
            self.on_state(state)


def _own_id(frame_id: str, data: str, previous: tuple[str, str] | None) -> str | None:
    """The id that this very frame carried.

    httpx-sse repeats the last id on frames without one. Such a frame differs from a true repeat of
    the frame before it by its data.
    """
    if not frame_id:
        return None
    if previous is not None and previous[0] == frame_id and previous[1] != data:
        return None
    return frame_id


class _Watchdog:
    """Turns silence into a failure, at the price of one timer for a whole connection.

    The clock runs only between :meth:`waiting` and :meth:`busy`. On time-out it cancels the waiting
    task the way ``asyncio.timeout`` does, which would cost two timers for every event.
    """

    __slots__ = ("_fired", "_loop", "_since", "_task", "_timeout", "_timer")

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fired = False

    def __enter__(self) -> Self:
        self.waiting()
        if self._timeout is not None:
            self._timer = self._loop.call_later(self._timeout, self._check)
        return self

    def waiting(self) -> None:
        self._task = asyncio.current_task()
        self._since = self._loop.time()

    def busy(self) -> None:
        self._since = None

    def _check(self) -> None:
        assert self._timeout is not None
        left = self._timeout
        if self._since is not None:
            left -= self._loop.time() - self._since
        if left > 0:
            self._timer = self._loop.call_later(left, self._check)
        elif self._task is not None:
            self._fired = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._fired and self._task is not None:
            outside = self._task.uncancel() > 0
            if kind is asyncio.CancelledError and not outside:
                raise _StreamFailure(f"no sign of life for {self._timeout:g} s") from error
