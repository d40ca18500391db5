"""One run: submit it, follow it, stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from arkor_tui.api.chat import AdapterRef
from arkor_tui.api.errors import ApiError, ConnectionFailedError, StreamExhaustedError
from arkor_tui.api.events import (
    CheckpointSaved,
    RunMetrics,
    TrainingCompleted,
    TrainingEvent,
    TrainingFailed,
    TrainingLog,
    TrainingStarted,
    UnknownEvent,
)
from arkor_tui.api.jobs import FileSource, Job, JobCreate
from arkor_tui.api.reconnect import PERMANENT_STATUSES, ReconnectPolicy, StreamState
from arkor_tui.api.seen import SeenIds
from arkor_tui.api.stream import EventStream, StreamCounters, StreamEvent
from arkor_tui.errors import ArkorTuiError, UsageError

from .abort import AbortSignal, interruptible
from .callbacks import (
    Callback,
    CallbackError,
    CheckpointContext,
    CompletedContext,
    Context,
    FailedContext,
    LogContext,
    StartedContext,
    attach,
    fire,
)
from .config import TrainerInput
from .connection import Connection, connect
from .infer import Infer

_BAD_ENDS = ("failed", "cancelled")
OnCallbackError = Literal["raise", "report"]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a run ended. ``status`` is ``completed``, ``failed`` or ``cancelled``."""

    job: Job
    artifacts: list[Any] = field(default_factory=list)
    metrics: RunMetrics | None = None

    @property
    def status(self) -> str:
        """The job's last status."""
        return self.job.status


