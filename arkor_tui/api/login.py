"""Anonymous identities: asked for by name, or made where none exists (docs/protocol.md, section 2).

Both functions take ``mint``, which asks the server at ``base_url`` for a new identity
(``POST /v1/auth/anonymous``), so that this module needs no HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from arkor_tui.config.credentials import (
    AnonymousCredentials,
    Credentials,
    credentials_are_corrupt,
    credentials_path,
    read_credentials,
    write_credentials,
)

from .accounts import AnonymousLogin

Mint = Callable[[], Awaitable[AnonymousLogin]]


async def login_anonymous(mint: Mint, base_url: str) -> AnonymousCredentials:
    """Make a new identity and store it, whatever was stored before.

    Work of an earlier anonymous identity becomes unreachable.

    Raises:
        ApiError: the server refused; the file is as it was.
        ConnectionFailedError: the server could not be reached; the file is as it was.
        WriteFailedError: the identity could not be stored.
    """
    credentials = _credentials(await mint(), base_url)
    write_credentials(credentials)
    return credentials


async def bootstrap_credentials(
    mint: Mint, base_url: str, *, warn: Callable[[str], None]
) -> Credentials:
    """The stored credentials; a new anonymous identity, stored, where there are none.

    A file that is not JSON counts as none and is replaced; ``warn`` then gets one sentence.

    Raises:
        CredentialsUnreadableError: the file may hold a valid login; no request was made.
        ApiError: the server refused; no file was written.
        ConnectionFailedError: the server could not be reached; no file was written.
        WriteFailedError: the identity could not be stored.
    """
    stored = read_credentials()
    if stored is not None:
        return stored
    made = _credentials(await mint(), base_url)
    stored = read_credentials()
    if stored is not None:
        return stored  # another trainer of this process was faster: all must share one identity
    if credentials_are_corrupt():
        warn(f"{credentials_path()} was not valid JSON: a new anonymous identity replaces it.")
    write_credentials(made)
    return made


def _credentials(login: AnonymousLogin, base_url: str) -> AnonymousCredentials:
    return AnonymousCredentials(
        token=login.token,
        anonymous_id=login.anonymous_id,
        org_slug=login.personal_org.slug or login.personal_org.id,
        cloud_api_url=base_url,
    )
