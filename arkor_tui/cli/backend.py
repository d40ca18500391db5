"""What commands that talk to a backend share: the option, the connection, and naming a run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .interaction import note, tell_notice

if TYPE_CHECKING:
    from arkor_tui.api.jobs import JobDetail
    from arkor_tui.archive.store import Archive
    from arkor_tui.connect.connection import Connection
    from arkor_tui.session.resolve import Found


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
    from arkor_tui.session.resolve import RUN_HELP

    parser.add_argument("run", metavar="RUN", help=RUN_HELP)


async def connect_to_run(
    args: argparse.Namespace, *, may_start: bool = False
) -> tuple[Connection, JobDetail]:
    """The backend of the run that ``args.run`` means, in the run's scope, and its job.

    Makes no identity and no project; starts the embedded backend only with ``may_start``. Works
    without an archive too.

    Raises:
        UsageError: no such run, or several.
        ArkorTuiError: its backend cannot be reached, or does not know it any more.
    """
    from arkor_tui.api.errors import ApiError
    from arkor_tui.api.scope import Scope
    from arkor_tui.archive.records import recording_error
    from arkor_tui.connect.connection import connect
    from arkor_tui.errors import ArkorTuiError
    from arkor_tui.session.resolve import find_run

    opened: list[Connection] = []

    async def open_connection(backend: str | None) -> Connection:
        connection = await connect(
            backend, report=note, on_notice=tell_notice, may_start=may_start, may_create=False
        )
        opened.append(connection)
        return connection

    try:
        found = await find_run(
            args.run,
            Path.cwd(),
            read=_read_archive,
            connect=lambda: open_connection(args.backend),
            backend=args.backend,
        )
        if found.record is not None and found.is_imported:
            raise recording_error(found.record)  # noqa: TRY301
        identity = found.identity
        connection = next((one for one in opened if one.name == identity.backend), None)
        if connection is None:
            connection = await open_connection(identity.backend)
        scope = Scope(identity.org, identity.project)
        if connection.scope != scope:
            connection = connection.for_scope(scope)
        try:
            return connection, await connection.client.get_job(scope, identity.job_id)
        except ApiError as error:
            if error.status != 404:
                raise
            raise ArkorTuiError(
                f"{connection.base_url} does not know {found.name} ({identity.job_id}) any more.",
                hint=f"`arkor-tui runs show {identity.job_id}` shows what the archive holds of it.",
            ) from error
    except BaseException:
        for one in opened:
            await one.aclose()
        raise


async def _read_archive(work: Callable[[Archive], list[Found]]) -> list[Found]:
    """What the archive says; nothing where it cannot be used, as the backend's answer is enough."""
    import asyncio
    import sqlite3

    from arkor_tui.archive.schema import archive_path
    from arkor_tui.archive.store import Archive
    from arkor_tui.errors import ArkorTuiError, UsageError

    def read() -> list[Found]:
        try:
            if not archive_path(create=False).exists():
                return []
            with Archive.open() as archive:
                return work(archive)
        except UsageError:
            raise
        except (ArkorTuiError, sqlite3.Error, OSError):
            return []

    return await asyncio.to_thread(read)