class Trainer:
    """Drives exactly one job. Make it with :func:`create_trainer` or :meth:`attach`.

    Nothing is read, sent or started before :meth:`start`.
    """

    def __init__(
        self,
        settings: TrainerInput | None,
        *,
        job_id: str | None = None,
        callbacks: Sequence[Callback] = (),
        abort_signal: AbortSignal | None = None,
        on_callback_error: OnCallbackError = "raise",
        backend: str | None = None,
        connection: Connection | None = None,
        policy: ReconnectPolicy | None = None,
    ) -> None:
        self.settings = settings
        self.callbacks = list(callbacks)
        self.abort_signal = abort_signal
        self.on_callback_error = on_callback_error
        self.folder: Path | None = None
        """Where relative paths start: the trainer file's folder; None for the current one."""
        self.policy = policy or ReconnectPolicy()
        self.on_state: Callable[[StreamState], None] | None = None
        self.on_event: Callable[[StreamEvent], Awaitable[None]] | None = None
        """Awaited with each event before its callbacks run: an archive keeps it first."""
        self.on_report: Callable[[str], None] = lambda _: None
        self.callback_errors: list[CallbackError] = []
        """What callbacks raised, in order."""
        self.counters = StreamCounters()
        self.backend = backend
        """``local``, ``cloud``, a URL, or None for what the surroundings say."""
        self._connection = connection
        self._owns_connection = connection is None
        self._given_id = job_id
        self._job: Job | None = None
        self._artifacts: list[Any] = []
        self._metrics: RunMetrics | None = None
        self._result: TrainingResult | None = None
        self._seen = SeenIds()
        self._last_event_id: str | None = None
        self._attached = False
        # one job however many start at once, and one stream however many wait
        self._submission: asyncio.Task[Job] | None = None
        self._streaming = asyncio.Lock()
        self._connecting = asyncio.Lock()

    @classmethod
    def attach(
        cls,
        job_id: str,
        *,
        callbacks: Sequence[Callback] = (),
        backend: str | None = None,
        connection: Connection | None = None,
        abort_signal: AbortSignal | None = None,
        on_callback_error: OnCallbackError = "raise",
        policy: ReconnectPolicy | None = None,
    ) -> Trainer:
        """Follow a job that somebody else started; its history is replayed first."""
        return cls(
            None,
            job_id=job_id,
            callbacks=callbacks,
            backend=backend,
            connection=connection,
            abort_signal=abort_signal,
            on_callback_error=on_callback_error,
            policy=policy,
        )

    @property
    def name(self) -> str:
        """The run's name; an attached job's id until the job was asked for."""
        if self.settings is not None:
            return self.settings.name
        return self._job.name if self._job else str(self._given_id)

    @property
    def job(self) -> Job | None:
        """The job as last known; None before it was submitted."""
        return self._job

    @property
    def result(self) -> TrainingResult | None:
        """How it ended; None while it has not."""
        return self._result

    @property
    def is_connected(self) -> bool:
        """Whether the backend is decided."""
        return self._connection is not None

    def use(self, connection: Connection) -> None:
        """Work with this connection, which stays the caller's to close.

        Raises:
            UsageError: the trainer has connected already.
        """
        if self._connection is not None:
            raise UsageError(f"The trainer {self.name!r} is connected already.")
        self._connection, self._owns_connection = connection, False

    def resume_after(self, event_id: str | None) -> None:
        """Go on after this event, which was seen before with everything that came ahead of it."""
        self._last_event_id = event_id
        if event_id:
            self._seen.add(event_id)

    async def connection(self) -> Connection:
        """The backend that this trainer talks to, decided on the first call and kept."""
        async with self._connecting:
            if self._connection is None:
                self._connection = await connect(
                    self.backend, folder=self.folder, report=self.on_report
                )
            return self._connection

    def request(self, folder: Path | None = None) -> JobCreate:
        """Exactly what :meth:`start` would send, without sending it.

        Raises:
            UsageError: an attached trainer has no settings, or a setting cannot be sent.
        """
        if self.settings is None:
            raise UsageError("This trainer follows a job that was submitted elsewhere.")
        return self.settings.job_request(folder or self.folder or Path.cwd())

    async def start(self) -> str:
        """Submit the job, once however often and concurrently this is called; returns its id.

        Raises:
            ApiError: the backend refused it.
            ArkorTuiError: no backend, no identity, or settings that cannot be sent.
        """
        if self._job is None:
            if self._submission is None:
                self._submission = asyncio.create_task(self._submit())
                self._submission.add_done_callback(self._submitted)
            # Who gives up waiting does not undo the submission: the job may exist by then, and
            # cancel() has to know it.
            return (await asyncio.shield(self._submission)).id
        return self._job.id

    async def _submit(self) -> Job:
        connection = await self.connection()
        if self._given_id is not None:
            return (await connection.client.get_job(connection.scope, self._given_id)).job
        request = self.request()
        _check_for_backend(request, connection)
        return await connection.client.create_job(connection.scope, request)

    def _submitted(self, submission: asyncio.Task[Job]) -> None:
        self._submission = None
        if not submission.cancelled() and submission.exception() is None:
            self._job = submission.result()

    async def wait(self) -> TrainingResult:
        """Follow the run to its end, firing callbacks; starts it if need be.

        Completed, failed and cancelled runs all return. Waiting again after an error goes on with
        the next event: no event fires twice. Waiting again after the end returns the same result.

        Raises:
            CallbackError: a callback raised (unless errors are only reported).
            ApiError: the backend refuses for good (401, 403, 410, 426).
            StreamExhaustedError: the reconnect policy gave up.
            BaseException: the abort signal's reason.
        """
        async with aclosing(self.events()) as events:
            async for _ in events:
                pass
        assert self._result is not None
        return self._result

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Like :meth:`wait`, and gives each event after its callbacks have run.

        Use ``contextlib.aclosing`` when leaving early.
        """
        async with self._streaming, self._closing():
            if self._is_over():
                return
            with interruptible(self.abort_signal):
                await self.start()
            if not self._attached:
                self._attached = True
                self._take(attach(self.callbacks, self))
            connection = await self.connection()
            assert self._job is not None
            job_id = self._job.id
            stream = EventStream(
                lambda last: connection.client.open_event_stream(connection.scope, job_id, last),
                policy=self.policy,
                last_event_id=self._last_event_id,
                seen=self._seen,
                on_state=self.on_state,
                counters=self.counters,
            )
            abortable = interruptible(self.abort_signal)
            async with aclosing(stream.events()) as incoming:
                try:
                    while not self._is_over():
                        with abortable:
                            item = await anext(incoming)
                        self._last_event_id = stream.last_event_id
                        if self.on_event is not None:
                            await self.on_event(item)
                        await self._dispatch(item.event, item.id)
                        yield item
                except StopAsyncIteration:
                    pass
            if not self._is_over():
                await self._ask_for_the_end(connection)
            elif self.on_state is not None:
                self.on_state(StreamState("ended"))

    async def cancel(self) -> None:
        """Stop the job on the backend. Does nothing before :meth:`start`.

        A start that is under way is waited for, so that no job is left behind. A backend that says
        that the job has ended already (409) is fine.

        Raises:
            ApiError: the backend refused.
            ConnectionFailedError: the backend could not be reached.
        """
        if self._given_id is None and self._submission is not None:
            await asyncio.wait([self._submission])
        job_id = self._given_id if self._job is None else self._job.id
        if job_id is None:
            return
        connection = await self.connection()
        try:
            await connection.client.cancel_job(connection.scope, job_id)
        except ApiError as error:
            if error.status != 409:
                raise

    async def aclose(self) -> None:
        """Close a connection that this trainer opened; it opens again when needed."""
        if self._owns_connection and self._connection is not None:
            await self._connection.aclose()

    def infer(self, *, step: int | None = None, base: bool = False) -> Infer:
        """Talk to the final adapter, to the checkpoint at ``step``, or to the base model.

        Raises:
            UsageError: there is no job yet.
        """
        if self._job is None:
            raise UsageError("There is nothing to talk to before the job was submitted.")
        if base:
            return Infer(self.connection, base_model=self._job.config.model)
        return Infer(self.connection, adapter=_adapter(self._job.id, step))

    @asynccontextmanager
    async def _closing(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._submission is None:  # one that is under way still needs its connection
                await self.aclose()

    def _is_over(self) -> bool:
        return self._result is not None

    async def _dispatch(self, event: TrainingEvent | UnknownEvent, event_id: str | None) -> None:
        """Update the job's copy, then fire the callbacks."""
        if isinstance(event, TrainingFailed):
            ctx: Context | None = await self._how_it_failed(event, event_id)
        else:
            ctx = self._understand(event, event_id)
        if ctx is None:
            return
        errors = await fire(self.callbacks, ctx, event.type)
        if isinstance(event, TrainingCompleted | TrainingFailed):
            assert self._job is not None
            self._result = TrainingResult(self._job, self._artifacts, self._metrics)
        self._take(errors)

    def _take(self, errors: list[CallbackError]) -> None:
        """Raise what callbacks raised, or only remember it."""
        self.callback_errors += errors
        if errors and self.on_callback_error == "raise":
            errors[0].others = errors[1:]
            raise errors[0]

    def _understand(
        self, event: TrainingEvent | UnknownEvent, event_id: str | None
    ) -> Context | None:
        job = self._job
        assert job is not None
        if isinstance(event, TrainingLog):
            return LogContext(
                job,
                event.step,
                event.loss,
                event.eval_loss,
                event.learning_rate,
                event.epoch,
                event.samples_per_second,
                event.non_finite or {},
                event.extra,
                event_id,
            )
        now = event.timestamp or datetime.now(UTC).isoformat()
        if isinstance(event, CheckpointSaved):
            adapter = _adapter(job.id, event.step)
            infer = Infer(self.connection, adapter=adapter)
            return CheckpointContext(job, event.step, adapter, infer, event.artifacts, event_id)
        if isinstance(event, TrainingStarted):
            if not job.is_terminal:  # a replay does not bring an ended job back
                job = self._know(status="running", started_at=job.started_at or now)
            base = Infer(self.connection, base_model=job.config.model)
            return StartedContext(job, base, event_id, event.metadata)
        if isinstance(event, TrainingCompleted):
            job = self._know(status="completed", completed_at=now)
            self._artifacts, self._metrics = event.artifacts or [], event.metrics
            infer = Infer(self.connection, adapter=_adapter(job.id, None))
            return CompletedContext(job, self._artifacts, infer, event.metrics, event_id)
        return None

    async def _how_it_failed(self, event: TrainingFailed, event_id: str | None) -> FailedContext:
        status = await self._failed_or_cancelled(event)
        now = event.timestamp or datetime.now(UTC).isoformat()
        job = self._know(status=status, completed_at=now, error=event.error)
        return FailedContext(job, event.error, event.step, event_id)

    def _know(self, **changes: Any) -> Job:
        assert self._job is not None
        self._job = self._job.model_copy(update=changes)
        return self._job

    async def _failed_or_cancelled(self, event: TrainingFailed) -> str:
        """The protocol has no event for "cancelled": only the job itself tells the two apart."""
        assert self._job is not None
        if self._job.status in _BAD_ENDS:
            return self._job.status
        try:
            connection = await self.connection()
            detail = await connection.client.get_job(connection.scope, self._job.id)
        except ArkorTuiError:
            pass
        else:
            if detail.job.status in _BAD_ENDS:
                return detail.job.status
        return "cancelled" if event.error == "Job cancelled" else "failed"

    async def _ask_for_the_end(self, connection: Connection) -> None:
        """The stream ended without a terminal event: ask until the job is terminal."""
        assert self._job is not None
        failures = 0
        while True:
            with interruptible(self.abort_signal):
                try:
                    detail = await connection.client.get_job(connection.scope, self._job.id)
                except (ConnectionFailedError, ApiError) as error:
                    if isinstance(error, ApiError) and error.status in PERMANENT_STATUSES:
                        raise
                    limit = self.policy.max_attempts
                    if limit is not None and failures >= limit:
                        raise StreamExhaustedError(
                            "The event stream ended without saying how the job did, and asking "
                            f"for it failed {failures + 1} times in a row: {error.message}",
                            failures + 1,
                        ) from error
                    delay = self.policy.delay(failures)
                    failures += 1
                else:
                    failures, delay = 0, self.policy.base_delay
                    self._job = detail.job
                    if detail.job.is_terminal:
                        break
                await asyncio.sleep(delay)
        await self._dispatch(_terminal_event(self._job), None)


def _terminal_event(job: Job) -> TrainingCompleted | TrainingFailed:
    """What the stream should have said."""
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


def _adapter(job_id: str, step: int | None) -> AdapterRef:
    if step is None:
        return AdapterRef(kind="final", job_id=job_id)
    return AdapterRef(kind="checkpoint", job_id=job_id, step=step)


def _check_for_backend(request: JobCreate, connection: Connection) -> None:
    if connection.kind == "cloud" and isinstance(request.config.dataset_source, FileSource):
        raise UsageError(
            "Arkor's cloud cannot read a file of this machine (FileDataset).",
            hint="Use HuggingFaceDataset or BlobDataset there, or train here: --backend local.",
        )
