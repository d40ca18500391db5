"""The small process that hosts the recipes of a run when nobody looks."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from arkor_tui.archive.records import RunRecord
from arkor_tui.config.run_lock import RunLock
from arkor_tui.connect.embedded import BackendStoppedError, ensure_embedded_backend
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.trainer import Trainer
from arkor_tui.text.redact import redact_text

from .monitor import RunMonitor
from .recipe_host import hosting, load_recipes, problem_of, recipe_files, take_lock
from .session import Session
from .supervision import SupervisorError
from .updates import Problem, Update

_WAKE_SECONDS = 5.0
_RETRY_SECONDS = 10.0


async def supervise(archive: Path | None, key: int, *, ready: Callable[[int], None]) -> int:
    """Host the recipes of an archived run to its end, or until SIGTERM; returns the exit code.

    ``ready`` gets the number of callbacks once the run is in this process's hands.

    Raises:
        AlreadyHostedError: another process hosts them.
        ArkorTuiError: the run or its recipes cannot be found.
    """
    async with Session.open(Path.cwd(), archive_path=archive) as session:
        record = await session.archive.read(lambda a: a.run(key))
        if record is None:
            raise SupervisorError(f"There is no run {key} in the archive {session.archive.path}.")
        lock = await take_lock(record)
        try:
            return await _host(session, record, lock, ready)
        except Exception as error:
            await _keep_failure(session, record, Problem.of(error))
            raise
        finally:
            lock.release()


async def _host(
    session: Session, record: RunRecord, lock: RunLock, ready: Callable[[int], None]
) -> int:
    """Load the recipes and follow the run with them."""
    files = recipe_files(record)
    if not files:
        raise SupervisorError(
            "The run has no trainer file any more that its recipes could come from.",
            hint=f"It was started from {record.trainer_file or 'no file'}.",
        )
    callbacks = await asyncio.to_thread(load_recipes, files)
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    trainer = Trainer.attach(record.identity.job_id, callbacks=callbacks)
    trainer.hooks.on_error = "report"
    monitor = RunMonitor(session.archive, trainer, record=record, origin=record.origin)
    body = _Supervisor(session, monitor, record)
    async with hosting(lock, trainer, "supervisor", body.problem):
        ready(len(callbacks))
        working = asyncio.create_task(body.run(), name="supervise")
        leaving = asyncio.create_task(leave.wait(), name="leave")
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, leaving):
                task.cancel()
            await asyncio.wait({working, leaving})
        if not working.cancelled():
            working.result()
    return 0


async def _keep_failure(session: Session, record: RunRecord, why: Problem) -> None:
    """Keep with the run why this process could not do its work."""
    data = {"event": "hosting", "message": redact_text(why.message), "hint": why.hint}
    with suppress(ArkorTuiError):  # it is in the log too
        await session.archive.write(
            lambda a: a.save_finding(record.key, "error", "supervisor", None, data)
        )


class _Supervisor:
    """Follows the run to its end, however often its backend has to be found again."""

    def __init__(self, session: Session, monitor: RunMonitor, record: RunRecord) -> None:
        self.session = session
        self.monitor = monitor
        self.record = record
        self.away: ArkorTuiError | None = None
        """Why the backend is not there, as long as it is not."""

    def problem(self) -> str:
        """What keeps it from its work at the moment; empty where nothing does."""
        return self.away.message if self.away is not None else problem_of(self.monitor.state)

    async def run(self) -> None:
        """Do it."""
        monitor = self.monitor
        while not monitor.trainer.is_connected:
            try:
                monitor.trainer.use(
                    await self.session.connection_for(self.record, after_stop=False)
                )
            except ArkorTuiError as error:
                self._tell_away(error)
                await asyncio.sleep(_RETRY_SECONDS)
        self._tell_away(None)
        told: list[Problem] = []

        def tell(_update: Update) -> None:
            for problem in monitor.problems:
                if problem not in told:
                    _say(f"{problem.message} {problem.hint}".strip())
            told[:] = monitor.problems  # what has passed may come again

        monitor.subscribe(tell)
        await monitor.load()
        async with asyncio.TaskGroup() as group:
            waking = group.create_task(self._keep_awake(), name="wake the backend")
            try:
                await monitor.follow()
            finally:
                waking.cancel()
        if monitor.record is not None and not monitor.record.is_terminal and monitor.problems:
            await _keep_failure(self.session, self.record, monitor.problems[-1])

    async def _keep_awake(self) -> None:
        """Start an embedded backend that crashed again: it goes on with its jobs.

        One that somebody has stopped stays stopped until somebody starts it.
        """
        monitor = self.monitor
        connection = await monitor.trainer.connection()
        while connection.kind == "local":
            await asyncio.sleep(_WAKE_SECONDS)
            if monitor.state.phase != "reconnecting" or monitor.state.attempt <= 1:
                self._tell_away(None)
                continue
            try:
                await ensure_embedded_backend(after_stop=False)
            except ArkorTuiError as error:
                self._tell_away(error)
            else:
                self._tell_away(None)

    def _tell_away(self, error: ArkorTuiError | None) -> None:
        """Say in the log what is new about the backend."""
        if error is not None and (self.away is None or self.away.message != error.message):
            stopped = isinstance(error, BackendStoppedError)
            waits = "waits until somebody starts it again" if stopped else "tries again"
            _say(f"{error.message} This process {waits}.")
        elif error is None and self.away is not None:
            _say("The backend is there again.")
        self.away = error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
