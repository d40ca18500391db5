"""``arkor-tui serve --stop``: end the embedded backend of the data folder."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from arkor_tui.config.folders import local_backend_dir
from arkor_tui.config.local_backend import (
    backend_file,
    is_alive,
    is_served,
    mark_stopped,
    read_local_backend,
)
from arkor_tui.errors import ArkorTuiError

from .interaction import emit, say

if TYPE_CHECKING:
    from arkor_tui.config.local_backend import LocalBackendInfo

_STOP_SECONDS = 30.0  # it gives its children and open requests some seconds each
_LOOK_AGAIN_SECONDS = 0.05


def stop(args: argparse.Namespace) -> int:
    """Stop it, as SIGTERM does, and wait for its end. 0 also where none runs.

    Raises:
        ArkorTuiError: what is noted is not provably it, or it did not end in time.
    """
    pid = asyncio.run(_stop())
    live = lost = None
    if pid is not None:
        with suppress(ArkorTuiError, sqlite3.Error, ModuleNotFoundError):
            live, lost = asyncio.run(_live_jobs())
    if args.json:
        status = "not-running" if pid is None else "stopped"
        emit("result", {"status": status, "pid": pid, "liveJobs": live, "lostJobs": lost})
        return 0
    if pid is None:
        say("No embedded backend runs.")
        return 0
    say(f"The embedded backend (pid {pid}) has stopped.")
    if live:
        jobs, go = ("job", "it goes") if live == 1 else ("jobs", "they go")
        say(f"{live} {jobs} had not ended: {go} on from the last checkpoint at the next start.")
    if lost:
        say(f"{lost} of these had no checkpoint yet, and will be marked failed then.")
    return 0


async def _stop() -> int | None:
    """Which process was ended; None where none runs."""
    from arkor_tui.connect.embedded import is_ours

    info = await _found()
    if info is None:
        mark_stopped()  # and nothing wakes up what has crashed
        return None
    # a process that has its number by now is not ours to end
    if not await is_ours(info):
        raise ArkorTuiError(
            f"Process {info.pid} does not answer at {info.url} as the embedded backend does, so it "
            "was not ended.",
            hint=f"If it is the backend after all (`ps -p {info.pid}`), `kill {info.pid}` ends it; "
            f"if not, delete {backend_file()}.",
        )
    mark_stopped()  # a backend of version 0.1 does not do so itself
    try:
        os.kill(info.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it has ended by itself meanwhile
    except PermissionError as error:
        raise ArkorTuiError(
            f"The embedded backend (pid {info.pid}) belongs to another user.",
            hint="That user can stop it.",
        ) from error
    await _end_of(info)
    return info.pid


async def _found() -> LocalBackendInfo | None:
    """What runs, or has begun to start and says in a moment where it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            while True:
                info = read_local_backend()
                if info is not None or not is_served():
                    return info
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    raise ArkorTuiError(
        f"A process holds {local_backend_dir(create=False)}, and has not said within "
        f"{_STOP_SECONDS:g} s where it serves.",
        hint="`ps` shows whether an `arkor-tui serve` runs; end that one.",
    )


async def _end_of(info: LocalBackendInfo) -> None:
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            while True:
                if _has_ended(info):
                    return
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    except TimeoutError:
        log = local_backend_dir(create=False) / "server.log"
        raise ArkorTuiError(
            f"The embedded backend (pid {info.pid}) was told to stop, and still runs after "
            f"{_STOP_SECONDS:g} s.",
            hint=f"Its log is {log}. `kill -9 {info.pid}` ends it at once; jobs go on from their "
            "last checkpoints at the next start.",
        ) from None


def _has_ended(info: LocalBackendInfo) -> bool:
    if not is_alive(info.pid):
        return True
    now = read_local_backend()
    if now is not None:
        return now.pid != info.pid
    # who started it, such as an app that is open, may not have noticed that it is gone
    return not is_served()


async def _live_jobs() -> tuple[int, int]:
    """How many jobs have not ended, and how many of them cannot go on.

    Raises:
        StoreError: the backend's store cannot be opened.
        sqlite3.Error: or read.
    """
    from arkor_tui.backend.store import Store

    store = Store(local_backend_dir(create=False) / "backend.db")
    await store.open()
    try:
        live = await store.live_jobs()
        begun = [job.id for job in live if job.status == "running"]
        return len(live), sum([not await store.checkpoints(job_id) for job_id in begun])
    finally:
        await store.close()
