"""Which backend, as whom, for which project: decided once for each trainer."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import httpx

from arkor_tui.api.client import CloudApiClient
from arkor_tui.api.errors import ConnectionFailedError
from arkor_tui.api.login import bootstrap_credentials
from arkor_tui.api.notices import NoticeHandler
from arkor_tui.api.scope import Scope, resolve_scope
from arkor_tui.config.base_url import cloud_base_url, login_base_url
from arkor_tui.config.credentials import Credentials, read_credentials
from arkor_tui.config.local_backend import (
    LOCAL_ORG,
    LocalBackendInfo,
    read_local_backend,
    read_token_file,
)
from arkor_tui.config.loopback import is_loopback_url
from arkor_tui.config.settings import read_settings
from arkor_tui.config.slugs import project_slug
from arkor_tui.config.state import read_state
from arkor_tui.errors import UsageError

from .embedded import ensure_embedded_backend, has_embedded_header, is_ours

Kind = Literal["local", "cloud", "url"]
Report = Callable[[str], None]


@dataclass(slots=True)
class Connection:
    """A backend, an identity and a scope that belong together.

    ``identity`` is for people: ``embedded``, ``anonymous`` or ``oauth``. The client is made on
    first use and again after :meth:`aclose`.
    """

    kind: Kind
    base_url: str
    scope: Scope
    identity: str
    bearer: str | None = field(repr=False)
    on_notice: NoticeHandler | None = None
    proof: bool = field(default=False, kw_only=True)
    """Whether the server must prove on each connection that it has the token: the embedded backend
    of this user's data folder, whose port may be anybody's once it is gone."""
    version: str | None = field(default=None, kw_only=True)
    """Of the embedded backend, as it said when it was found."""
    _client: CloudApiClient | None = None

    @property
    def name(self) -> str:
        """``local``, ``cloud`` or a URL: the backend as the archive knows it."""
        return self.kind if self.kind != "url" else self.base_url

    @property
    def client(self) -> CloudApiClient:
        """The HTTP client of this connection."""
        if self._client is None:
            self._client = CloudApiClient(
                self.base_url, bearer=self.bearer, on_notice=self.on_notice, proof=self.proof
            )
        return self._client

    def for_scope(self, scope: Scope) -> Connection:
        """The same backend and identity, for another project; shares the client."""
        return replace(self, scope=scope, _client=self.client)

    def find_again(self) -> CloudApiClient:
        """The client, on a new address where the embedded backend has come back with one.

        Raises:
            ConnectionFailedError: it does not run now; whoever has its port gets no token.
            LocalBackendError: what that backend left on disk cannot be trusted.
        """
        if self.kind == "local":
            info = read_local_backend()
            if info is None:
                raise ConnectionFailedError(
                    "The embedded backend does not run now.",
                    hint="`arkor-tui serve` runs it.",
                )
            self.version = info.version
            if info.url != self.base_url:
                self.base_url, self.bearer, self._client = info.url, info.read_token(), None
        return self.client

    async def aclose(self) -> None:
        """Close the client; a later use opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def chosen_backend(backend: str | None) -> str:
    """``local``, ``cloud`` or a URL: what was asked for, else the settings, else what fits.

    Without a word from anyone it is the cloud for who has used it (``ARKOR_CLOUD_API_URL`` is set,
    or there are credentials) and the embedded backend for everybody else.

    Raises:
        UsageError: ``backend`` is something else.
        SettingsError: the settings file is wrong.
        CredentialsUnreadableError: the credentials cannot be read.
    """
    backend = backend or read_settings().backend
    if backend is None:
        known = "ARKOR_CLOUD_API_URL" in os.environ or read_credentials() is not None
        return "cloud" if known else "local"
    if backend in ("local", "cloud") or backend.startswith(("http://", "https://")):
        return backend
    raise UsageError(
        f"Unknown backend {backend!r}.",
        hint="Use `local`, `cloud`, or a URL that starts with http:// or https://.",
    )


async def connect(
    backend: str | None = None,
    *,
    folder: Path | None = None,
    report: Report = lambda _: None,
    on_notice: NoticeHandler | None = None,
    may_start: bool = True,
    may_create: bool = True,
    after_stop: bool = True,
) -> Connection:
    """Decide on backend, identity and scope for the project in ``folder`` (default: here).

    ``report`` gets one sentence for each thing that was started or made on the way. ``may_start``
    allows to start the embedded backend, ``after_stop`` also where somebody has stopped it, and
    ``may_create`` to make an anonymous identity or project.

    Raises:
        ArkorTuiError: in its many kinds; each says what to do.
    """
    folder = folder or Path.cwd()
    choice = chosen_backend(backend)
    if choice == "local":
        info = await ensure_embedded_backend(
            report=report, may_start=may_start, after_stop=after_stop
        )
        found = _embedded(info.url, info.read_token(), folder, on_notice)
        found.version = info.version
        return found
    if choice == "cloud":
        return await _cloud(folder, report, on_notice, may_create)
    return await _url(choice.rstrip("/"), folder, on_notice, may_create)


