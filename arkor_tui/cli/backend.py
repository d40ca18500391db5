"""What commands that talk to a backend share: the option, the connection, and naming a run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .interaction import note, tell_notice

if TYPE_CHECKING:
    from arkor_tui.api.jobs import JobDetail
    from arkor_tui.archive.records import RunRecord
    from arkor_tui.connect.connection import Connection


def add_backend_option(parser: argparse.ArgumentParser) -> None:
    """``--backend``."""
    parser.add_argument(
        "--backend",
        metavar="local|cloud|URL",
        help="local: the embedded backend on this machine; cloud: Arkor's. Default: the cloud if "
        "you have used it (credentials, ARKOR_CLOUD_API_URL), else local",
    )


def add_signal_option(parser: argparse.ArgumentParser) -> None:
    """Declare what Ctrl-C and SIGTERM mean."""
    parser.add_argument(
        "--on-signal",
        choices=("ask", "leave", "cancel"),
        default="ask",
        help="what Ctrl-C and SIGTERM do: ask on a terminal and else leave the job running "
        "(default), leave it running, or cancel it on the backend",
    )


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """``RUN``."""
    parser.add_argument(
        "run",
        metavar="RUN",
        help="a job id, the beginning of one, a run's name (its newest job), or `latest`, the "
        "newest run of this folder's project",
    )


async def connect_to_existing(args: argparse.Namespace) -> Connection:
    """A connection for a run that exists: makes no identity, no project and starts nothing.

    Raises:
        ArkorTuiError: there is no such backend, identity or project.
    """
    from arkor_tui.connect.connection import connect

    return await connect(
        args.backend, report=note, on_notice=tell_notice, may_start=False, may_create=False
    )


async def find_job(connection: Connection, text: str) -> JobDetail:
    """The job that ``text`` names (see :func:`add_run_argument`).

    Raises:
        UsageError: none, or several.
        ApiError: the backend refused.
    """
    import asyncio

    from arkor_tui.api.errors import ApiError
    from arkor_tui.errors import UsageError

    if text != "latest":
        try:
            return await connection.client.get_job(connection.scope, text)
        except ApiError as error:
            if error.status not in (400, 404):
                raise
    jobs = await connection.client.list_jobs(connection.scope)
    jobs.sort(key=lambda job: job.created_at or "", reverse=True)
    found = [job for job in jobs if text == "latest" or job.name == text][:1]
    found = found or [job for job in jobs if job.id.startswith(text)]
    if len(found) == 1:
        return await connection.client.get_job(connection.scope, found[0].id)
    if found:
        raise UsageError(
            f"{len(found)} jobs begin with {text!r}: {', '.join(job.id for job in found[:5])}.",
            hint="Write more of the id.",
        )
    from arkor_tui.archive.records import recording_error

    if recording := await asyncio.to_thread(_recording, text):
        raise recording_error(recording)
    where = f"{connection.base_url} ({connection.scope.org_slug}/{connection.scope.project_slug})"
    known = ", ".join(f"{job.id} ({job.name}, {job.status})" for job in jobs[:5])
    raise UsageError(
        f"There is no run {text!r} at {where}.",
        hint=f"Newest runs there: {known}." if known else "This project has no runs there yet.",
    )


def _recording(text: str) -> RunRecord | None:
    """The imported recording that ``text`` names, where the archive knows nothing else of it."""
    import sqlite3

    from arkor_tui.archive.schema import archive_path
    from arkor_tui.archive.store import Archive
    from arkor_tui.errors import ArkorTuiError

    try:
        if not archive_path().exists():
            return None
        with Archive.open() as archive:
            found = archive.find(text)
    except (ArkorTuiError, sqlite3.Error, OSError):
        return None  # the backend's answer is enough
    return found[0] if found and all(run.is_imported for run in found) else None
