"""Where the events of a run come from, and what its backend says where a stream does not."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Protocol, Self

import httpx

from arkor_tui.api.dedup import SeenEvents
from arkor_tui.api.errors import ApiError, ConnectionFailedError, StreamExhaustedError
from arkor_tui.api.events import TrainingCompleted, TrainingFailed
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import PERMANENT_STATUSES, ReconnectPolicy, StreamState
from arkor_tui.api.stream import EventStream, StreamCounters, StreamEvent
from arkor_tui.connect.connection import Connection
from arkor_tui.errors import ArkorTuiError

MOST_AHEAD = 1_000
"""Events that are read before somebody has handled them."""
_TIMES_GONE = 2
"""How often a job is not found before it is lost."""
_TIMES_WITHOUT_STREAM = 4
"""Answers without a stream before a job that has ended is believed to have none: what it has is
its history, which a proxy's page or a moment of trouble must not cost."""
_BAD_ENDS = ("failed", "cancelled")

TellState = Callable[[StreamState], None]


class JobLostError(ArkorTuiError):
    """The backend does not know the job any more."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"The backend does not know the job {job_id} any more: it was deleted there.",
            hint="What was archived of it stays; start the run again if it is still needed.",
        )


class Source(Protocol):
    """Give the events of one run. What was given once is not given again."""

    counters: StreamCounters

    def skip(self, event: StreamEvent) -> bool:
        """Take an event as given before, with everything ahead of it; False where it was."""

    def skip_to(self, event_id: str | None) -> None:
        """Go on after the event with this id, as :meth:`skip` does."""

    def events(self, tell: TellState) -> AsyncGenerator[StreamEvent, None]:
        """Give each event in order, the one that ends the run as the last.

        ``tell`` hears of every change of the connection.

        Raises:
            JobLostError: the backend has deleted the job.
            ApiError: the backend refuses for good.
            StreamExhaustedError: the reconnect policy gave up.
        """

    async def status_of(self, job: Job, failure: TrainingFailed) -> str:
        """Tell ``failed`` from ``cancelled``: no event does."""

    async def settle(self) -> StreamEvent:
        """Ask how the run ended, where its events do not say; raises as :meth:`events` does."""


class _JobEndedError(Exception):
    """The job has ended, but its stream does not say so."""


class LiveSource:
    """Give the events of a job's stream; ask for the job where the stream cannot say."""

    def __init__(
        self,
        job_id: str,
        connection: Callable[[], Awaitable[Connection]],
        policy: Callable[[], ReconnectPolicy],
    ) -> None:
        self.counters = StreamCounters()
        self._job_id = job_id
        self._connection = connection
        self._policy = policy
        self._seen = SeenEvents()
        self._last: str | None = None
        self._gone = 0  # how often in a row the job was asked for and not found
        self._without_stream = 0  # answers in a row

    def skip(self, event: StreamEvent) -> bool:
        """Take an event as given before, with everything ahead of it; False where it was."""
        is_new = self._seen.add(event.id, event.data, self._last)
        self._last = event.id or self._last
        return is_new

    def skip_to(self, event_id: str | None) -> None:
        """Go on after the event with this id, as :meth:`skip` does."""
        self._last = event_id
        if event_id:
            self._seen.add_id(event_id)

    async def events(self, tell: TellState) -> AsyncGenerator[StreamEvent, None]:
        """Give each event in order; see :class:`Source`."""
        stream = EventStream(
            self._open,
            policy=self._policy(),
            last_event_id=self._last,
            seen=self._seen,
            on_state=tell,
            counters=self.counters,
        )
        async with aclosing(stream.events()) as incoming:
            try:
                async for item in incoming:
                    self._last = stream.last_event_id
                    yield item
                    if is_end(item):
                        return
            except _JobEndedError:
                pass
            self._last = stream.last_event_id
        yield await self.settle()

    async def settle(self) -> StreamEvent:
        """Ask for the job until it has ended; see :class:`Source`."""
        return StreamEvent(None, terminal_event(await self._ended_job()), "")

    @asynccontextmanager
    async def _open(self, last: str | None) -> AsyncIterator[httpx.Response]:
        """Open the stream; where there is none, find out whether the job has one at all."""
        connection = await self._connection()
        async with AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(
                    connection.find_again().open_event_stream(connection.scope, self._job_id, last)
                )
            except ApiError as error:
                if error.status == 404:
                    await self._look_at_job()
                raise
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            if kind.lower() != "text/event-stream":
                await self._look_at_job()
                raise ApiError(
                    response.status_code,
                    f"no event stream, but the content type {kind!r}"
                    if kind
                    else "an answer without an event stream",
                )
            self._gone = self._without_stream = 0
            yield response

    async def _look_at_job(self) -> None:
        """Ask for the job once, as there is no stream.

        Raises:
            _JobEndedError: it has ended, and there was no stream for some time.
            JobLostError: the backend did not know it the last time either.
        """
        self._without_stream += 1
        try:
            job = await self._ask()
        except (ApiError, ConnectionFailedError):
            return  # the stream is tried again
        if job.is_terminal and self._without_stream >= _TIMES_WITHOUT_STREAM:
            raise _JobEndedError

    async def _ask(self) -> Job:
        connection = await self._connection()
        try:
            detail = await connection.find_again().get_job(connection.scope, self._job_id)
        except ApiError as error:
            self._gone = self._gone + 1 if error.status == 404 else 0
            if self._gone >= _TIMES_GONE:
                raise JobLostError(self._job_id) from error
            raise
        self._gone = 0
        return detail.job

    async def _ended_job(self) -> Job:
        """Ask for the job until it has ended; raises what :meth:`events` does."""
        policy, failures = self._policy(), 0
        while True:
            try:
                job = await self._ask()
            except (ConnectionFailedError, ApiError) as error:
                if isinstance(error, ApiError) and error.status in PERMANENT_STATUSES:
                    raise
                if policy.max_attempts is not None and failures >= policy.max_attempts:
                    raise StreamExhaustedError(
                        "The event stream ended without saying how the job did, and asking "
                        f"for it failed {failures + 1} times in a row: {error.message}",
                        failures + 1,
                    ) from error
                delay = policy.delay(failures)
                failures += 1
            else:
                if job.is_terminal:
                    return job
                failures, delay = 0, policy.base_delay
            await asyncio.sleep(delay)

    async def status_of(self, job: Job, failure: TrainingFailed) -> str:
        """Tell ``failed`` from ``cancelled``: only the job itself knows."""
        if job.status in _BAD_ENDS:
            return job.status
        try:
            asked = await self._ask()
        except ArkorTuiError:
            pass
        else:
            if asked.status in _BAD_ENDS:
                return asked.status
        return "cancelled" if failure.error == "Job cancelled" else "failed"


