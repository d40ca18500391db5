"""``arkor-tui init``: write a starter project."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from .interaction import emit, say


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from arkor_tui.starters import TEMPLATES

    parser.description = (
        "Write a starter project: a trainer.py to edit, a README and a small dataset. Whatever "
        "exists already is left alone."
    )
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="default: here")
    parser.add_argument(
        "--template",
        choices=sorted(TEMPLATES),
        default="triage",
        help="what to train: "
        + "; ".join(f"{id}: {text.partition('.')[0]}" for id, text in TEMPLATES.items())
        + " (default: triage)",
    )


def run(args: argparse.Namespace) -> int:
    """Write what does not exist yet.

    Raises:
        ArkorTuiError: a file or folder could not be written.
    """
    from arkor_tui.starters import TEMPLATES
    from arkor_tui.starters.write import write_starter

    folder = Path(args.folder)
    done = write_starter(args.template, folder)
    if args.json:
        emit(
            "result",
            {
                "status": "written",
                "template": args.template,
                "folder": str(folder.absolute()),
                "written": list(done.written),
                "kept": list(done.kept),
            },
        )
        return 0
    say(TEMPLATES[args.template])
    for name in done.written:
        say(f"  wrote {folder / name}")
    for name in done.kept:
        say(f"  kept  {folder / name} (it exists)")
    if not done.written:
        say("Nothing was written: all of it exists already.")
    elif "trainer.py" in done.written:
        say(f"Edit {folder / 'trainer.py'}: settings, data and callbacks are all in it.")
    if "trainer.py" in done.kept and done.written:
        say(f"{folder / 'trainer.py'} was there before and is unchanged: it decides what is run.")
    go = "" if folder.absolute() == Path.cwd() else f"cd {shlex.quote(args.folder)} && "
    say(f"Next: {go}arkor-tui start --backend local")
    return 0
