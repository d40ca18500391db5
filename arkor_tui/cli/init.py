"""``arkor-tui init``: write a starter project."""

from __future__ import annotations

import argparse
from pathlib import Path

from arkor_tui.errors import ArkorTuiError

from .interaction import emit, say

_GITIGNORE = ".arkor/\n__pycache__/\n"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from arkor_tui.starters import STARTERS

    parser.description = (
        "Write a starter project: a trainer.py to edit, a README and a small dataset. Whatever "
        "exists already is left alone."
    )
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="default: here")
    parser.add_argument(
        "--template",
        choices=sorted(STARTERS),
        default="triage",
        help="what to train: "
        + "; ".join(f"{starter.id}: {starter.title}" for starter in STARTERS.values())
        + " (default: triage)",
    )


def run(args: argparse.Namespace) -> int:
    """Write what does not exist yet.

    Raises:
        ArkorTuiError: a file or folder could not be written.
    """
    from arkor_tui.starters import STARTERS, starter_files

    folder = Path(args.folder)
    content = {name: file.read_bytes() for name, file in starter_files(args.template).items()}
    content[".gitignore"] = _GITIGNORE.encode()
    written: list[str] = []
    kept: list[str] = []
    for name, data in sorted(content.items()):
        (written if _write_new(folder / name, data) else kept).append(name)
    if args.json:
        emit(
            "result",
            {
                "status": "written",
                "template": args.template,
                "folder": str(folder.absolute()),
                "written": written,
                "kept": kept,
            },
        )
        return 0
    starter = STARTERS[args.template]
    say(f"{starter.title}: {starter.description}")
    for name in written:
        say(f"  wrote {folder / name}")
    for name in kept:
        say(f"  kept  {folder / name} (it exists)")
    go = "" if folder.absolute() == Path.cwd() else f"cd {args.folder} && "
    say(f"Next: {go}arkor-tui start --backend local")
    return 0


def _write_new(path: Path, data: bytes) -> bool:
    """Write the file unless something is there; False if so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("xb")
        except FileExistsError:
            return False
        try:
            with file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)  # half a file would count as existing next time
            raise
    except OSError as error:
        raise ArkorTuiError(
            f"Cannot write {path}: {error.strerror or error}.",
            hint="Choose a folder that can be written to, or make room on the disk.",
        ) from error
    return True
