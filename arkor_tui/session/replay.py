"""A recorded run, played as if it happened now. It is marked as a replay everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from arkor_tui.api.events import MalformedEventError, parse_event
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.api.scope import Scope
from arkor_tui.api.stream import StreamEvent
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.recording import Recording
from arkor_tui.archive.records import unix_time
from arkor_tui.connect.connection import Connection
from arkor_tui.errors import UsageError
from arkor_tui.run.cancelling import CancelState
from arkor_tui.run.trainer import Trainer, TrainingResult

from .session import Session

LONGEST_SILENCE = 2.0
"""Seconds that a replay waits at most between two events, however long the run was silent."""
REPLAY = "replay"


class ReplayTrainer(Trainer):
    """Stands in for the trainer of the recorded run: the events come from its file."""

    def __init__(self, recording: Recording, *, speed: float) -> None:
        super().__init__(None, job_id=recording.run.identity.job_id)
        self._recording = recording
        self._speed = speed

    async def connection(self) -> Connection:
        """One that leads nowhere."""
        return Connection("url", REPLAY, Scope(REPLAY, REPLAY), "recorded", None)

    @property
    def is_connected(self) -> bool:
        """A replay needs no backend."""
        return True

    async def start(self) -> str:
        """The job as it was when it was submitted."""
        run = self._recording.run
        self._job = Job.model_validate(
            {
                "id": run.identity.job_id, "orgId": REPLAY, "projectId": REPLAY,
                "name": f"replay: {run.name}", "status": "queued",
                "config": {**run.config, "model": run.model}, "createdAt": run.created_at,
            }
        )  # fmt: skip
        return self._job.id

    async def wait(self) -> TrainingResult:
        """Give every event, with the silences of the recording divided by the speed."""
        assert self._job is not None
        self._say(StreamState("live"))
        before: float | None = None
        for event in self._recording.events:
            moment = unix_time(event.at)
            if moment is not None:
                silence = 0.0 if before is None else (moment - before) / self._speed
                await asyncio.sleep(min(max(silence, 0.0), LONGEST_SILENCE))
                before = moment
            try:
                parsed = parse_event(event.data)
            except MalformedEventError:
                self.counters.malformed += 1
                continue
            self.counters.events += 1
            if self.on_event is not None:
                await self.on_event(StreamEvent(event.id, parsed, event.data))
        self._say(StreamState("ended"))
        run = self._recording.run
        ended = run.status if run.is_terminal else "cancelled"
        self._job = self._job.model_copy(update={"status": ended, "error": run.error})
        return TrainingResult(self._job)

    async def stop(self, reason: str = "") -> CancelState:
        """There is nothing to cancel, and nobody to ask whether it has ended."""
        del reason
        error = _no()
        self.cancel_state = CancelState("failed", error.message, error.hint or "")
        return self.cancel_state

    def _say(self, state: StreamState) -> None:
        if self.on_state is not None:
            self.on_state(state)


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
                await session.monitors.start(ReplayTrainer(recording, speed=speed))
                yield session
        finally:
            await archive.aclose()


def _no() -> UsageError:
    return UsageError(
        "This is a replay: nothing can be started, cancelled or asked in it.",
        hint="`arkor-tui` without `replay` opens the app on your runs.",
    )
