"""The small process that goes on watching a run when nobody looks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from arkor_tui.archive.records import RunRecord
from arkor_tui.config.run_lock import WatchState, read_watch
from arkor_tui.connect.detached import start_detached
from arkor_tui.connect.embedded import ensure_embedded_backend
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.trainer import Trainer

from .monitor import RunMonitor
from .session import Session
from .supervision import (
    AlreadyWatchedError,
    load_recipes,
    path_of,
    problem_of,
    recipe_files,
    take,
    telling,
)
from .updates import Problem, Update

_START_SECONDS = 30.0
_WAKE_SECONDS = 5.0
_RETRY_SECONDS = 10.0
_LEAVE_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.05


class SupervisorError(ArkorTuiError):
    """The process that should watch a run did not start."""


async def supervise(
    archive: Path | None, key: int, *, ready: Callable[[dict[str, object]], None]
) -> int:
    """Run the recipes of an archived run to its end, or until SIGTERM; returns the exit code.

    ``ready`` is called once the run is in this process's hands.

    Raises:
        AlreadyWatchedError: another process watches it.
        ArkorTuiError: the run or its recipes cannot be found.
    """
    async with Session.open(Path.cwd(), archive_path=archive) as session:
        record = await session.archive.read(lambda a: a.run(key))
        if record is None:
            raise SupervisorError(f"There is no run {key} in the archive {session.archive.path}.")
        watch = await take(record)
        try:
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
            async with telling(watch, trainer, "supervisor", lambda: problem_of(monitor.state)):
                ready({"type": "supervising", "pid": os.getpid(), "callbacks": len(callbacks)})
                watching = asyncio.create_task(_watch(session, monitor, record), name="watch")
                leaving = asyncio.create_task(leave.wait(), name="leave")
                try:
                    await asyncio.wait({watching, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in (watching, leaving):
                        task.cancel()
                    await asyncio.wait({watching, leaving})
                if not watching.cancelled():
                    watching.result()
        finally:
            watch.release()
        return 0


async def _watch(session: Session, monitor: RunMonitor, record: RunRecord) -> None:
    """Follow the run to its end, however often its backend has to be found again."""
    while not monitor.trainer.is_connected:
        try:
            monitor.trainer.use(await session.connection_for(record))
        except ArkorTuiError as error:
            print(f"no connection yet: {error.message}", file=sys.stderr, flush=True)
            await asyncio.sleep(_RETRY_SECONDS)
    told: list[Problem] = []

    def tell(_update: Update) -> None:
        for problem in monitor.problems:
            if problem not in told:
                print(f"{problem.message} {problem.hint}".strip(), file=sys.stderr, flush=True)
        told[:] = monitor.problems  # what has passed may come again

    monitor.subscribe(tell)
    await monitor.load()
    async with asyncio.TaskGroup() as group:
        waking = group.create_task(_keep_awake(monitor), name="wake the backend")
        try:
            await monitor.follow()
        finally:
            waking.cancel()


async def _keep_awake(monitor: RunMonitor) -> None:
    """An embedded backend that is gone is started again: it goes on with its jobs."""
    connection = await monitor.trainer.connection()
    while connection.kind == "local":
        await asyncio.sleep(_WAKE_SECONDS)
        if monitor.state.phase == "reconnecting" and monitor.state.attempt > 1:
            with suppress(ArkorTuiError):
                await ensure_embedded_backend()


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A process that watches a run with so many callbacks."""

    pid: int
    callbacks: int


async def start_supervisor(record: RunRecord, archive: Path) -> Supervisor:
    """Hand a run to a process of its own, which outlives this one.

    Raises:
        AlreadyWatchedError: another process watches the run.
        SupervisorError: it did not start; the message holds what it said.
    """
    log_path = path_of(record).with_suffix(".log")
    folder = Path(record.trainer_file).parent if record.trainer_file else Path.home()
    started = await start_detached(
        ("supervise", str(record.key), "--archive", str(archive)),
        log=log_path,
        cwd=folder if folder.is_dir() else Path("/"),
        seconds=_START_SECONDS,
    )
    told = started.told("supervising")
    if told is not None:
        return Supervisor(started.pid, int(told["callbacks"]))
    if not started.has_ended:
        raise SupervisorError(
            f"The supervisor did not start within {_START_SECONDS:g} seconds.",
            hint=f"Its log is {log_path}.",
        )
    state = await asyncio.to_thread(read_watch, path_of(record))
    if state is not None:
        raise AlreadyWatchedError(state)
    said = await asyncio.to_thread(started.said)
    raise SupervisorError(
        "The supervisor did not start: " + (said or "it said nothing."),
        hint=f"Its log is {log_path}.",
    )


async def stop_supervisor(record: RunRecord) -> bool:
    """Ask the process that watches a run to leave it alone, and wait until it has.

    The run goes on. False where it did not leave in time, or is no supervisor.
    """
    state = await asyncio.to_thread(read_watch, path_of(record))
    if state is None:
        return True
    if state.kind != "supervisor" or state.pid <= 0:
        return False
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LEAVE_SECONDS
    while loop.time() < deadline:
        if await asyncio.to_thread(read_watch, path_of(record)) is None:
            return True
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    return False


def watch_of(record: RunRecord) -> WatchState | None:
    """Which process watches a run, and how it stands; None where none does."""
    return read_watch(path_of(record))
