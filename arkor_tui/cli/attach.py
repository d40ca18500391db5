"""``arkor-tui attach``: follow a run that is already going, or look at one that has ended."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from .backend import add_backend_option, add_run_argument

if TYPE_CHECKING:
    from .follow import View


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Follow a run of this project to its end; what happened before is shown first. Exit code: "
        "0 completed, 1 failed or cancelled, 130 interrupted (the job then goes on)."
    )
    add_run_argument(parser)
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
    from arkor_tui.training.trainer import Trainer

    from .backend import connect_to_existing, find_job
    from .follow import follow

    connection = await connect_to_existing(args)
    try:
        detail = await find_job(connection, args.run)
    except BaseException:
        await connection.aclose()
        raise
    return await follow(Trainer.attach(detail.job.id), connection, view, args, attached=True)
