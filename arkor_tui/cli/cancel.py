"""``arkor-tui cancel``: stop a run on the backend, and wait until the backend says so."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from arkor_tui.text.sanitize import one_line

from .backend import add_backend_option, add_run_argument
from .interaction import emit, note, say

if TYPE_CHECKING:
    from arkor_tui.api.jobs import Job
    from arkor_tui.connect.connection import Connection

_CONFIRM_SECONDS = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Stop a run on the backend, wait until the backend says that it has ended, and keep in the "
        "archive who ended it. A name that several runs have is refused with their list."
    )
    add_run_argument(parser)
    parser.add_argument(
        "--timeout",
        type=float,
        default=_CONFIRM_SECONDS,
        metavar="SECONDS",
        help="how long to wait for the confirmation (default: %(default)g)",
    )
    add_backend_option(parser)


def run(args: argparse.Namespace) -> int:
    """Cancel. A run that has ended already is left as it is.

    Raises:
        ArkorTuiError: the backend refused, or did not confirm in time.
    """
    return asyncio.run(_cancel(args))


async def _cancel(args: argparse.Namespace) -> int:
    from arkor_tui.errors import ArkorTuiError
    from arkor_tui.run.trainer import Trainer

    from .backend import connect_to_run

    connection, detail = await connect_to_run(args)
    job = detail.job
    try:
        asked = not job.is_terminal
        if asked:
            await Trainer.attach(job.id, connection=connection).cancel()
            if not args.json:
                named = f"{one_line(job.name)} ({one_line(job.id)})"
                note(f"Asked {connection.base_url} to cancel {named} …")
            try:
                async with asyncio.timeout(args.timeout):
                    job = await _terminal(connection, job)
            except TimeoutError:
                raise ArkorTuiError(
                    f"The backend took the request, but {job.name} ({job.id}) had not ended after "
                    f"{args.timeout:g} s.",
                    hint=f"`arkor-tui attach {job.id}` shows what it does; cancel it again if "
                    "it goes on.",
                ) from None
            await asyncio.to_thread(_keep_end, connection, job)
    finally:
        await connection.aclose()
    if args.json:
        emit("result", {"status": job.status, "jobId": job.id, "name": job.name, "asked": asked})
    elif asked:
        say(f"{one_line(job.name)} {job.status} ({one_line(job.id)})")
    else:
        say(f"{one_line(job.name)} had ended already: {job.status} ({one_line(job.id)})")
    return 0


def _keep_end(connection: Connection, job: Job) -> None:
    """Write how it ended and who ended it, although no process may follow the run."""
    import sqlite3

    from arkor_tui.archive.sink import identity_of
    from arkor_tui.archive.store import Archive
    from arkor_tui.ended import Ended
    from arkor_tui.errors import ArkorTuiError

    identity = identity_of(connection, job.id)
    try:
        with Archive.open() as archive:
            key = archive.register(identity, job, origin="backend")
            if job.status == "cancelled":
                ended = Ended("person", "Cancelled by `arkor-tui cancel`.")
                archive.set_end(key, job.status, job.error, ended)
            else:
                archive.set_status(key, job.status, job.error)
    except (ArkorTuiError, sqlite3.Error, OSError) as error:
        note(f"It is not archived that the run has ended: {one_line(error, limit=500)}")


async def _terminal(connection: Connection, job: Job) -> Job:
    """Ask until the job is terminal; the caller's time-out ends this."""
    delay = 0.1
    while True:
        job = (await connection.client.get_job(connection.scope, job.id)).job
        if job.is_terminal:
            return job
        await asyncio.sleep(delay)
        delay = min(delay * 2, 2.0)
