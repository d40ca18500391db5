"""One run as a screen reads it: what the loop that follows it has put on disk."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.points import metric_points
from arkor_tui.archive.records import LogRow, RunRecord
from arkor_tui.archive.series import Series
from arkor_tui.archive.sink import EXPECTED, RETRY_SECONDS, ArchiveSink, register, write_end
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.findings import Finding
from arkor_tui.run.stopping import CancelState
from arkor_tui.run.trainer import Trainer

from .updates import Problem, StreamHealth, Update

UPDATE_SECONDS = 0.05
"""Subscribers hear of events at most this often, however fast they arrive."""
_LOSSES = ("loss", "evalLoss")

Subscriber = Callable[[Update], None]


class SubmittedError(ArkorTuiError):
    """A job was submitted, but cannot be kept: to submit it again would be a second one."""

    def __init__(self, job: Job, why: Exception) -> None:
        problem = Problem.of(why)
        stops = f"Do not start it again. `arkor-tui cancel {job.id}` stops it."
        super().__init__(
            f"The backend has the job {job.name} ({job.id}) and trains it, but it is neither "
            f"followed nor guarded here: {problem.message}",
            hint=f"{stops} {problem.hint}".rstrip(),
        )


class RunMonitor:
    """Shows one run; :meth:`follow` is awaited by whoever owns the monitor.

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
        self._unwritable: Problem | None = None
        """Why events wait for the disk at the moment; it is among the problems."""
        self._missing = 0
        self._gaps = 0
        self._last_counted: int | None = None
        self._told_errors = 0
        self._untold: list[LogRow] = []
        self._told_at = -math.inf
        self._telling: asyncio.TimerHandle | None = None
        trainer.on_cancel = lambda _: self.tell(Update())
        trainer.open_sink = self._sink

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
            SubmittedError: the job was submitted, and cannot be archived.
            ArkorTuiError: the backend refused, or could not be reached.
        """
        await self.trainer.start()
        job = self.trainer.job
        assert job is not None
        connection = await self.trainer.connection()
        try:
            self.record = await register(
                self.archive, connection, job, trainer_file=self._trainer_file, origin=self._origin
            )
            await self.load()
        except EXPECTED as error:
            if self.trainer.is_attached:
                raise
            raise SubmittedError(job, error) from error
        return self.record

    async def load(self) -> None:
        """Read what the archive knows of the run."""
        key = self.key
        self.record = await self.archive.read(lambda a: a.run(key))
        self.series = await self.archive.read(lambda a: a.load_series(key))

    async def follow(self) -> None:
        """Stream to the run's end. A failure ends up in ``problems``, never as an exception."""
        if self.following:
            return
        self.following = True
        self.trainer.on_state = self._change_state
        self.trainer.hooks.on_error = "report"
        try:
            if self.record is None:
                await self.open()
            await self.trainer.wait()
            await self._refresh_record()
        except EXPECTED as error:
            problem = Problem.of(error)
            self.problems.append(problem)
            self._change_state(StreamState("ended", reason=problem.message))
        else:
            self._tell_rows()
            self.tell(Update(ended=True))
        finally:
            self.following = False
            self._tell_rows()
            self.tell(Update())

    @asynccontextmanager
    async def _sink(self, trainer: Trainer) -> AsyncIterator[ArchiveSink]:
        """Keep the run in the archive of the sitting, and hear of what is on disk."""
        assert self.record is not None
        sink = ArchiveSink(
            self.archive, self.record, resumes=True, hears=bool(trainer.callbacks), patient=True
        )
        sink.on_rows = self._take_rows
        sink.on_kept = self._tell_finding
        sink.on_trouble = self._tell_trouble
        async with sink:
            yield sink

    def _tell_finding(self, finding: Finding) -> None:
        self.tell(Update(findings=(finding,)))

    def _take_rows(self, rows: tuple[LogRow, ...], record: RunRecord | None) -> None:
        self.record = record
        self.last_event_at = time.monotonic()
        for row in rows:
            self._count(row.id)
            if row.kind == "training.resumed" and row.step is not None:
                for series in self.series.values():  # its later steps are void
                    series.cut_after(row.step)
            self._take_points(row)
        self._untold += rows
        if self._telling is None:
            loop = asyncio.get_running_loop()
            wait = self._told_at + UPDATE_SECONDS - loop.time()
            if wait <= 0:
                self._tell_rows()
            else:
                self._telling = loop.call_later(wait, self._tell_rows)

    def _tell_rows(self) -> None:
        """Tell what is on disk and was not told."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        rows, self._untold = tuple(self._untold), []
        if rows:
            self._told_at = asyncio.get_running_loop().time()
            self.tell(
                Update(
                    rows,
                    tuple(
                        row.step
                        for row in rows
                        if row.kind == "checkpoint.saved" and row.step is not None
                    ),
                )
            )

    def _count(self, event_id: str | None) -> None:
        """Notice ids that were skipped, on a backend whose ids count up."""
        if event_id is None or not event_id.isdecimal() or len(event_id) > 18:
            return
        number = int(event_id)
        if self._last_counted is not None and number > self._last_counted + 1:
            self._missing += number - self._last_counted - 1
        self._last_counted = number

    def _take_points(self, row: LogRow) -> None:
        has_loss = False
        for name, step, value in metric_points(row.kind, row.step, row.at, row.data):
            has_loss = has_loss or (name in _LOSSES and value is not None and math.isfinite(value))
            if name not in self.series:
                self.series[name] = Series((), ())
            self.series[name].put(step, value)
        self._gaps += row.kind == "training.log" and not has_loss

    def _tell_trouble(self, error: Exception | None) -> None:
        """Say that the archive cannot be written, or no more that it could not."""
        if self._unwritable is not None:
            self.problems.remove(self._unwritable)
            self._unwritable = None
        if error is not None:
            problem = Problem.of(error)
            self._unwritable = Problem(
                f"Events cannot be archived: {problem.message}",
                f"{problem.hint} The backend keeps the events, and writing is tried again every "
                f"{RETRY_SECONDS:g} s.".lstrip(),
            )
            self.problems.append(self._unwritable)
        self.tell(Update())

    async def _refresh_record(self) -> None:
        key = self.key
        self.record = await self.archive.read(lambda a: a.run(key))

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
        job, why = self.trainer.job, self.trainer.why_stopped
        if state.confirmed and job is not None and self.record is not None:
            ended = why if job.status == "cancelled" else None
            try:
                await self.archive.write(partial(write_end, self.key, job, ended))
                await self._refresh_record()
            except EXPECTED as error:  # the run is stopped all the same
                self.tell_problem(
                    Problem(f"The reason is not archived: {Problem.of(error).message}")
                )
        return state
