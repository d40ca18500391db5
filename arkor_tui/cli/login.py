"""``arkor-tui login``: sign in to the cloud (docs/protocol.md, section 2)."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from arkor_tui.errors import ArkorTuiError, UsageError

from .interaction import choose, emit, is_interactive, note, say, tell_notice

if TYPE_CHECKING:
    from arkor_tui.api.oauth import OAuthApp
    from arkor_tui.config.credentials import Credentials


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Sign in to Arkor's cloud. The embedded backend needs no login. The credentials are shared "
        "with the arkor command."
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--anonymous",
        action="store_true",
        help="make a new throwaway identity (default where nobody can be asked)",
    )
    how.add_argument("--oauth", action="store_true", help="sign in with an account, in a browser")
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address instead of opening a browser"
    )


def run(args: argparse.Namespace) -> int:
    """Sign in and store the credentials.

    Raises:
        UsageError: ``--oauth`` in CI.
        ArkorTuiError: the sign-in failed; what was stored before is still there.
    """
    import asyncio

    from arkor_tui.config.base_url import login_base_url

    base_url = login_base_url()
    if args.oauth and os.environ.get("CI"):
        raise UsageError(
            "--oauth needs a browser that comes back to this machine, and CI has none.",
            hint="Use `arkor-tui login --anonymous`.",
        )
    app: OAuthApp | None = None
    if args.oauth or (not args.anonymous and is_interactive(args)):
        app = asyncio.run(_oauth_app(base_url))
        if app is None and args.oauth:
            raise ArkorTuiError(
                f"{base_url} offers no sign-in with an account.",
                hint="Use `arkor-tui login --anonymous`.",
            )
        if app is None:
            note(f"{base_url} offers no sign-in with an account; continuing anonymously.")
        elif not args.oauth and _asked() == "anonymous":
            app = None

    earlier = _earlier_identity()
    if app is None:
        asyncio.run(_anonymous(base_url))
    else:
        asyncio.run(_oauth(app, base_url, args))
    _report(args, earlier)
    return 0


def _asked() -> str:
    return choose(
        "How do you want to sign in?",
        [
            ("oauth", "with your account, in a browser"),
            ("anonymous", "a throwaway identity, no account"),
        ],
        default="anonymous",
    )


async def _oauth_app(base_url: str) -> OAuthApp | None:
    from arkor_tui.api.client import CloudApiClient
    from arkor_tui.api.oauth import OAuthApp

    async with CloudApiClient(base_url, on_notice=tell_notice) as client:
        return OAuthApp.from_config(await client.cli_config())


async def _anonymous(base_url: str) -> None:
    from arkor_tui.api.client import CloudApiClient
    from arkor_tui.api.login import login_anonymous

    async with CloudApiClient(base_url, on_notice=tell_notice) as client:
        await login_anonymous(client.login_anonymous, base_url)


async def _oauth(app: OAuthApp, base_url: str, args: argparse.Namespace) -> None:
    from arkor_tui.api import oauth
    from arkor_tui.config.credentials import write_credentials

    def show_url(url: str) -> None:
        if args.json:
            emit("login.url", {"url": url})
        else:
            say(f"Sign in with a browser on this machine:\n  {url}")
            note("Waiting for the browser to come back (Ctrl-C gives up) …")

    credentials = await oauth.sign_in(
        app,
        base_url=base_url,
        show_url=show_url,
        open_browser=None if args.no_browser else oauth.open_in_browser,
    )
    write_credentials(credentials)


def _earlier_identity() -> str | None:
    """The id of the anonymous identity that is about to be replaced."""
    from arkor_tui.config.credentials import CredentialsUnreadableError, read_credentials

    with suppress(CredentialsUnreadableError):
        earlier = read_credentials()
        if earlier is not None and earlier.is_anonymous:
            return getattr(earlier, "anonymous_id", None) or "of unknown id"
    return None


def _report(args: argparse.Namespace, earlier: str | None) -> None:
    from arkor_tui.config.credentials import (
        AnonymousCredentials,
        credentials_path,
        read_credentials,
    )

    stored = read_credentials()
    assert stored is not None
    anonymous = isinstance(stored, AnonymousCredentials)
    if args.json:
        emit(
            "result",
            {
                "status": "signed-in",
                "mode": "anonymous" if anonymous else "oauth",
                "anonymousId": getattr(stored, "anonymous_id", None),
                "orgSlug": getattr(stored, "org_slug", None),
                "expiresAt": getattr(stored, "expires_at", None),
                "baseUrl": stored.minted_at,
                "credentialsFile": str(credentials_path()),
            },
        )
    elif isinstance(stored, AnonymousCredentials):
        say(
            f"Signed in to {stored.minted_at} anonymously as {stored.anonymous_id} "
            f"(organisation {stored.org_slug})."
        )
        say(f"Keep {credentials_path()}: without it, this identity and its work are out of reach.")
    else:
        say(f"Signed in to {stored.minted_at} with your account.")
    if earlier is not None:
        note(f"It replaces the anonymous identity {earlier}, whose projects are out of reach now.")
    _warn_of_foreign_state(stored)


def _warn_of_foreign_state(stored: Credentials) -> None:
    from arkor_tui.api.scope import is_usable
    from arkor_tui.config.state import read_state, state_path

    state = read_state()
    if state is not None and not is_usable(state, stored):
        note(
            f"{state_path()} still names a project of the organisation {state.org_slug}: delete it "
            "before you start a run from this folder."
        )
