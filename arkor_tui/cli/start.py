"""``arkor-tui start``: run the trainer of a file."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from .backend import add_backend_option, add_signal_option

if TYPE_CHECKING:
    from arkor_tui.connect.connection import Connection
    from arkor_tui.run.trainer import Trainer

    from .follow import View


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Start the trainer of a file and follow it to its end. Exit code: 0 completed, 1 failed or "
        "cancelled, 2 wrong use, 129 the terminal is gone, 130 interrupted (the job then goes on)."
    )
    parser.add_argument(
        "file", nargs="?", default="trainer.py", metavar="FILE", help="default: trainer.py"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="a short run on little data, to see that everything fits",
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="submit the job, hand it with its callbacks to a process of its own, and return",
    )
    add_signal_option(parser)
    add_backend_option(parser)


def run(args: argparse.Namespace) -> int:
    """Start and follow.

    Raises:
        ArkorTuiError: in its many kinds; each says what to do.
    """
    from arkor_tui.run.loading import load_trainer

    from .follow import presenting

    with presenting(args) as view:
        trainer = load_trainer(args.file)
        if args.dry_run and trainer.settings is not None:
            trainer.settings = trainer.settings.changed(dry_run=True)
        return asyncio.run(_start(trainer, view, args))


async def _start(trainer: Trainer, view: View, args: argparse.Namespace) -> int:
    from arkor_tui.connect.connection import connect

    from .follow import follow

    presenter = view.presenter
    trainer.request()  # settings that cannot be sent are found before anything is started
    connection = await connect(
        args.backend or trainer.backend, folder=trainer.folder, report=presenter.note
    )
    scope = connection.scope
    presenter.note(
        f"Backend {connection.base_url} ({connection.identity}, "
        f"{scope.org_slug}/{scope.project_slug})."
    )
    if args.detach:
        return await _detach(trainer, connection, view)
    return await follow(trainer, connection, view, args)


async def _detach(trainer: Trainer, connection: Connection, view: View) -> int:
    """Submit, then let a supervisor stream, archive and run the callbacks."""
    from arkor_tui.archive.async_archive import AsyncArchive
    from arkor_tui.session.keeping import register_run
    from arkor_tui.session.supervision import start_supervisor

    presenter = view.presenter
    archive = await AsyncArchive.open()
    try:
        trainer.use(connection)
        await trainer.start()
        assert trainer.job is not None
        presenter.created(trainer.job, attached=False)
        record = await register_run(archive, trainer, origin="command")
        supervisor = await start_supervisor(record, archive.path)
    finally:
        await archive.aclose()
        await connection.aclose()
    presenter.detached(trainer.job, supervisor.pid, supervisor.callbacks)
    return 0
