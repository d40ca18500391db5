"""Runs queued jobs, each in a child process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from arkor_tui.text.sanitize import plain

from .feed import Feed
from .logs import open_log
from .models import ModelRegistry, UnknownModelError
from .processes import kill
from .store import Store, StoredJob

log = logging.getLogger("uvicorn.error")  # the server's own log file

TRAIN_COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "arkor_tui.backend.engine.train")
CANCELLED = "Job cancelled"
"""The error that the protocol tells of a cancelled job (docs/protocol.md, section 5)."""

_LINE_LIMIT = 16 * 1024 * 1024  # bytes
_CANCEL_SECONDS = 1.5  # a child that has not ended by then is killed
_STOP_SECONDS = 3.0
_ERROR_LIMIT = 4_000
_RETRY_SECONDS = 1.0  # between attempts to write to a store that has no room
T = TypeVar("T")


@dataclass(slots=True)
class _Active:
    """A job whose child process lives."""

    process: asyncio.subprocess.Process
    cancelled: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self.process.stdin.write(json.dumps(message, allow_nan=False).encode() + b"\n")
            await self.process.stdin.drain()

    def kill(self) -> None:
        kill(self.process)


class JobRunner:
    """Trains ``parallel`` jobs at a time, oldest first. ``folder`` holds a folder for each job."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        folder: Path,
        models: ModelRegistry,
        *,
        parallel: int = 1,
        command: Sequence[str] = TRAIN_COMMAND,
    ) -> None:
        self._store = store
        self._feed = feed
        self._folder = folder
        self._models = models
        self._parallel = parallel
        self._command = tuple(command)
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._active: dict[str, _Active] = {}
        self._unwanted: set[str] = set()
        """Jobs that were cancelled while they ran."""
        self._stopping = False

    def job_folder(self, job_id: str) -> Path:
        """Where a job's checkpoints, final adapter and log are."""
        return self._folder / job_id

    async def run(self) -> None:
        """Take up what an earlier process left, then work until cancelled."""
        for job in await self._store.live_jobs():
            self._queue.put_nowait(job.id)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self._parallel):
                    workers.create_task(self._work())
        finally:
            self._stopping = True
            for active in self._active.values():
                active.kill()

    async def stop(self) -> None:
        """End every child; their jobs stay as they are and go on at the next start."""
        self._stopping = True
        for active in list(self._active.values()):
            # a closed stdin tells the child that its server is gone
            if active.process.stdin is not None:
                active.process.stdin.close()
        for active in list(self._active.values()):
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await active.process.wait()
            except TimeoutError:
                active.kill()

    def submit(self, job_id: str) -> None:
        """Queue a job that is in the store."""
        self._queue.put_nowait(job_id)

    async def cancel(self, job_id: str) -> None:
        """Stop a job; returns once it has ended. One that has ended already is left alone."""
        active = self._active.get(job_id)
        if active is None:
            await self._finish(job_id, "cancelled", "training.failed", {"error": CANCELLED})
            return
        active.cancelled = True
        self._unwanted.add(job_id)
        await active.tell({"op": "cancel"})
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                await active.done.wait()
        except TimeoutError:
            active.kill()
            await active.done.wait()

    async def _work(self) -> None:
        while True:
            job_id = await self._queue.get()
            if self._stopping:
                continue  # it stays queued, and begins at the next start
            try:
                job = await self._stored(job_id, partial(self._store.job, job_id))
                if job is not None and not job.is_terminal:  # else cancelled while it waited
                    await self._train(job)
            except Exception as error:
                # whatever is wrong with one job must not stop the ones behind it
                log.exception("job %s", job_id)
                await self._give_up(job_id, error)
            self._unwanted.discard(job_id)

    async def _give_up(self, job_id: str, error: Exception) -> None:
        text = f"The backend could not run this job: {type(error).__name__}: {error}"
        try:
            if job_id in self._unwanted:
                await self._stored(job_id, lambda: self._cancelled(job_id, None))
            else:
                await self._stored(job_id, lambda: self._fail(job_id, text, None))
        except sqlite3.Error:
            log.exception("job %s: its failure could not be stored", job_id)

    async def _stored(
        self, job_id: str, write: Callable[[], Awaitable[T]], active: _Active | None = None
    ) -> T:
        """Write; a full disk makes the job wait, until it is cancelled.

        Raises:
            sqlite3.Error: it was cancelled, the backend stops, or the store is damaged.
        """
        told = False
        try:
            while True:
                try:
                    return await write()
                except sqlite3.OperationalError as error:
                    if self._stopping or (active is not None and active.cancelled):
                        raise
                    if not told:
                        log.warning("job %s waits: its events cannot be stored: %s", job_id, error)
                        self._feed.hold_up(job_id, f"its events cannot be stored: {error}")
                    told = True
                    await asyncio.sleep(_RETRY_SECONDS)
        finally:
            if told:
                self._feed.go_on(job_id)

    async def _train(self, job: StoredJob) -> None:
        folder = self.job_folder(job.id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(_remove_unfinished, folder)
        resume = await self._last_checkpoint(job.id)
        if job.status == "running" and resume is None:
            await self._fail(
                job.id, "The backend was stopped before this job had saved a checkpoint.", None
            )
            return
        spec = await self._store.spec(job.id)
        try:
            source = await asyncio.to_thread(self._models.source_of, spec)
        except UnknownModelError as error:
            await self._fail(job.id, f"The base model of this job is gone: {error}", None)
            return
        log_path = folder / "train.log"
        with open_log(log_path) as log:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_LIMIT,
                cwd=folder,
                env=_environment(),
            )
        active = _Active(process)
        self._active[job.id] = active
        try:
            # it may have been cancelled while its process came up
            latest = await self._store.job(job.id)
            if latest is None or latest.is_terminal or self._stopping:
                return
            await active.tell(
                {
                    "op": "train",
                    "spec": asdict(replace(spec, model_source=source)),
                    "folder": str(folder),
                    "resume": resume,
                    "threads": training_threads(),
                }
            )
            ended = await self._follow(job.id, active)
            if not ended and not self._stopping:
                end = partial(self._ended_without_a_word, job.id, active, log_path)
                await self._stored(job.id, end, active)
        finally:
            active.kill()
            await process.wait()
            del self._active[job.id]
            active.done.set()

    async def _follow(self, job_id: str, active: _Active) -> bool:
        """Turn the child's lines into events; True once one of them was the last."""
        assert active.process.stdout is not None
        async for line in active.process.stdout:
            try:
                message = json.loads(line)
                kind = message.pop("type")
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # the last line of a killed child may be torn
            handle = partial(self._handle, job_id, active, kind, message)
            if await self._stored(job_id, handle, active):
                return True
        return False

    async def _handle(
        self, job_id: str, active: _Active, kind: str, message: dict[str, Any]
    ) -> bool:
        if kind == "started":
            await self._store.mark_started(job_id, message.get("metadata") or {})
        elif kind == "log":
            await self._store.append(job_id, "training.log", message)
        elif kind == "checkpoint":
            await self._store.add_checkpoint(
                job_id, message["step"], message["path"], message.get("artifacts") or []
            )
        elif kind == "completed":
            await self._finish(
                job_id,
                "completed",
                "training.completed",
                {
                    "artifacts": message.get("artifacts") or [],
                    "metrics": message.get("metrics") or {},
                },
            )
            return True
        elif kind == "failed" and not active.cancelled:
            await self._fail(job_id, str(message.get("error")), message.get("step"))
            return True
        elif kind in ("cancelled", "failed"):
            await self._cancelled(job_id, message.get("step"))
            return True
        self._feed.announce(job_id)
        return False

    async def _ended_without_a_word(self, job_id: str, active: _Active, log_path: Path) -> None:
        code = await active.process.wait()
        if active.cancelled:
            await asyncio.to_thread(_remove_unfinished, log_path.parent)
            await self._cancelled(job_id, None)
            return
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            how += ", perhaps because memory ran out"
        last = await asyncio.to_thread(_last_line, log_path)
        said = f" Its last line: {last}" if last else ""
        await self._fail(job_id, f"The training process ended early ({how}).{said}", None)

    async def _last_checkpoint(self, job_id: str) -> str | None:
        """The newest checkpoint folder that is there, absolute."""
        for path in reversed((await self._store.checkpoints(job_id)).values()):
            folder = self.job_folder(job_id) / path
            if folder.is_dir():
                return str(folder)
        return None

    async def _fail(self, job_id: str, error: str, step: int | None) -> None:
        text = plain(error, limit=_ERROR_LIMIT)
        fields: dict[str, Any] = {"error": text, "step": step}
        await self._finish(job_id, "failed", "training.failed", fields)

    async def _cancelled(self, job_id: str, step: int | None) -> None:
        fields: dict[str, Any] = {"error": CANCELLED, "step": step}
        await self._finish(job_id, "cancelled", "training.failed", fields)

    async def _finish(self, job_id: str, status: str, kind: str, fields: dict[str, Any]) -> None:
        if await self._store.finish(job_id, status, kind, fields):
            self._feed.announce(job_id)


def training_threads() -> int:
    """One core is left for chat, which would otherwise more than double the time of a step."""
    return max(1, (os.cpu_count() or 2) - 1)


def _environment() -> dict[str, str]:
    threads = str(training_threads())
    return {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


def _remove_unfinished(folder: Path) -> None:
    """A checkpoint that was being written when its process ended."""
    for path in [*folder.glob(".tmp-*"), *folder.glob("*/.tmp-*")]:
        shutil.rmtree(path, ignore_errors=True)


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return plain(lines[-1], limit=500, newlines=False) if lines else ""
