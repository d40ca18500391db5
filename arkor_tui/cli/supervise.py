"""``arkor-tui supervise``: what ``start --detach`` and the app start to watch a run."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = "Run the recipes of an archived run to its end."
    parser.add_argument("key", type=int, metavar="KEY", help="the run's key in the archive")
    parser.add_argument("--archive", type=Path, help="the archive; default: the user's")


def run(args: argparse.Namespace) -> int:
    """Supervise. Says on one line of stdout that it does, and everything else on stderr.

    Raises:
        ArkorTuiError: the run is another process's, or cannot be found.
    """
    from arkor_tui.session.supervisor import supervise

    def ready(line: dict[str, object]) -> None:
        with suppress(BrokenPipeError):  # whoever started this is gone: it watches all the more
            print(json.dumps(line), flush=True)
        # whoever started this reads no further; what recipes print belongs into the log
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    return asyncio.run(supervise(args.archive, args.key, ready=ready))
