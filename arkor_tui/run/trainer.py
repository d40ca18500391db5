"""One run: submit it, follow it, stop it."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arkor_tui.api.dedup import SeenEvents
from arkor_tui.api.errors import ApiError
from arkor_tui.api.events import (
    RunMetrics,
    TrainingCompleted,
    TrainingEvent,
    TrainingFailed,
    TrainingStarted,
    UnknownEvent,
)
from arkor_tui.api.jobs import Job, JobCreate
from arkor_tui.api.reconnect import ReconnectPolicy, StreamState
from arkor_tui.api.stream import EventStream, StreamCounters, StreamEvent
from arkor_tui.chat.infer import Infer
from arkor_tui.chat.provider import ArkorProvider
from arkor_tui.chat.target import Kind, Target
from arkor_tui.config.settings import read_settings
from arkor_tui.connect.connection import Connection, connect
from arkor_tui.connect.embedded import of_another_version
from arkor_tui.errors import UsageError

from .abort import AbortController, AbortSignal, interruptible
from .callbacks import Callback, CallbackError
from .cancelling import CancelState, cancel_and_confirm
from .config import TrainerInput, check_served
from .contexts import context_of, target_of
from .ending import failed_or_cancelled, terminal_event, wait_for_the_end
from .findings import Finding
from .hooks import Hooks, OnCallbackError

END_SECONDS = 10.0
"""How long a stream may stay open after the backend confirmed that its job has ended."""


class _NoEndHeardError(Exception):
    """The job has ended, but its stream does not say so."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a run ended. ``status`` is ``completed``, ``failed`` or ``cancelled``."""

    job: Job
    artifacts: list[Any] = field(default_factory=list)
    metrics: RunMetrics | None = None
    reason: str | None = None
    """Why it was stopped, where a guard or a person of this side did."""

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
        self.hooks = Hooks(callbacks, on_callback_error)
        self.abort_signal = abort_signal
        self.file: Path | None = None
        """The trainer file that this trainer was loaded from."""
        self.folder: Path | None = None
        """Where relative paths start: the trainer file's folder; None for the current one."""
        self.on_state: Callable[[StreamState], None] | None = None
        self.on_event: Callable[[StreamEvent], Awaitable[None]] | None = None
        """Awaited with each event before its callbacks run: an archive keeps it first."""
        self.on_report: Callable[[str], None] = lambda _: None
        self.on_cancel: Callable[[CancelState], None] | None = None
        self.stop_reason: str | None = None
        """The first reason that :meth:`stop` was called with."""
        self.cancel_state = CancelState()
        self.counters = StreamCounters()
        self.backend = backend
        """``local``, ``cloud``, a URL, or None for what the surroundings say."""
        self._policy = policy
        self._connection = connection
        self._owns_connection = connection is None
        self._given_id = job_id
        self._job: Job | None = None
        self._result: TrainingResult | None = None
        self._seen = SeenEvents()
        self._last_event_id: str | None = None
        # one job however many start at once, and one stream however many wait
        self._submission: asyncio.Task[Job] | None = None
        self._streaming = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._stopping = asyncio.Lock()
        self._interrupt = AbortController()

    @property
    def policy(self) -> ReconnectPolicy:
        """How to reconnect: as it was given, else as the user's settings say from the start on."""
        return self._policy or ReconnectPolicy()

    @property
    def callbacks(self) -> list[Callback]:
        """Called with every event, in this order."""
        return self.hooks.callbacks

    @property
    def callback_errors(self) -> list[CallbackError]:
        """What callbacks raised, in order."""
        return self.hooks.errors

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
            self._seen.add_id(event_id)

    async def connection(self) -> Connection:
        """The backend that this trainer talks to, decided on the first call and kept.

        Raises:
            ArkorTuiError: as :func:`connect` does.
        """
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
            SettingsError: the user's settings file cannot be used.
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
        if self._policy is None:  # a mistake in the settings is told before anything is sent
            self._policy = ReconnectPolicy.of((await asyncio.to_thread(read_settings)).stream)
        connection = await self.connection()
        if self._given_id is not None:
            return (await connection.client.get_job(connection.scope, self._given_id)).job
        request = self.request()
        check_served(request, connection.kind)
        if other := of_another_version(connection.version):
            raise other
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
            ArkorTuiError: what :meth:`start` raises, where it was not started.
            CallbackError: a callback raised (unless errors are only reported).
            LocalBackendError: what the embedded backend left on disk cannot be trusted.
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
            self.hooks.attach(self)
            connection = await self.connection()
            assert self._job is not None
            job_id = self._job.id
            stream = EventStream(
                lambda last: connection.find_again().open_event_stream(
                    connection.scope, job_id, last
                ),
                policy=self.policy,
                last_event_id=self._last_event_id,
                seen=self._seen,
                on_state=self._change_state,
                counters=self.counters,
            )
            with self._interrupted_by_abort():
                abortable = interruptible(self._interrupt.signal)
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
                    except (StopAsyncIteration, _NoEndHeardError):
                        pass
            if not self._is_over():
                await self._ask_for_the_end(connection)
            else:
                self._change_state(StreamState("ended"))
            await self.hooks.finish()

    def _change_state(self, state: StreamState) -> None:
        self.hooks.connection(state)
        if self.on_state is not None:
            self.on_state(state)

    @contextmanager
    def _interrupted_by_abort(self) -> Iterator[None]:
        """Make the user's abort reach the wait for events, and a stop that no event follows."""
        self._interrupt = interrupt = AbortController()
        signal = self.abort_signal
        forget = signal.listen(lambda: interrupt.abort(signal.reason)) if signal else lambda: None
        try:
            yield
        finally:
            forget()

    async def stop(self, reason: str = "") -> CancelState:
        """Stop the job on the backend and wait until the backend says that it has ended.

        However often and from wherever this is called, one request is under way at a time, and
        after a confirmed end none is sent. ``reason`` is kept, the first one of several. Never
        raises for what a backend says: the state, also in ``cancel_state``, tells the truth.
        """
        self.stop_reason = self.stop_reason or reason or None
        async with self._stopping:
            if self.cancel_state.confirmed:
                return self.cancel_state
            state = await cancel_and_confirm(self, self._tell_cancel, policy=self.policy)
            if state.confirmed:  # a backend may end the job and never its stream
                loop, interrupt = asyncio.get_running_loop(), self._interrupt
                loop.call_later(END_SECONDS, interrupt.abort, _NoEndHeardError())
            return state

    def _tell_cancel(self, state: CancelState) -> None:
        self.cancel_state = state
        if self.on_cancel is not None:
            self.on_cancel(state)

    async def keep(self, finding: Finding) -> None:
        """Keep what a recipe found with the run, and tell every callback of it."""
        await self.hooks.keep(finding)

    async def first_time(self, mark: str) -> bool:
        """True once for each mark, also over restarts where an archive keeps the run."""
        return await self.hooks.first_time(mark)

    async def was_marked(self, mark: str) -> bool:
        """Whether :meth:`first_time` was called with this mark."""
        return await self.hooks.was_marked(mark)

    def background(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Do work beside the stream; see :class:`~arkor_tui.run.callbacks.RunHandle`."""
        return self.hooks.start(work, name)

    def replay(self, events: Iterable[StreamEvent]) -> None:
        """Tell callbacks what happened before this process watched the run.

        Call it after :meth:`start` and before :meth:`wait`, which goes on after these events and
        tells none of them again, even if the backend sends them again.

        Raises:
            CallbackError: a callback raised (unless errors are only reported).
        """
        job = self._job
        assert job is not None
        self.hooks.attach(self)
        contexts = (
            context_of(item.event, job, item.id, self._talk) for item in self._remember(events)
        )
        self.hooks.replay(ctx for ctx in contexts if ctx is not None)

    def _remember(self, events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
        """The same events, each taken for seen as it passes."""
        for item in events:
            self._seen.add(item.id, item.data, self._last_event_id)
            self._last_event_id = item.id or self._last_event_id
            yield item

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
        kind: Kind = "base" if base else "final" if step is None else "checkpoint"
        return self._talk(target_of(self._job, kind, None if base else step))

    @asynccontextmanager
    async def _closing(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.hooks.cancel()
            if self._submission is None:  # one that is under way still needs its connection
                await self.aclose()

    def _is_over(self) -> bool:
        return self._result is not None

    async def _dispatch(self, event: TrainingEvent | UnknownEvent, event_id: str | None) -> None:
        """Update the job's copy, then fire the callbacks."""
        await self._learn(event)
        assert self._job is not None
        ctx = context_of(event, self._job, event_id, self._talk)
        errors = await self.hooks.fire(ctx, event.type)
        if isinstance(event, TrainingCompleted):
            self._end(event.artifacts or [], event.metrics)
        elif isinstance(event, TrainingFailed):
            self._end([], None)
        self.hooks.take(errors)

    def _end(self, artifacts: list[Any], metrics: RunMetrics | None) -> None:
        assert self._job is not None
        reason = self.stop_reason if self._job.status == "cancelled" else None
        self._result = TrainingResult(self._job, artifacts, metrics, reason)

    async def _learn(self, event: TrainingEvent | UnknownEvent) -> None:
        """Bring the job's copy up to date."""
        assert self._job is not None
        now = event.timestamp or datetime.now(UTC).isoformat()
        if isinstance(event, TrainingStarted):
            if not self._job.is_terminal:  # a replay does not bring an ended job back
                self._know(status="running", started_at=self._job.started_at or now)
        elif isinstance(event, TrainingCompleted):
            self._know(status="completed", completed_at=now)
        elif isinstance(event, TrainingFailed):
            status = await failed_or_cancelled(self._job, event.error, await self.connection())
            self._know(status=status, completed_at=now, error=event.error)

    def _talk(self, target: Target) -> Infer:
        return Infer(ArkorProvider(self.connection), target)

    def _know(self, **changes: Any) -> None:
        assert self._job is not None
        self._job = self._job.model_copy(update=changes)

    async def _ask_for_the_end(self, connection: Connection) -> None:
        assert self._job is not None
        self._job = await wait_for_the_end(self._job, connection, self.policy, self.abort_signal)
        await self._dispatch(terminal_event(self._job), None)