def _embedded(
    url: str,
    token: str,
    folder: Path,
    on_notice: NoticeHandler | None,
    kind: Kind = "local",
    *,
    proof: bool = True,
) -> Connection:
    scope = Scope(LOCAL_ORG, project_slug(folder.resolve().name))
    return Connection(kind, url, scope, "embedded", token, on_notice, proof=proof)


async def _cloud(
    folder: Path, report: Report, on_notice: NoticeHandler | None, may_create: bool
) -> Connection:
    credentials = read_credentials()
    base_url = cloud_base_url(credentials)
    embedded = await _embedded_token(base_url, credentials)
    if embedded is not None:
        return _embedded(base_url, embedded, folder, on_notice)
    if credentials is None:
        if not may_create:
            raise UsageError(
                "Not signed in to Arkor's cloud.",
                hint="`arkor-tui login` signs in; `--backend local` uses the embedded backend.",
            )
        base_url = login_base_url()
        async with CloudApiClient(base_url, on_notice=on_notice) as client:
            credentials = await bootstrap_credentials(client.login_anonymous, base_url, warn=report)
        report(f"Made an anonymous identity at {base_url}.")
    return await _signed_in("cloud", base_url, credentials, folder, on_notice, may_create)


async def _signed_in(
    kind: Kind,
    base_url: str,
    credentials: Credentials,
    folder: Path,
    on_notice: NoticeHandler | None,
    may_create: bool,
) -> Connection:
    """One snapshot of the credentials serves token and scope, so that identities cannot mix."""
    if not may_create and credentials.is_anonymous and read_state(folder) is None:
        raise UsageError(
            f"{folder} is not a project of Arkor's cloud yet: it has no .arkor/state.json.",
            hint="Go to the folder that the run was started from; `--backend local` asks the "
            "embedded backend.",
        )
    bearer = credentials.bearer
    async with CloudApiClient(base_url, bearer=bearer, on_notice=on_notice) as client:
        scope = await resolve_scope(client, credentials, folder)
    identity = "anonymous" if credentials.is_anonymous else "oauth"
    return Connection(kind, base_url, scope, identity, bearer, on_notice)


async def _url(
    url: str, folder: Path, on_notice: NoticeHandler | None, may_create: bool
) -> Connection:
    """A named server: its own token file, the embedded token if it is ours, or credentials."""
    token_file = os.environ.get("ARKOR_TUI_TOKEN_FILE")
    if token_file:
        token = read_token_file(Path(token_file))
        # a tunnel may lead there, from a port of which the backend knows nothing
        return _embedded(url, token, folder, on_notice, "url", proof=False)
    credentials = read_credentials()
    embedded = await _embedded_token(url, credentials)
    if embedded is not None:
        return _embedded(url, embedded, folder, on_notice, "url")
    if credentials is not None and url in (credentials.minted_at, cloud_base_url(credentials)):
        return await _signed_in("url", url, credentials, folder, on_notice, may_create)
    raise UsageError(
        f"There is no token for {url}: the stored credentials belong to another server.",
        hint="Set ARKOR_TUI_TOKEN_FILE to the token file of an embedded backend (`arkor-tui serve` "
        "names it), or sign in there: `ARKOR_CLOUD_API_URL=URL arkor-tui login`.",
    )


async def _embedded_token(url: str, credentials: Credentials | None) -> str | None:
    """The embedded backend's own token, if that is what answers at ``url``.

    ``ARKOR_CLOUD_API_URL`` may point at it, and a cloud token must never be sent there. Credentials
    that were made at that very address (an anonymous login of ``serve --allow-anonymous``) are its
    own and fine.

    Raises:
        UsageError: it is an embedded backend of somebody else's data folder.
        ConnectionFailedError: nothing answers, so nothing says whose token may go there.
    """
    if not is_loopback_url(url):
        return None
    if credentials is not None and credentials.minted_at == url:
        return None
    try:
        embedded = await has_embedded_header(url)
    except httpx.HTTPError as error:
        raise ConnectionFailedError(
            f"Nothing answers at {url}.",
            hint="Start the server that belongs there, or correct the address "
            "(ARKOR_CLOUD_API_URL, --backend).",
        ) from error
    if not embedded:
        return None  # even if the last backend of ours was there: that port is another's now
    info = read_local_backend()
    if info is not None and info.url == url and await is_ours(info):
        return info.read_token()
    raise UsageError(
        f"{url} is an embedded backend whose token is not at hand; a cloud token is never "
        "sent to it.",
        hint="Set ARKOR_TUI_TOKEN_FILE to the token file that `arkor-tui serve` named.",
    )


async def is_embedded_backend(url: str) -> bool:
    """Whether an embedded backend answers at ``url``. Sends no token."""
    try:
        return await has_embedded_header(url)
    except httpx.HTTPError:
        return False


def embedded_connection(info: LocalBackendInfo, folder: Path) -> Connection:
    """A connection to a known embedded backend.

    Raises:
        LocalBackendError: its token cannot be read.
    """
    return _embedded(info.url, info.read_token(), folder, None)
