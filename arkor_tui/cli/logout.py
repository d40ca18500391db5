"""``arkor-tui logout``: remove the credentials file and nothing else."""

from __future__ import annotations

import argparse
from typing import Any

from .interaction import confirm, emit, is_interactive, note, say


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Sign out of Arkor's cloud: removes the credentials, which the arkor command shares. "
        "Projects, archives and the embedded backend stay."
    )
    parser.add_argument("--force", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Remove the file after a yes, or at once with ``--force``.

    Raises:
        CredentialsUnreadableError: the file may hold a valid login but cannot be read.
        WriteFailedError: the file could not be removed.
    """
    from arkor_tui.config.credentials import (
        credentials_are_corrupt,
        credentials_path,
        read_credentials,
        remove_credentials,
    )

    stored = read_credentials()
    if stored is None and not credentials_are_corrupt():
        return _done(args, "not-signed-in", "Not signed in; there is nothing to remove.")
    anonymous = stored is not None and stored.is_anonymous
    if anonymous:
        identity = getattr(stored, "anonymous_id", None) or "of unknown id"
        note(
            f"Warning: the anonymous identity {identity} is lost for good, and its projects, runs "
            "and adapters in the cloud with it."
        )
    if not args.force:
        if not is_interactive(args):
            return _done(
                args,
                "kept",
                "Nothing was removed: there is nobody to ask here. `arkor-tui logout --force` does "
                "not ask.",
            )
        if not confirm(f"Remove {credentials_path()}?"):
            return _done(args, "kept", "Nothing was removed.")
    remove_credentials()
    return _done(args, "signed-out", "Signed out.", anonymous=anonymous)


def _done(args: argparse.Namespace, status: str, text: str, **fields: Any) -> int:
    if args.json:
        emit("result", {"status": status, **fields})
    else:
        say(text)
    return 0
