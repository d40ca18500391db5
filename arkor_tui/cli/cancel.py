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
    from arkor_tui.run.stopping import CancelState

_CONFIRM_SECONDS = 60.0
_WHY = "Cancelled by `arkor-tui cancel`."


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
    from .backend import connect_to_run

    connection, detail = await connect_to_run(args)
    job = detail.job
    try:
        asked = not job.is_terminal
        if asked:
            job = await _stopped(connection, job, args)
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
                ended = Ended("person", _WHY)
                archive.set_end(key, job.status, job.error, ended)
            else:
                archive.set_status(key, job.status, job.error)
    except (ArkorTuiError, sqlite3.Error, OSError) as error:
        note(f"It is not archived that the run has ended: {one_line(error, limit=500)}")


async def _stopped(connection: Connection, job: Job, args: argparse.Namespace) -> Job:
    """Stop the job, and give it as the backend says that it has ended."""
    from arkor_tui.api.reconnect import ReconnectPolicy
    from arkor_tui.ended import Ended
    from arkor_tui.errors import ArkorTuiError
    from arkor_tui.run.backend_job import known_job
    from arkor_tui.run.stopping import Stopping

    def tell(state: CancelState) -> None:
        if state.phase == "waiting" and not args.json:
            named = f"{one_line(job.name)} ({one_line(job.id)})"
            note(f"Asked {connection.base_url} to cancel {named} …")

    known = known_job(job, connection)
    stopping = Stopping(known, ReconnectPolicy, tell, confirm_seconds=args.timeout)
    state = await stopping.stop(Ended("person", _WHY))
    if not state.confirmed or known.known is None:
        raise ArkorTuiError(
            f"{job.name} ({job.id}) is not known to have ended: {state.message}",
            hint=f"{state.hint} `arkor-tui attach {job.id}` shows what it does.".lstrip(),
        )
    return known.known
