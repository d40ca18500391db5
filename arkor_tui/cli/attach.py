"""``arkor-tui attach``: follow a run that is already going, or look at one that has ended."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from .backend import add_backend_option, add_run_argument, add_signal_option

if TYPE_CHECKING:
    from arkor_tui.api.jobs import Job
    from arkor_tui.archive.records import RunRecord
    from arkor_tui.archive.store import Archive
    from arkor_tui.connect.connection import Connection
    from arkor_tui.run.trainer import Trainer

    from .follow import View


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Follow a run to its end; what happened before is shown first. Exit code: "
        "0 completed, 1 failed or cancelled, 2 wrong use, 129 the terminal is gone, 130 "
        "interrupted (the job goes on). --take-over starts the embedded backend too, if need be."
    )
    add_run_argument(parser)
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="run the callbacks of the run's trainer file here, in place of its supervisor",
    )
    add_signal_option(parser)
    add_backend_option(parser)


def run(args: argparse.Namespace) -> int:
    """Follow.

    Raises:
        ArkorTuiError: there is no such run, or its stream was refused for good.
    """
    from .follow import presenting

    with presenting(args) as view:
        return asyncio.run(_attach(view, args))


async def _attach(view: View, args: argparse.Namespace) -> int:
    from arkor_tui.run.trainer import Trainer

    from .backend import connect_to_run
    from .follow import follow

    # who takes callbacks over starts what they need, as after a reboot
    connection, detail = await connect_to_run(args, may_start=args.take_over)
    trainer = Trainer.attach(detail.job.id)
    try:
        if args.take_over:
            await _take_over(trainer, connection, detail.job)
        else:
            for line in await asyncio.to_thread(_known_of, connection, detail.job):
                view.presenter.note(line)
    except BaseException:
        await connection.aclose()
        raise
    return await follow(trainer, connection, view, args, attached=True)


def _known_of(connection: Connection, job: Job) -> list[str]:
    """Who runs the callbacks of the run, and what was raised; nothing where nothing is known."""
    import sqlite3

    from arkor_tui.archive.store import Archive
    from arkor_tui.errors import ArkorTuiError

    from .recipehost import describe_host, error_line

    try:
        with Archive.open() as archive:
            record = _taken_in(archive, connection, job)
            host = describe_host(record)
            errors = archive.findings(record.key, "error")
    except (ArkorTuiError, sqlite3.Error, OSError):
        return []  # whoever only looks needs no archive
    lines = [host[:1].upper() + host[1:] + "."] if host else []
    if errors:
        count = f"{len(errors)} callback error{'' if len(errors) == 1 else 's'}"
        last = error_line({**errors[-1].data, "step": errors[-1].step})
        lines.append(f"{count} so far (`arkor-tui runs show {job.id}`), the last: {last}")
    return lines


def _taken_in(archive: Archive, connection: Connection, job: Job) -> RunRecord:
    from arkor_tui.archive.sink import identity_of

    record = archive.run(archive.register(identity_of(connection, job.id), job))
    assert record is not None
    return record


async def _take_over(trainer: Trainer, connection: Connection, job: Job) -> None:
    """Give the trainer the callbacks of its run, once whoever had them has let go."""
    from arkor_tui.archive.store import Archive
    from arkor_tui.errors import UsageError
    from arkor_tui.session.recipe_host import AlreadyHostedError, load_recipes, recipe_files
    from arkor_tui.session.supervision import host_of, stop_supervisor

    with Archive.open() as archive:
        known = _taken_in(archive, connection, job)
    files = recipe_files(known)
    if not files:
        raise UsageError(
            "The run has no trainer file here that its callbacks could come from.",
            hint="Without --take-over it is followed as it is.",
        )
    callbacks = load_recipes(files)  # a file that is broken takes nobody's callbacks away
    if not await stop_supervisor(known):
        state = host_of(known)
        if state is not None:
            raise AlreadyHostedError(state)
    trainer.file = files[0]
    trainer.callbacks.extend(callbacks)
