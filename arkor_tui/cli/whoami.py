"""``arkor-tui whoami``: who the stored credentials belong to."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from arkor_tui.errors import ArkorTuiError

from .interaction import emit, say, tell_notice

if TYPE_CHECKING:
    from arkor_tui.api.accounts import Me
    from arkor_tui.config.credentials import Credentials


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options: there are none."""
    parser.description = "Ask Arkor's cloud who is signed in, and show the organisations."


def run(args: argparse.Namespace) -> int:
    """Show the user. 0 also where nobody is signed in, or the server cannot tell.

    Raises:
        UpgradeRequiredError: the server refuses this client's version.
        CredentialsUnreadableError: the file cannot be read.
    """
    import asyncio

    from arkor_tui.api.errors import UpgradeRequiredError
    from arkor_tui.config.base_url import cloud_base_url
    from arkor_tui.config.credentials import read_credentials

    stored = read_credentials()
    if stored is None:
        if args.json:
            emit("result", {"status": "not-signed-in"})
        else:
            say("Not signed in. `arkor-tui login` signs in; the embedded backend needs no login.")
        return 0
    base_url = cloud_base_url(stored)
    try:
        me = asyncio.run(_ask(stored, base_url))
    except UpgradeRequiredError:
        raise
    except ArkorTuiError as error:
        _unknown(args, error, base_url)
        return 0
    _show(args, me, stored, base_url)
    return 0


async def _ask(stored: Credentials, base_url: str) -> Me:
    from arkor_tui.api.client import CloudApiClient

    async with CloudApiClient(base_url, bearer=stored.bearer, on_notice=tell_notice) as client:
        return await client.me()


def _show(args: argparse.Namespace, me: Me, stored: Credentials, base_url: str) -> None:
    from arkor_tui.text.sanitize import one_line as line

    mode = "anonymous" if stored.is_anonymous else "oauth"
    if args.json:
        emit(
            "result",
            {
                "status": "signed-in",
                "mode": mode,
                "baseUrl": base_url,
                "user": {"id": me.user.id, "email": me.user.email, "name": me.user.name},
                "orgs": [{"id": org.id, "slug": org.slug, "name": org.name} for org in me.orgs],
            },
        )
        return
    names = [each for each in (me.user.name, me.user.email) if each]
    who = f"{', '.join(map(line, names))} ({line(me.user.id)})" if names else line(me.user.id)
    say(f"Signed in to {base_url} as {who}, {mode}.")
    if me.orgs:
        say(f"Organisations: {', '.join(line(org.slug or org.id) for org in me.orgs)}")


def _unknown(args: argparse.Namespace, error: ArkorTuiError, base_url: str) -> None:
    status = getattr(error, "status", None)
    if args.json:
        fields = {"status": "unknown", "baseUrl": base_url, "error": str(error), "hint": error.hint}
        emit("result", {**fields, "httpStatus": status})
        return
    told = f" (status {status})" if status is not None else ""
    server = base_url or "the server"
    say(f"Credentials are stored, but {server} did not say whose they are{told}: {error}")
    if error.hint:
        say(error.hint)
