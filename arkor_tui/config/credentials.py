"""``~/.arkor/credentials.json``, shared with the ``arkor`` command (docs/protocol.md, section 2).

Nothing here checks a schema: a field that is missing, null or of another type reads as None, and
whatever this version does not know is written back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.jsonsafe import NotJsonError, read_object, write_object

from .atomic import WriteFailedError, reason_of, write_failed, write_private
from .base_url import PRODUCTION_URL, cut_slashes
from .folders import home_folder
from .reading import read_limited

_MOST_BYTES = 2**20


class CredentialsUnreadableError(ArkorTuiError):
    """The file is there and may hold a valid login, but it cannot be read: leave it alone."""


class CredentialsIncompleteError(ArkorTuiError):
    """The credentials lack what this call needs, such as the token."""


def _nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What both kinds have.

    ``cloud_api_url`` is the base URL that the login was made at, None in old files. ``extra`` holds
    whatever the file said beyond the known fields, under its own names.
    """

    cloud_api_url: str | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing, repr=False)

    _WIRE: ClassVar[Mapping[str, str]] = {"cloud_api_url": "arkorCloudApiUrl"}

    @property
    def minted_at(self) -> str:
        """The base URL that the token belongs to, without trailing slashes."""
        return PRODUCTION_URL if self.cloud_api_url is None else cut_slashes(self.cloud_api_url)

    def _wire(self, mode: str) -> dict[str, Any]:
        known = {
            wire: getattr(self, name)
            for name, wire in self._WIRE.items()
            if getattr(self, name) is not None
        }
        return {"mode": mode, **{k: v for k, v in self.extra.items() if k not in known}, **known}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousCredentials(_Common):
    """A throwaway identity that owns one personal organisation, ``org_slug``."""

    token: str | None = field(repr=False)
    anonymous_id: str | None = None
    org_slug: str | None = None

    _WIRE: ClassVar[Mapping[str, str]] = {
        "token": "token",
        "anonymous_id": "anonymousId",
        "cloud_api_url": "arkorCloudApiUrl",
        "org_slug": "orgSlug",
    }

    @property
    def is_anonymous(self) -> bool:
        """Always true here."""
        return True

    @property
    def bearer(self) -> str:
        """The secret for the Authorization header.

        Raises:
            CredentialsIncompleteError: the file held none.
        """
        return _required(self.token, "token")

    def to_wire(self) -> dict[str, Any]:
        """The object in the file."""
        return self._wire("anon")


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthCredentials(_Common):
    """An account's login. ``expires_at`` is epoch seconds; nothing refreshes the token.

    ``mode`` is what the file said: files from before July 2026 say ``auth0``.
    """

    access_token: str | None = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    auth0_domain: str | None = None
    audience: str | None = None
    client_id: str | None = None
    mode: str = "oauth"

    _WIRE: ClassVar[Mapping[str, str]] = {
        "access_token": "accessToken",
        "refresh_token": "refreshToken",
        "expires_at": "expiresAt",
        "auth0_domain": "auth0Domain",
        "audience": "audience",
        "client_id": "clientId",
        "cloud_api_url": "arkorCloudApiUrl",
    }

    @property
    def is_anonymous(self) -> bool:
        """Always false here."""
        return False

    @property
    def bearer(self) -> str:
        """The secret for the Authorization header.

        Raises:
            CredentialsIncompleteError: the file held none.
        """
        return _required(self.access_token, "accessToken")

    def to_wire(self) -> dict[str, Any]:
        """The object in the file."""
        return self._wire(self.mode)


Credentials = AnonymousCredentials | OAuthCredentials


def credentials_path() -> Path:
    """The file, under the home folder."""
    return home_folder() / ".arkor" / "credentials.json"


def read_credentials() -> Credentials | None:
    """What the file holds; None where there is no file, or where it is not a JSON object.

    Raises:
        CredentialsUnreadableError: any other I/O error (permission, a folder in its place, …).
    """
    content = _content()
    if content is None:
        return None
    try:
        return credentials_from_wire(read_object(content))
    except NotJsonError:
        return None


def credentials_are_corrupt() -> bool:
    """Whether the file is there but is not a JSON object.

    Raises:
        CredentialsUnreadableError: as :func:`read_credentials`.
    """
    content = _content()
    if content is None:
        return False
    try:
        read_object(content)
    except NotJsonError:
        return True
    return False


def credentials_from_wire(raw: Mapping[str, Any]) -> Credentials:
    """The credentials in a file's object: every mode but ``anon`` is OAuth."""
    mode = raw.get("mode")
    if mode == "anon":
        texts = _texts(raw, AnonymousCredentials._WIRE)
        return AnonymousCredentials(**texts, extra=_rest(raw, AnonymousCredentials._WIRE, texts))
    texts = _texts(raw, OAuthCredentials._WIRE)
    expires_at = raw.get("expiresAt")
    if not isinstance(expires_at, int | float) or isinstance(expires_at, bool):
        expires_at = None
    known = {**texts, "expires_at": expires_at}
    return OAuthCredentials(
        **known,
        mode=mode if isinstance(mode, str) else "oauth",
        extra=_rest(raw, OAuthCredentials._WIRE, known),
    )


def write_credentials(credentials: Credentials) -> Path:
    """Replace the file atomically, readable by its owner only; its path.

    Raises:
        WriteFailedError: the file is as it was.
    """
    path = credentials_path()
    write_private(path, write_object(credentials.to_wire()))
    return path


def remove_credentials() -> bool:
    """Delete the file; whether there was one.

    Raises:
        WriteFailedError: it could not be deleted.
    """
    path = credentials_path()
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise WriteFailedError(
            f"Cannot delete {path}: {reason_of(error)}.", hint=write_failed(path, error).hint
        ) from error
    return True


def _content() -> bytes | None:
    path = credentials_path()
    try:
        return read_limited(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CredentialsUnreadableError(
            f"Cannot read {path}: {reason_of(error)}.",
            hint="It may hold a valid login, so it is left alone. Repair its permissions "
            f"(`chmod 600 {path}`), or move it away and run `arkor-tui login`.",
        ) from error


def _texts(raw: Mapping[str, Any], wire: Mapping[str, str]) -> dict[str, Any]:
    texts: dict[str, Any] = {}
    for name, wire_name in wire.items():
        value = raw.get(wire_name)
        texts[name] = value if isinstance(value, str) else None
    return texts


def _rest(
    raw: Mapping[str, Any], wire: Mapping[str, str], known: Mapping[str, Any]
) -> dict[str, Any]:
    """What was not understood, so that writing the credentials again loses nothing."""
    understood = {wire[name] for name, value in known.items() if value is not None}
    return {key: value for key, value in raw.items() if key != "mode" and key not in understood}


def _required(secret: str | None, name: str) -> str:
    if secret and secret.isascii() and secret.isprintable():  # what a header can carry
        return secret
    raise CredentialsIncompleteError(
        f"{credentials_path()} holds no usable {name}.",
        hint="Sign in again with `arkor-tui login`.",
    )
