"""One run: its stream, its place in the archive, its cancellation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

from arkor_tui.api.events import TrainingLog, is_finite, step_of
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.api.stream import StreamEvent
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.points import metric_points
from arkor_tui.archive.records import LogRow, NewEvent, RunIdentity, RunRecord
from arkor_tui.archive.series import Series
from arkor_tui.archive.store import Archive
from arkor_tui.connect.connection import Connection
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.cancelling import CancelState
from arkor_tui.run.findings import Finding
from arkor_tui.run.trainer import Trainer

from .keeping import PAGE, ArchiveKeeper, tell_past
from .updates import Problem, StreamHealth, Update

UPDATE_SECONDS = 0.05
"""Subscribers hear at most this often, however fast events arrive."""
MOST_WAITING = 5_000
"""Events in memory that are not on disk yet; beyond it the stream has to wait."""
RETRY_SECONDS = 5.0
"""Between attempts to write to an archive that cannot be written."""

_EXPECTED = (ArkorTuiError, OSError)
"""What a backend, the archive or the disk may raise."""

Subscriber = Callable[[Update], None]


def identity_of(connection: Connection, job_id: str) -> RunIdentity:
    """How the archive knows a job of this connection."""
    backend = connection.kind if connection.kind != "url" else connection.base_url
    return RunIdentity(backend, connection.scope.org_slug, connection.scope.project_slug, job_id)


def _append(
    key: int, batch: Sequence[NewEvent], last_seq: int, archive: Archive
) -> tuple[LogRow, ...]:
    """Archive a batch; gives everything after ``last_seq``, whichever process wrote it."""
    added = archive.append(key, batch).added
    if len(added) == len(batch) and added[0].seq == last_seq + 1:
        return added
    rows: list[LogRow] = []
    while page := archive.log(key, after=rows[-1].seq if rows else last_seq, limit=PAGE):
        rows += page
    return tuple(rows)


class RunMonitor:
    """Follows one run; :meth:`follow` is awaited by whoever owns the monitor.

    Everything else may be read at any time on the event loop: ``record`` (as archived), ``series``
    by wire name, ``state`` of the connection, ``health``, ``cancel_state``, ``problems``.
    """

    def __init__(
        self,
        archive: AsyncArchive,
        trainer: Trainer,
        *,
        record: RunRecord | None = None,
        trainer_file: str | None = None,
        origin: str = "app",
    ) -> None:
        self.archive = archive
        self.trainer = trainer
        self.record = record
        self.series: dict[str, Series] = {}
        self.state = StreamState("connecting")
        self.state_since = time.monotonic()
        self.last_event_at: float | None = None
        """``time.monotonic()`` of the last event that arrived."""
        self.problems: list[Problem] = []
        self.following = False
        self._trainer_file = trainer_file
        self._origin = origin
        self._subscribers: list[Subscriber] = []
        trainer.on_cancel = self._tell_cancel
        self._pending: list[NewEvent] = []
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._drained = asyncio.Event()
        self._finished = False
        self._unwritable: Problem | None = None
        """Why events wait for the disk at the moment; it is among the problems."""
        self._missing = 0
        self._gaps = 0
        self._last_counted: int | None = None
        self._last_seq = 0
        """Of the last archived event that subscribers were told."""
        self._told_errors = 0

    @property
    def key(self) -> int:
        """The run's key in the archive.

        Raises:
            RuntimeError: it was not submitted yet.
        """
        if self.record is None:
            raise RuntimeError("the run has no place in the archive yet")
        return self.record.key

    @property
    def cancel_state(self) -> CancelState:
        """How far a cancellation is, whoever asked for it."""
        return self.trainer.cancel_state

    @property
    def health(self) -> StreamHealth:
        """Counters of the stream since following began."""
        counters = self.trainer.counters
        return StreamHealth(
            events=counters.events,
            reconnects=max(counters.connections - 1, 0),
            repeats=counters.repeats,
            missing=self._missing,
            malformed=counters.malformed,
            gaps=self._gaps,
        )

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have ``subscriber`` called with each update, on the event loop; returns the way out."""
        self._subscribers.append(subscriber)

        def leave() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return leave

    async def open(self) -> RunRecord:
        """Submit the job or ask for it, and read what the archive knows of it.

        Raises:
            ArkorTuiError: the backend refused, or could not be reached.
        """
        await self.trainer.start()
        job = self.trainer.job
        assert job is not None
        identity = identity_of(await self.trainer.connection(), job.id)
        file, origin = self._trainer_file, self._origin
        key = await self.archive.write(
            lambda a: a.register(identity, job, trainer_file=file, origin=origin)
        )
        await self._read(key)
        assert self.record is not None
        await self._go_on()
        return self.record

    async def load(self) -> None:
        """Read what the archive knows of the run, and go on from there."""
        await self._read(self.key)
        await self._go_on()

    async def _go_on(self) -> None:
        """Begin after the last archived event, with recipes that know what was before it."""
        assert self.record is not None
        key, hooks = self.key, self.trainer.hooks
        hooks.keeper = ArchiveKeeper(self.archive, key, self._tell_finding)
        if hooks.callbacks and self.record.events:
            await tell_past(self.archive, key, self.trainer)
        self.trainer.resume_after(self.record.last_event_id)

    def _tell_finding(self, finding: Finding) -> None:
        self.tell(Update(findings=(finding,)))

    async def _read(self, key: int) -> None:
        self.record = await self.archive.read(lambda a: a.run(key))
        self._last_seq = self.record.events if self.record is not None else 0
        self.series = await self.archive.read(lambda a: a.load_series(key))

    async def follow(self) -> None:
        """Stream to the run's end. A failure ends up in ``problems``, never as an exception."""
        if self.following:
            return
        self.following, self._finished = True, False
        self.trainer.on_event = self._arrive
        self.trainer.on_state = self._change_state
        self.trainer.hooks.on_error = "report"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(), name="archive writer")
                try:
                    await self._stream()
                finally:
                    self._finished = True
                    self._arrived.set()
        finally:
            self.following = False
            self.tell(Update())

    async def _stream(self) -> None:
        try:
            if self.record is None:
                await self.open()
            result = await self.trainer.wait()
        except _EXPECTED as error:
            problem = Problem.of(error)
            self.problems.append(problem)
            self._change_state(StreamState("ended", reason=problem.message))
            return
        await self._all_written()
        while True:
            try:
                await self._keep_end(result.job)
                self._tell_writable()
                break
            except _EXPECTED as error:
                await self._retry_later(error)
        self.tell(Update(ended=True))

    async def _keep_end(self, job: Job) -> None:
        key = self.key
        await self.archive.write(lambda a: a.set_status(key, job.status, job.error))
        await self._keep_reason()
        await self._refresh_record()

    async def _arrive(self, item: StreamEvent) -> None:
        event = item.event
        self._pending.append(
            NewEvent(item.id, event.type, step_of(event), event.timestamp, item.data)
        )
        self.last_event_at = time.monotonic()
        self._count(item.id)
        if isinstance(event, TrainingLog) and not (
            is_finite(event.loss) or is_finite(event.eval_loss)
        ):
            self._gaps += 1
        self._arrived.set()
        if len(self._pending) >= MOST_WAITING:
            self._room.clear()
            await self._room.wait()

    def _count(self, event_id: str | None) -> None:
        """Notice ids that were skipped, on a backend whose ids count up."""
        if event_id is None or not event_id.isdecimal() or len(event_id) > 18:
            return
        number = int(event_id)
        if self._last_counted is not None and number > self._last_counted + 1:
            self._missing += number - self._last_counted - 1
        self._last_counted = number

    async def _write(self) -> None:
        """Put on disk what arrived, then tell; at most every ``UPDATE_SECONDS``."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if self._pending and self.record is not None:
                try:
                    await self._write_pending()
                except _EXPECTED as error:
                    if not await self._retry_later(error):
                        return
            if self._finished and not self._pending:
                return
            await asyncio.sleep(UPDATE_SECONDS)

    async def _write_pending(self) -> None:
        batch = list(self._pending)
        rows = await self.archive.write(partial(_append, self.key, batch, self._last_seq))
        del self._pending[: len(batch)]
        self._room.set()
        if not self._pending:
            self._drained.set()
        self._tell_writable()
        if not rows:
            return
        self._last_seq = rows[-1].seq
        self._take_points(rows)
        try:
            await self._refresh_record()
        except ArkorTuiError as error:
            self.tell_problem(Problem.of(error))  # the record stays as it was read last
        checkpoints = tuple(
            row.step for row in rows if row.kind == "checkpoint.saved" and row.step is not None
        )
        self.tell(Update(rows, checkpoints))

    async def _retry_later(self, error: Exception) -> bool:
        """Say that the archive cannot be written, and whether to try again."""
        problem = Problem.of(error)
        self._tell_unwritable(
            Problem(
                f"Events cannot be archived: {problem.message}",
                f"{problem.hint} The backend keeps the events, and writing is tried again every "
                f"{RETRY_SECONDS:g} s.".lstrip(),
            )
        )
        if self._finished:
            return False
        await asyncio.sleep(RETRY_SECONDS)
        self._arrived.set()
        return True

    def _tell_unwritable(self, problem: Problem) -> None:
        if problem != self._unwritable:
            self._tell_writable()
            self._unwritable = problem
            self.problems.append(problem)
            self.tell(Update())

    def _tell_writable(self) -> None:
        if self._unwritable is not None:
            self.problems.remove(self._unwritable)
            self._unwritable = None

    async def _all_written(self) -> None:
        """Wait until nothing is pending."""
        if self._pending:
            self._drained.clear()
            await self._drained.wait()

    async def _refresh_record(self) -> None:
        key = self.key
        self.record = await self.archive.read(lambda a: a.run(key))

    def _take_points(self, rows: tuple[LogRow, ...]) -> None:
        for row in rows:
            for name, step, value in metric_points(row.kind, row.step, row.at, row.data):
                if name not in self.series:
                    self.series[name] = Series((), ())
                self.series[name].put(step, value)

    def _change_state(self, state: StreamState) -> None:
        self.state, self.state_since = state, time.monotonic()
        self.tell(Update())

    def tell_problem(self, problem: Problem) -> None:
        """Keep a problem and tell of it; the same one only once."""
        if problem not in self.problems:
            self.problems.append(problem)
            self.tell(Update())

    def tell(self, update: Update) -> None:
        """Tell every subscriber; on the event loop."""
        errors = self.trainer.callback_errors[self._told_errors :]
        self._told_errors += len(errors)
        self.problems += [Problem(f"A callback failed: {error.message}") for error in errors]
        for subscriber in list(self._subscribers):
            subscriber(update)

    async def cancel(self, reason: str | None = None) -> CancelState:
        """Stop the run on the backend and wait until the backend says that it has ended.

        See :meth:`Trainer.stop`; a guard of the run stops it in the same way.
        """
        state = await self.trainer.stop(reason or "")
        try:
            await self._keep_reason()
        except _EXPECTED as error:  # the run is stopped all the same
            self.tell_problem(Problem(f"The reason is not archived: {Problem.of(error).message}"))
        return state

    def _tell_cancel(self, _state: CancelState) -> None:
        self.tell(Update())

    async def _keep_reason(self) -> None:
        """Why the run was stopped belongs into the archive, whoever stopped it."""
        reason = self.trainer.stop_reason
        if reason and self.cancel_state.confirmed and self.record is not None:
            key, status = self.key, self.record.status
            await self.archive.write(lambda a: a.set_status(key, status, reason=reason))
            await self._refresh_record()
