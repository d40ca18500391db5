"""The handle of one job: submit it, follow it, stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from pathlib import Path
from typing import ClassVar

from arkor_tui.api.jobs import Job, JobCreate
from arkor_tui.api.reconnect import ReconnectPolicy, StreamState
from arkor_tui.api.stream import StreamCounters, StreamEvent
from arkor_tui.config.settings import read_settings
from arkor_tui.connect.connection import Connection, connect
from arkor_tui.connect.embedded import of_another_version
from arkor_tui.ended import Ended, EndedBy
from arkor_tui.errors import UsageError

from .abort import AbortSignal, interruptible
from .backend_job import BackendJob
from .callback_tools import CallbackTools
from .callbacks import Callback, in_callback
from .config import TrainerInput, check_served
from .errors import CallbackError
from .follow import Follower
from .follow import TrainingResult as TrainingResult
from .hooks import Hooks, OnCallbackError
from .sink import Sink
from .source import LiveSource, Source
from .stopping import CancelState, Stopping, reason_to_stop

OpenSink = Callable[["Trainer"], AbstractAsyncContextManager[Sink | None]]
"""Opens where a run is kept, for as long as it is followed; None where that cannot be."""


class Trainer(CallbackTools):
    """Drives exactly one job. Make it with :func:`create_trainer` or :meth:`attach`.

    Nothing is read, sent or started before :meth:`start`.
    """

    archive_sink: ClassVar[OpenSink | None] = None
    """What keeps a run of a script, where the surroundings set none; ``arkor_tui.sdk`` sets it."""

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
        archive: bool = True,
        source: Source | None = None,
    ) -> None:
        self.settings = settings
        self.hooks = Hooks(callbacks, on_callback_error)
        self.abort_signal = abort_signal
        self.file: Path | None = None
        """The trainer file that this trainer was loaded from."""
        self.folder: Path | None = None
        """Where relative paths start: the trainer file's folder; None for the current one."""
        self.on_report: Callable[[str], None] = lambda _: None
        self.on_cancel: Callable[[CancelState], None] | None = None
        self.open_sink: OpenSink | None = None
        """Where the run is kept; None for what ``archive`` says."""
        self.backend = backend
        """``local``, ``cloud``, a URL, or None for what the surroundings say."""
        self._archive = archive
        self._policy = policy
        self._job = BackendJob(self._connect, self._create, job_id, connection)
        self._source = source
        self._follower = Follower(self, self._job, self.hooks)
        self._stopping = Stopping(
            self._job, lambda: self.policy, self._tell_cancel, self._ended_by_itself
        )
        self._streaming = asyncio.Lock()  # one stream however many wait

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
        archive: bool = True,
    ) -> Trainer:
        """Follow a job that somebody else started; its history is told first.

        What is seen of it is kept in the archive, unless ``archive`` is False.
        """
        return cls(
            None,
            job_id=job_id,
            callbacks=callbacks,
            backend=backend,
            connection=connection,
            abort_signal=abort_signal,
            on_callback_error=on_callback_error,
            policy=policy,
            archive=archive,
        )

    @classmethod
    def of(cls, job: Job, source: Source, connection: Connection) -> Trainer:
        """Follow a job that is known, by events that come from elsewhere than its backend."""
        trainer = cls(None, job_id=job.id, connection=connection, source=source)
        trainer._job.known = job
        return trainer

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

    def again(self, settings: TrainerInput) -> Trainer:
        """Make a trainer like this one, not started, that sends ``settings``."""
        trainer = Trainer(
            settings,
            callbacks=self.callbacks,
            abort_signal=self.abort_signal,
            on_callback_error=self.hooks.on_error,
            backend=self.backend,
            policy=self._policy,
        )
        trainer.file, trainer.folder = self.file, self.folder
        return trainer

    @property
    def name(self) -> str:
        """The run's name; an attached job's id until the job was asked for."""
        if self.settings is not None:
            return self.settings.name
        return self.job.name if self.job else str(self._job.given_id)

    @property
    def job(self) -> Job | None:
        """The job as last known; None before it was submitted."""
        return self._job.known

    @property
    def is_attached(self) -> bool:
        """Whether somebody else submitted the job."""
        return self._job.given_id is not None

    @property
    def result(self) -> TrainingResult | None:
        """How it ended; None while it has not."""
        return self._follower.result

    @property
    def counters(self) -> StreamCounters:
        """What the stream went through so far."""
        return self._source.counters if self._source is not None else StreamCounters()

    @property
    def cancel_state(self) -> CancelState:
        """How far a stop is, whoever asked for it."""
        return self._stopping.state

    @property
    def why_stopped(self) -> Ended | None:
        """The first reason that :meth:`stop` was called with, and who gave it."""
        return self._stopping.why

    @property
    def stop_reason(self) -> str | None:
        """Why the run was asked to stop; None where nobody asked."""
        return self.why_stopped.sentence if self.why_stopped is not None else None

    @property
    def on_state(self) -> Callable[[StreamState], None]:
        """Called with each change of the connection, at once."""
        return self._follower.on_state

    @on_state.setter
    def on_state(self, heard: Callable[[StreamState], None]) -> None:
        self._follower.on_state = heard

    # the connection

    @property
    def is_connected(self) -> bool:
        """Whether the backend is decided."""
        return self._job.current is not None

    def use(self, connection: Connection) -> None:
        """Work with this connection, which stays the caller's to close.

        Raises:
            UsageError: the trainer has connected already.
        """
        if self._job.current is not None:
            raise UsageError(f"The trainer {self.name!r} is connected already.")
        self._job.use(connection)

    async def connection(self) -> Connection:
        """The backend that this trainer talks to, decided on the first call and kept.

        Raises:
            ArkorTuiError: as :func:`connect` does.
        """
        return await self._job.connection()

    async def _connect(self) -> Connection:
        return await connect(self.backend, folder=self.folder, report=self.on_report)

    async def aclose(self) -> None:
        """Close a connection that this trainer opened, once nobody uses it; it opens again."""
        await self._job.aclose()

    # the job

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
        return (await self._job.submit()).id

    async def submitted(self) -> str | None:
        """Wait for a start that is under way; the job's id, None where there is no job."""
        return await self._job.submitted()

    async def _create(self) -> Job:
        if self._policy is None:  # a mistake in the settings is told before anything is sent
            self._policy = ReconnectPolicy.of((await asyncio.to_thread(read_settings)).stream)
        async with self._job.connected() as connection:
            client, scope = connection.client, connection.scope
            if self._job.given_id is not None:
                return (await client.get_job(scope, self._job.given_id)).job
            request = self.request()
            check_served(request, connection.kind)
            if other := of_another_version(connection.version):
                raise other
            return await client.create_job(scope, request)

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
        async with aclosing(self._follow(looked_at=False)) as events:
            async for _ in events:
                pass
        assert self.result is not None
        return self.result

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Like :meth:`wait`, and gives each event after its callbacks have run.

        Use ``contextlib.aclosing`` when leaving early.
        """
        async with aclosing(self._follow(looked_at=True)) as events:
            async for item in events:
                yield item

    async def _follow(self, *, looked_at: bool) -> AsyncGenerator[StreamEvent, None]:
        async with self._streaming, self._ending():
            if self.result is not None:
                return
            with interruptible(self.abort_signal):
                job_id = await self.start()
            if self._source is None:
                self._source = LiveSource(job_id, self.connection, lambda: self.policy)
            source, signal = self._source, self.abort_signal
            async with (
                self._job.connected(),
                self._sink() as sink,
                aclosing(
                    self._follower.events(source, sink, signal, looked_at=looked_at)
                ) as events,
            ):
                async for item in events:
                    yield item

    def _sink(self) -> AbstractAsyncContextManager[Sink | None]:
        opened = self.open_sink or (type(self).archive_sink if self._archive else None)
        return opened(self) if opened is not None else nullcontext()

    @asynccontextmanager
    async def _ending(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.hooks.cancel()
            await self.aclose()

    # stopping it

    async def stop(
        self,
        reason: str = "",
        *,
        by: EndedBy | None = None,
        guard: str | None = None,
        step: int | None = None,
        checkpoint: int | None = None,
    ) -> CancelState:
        """Stop the job on the backend and wait until the backend says that it has ended.

        However often and from wherever this is called, one request is under way at a time, and
        after a confirmed end none is sent. The first reason is kept, with who gave it (see
        :class:`~arkor_tui.run.callbacks.RunHandle`). Before :meth:`start` there is nothing to stop:
        the state says so, and nothing is kept; a submission that is under way is waited for, and
        its job stopped. Never raises for what a backend says: the state, also in ``cancel_state``,
        tells the truth.
        """
        by = by or ("callback" if in_callback() else "person")
        return await self._stopping.stop(reason_to_stop(reason, by, guard, step, checkpoint))

    async def cancel(self) -> None:
        """Ask the backend once to stop the job. Does nothing before :meth:`start`.

        A start that is under way is waited for, so that no job is left behind. A backend that says
        that the job has ended already (409) is fine.

        Raises:
            ApiError: the backend refused.
            ConnectionFailedError: the backend could not be reached.
        """
        await self._stopping.cancel()

    def _tell_cancel(self, state: CancelState) -> None:
        if state.confirmed:
            self._follower.expect_end()
        if self.on_cancel is not None:
            self.on_cancel(state)

    def _ended_by_itself(self) -> Job | None:
        result = self.result
        if result is None or (result.ended is not None and result.ended.by == "lost"):
            return None
        return result.job
