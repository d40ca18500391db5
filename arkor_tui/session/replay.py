"""A recorded run, played as if it happened now. It is marked as a replay everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from arkor_tui.api.events import MalformedEventError, TrainingFailed, parse_event
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.api.scope import Scope
from arkor_tui.api.stream import StreamCounters, StreamEvent
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.recording import Recording
from arkor_tui.archive.records import unix_time
from arkor_tui.connect.connection import Connection
from arkor_tui.errors import UsageError
from arkor_tui.run.source import TellState, is_end, terminal_event
from arkor_tui.run.stopping import CancelState
from arkor_tui.run.trainer import Trainer

from .session import Session

if TYPE_CHECKING:
    from .monitor import RunMonitor

LONGEST_SILENCE = 2.0
"""Seconds that a replay waits at most between two events, however long the run was silent."""
REPLAY = "replay"


class RecordedSource:
    """Give the events of a recording, with its silences divided by the speed."""

    def __init__(self, recording: Recording, job: Job, speed: float) -> None:
        self.counters = StreamCounters()
        self._recording = recording
        self._speed = speed
        run = recording.run
        status = run.status if run.is_terminal else "cancelled"
        self._end = job.model_copy(update={"status": status, "error": run.error})

    def skip(self, event: StreamEvent) -> bool:
        """Do nothing: a replay is played once, into an archive of its own."""
        return True

    def skip_to(self, event_id: str | None) -> None:
        """Do nothing, as :meth:`skip`."""

    async def settle(self) -> StreamEvent:
        """Give the end that the recording tells."""
        return StreamEvent(None, terminal_event(self._end), "")

    async def events(self, tell: TellState) -> AsyncGenerator[StreamEvent, None]:
        """Give every event up to the end of the run."""
        tell(StreamState("live"))
        before: float | None = None
        for at, event in self._parsed():
            moment = unix_time(at)
            if moment is not None:
                silence = 0.0 if before is None else (moment - before) / self._speed
                await asyncio.sleep(min(max(silence, 0.0), LONGEST_SILENCE))
                before = moment
            self.counters.events += 1
            yield event
            if is_end(event):
                return
        yield await self.settle()

    def _parsed(self) -> Iterator[tuple[str | None, StreamEvent]]:
        for event in self._recording.events:
            try:
                yield event.at, StreamEvent(event.id, parse_event(event.data), event.data)
            except MalformedEventError:
                self.counters.malformed += 1

    async def status_of(self, job: Job, failure: TrainingFailed) -> str:
        """Tell what the recording says."""
        del job, failure
        return "failed" if self._end.status == "completed" else self._end.status


def replay_trainer(recording: Recording, *, speed: float) -> Trainer:
    """Make the handle of a recorded run: its events come from the file, and it has no backend."""
    run = recording.run
    job = Job.model_validate(
        {
            "id": run.identity.job_id, "orgId": REPLAY, "projectId": REPLAY,
            "name": f"replay: {run.name}", "status": "queued",
            "config": {**run.config, "model": run.model}, "createdAt": run.created_at,
        }
    )  # fmt: skip
    nowhere = Connection("url", REPLAY, Scope(REPLAY, REPLAY), "recorded", None)
    return Trainer.of(job, RecordedSource(recording, job, speed), nowhere)


class ReplaySession(Session):
    """A session in which nothing can be started or asked."""

    async def connect(
        self, backend: str | None = None, *, may_start: bool = True, may_create: bool = True
    ) -> Connection:
        """There is no backend.

        Raises:
            UsageError: always.
        """
        del backend, may_start, may_create
        raise _no()

    async def connection_for(self, record: object, *, after_stop: bool = True) -> Connection:
        """There is no backend.

        Raises:
            UsageError: always.
        """
        del record, after_stop
        raise _no()

    async def cancel(self, monitor: RunMonitor, reason: str | None = None) -> CancelState:
        """Say that there is nothing to stop, and nobody to ask whether it has ended."""
        del monitor, reason
        error = _no()
        return CancelState("failed", error.message, error.hint or "")

    async def settle(self) -> None:
        """Nothing is to be found out."""


@asynccontextmanager
async def replaying(recording: Recording, *, speed: float) -> AsyncIterator[ReplaySession]:
    """A session on an archive of its own, in which the recording is being played."""
    with TemporaryDirectory(prefix="arkor-tui-replay-") as folder:
        archive = await AsyncArchive.open(Path(folder) / "history.db")
        try:
            session = ReplaySession(archive, Path.cwd(), REPLAY)
            session.can_talk = False
            async with session.monitors:
                await session.monitors.start(replay_trainer(recording, speed=speed))
                yield session
        finally:
            await archive.aclose()


def _no() -> UsageError:
    return UsageError(
        "This is a replay: nothing can be started, cancelled or asked in it.",
        hint="`arkor-tui` without `replay` opens the app on your runs.",
    )
