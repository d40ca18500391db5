"""What ``arkor-tui doctor`` looks at between this machine and others: cloud, network, backend."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.sanitize import one_line, plain

from .check import Check

if TYPE_CHECKING:
    from arkor_tui.config.credentials import Credentials

_PROBE_SECONDS = 3.0

# --- the cloud ------------------------------------------------------------------------------------


def check_cloud() -> Iterable[Check]:
    """Credentials, and the address that they would be sent to. Makes no request."""
    from arkor_tui.config import credentials as store

    path = store.credentials_path()
    stored = None
    try:
        stored = store.read_credentials()
    except store.CredentialsUnreadableError as error:
        yield Check("credentials", "fail", str(error), error.hint)
    else:
        if stored is not None:
            yield _credentials(stored, path)
        elif store.credentials_are_corrupt():
            yield Check(
                "credentials",
                "warn",
                f"{path} is not valid JSON and counts as none",
                "`arkor-tui login` replaces it.",
            )
        else:
            yield Check("credentials", "ok", "not signed in; the embedded backend needs no login")
    yield _cloud_address(stored)
    yield _project(stored)


def _credentials(stored: Credentials, path: Path) -> Check:
    from arkor_tui.config.credentials import AnonymousCredentials, CredentialsIncompleteError

    try:
        _ = stored.bearer
    except CredentialsIncompleteError as error:
        return Check("credentials", "fail", str(error), error.hint)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Check(
            "credentials",
            "warn",
            f"{path} can be read by other users (mode {mode:04o})",
            f"Run `chmod 600 {path}`.",
        )
    if isinstance(stored, AnonymousCredentials):
        identity = plain(stored.anonymous_id or "of unknown id", limit=100, newlines=False)
        return Check("credentials", "ok", f"anonymous identity {identity}")
    if stored.expires_at is None:
        return Check("credentials", "ok", "account, expiry unknown")
    left = stored.expires_at - time.time()
    if left <= 0:
        return Check(
            "credentials",
            "warn",
            f"account, expired {_duration(-left)} ago",
            "Sign in again with `arkor-tui login --oauth`.",
        )
    return Check("credentials", "ok", f"account, expires in {_duration(left)}")


def _cloud_address(credentials: Credentials | None) -> Check:
    from urllib.parse import urlsplit

    from arkor_tui.config.base_url import URL_VARIABLE, cloud_base_url
    from arkor_tui.config.loopback import is_loopback_url

    url = cloud_base_url(credentials)
    shown = plain(url, limit=200, newlines=False)
    source = f"from {URL_VARIABLE}" if URL_VARIABLE in os.environ else "stored or default"
    fix = f"Unset or correct {URL_VARIABLE}." if URL_VARIABLE in os.environ else "Sign in again."
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return Check("cloud.url", "fail", f"{shown or 'empty'} is no address ({source})", fix)
    if parts.scheme == "http" and not is_loopback_url(url):
        return Check("cloud.url", "warn", f"{shown} sends the token unencrypted ({source})", fix)
    if credentials is not None and credentials.minted_at != url:
        minted = plain(credentials.minted_at, limit=200, newlines=False)
        return Check(
            "cloud.url", "warn", f"{shown} would get the token that {minted} gave ({source})", fix
        )
    return Check("cloud.url", "ok", f"{shown} ({source})")


def _project(credentials: Credentials | None) -> Check:
    from arkor_tui.api.scope import is_usable
    from arkor_tui.config.state import read_state, state_path

    path = state_path()
    state = read_state()
    if state is None:
        if path.exists():
            return Check(
                "project.state",
                "warn",
                f"{path} is unreadable or incomplete and counts as none",
                'It wants {"orgSlug": "…", "projectSlug": "…", "projectId": "…"}.',
            )
        if credentials is not None and not credentials.is_anonymous:
            return Check(
                "project.state",
                "warn",
                f"{path} is missing: an account's runs need it",
                'Write {"orgSlug": "…", "projectSlug": "…", "projectId": "…"} into it.',
            )
        return Check("project.state", "ok", "none here (made with the first cloud run)")
    scope = plain(f"{state.org_slug}/{state.project_slug}", limit=200, newlines=False)
    if credentials is not None and not is_usable(state, credentials):
        return Check(
            "project.state",
            "warn",
            f"{path} names {scope}, which is not this anonymous identity's",
            "Delete that file, or sign in as the project's owner with `arkor-tui login --oauth`.",
        )
    return Check("project.state", "ok", scope)


# --- the network ----------------------------------------------------------------------------------


def check_proxies() -> Iterable[Check]:
    """Whether the proxies that the environment names can be used. Makes no request."""
    from arkor_tui.config.network import proxies

    found = proxies()
    if not found:
        yield Check("network.proxy", "ok", "none")
    for proxy in found:
        shown = f"{one_line(proxy.shown)} ({proxy.variable}); never for this machine"
        yield Check("network.proxy", "ok", shown)


def check_certificates() -> Iterable[Check]:
    """Whose certificates are trusted, and whether they can be read."""
    from arkor_tui.config.network import certificate_sources, tls_context

    tls_context()
    sources = certificate_sources()
    named = " and ".join(f"{one_line(path)} ({name})" for name, path in sources.items())
    detail = f"of the authorities in {named} alone" if sources else "of the usual authorities"
    yield Check("network.certificates", "ok", detail)


# --- the embedded backend -------------------------------------------------------------------------


def check_local_backend() -> Iterable[Check]:
    """Whether it runs, answers and is of our version."""
    from arkor_tui._version import __version__
    from arkor_tui.config.local_backend import read_local_backend

    info = read_local_backend()
    if info is None:
        yield Check("backend.local", "ok", "not running (started when it is needed)")
        return
    asyncio.run(_probe(info.url, info.read_token()))
    where = f"{info.url}, process {info.pid}"
    version = plain(info.version or "of unknown version", limit=50, newlines=False)
    if info.version != __version__:
        yield Check(
            "backend.local",
            "warn",
            f"running at {where}, but it is {version} and this is {__version__}",
            "Stop it when no run is live; it is started again when it is needed.",
        )
        return
    yield Check("backend.local", "ok", f"running at {where}, {version}")


async def _probe(url: str, token: str) -> None:
    from arkor_tui.api.client import CloudApiClient
    from arkor_tui.api.errors import ConnectionFailedError
    from arkor_tui.config.local_backend import backend_file

    try:
        async with (
            asyncio.timeout(_PROBE_SECONDS),
            CloudApiClient(url, bearer=token, proof=True) as client,
        ):
            await client.me()
    except TimeoutError:
        raise ArkorTuiError(
            f"The embedded backend at {url} does not answer within {_PROBE_SECONDS:g} seconds.",
            hint="Stop that process; the backend is started again when it is needed.",
        ) from None
    except ConnectionFailedError as error:
        raise ArkorTuiError(
            str(error),
            hint=f"If no `arkor-tui serve` runs on this machine, delete {backend_file()}.",
        ) from error


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"