def is_end(item: StreamEvent) -> bool:
    """Tell whether this event ends its run."""
    return isinstance(item.event, TrainingCompleted | TrainingFailed)


def terminal_event(job: Job) -> TrainingCompleted | TrainingFailed:
    """Make what the stream of an ended job should have said."""
    if job.status == "completed":
        return TrainingCompleted(
            type="training.completed", job_id=job.id, timestamp=job.completed_at
        )
    fallback = "Job cancelled" if job.status == "cancelled" else "The backend gave no reason."
    return TrainingFailed(
        type="training.failed",
        job_id=job.id,
        timestamp=job.completed_at,
        error=job.error or fallback,
    )


class ReadAhead:
    """Read a source while its events are handled, as far as there is room.

    An asynchronous context that owns the task that reads. Events and changes of the connection come
    out in the order in which they happened; what nobody took is there the next time.
    """

    def __init__(self) -> None:
        self.came = 0
        """How many events were read."""
        self._waiting: deque[StreamEvent | StreamState] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    def start(self, source: Source, tell: TellState) -> Self:
        """Begin to read; ``tell`` hears of the connection at once, before whoever takes."""
        self._reading = asyncio.create_task(self._read(source, tell), name="read the stream")
        self._reading.add_done_callback(lambda _: self._arrived.set())
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.exception()  # raised to whoever waited for events, if anybody did

    async def _read(self, source: Source, tell: TellState) -> None:
        def both(state: StreamState) -> None:
            tell(state)
            self._waiting.append(state)
            self._arrived.set()

        async with aclosing(source.events(both)) as events:
            async for item in events:
                self.came += 1
                self._waiting.append(item)
                self._arrived.set()
                if self.is_full:
                    self._room.clear()
                    await self._room.wait()

    @property
    def is_full(self) -> bool:
        """Whether nothing more is read before somebody has taken what was."""
        return len(self._waiting) >= MOST_AHEAD

    @property
    def is_reading(self) -> bool:
        """Whether events may still come."""
        return self._reading is not None and not self._reading.done()

    def cut(self) -> None:
        """Read no more; what was read can still be taken."""
        if self._reading is not None:
            self._reading.cancel()

    async def take(self) -> list[StreamEvent | StreamState]:
        """Wait for what came since; empty where reading was cut.

        Raises:
            Exception: whatever the source raised, after everything that it gave.
        """
        reading = self._reading
        assert reading is not None
        while not self._waiting:
            if reading.done():
                if not reading.cancelled():
                    reading.result()
                return []
            self._arrived.clear()
            await self._arrived.wait()
        taken = list(self._waiting)
        self._waiting.clear()
        self._room.set()
        return taken
