"""Everything that a face of this program needs: archive, backends, and the runs that are live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import RunQuery, RunRecord, recording_error
from arkor_tui.errors import ArkorTuiError

from .monitors import Monitors
from .runlog import RunLog
from .runs import Runs
from .supervision import Supervision
from .transcripts import PromptLibrary, Transcripts
from .updates import Problem

# What talks to a backend is imported when it is needed: the list of runs is on screen before.
if TYPE_CHECKING:
    from arkor_tui.chat.infer import Infer
    from arkor_tui.chat.target import Target
    from arkor_tui.connect.connection import Connection
    from arkor_tui.run.stopping import CancelState
    from arkor_tui.run.trainer import Trainer

    from .monitor import RunMonitor


class Session:
    """One sitting: opened once, closed at the end."""

    def __init__(self, archive: AsyncArchive, folder: Path, backend: str | None = None) -> None:
        self.archive = archive
        self.folder = folder
        self.backend = backend
        self.runs = Runs(archive)
        self.log = RunLog(archive)
        self.transcripts = Transcripts(archive)
        self.prompts = PromptLibrary(archive)
        self.monitors = Monitors(archive)
        self.supervision = Supervision(archive)
        self.connection: Connection | None = None
        self.submitting = 0
        """How many jobs are on their way to the backend, which may have them already."""
        self.problem: Problem | None = None
        """Why there is no connection."""
        self.can_talk = True
        """Whether models can be asked; they cannot in a replay."""
        self.on_report: Callable[[str], None] = lambda _: None
        self._others: dict[str, Connection] = {}
        self._connecting = asyncio.Lock()
        """Two at once would make two connections, and two identities in the cloud."""
        self._usual = ""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, backend: str | None = None, *, archive_path: Path | None = None
    ) -> AsyncIterator[Session]:
        """Open the archive; connects to nothing. Runs go on where they run when it is left.

        Raises:
            ArkorTuiError: the archive cannot be used.
        """
        async with AsyncExitStack() as stack:
            archive = await AsyncArchive.open(archive_path)
            stack.push_async_callback(archive.aclose)
            session = cls(archive, folder, backend)
            stack.push_async_callback(session._disconnect)
            await stack.enter_async_context(session.monitors)
            yield session

    @property
    def notice(self) -> str | None:
        """Say what was unusual about opening the archive."""
        return self.archive.notice

    async def _disconnect(self) -> None:
        for connection in (self.connection, *self._others.values()):
            if connection is not None:
                await connection.aclose()

    @property
    def backend_name(self) -> str:
        """``local``, ``cloud`` or a URL; empty until :meth:`settle` has found out."""
        if self.connection is not None:
            return self.connection.name
        return self.backend or self._usual

    async def connect(
        self, backend: str | None = None, *, may_start: bool = True, may_create: bool = True
    ) -> Connection:
        """Connect to the chosen backend, or to another one from now on.

        Raises:
            ArkorTuiError: also kept in ``problem``.
        """
        from arkor_tui.connect.connection import connect

        async with self._connecting:
            if backend is not None and backend != self.backend:
                self.backend, old, self.connection = backend, self.connection, None
                if old is not None:
                    self._others[old.name] = old
            if self.connection is None:
                try:
                    self.connection = await connect(
                        self.backend,
                        folder=self.folder,
                        report=self.on_report,
                        may_start=may_start,
                        may_create=may_create,
                    )
                except ArkorTuiError as error:
                    self.problem = Problem.of(error)
                    raise
            self.problem = None
            return self.connection

    async def refresh(self) -> None:
        """Bring the backend's list of jobs into the archive.

        Raises:
            ArkorTuiError: it could not be asked; also kept in ``problem``.
        """
        from arkor_tui.api.errors import ConnectionFailedError

        connection = await self.connect(may_start=False, may_create=False)
        scope = connection.scope
        try:
            jobs = await connection.client.list_jobs(scope)
        except ArkorTuiError as error:
            self.problem = Problem.of(error)
            if connection.kind == "local" and isinstance(error, ConnectionFailedError):
                # it may come back with another address
                self.connection = None
                await connection.aclose()
            raise
        name = connection.name
        await self.archive.write(
            lambda a: a.sync_jobs(name, scope.org_slug, scope.project_slug, jobs)
        )

    async def start(
        self,
        trainer: Trainer,
        *,
        trainer_file: str | None = None,
        recipe_source: str | None = None,
    ) -> RunMonitor:
        """Submit a trainer's job on the chosen backend and follow it.

        Its callbacks run in a process of their own where they can be loaded there: from
        ``trainer_file``, or from ``recipe_source``, the text of a file that was set up without one.

        Raises:
            ArkorTuiError: no backend, or it refused.
        """
        trainer.request()  # settings that cannot be sent are found before anything is started
        connection = await self.connect(trainer.backend if self.backend is None else None)
        trainer.use(connection)
        count = len(trainer.callbacks)
        elsewhere = recipe_source is not None or (count > 0 and trainer_file is not None)
        if elsewhere:
            trainer.callbacks.clear()
        self.submitting += 1
        try:
            monitor = await self.monitors.start(trainer, trainer_file=trainer_file)
        finally:
            self.submitting -= 1
        if elsewhere:
            self.monitors.own(
                self.supervision.hand_over(monitor, max(count, 1), recipe_source), name="hand over"
            )
        return monitor

    def enter(self, folder: Path, backend: str | None = None) -> None:
        """Work in another project from now on."""
        if self.connection is not None:
            self._others[self.connection.name] = self.connection
        self.connection, self.folder = None, folder
        self.backend = backend or self.backend

    async def settle(self) -> None:
        """Find out which backend is used where nobody says; loads what talks to backends.

        A wrong settings file or unreadable credentials are kept in ``problem``.
        """

        def look() -> str:
            from arkor_tui.connect.connection import chosen_backend

            return chosen_backend(self.backend)

        try:
            self._usual = await asyncio.to_thread(look)
        except ArkorTuiError as error:
            self.problem = Problem.of(error)

    async def find_run(self, text: str) -> RunRecord:
        """The run that a text means (see :mod:`.resolve`), for asking its backend about it.

        Raises:
            UsageError: it means none, several, or an imported recording.
            ArkorTuiError: it means none in the archive, and the backend cannot be asked.
        """
        from .resolve import find_run

        found = await find_run(
            text,
            self.folder,
            read=self.archive.read,
            connect=lambda: self.connect(may_start=False, may_create=False),
            backend=self.backend,
        )
        record, job = found.record, found.job
        if record is None:
            assert job is not None
            identity = found.identity
            key = await self.archive.write(lambda a: a.register(identity, job, origin="backend"))
            record = await self.runs.get(key)
            assert record is not None
        if record.is_imported:
            raise recording_error(record)
        return record

    def scoped(self, query: RunQuery) -> RunQuery:
        """The query for this folder's project; for every run while that is not known."""
        if self.connection is None:
            return query
        scope = self.connection.scope
        return replace(
            query, backend=self.backend_name, org=scope.org_slug, project=scope.project_slug
        )

    async def is_complete(self, record: RunRecord) -> bool:
        """Whether everything about a run is archived."""
        return record.is_terminal and await self.archive.read(lambda a: a.ended(record.key))

    async def view(self, record: RunRecord) -> RunMonitor:
        """What the archive knows of a run."""
        return await self.monitors.view(record)

    async def system_prompt(self, record: RunRecord) -> str:
        """What the model of a run was told first in training; empty where that is not known."""
        from .trained import system_prompt

        return await system_prompt(self.archive, record)

    async def follow(self, monitor: RunMonitor, *, asked: bool = False) -> None:
        """Follow a run to its end, filling what is missing.

        ``asked``: a person wants it, also where somebody has stopped the embedded backend.

        Raises:
            ArkorTuiError: its backend cannot be reached.
        """
        if not monitor.following:
            await self._connect_monitor(monitor, after_stop=asked)
            self.monitors.follow(monitor)
        elif monitor.state.phase == "reconnecting":
            await self._wake_backend(monitor, after_stop=asked)

    async def _wake_backend(self, monitor: RunMonitor, *, after_stop: bool) -> None:
        """Start the embedded backend again if that is what does not answer."""
        from arkor_tui.connect.embedded import ensure_embedded_backend

        connection = await monitor.trainer.connection()
        if connection.kind == "local":
            await ensure_embedded_backend(report=self.on_report, after_stop=after_stop)

    async def cancel(self, monitor: RunMonitor, reason: str | None = None) -> CancelState:
        """Stop a run on its backend; waits until the backend says so. Leaving early is fine.

        Raises:
            ArkorTuiError: its backend cannot be reached.
        """
        await self._connect_monitor(monitor)
        return await asyncio.shield(self.monitors.cancel(monitor, reason))

    async def _connect_monitor(self, monitor: RunMonitor, *, after_stop: bool = True) -> None:
        if not monitor.trainer.is_connected:
            assert monitor.record is not None
            connection = await self.connection_for(monitor.record, after_stop=after_stop)
            monitor.trainer.use(connection)

    async def connection_for(self, record: RunRecord, *, after_stop: bool = True) -> Connection:
        """A connection to the backend of a run, in the run's own scope.

        ``after_stop``: see :func:`~arkor_tui.connect.embedded.ensure_embedded_backend`.

        Raises:
            ArkorTuiError: it cannot be reached.
        """
        from arkor_tui.api.scope import Scope
        from arkor_tui.connect.connection import chosen_backend, connect

        if record.is_imported:
            raise recording_error(record)
        identity = record.identity
        async with self._connecting:
            current = self.connection
            if current is None or current.name != identity.backend:
                current = self._others.get(identity.backend)
            if current is None:
                usual = await asyncio.to_thread(chosen_backend, self.backend)
                current = await connect(
                    identity.backend,
                    folder=self.folder,
                    may_create=False,
                    after_stop=after_stop,
                )
                if self.connection is None and usual == identity.backend:
                    self.connection = current
                else:
                    self._others[identity.backend] = current
        scope = Scope(identity.org, identity.project)
        return current if current.scope == scope else current.for_scope(scope)

    async def export(self, record: RunRecord, kind: str) -> Path:
        """Write a run (``jsonl``, ``csv``, ``markdown``) or what was said to it
        (``transcripts.md``, ``transcripts.jsonl``) into a new file of the project's folder.

        Raises:
            ArkorTuiError: it could not be written.
        """
        from arkor_tui.archive.exporting import export_to_file

        folder = self.folder
        return await self.archive.read(lambda a: export_to_file(a, record, kind, folder))

    def infer(self, run: RunRecord | None, target: Target) -> Infer:
        """Talk to a target of a run, or to a model of the chosen backend where there is no run.

        The connection is made when the first prompt is sent.
        """
        from arkor_tui.chat.infer import Infer
        from arkor_tui.chat.provider import ArkorProvider

        async def connection() -> Connection:
            return await (self.connect() if run is None else self.connection_for(run))

        return Infer(ArkorProvider(connection), target)
