"""``arkor-tui what-if``: where other guard settings would have stopped a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .backend import add_run_argument
from .interaction import emit, say

if TYPE_CHECKING:
    from arkor_tui.recipes.whatif import WhatIf


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Try settings of EarlyStopping on what an archived run logged: where it would have "
        "stopped, why, and how many steps that would have saved."
    )
    add_run_argument(parser)
    parser.add_argument("--ceiling", type=float, metavar="LOSS", help="stop above this loss")
    parser.add_argument(
        "--window", type=int, metavar="N", help="judge the ceiling by the mean of N losses"
    )
    parser.add_argument(
        "--patience", type=int, metavar="N", help="stop after N losses without a new minimum"
    )
    parser.add_argument(
        "--min-delta", type=float, default=0.0, metavar="LOSS", help="by how much a minimum counts"
    )
    parser.add_argument(
        "--metric", choices=("loss", "eval_loss"), default="loss", help="what is looked at"
    )
    parser.add_argument(
        "--no-non-finite", action="store_true", help="let losses be infinite or missing"
    )


def run(args: argparse.Namespace) -> int:
    """Replay the log through the guards.

    Raises:
        UsageError: there is no such run, or a setting has no meaning.
        ArchiveError: the archive cannot be used.
    """
    from arkor_tui.archive.store import Archive
    from arkor_tui.recipes.whatif import GuardSettings, what_if
    from arkor_tui.session.resolve import archived_run
    from arkor_tui.session.whatif import observations

    settings = GuardSettings(
        ceiling=args.ceiling,
        window=args.window,
        patience=args.patience,
        min_delta=args.min_delta,
        non_finite=not args.no_non_finite,
        metric=args.metric,
    )
    with Archive.open() as archive:
        record = archived_run(archive, args.run, Path.cwd())
        found = what_if(observations(archive, record.key), settings)
    if args.json:
        emit("what-if", as_json(record.identity.job_id, found))
    else:
        for line in found.lines():
            say(line)
        if args.ceiling is None and args.patience is None and settings.non_finite:
            say("(Only losses that are no number were looked for: give --ceiling or --patience.)")
    return 0


def as_json(job_id: str, found: WhatIf) -> dict[str, Any]:
    """Stable keys; ``step`` is null where it would not have stopped."""
    return {
        "jobId": job_id,
        "step": found.step,
        "guard": found.guard,
        "reason": found.reason,
        "lastStep": found.last_step,
        "savedSteps": found.saved_steps,
        "savedShare": round(found.saved_share, 4),
        "bestBefore": found.best_before,
        "bestAfter": found.best_after,
        "tooEarly": found.too_early,
    }
