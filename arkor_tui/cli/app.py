"""``arkor-tui`` without a command: the app."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.errors import UsageError
from arkor_tui.session.resolve import RUN_HELP

from .backend import add_backend_option

if TYPE_CHECKING:
    from arkor_tui.config.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "The app: set a run up, watch it, talk to its checkpoints, find it again. Keys are shown "
        "by ?; everything works without a mouse."
    )
    parser.add_argument("--run", metavar="RUN", help=f"open on this run: {RUN_HELP}")
    parser.add_argument("--theme", metavar="NAME", help="a theme by name")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="settings to use instead of your settings.toml"
    )
    add_backend_option(parser)


def run(args: argparse.Namespace) -> int:
    """Open the app on the terminal.

    Raises:
        UsageError: there is no terminal, or no such run.
        ArkorTuiError: the archive cannot be used.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The app needs a terminal, and this is a pipe.",
            hint="`arkor-tui start` runs a trainer without it; `arkor-tui --help` lists commands.",
        )
    gc.disable()  # until the first screen is shown: nothing made by then is garbage
    from arkor_tui.config.settings import read_settings, use_settings

    if args.config is not None:
        use_settings(args.config)
    settings = read_settings()  # a mistake in it is told before the screen is taken
    return asyncio.run(_run(args, settings))


async def _run(args: argparse.Namespace, settings: Settings) -> int:
    from arkor_tui.archive.records import RunRecord
    from arkor_tui.session.resolve import archived_run
    from arkor_tui.session.session import Session
    from arkor_tui.tui.app import ArkorApp, run_app

    async def make(session: Session) -> ArkorApp:
        record: RunRecord | None = None
        if args.run:
            record = await session.archive.read(
                lambda a: archived_run(a, args.run, session.folder, backend=args.backend)
            )
        return ArkorApp(session, theme=args.theme, run=record, settings=settings)

    return await run_app(make, Path.cwd(), args.backend, mouse=settings.app.mouse)
