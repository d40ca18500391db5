"""Hosting the recipes of a run: one process at a time, whichever holds the run's lock."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from arkor_tui.api.reconnect import StreamState
from arkor_tui.archive.records import RunRecord
from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.config.run_lock import (
    HostKind,
    HostState,
    RunLock,
    lock_path,
    read_host,
    take_run_lock,
)
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.callbacks import Callback
from arkor_tui.run.loading import load_trainer
from arkor_tui.run.trainer import Trainer

TELL_SECONDS = 1.0
"""How often a host says how it stands, if anything is new."""


class AlreadyHostedError(ArkorTuiError):
    """Another process runs the recipes of this run; ``state`` says which."""

    def __init__(self, state: HostState) -> None:
        super().__init__(
            f"The recipes of this run are in the hands of process {state.pid} ({state.kind}).",
            hint="One process at a time runs them. Follow the run without them, or end that one.",
        )
        self.state = state


def lock_path_of(record: RunRecord) -> Path:
    """Where the lock of a run lies; its other files lie beside it."""
    one = record.identity
    return lock_path(one.backend, one.org, one.project, one.job_id)


def recipe_files(record: RunRecord) -> list[Path]:
    """Where the recipes of a run come from: its trainer file, and what was set up without one."""
    own = lock_path_of(record).with_suffix(".py")
    files = [Path(record.trainer_file)] if record.trainer_file else []
    return [file for file in [*files, own] if file.is_file()]


def load_recipes(files: Sequence[Path]) -> list[Callback]:
    """The callbacks of trainer files, which are run for it.

    Raises:
        TrainerFileError: a file cannot be run, or holds no trainer.
    """
    return [callback for file in files for callback in load_trainer(file).callbacks]


async def take_lock(record: RunRecord) -> RunLock:
    """The right to run the recipes of a run.

    Raises:
        AlreadyHostedError: another process has it.
        WriteFailedError: the data folder cannot be written.
    """
    path = lock_path_of(record)
    lock = await asyncio.to_thread(take_run_lock, path)
    if lock is None:
        state = await asyncio.to_thread(read_host, path)
        raise AlreadyHostedError(state or HostState(0, "supervisor", time.time()))
    return lock


@asynccontextmanager
async def hosting(
    lock: RunLock, trainer: Trainer, kind: HostKind, problem: Callable[[], str] = str
) -> AsyncIterator[None]:
    """Say every second how the hosting stands, and release the lock in the end.

    ``problem`` says what keeps this process from its work at the moment.

    Raises:
        WriteFailedError: it cannot be said at the beginning. Later that costs no run its host.
    """
    since = time.time()

    async def tell() -> None:
        state = HostState(
            pid=os.getpid(),
            kind=kind,
            since=since,
            callbacks=len(trainer.callbacks),
            gauges=tuple(asdict(gauge) for gauge in trainer.hooks.gauges()),
            problem=problem(),
            errors=len(trainer.callback_errors),
        )
        with suppress(WriteFailedError):  # a full disk must not end the hosting
            await asyncio.to_thread(lock.tell, state)

    async def keep_telling() -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            with suppress(WriteFailedError):  # others see how it stood when there was room
                await tell()

    try:
        await tell()
        # no group of tasks, which would hide what the body raises in an exception of its own
        telling_task = asyncio.create_task(keep_telling(), name="host state")
        try:
            yield
        finally:
            telling_task.cancel()
            await asyncio.wait([telling_task])
    finally:
        lock.release()


def problem_of(state: StreamState) -> str:
    """Why events do not arrive; empty where they do."""
    if state.phase == "reconnecting" and state.attempt > 0:
        return f"no connection, attempt {state.attempt}: {state.reason}"
    return f"the run waits: {state.waits}" if state.waits else ""
