"""``arkor-tui supervise``: what ``start --detach`` and the app start to host a run's recipes."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from arkor_tui.connect.detached import ReadyPipe, add_ready_option


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = "Run the recipes of an archived run to its end."
    parser.add_argument("key", type=int, metavar="KEY", help="the run's key in the archive")
    parser.add_argument("--archive", type=Path, help="the archive; default: the user's")
    add_ready_option(parser)


def run(args: argparse.Namespace) -> int:
    """Supervise; what is printed meanwhile belongs to the log.

    Raises:
        ArkorTuiError: the run is another process's, or cannot be found.
    """
    from arkor_tui.session.supervisor import supervise

    with ReadyPipe(args.ready_fd) as pipe:

        def ready(callbacks: int) -> None:
            pipe.tell("supervising", callbacks=callbacks)

        return asyncio.run(supervise(args.archive, args.key, ready=ready))
