"""Sign-in with an account: OAuth with PKCE and a loopback callback (docs/protocol.md, section 2).

The browser signs in at the issuer and is sent back to a small HTTP server on 127.0.0.1, which lives
only as long as the sign-in. Nothing here refreshes tokens later; expiry shows as a 401.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import logging
import re
import secrets
import threading
import time
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from pydantic_core import from_json

from arkor_tui.config.credentials import OAuthCredentials
from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.sanitize import one_line, plain

from .accounts import CliConfig
from .errors import ConnectionFailedError
from .http import advice_for, open_client, read_body, reason_of

log = logging.getLogger(__name__)

SCOPES = "openid profile email offline_access"
_LOOPBACK = "127.0.0.1"
_DOMAIN = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?")
_REQUEST_LIMIT = 16_384  # bytes of a callback's request line and headers
_REQUEST_SECONDS = 10.0  # browsers open spare connections and never use them
_TOKEN_SECONDS = 30.0
_TOKEN_BYTES = 1024 * 1024
_AGAIN = "Run `arkor-tui login --oauth` again."


class OAuthError(ArkorTuiError):
    """The sign-in did not end with usable tokens; nothing was stored."""


@dataclass(frozen=True, slots=True)
class OAuthApp:
    """Where and as what to sign in. ``callback_ports`` are tried in order."""

    domain: str
    client_id: str
    audience: str
    callback_ports: tuple[int, ...]

    @classmethod
    def from_config(cls, config: CliConfig) -> OAuthApp | None:
        """The app of a server; None where the server offers no sign-in with an account.

        Raises:
            OAuthError: the server names a domain that is none.
        """
        if not (config.auth0_domain and config.client_id and config.audience):
            return None
        if not _DOMAIN.fullmatch(config.auth0_domain):
            domain = plain(config.auth0_domain, limit=100, newlines=False)
            raise OAuthError(
                f"The server names {domain!r} as the place to sign in, which is no domain.",
                hint="Check ARKOR_CLOUD_API_URL, or use `arkor-tui login --anonymous`.",
            )
        return cls(
            config.auth0_domain, config.client_id, config.audience, tuple(config.callback_ports)
        )


@dataclass(frozen=True, slots=True)
class Pkce:
    """The secrets of one sign-in (RFC 7636, S256)."""

    verifier: str = field(repr=False)
    state: str = field(repr=False)

    @classmethod
    def new(cls) -> Pkce:
        """A verifier of 32 random bytes and a state of 16."""
        return cls(_base64url(secrets.token_bytes(32)), _base64url(secrets.token_bytes(16)))

    @property
    def challenge(self) -> str:
        """What the issuer sees of the verifier."""
        return _base64url(hashlib.sha256(self.verifier.encode("ascii")).digest())


def open_in_browser(url: str) -> None:
    """Open ``url`` in a graphical browser; do nothing where there is only one for the terminal."""
    browser = webbrowser.get()
    in_terminal = isinstance(browser, webbrowser.GenericBrowser) and not isinstance(
        browser, webbrowser.BackgroundBrowser
    )
    if not in_terminal:
        browser.open(url)


async def sign_in(
    app: OAuthApp,
    *,
    base_url: str,
    show_url: Callable[[str], None],
    open_browser: Callable[[str], object] | None = open_in_browser,
    timeout: float = 300.0,
    issuer_url: str | None = None,
) -> OAuthCredentials:
    """Sign in and return the credentials; storing them is the caller's.

    ``base_url`` is the cloud that the tokens are for. ``show_url`` gets the address to visit, at
    once; ``open_browser`` is then called in the background, and whatever it raises is ignored; None
    opens none. ``timeout`` is seconds until the browser must have come back. ``issuer_url``
    replaces ``https://<domain>``.

    Raises:
        OAuthError: every port is taken, nobody signed in in time, the issuer refused, the state
            does not match, or the tokens are incomplete.
        ConnectionFailedError: the issuer's token endpoint could not be reached.
    """
    issuer = (issuer_url or f"https://{app.domain}").rstrip("/")
    pkce = Pkce.new()
    async with _callback_server(app.callback_ports, pkce.state) as (port, code):
        redirect_uri = f"http://{_LOOPBACK}:{port}/callback"
        url = authorize_url(app, issuer, redirect_uri, pkce)
        show_url(url)
        if open_browser is not None:
            _in_background(open_browser, url)
        try:
            async with asyncio.timeout(timeout):
                received = await code
        except TimeoutError:
            raise OAuthError(
                f"Nobody signed in within {timeout:g} seconds.",
                hint=f"{_AGAIN} On a machine without a browser, `arkor-tui login --anonymous` "
                "needs none.",
            ) from None
    body = {
        "grant_type": "authorization_code",
        "client_id": app.client_id,
        "code": received,
        "code_verifier": pkce.verifier,
        "redirect_uri": redirect_uri,
    }
    tokens = await _exchange(f"{issuer}/oauth/token", body)
    return _credentials(app, tokens, base_url)


def authorize_url(app: OAuthApp, issuer: str, redirect_uri: str, pkce: Pkce) -> str:
    """The address that the browser visits."""
    query = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": redirect_uri,
        "scope": SCOPES,
        "audience": app.audience,
        "state": pkce.state,
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
    }
    return f"{issuer}/authorize?{urlencode(query)}"


# --- the callback ---------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _callback_server(
    ports: Sequence[int], state: str
) -> AsyncIterator[tuple[int, asyncio.Future[str]]]:
    """Listen on the first free port; gives the port and a future of the authorisation code."""
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    connections: set[asyncio.Task[Any]] = set()
    over = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if over:  # accepted, but not yet served when the sign-in ended
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await _answer(reader, writer, state, code)
        finally:
            connections.discard(task)

    server = await _bind(serve, ports)
    try:
        yield server.sockets[0].getsockname()[1], code
    finally:
        over = True
        server.close()
        # spare connections of a browser would otherwise keep wait_closed() waiting
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
        if not code.cancel() and not code.cancelled():
            code.exception()  # it was seen, or nobody is left to see it


async def _bind(serve: Any, ports: Sequence[int]) -> asyncio.Server:
    for port in ports:
        try:
            return await asyncio.start_server(serve, _LOOPBACK, port, limit=_REQUEST_LIMIT)
        except (OSError, OverflowError) as error:
            log.debug("callback port %s: %s", port, error)
    tried = ", ".join(map(str, ports)) or "none named by the server"
    raise OAuthError(
        f"No port is free for the browser to come back to (tried: {tried}).",
        hint="Close the program that uses one of them (perhaps another login), then try again; "
        "or use `arkor-tui login --anonymous`.",
    )


async def _answer(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    state: str,
    code: asyncio.Future[str],
) -> None:
    """Answer one request; a visit of ``/callback`` settles ``code``, after the page is out."""
    outcome: str | OAuthError | None = None
    try:
        async with asyncio.timeout(_REQUEST_SECONDS):
            target = await _read_target(reader)
            status, page, outcome = _judge(target, state)
            await _send_page(writer, status, page)
    except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
        pass  # whoever it was went away, or did not speak HTTP
    finally:
        writer.transport.abort()  # after a page that went out in full this does nothing
        if not code.done():
            if isinstance(outcome, OAuthError):
                code.set_exception(outcome)
            elif outcome is not None:
                code.set_result(outcome)


async def _read_target(reader: asyncio.StreamReader) -> str | None:
    """The target of a GET, None for any other request. Reads the headers to their end."""
    head = await reader.readuntil(b"\r\n\r\n")
    match = re.match(rb"GET (\S+) HTTP/1\.[01]\r\n", head)
    return match[1].decode("ascii", "replace") if match else None


def _judge(target: str | None, state: str) -> tuple[int, str, str | OAuthError | None]:
    """Status and text for the browser, and what the visit means: a code, a failure or nothing."""
    try:
        parts = urlsplit(target or "")
        query = parse_qs(parts.query, max_num_fields=50)
    except ValueError:
        return 400, "Bad request", None
    if target is None or parts.path != "/callback":
        return 404, "Not found", None

    def parameter(name: str) -> str:
        return query.get(name, [""])[0]

    def refused(status: int, text: str, hint: str) -> tuple[int, str, OAuthError]:
        return status, text, OAuthError(text, hint=hint)

    if parameter("error"):
        text = ". ".join(filter(None, (parameter("error"), parameter("error_description"))))
        text = plain(text, limit=500, newlines=False).rstrip(".")
        return refused(400, f"Sign-in failed: {text}.", _AGAIN)
    if not parameter("code") or not parameter("state"):
        return refused(400, "Sign-in failed: the browser came back without a code.", _AGAIN)
    if not secrets.compare_digest(parameter("state").encode("utf-8", "replace"), state.encode()):
        return refused(
            400,
            "Sign-in failed: the browser came back from another sign-in (the state differs).",
            f"{_AGAIN} Finish in the browser tab that it opens, not in an older one.",
        )
    return 200, "Done. You can close this tab and go back to the terminal.", parameter("code")


async def _send_page(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    """Plain text only, and no guessing: the text may quote the address that was visited."""
    body = text.encode("utf-8")
    reason = {200: "OK", 400: "Bad Request", 404: "Not Found"}[status]
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Cache-Control: no-store\r\n"
        "Referrer-Policy: no-referrer\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    writer.write(head.encode("ascii") + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def _in_background(open_browser: Callable[[str], object], url: str) -> None:
    """Some browsers block until they are closed, and none may keep the process alive."""

    def attempt() -> None:
        try:
            open_browser(url)
        except Exception as error:
            log.debug("no browser was opened: %s", error)

    threading.Thread(target=attempt, name="open-browser", daemon=True).start()


# --- the tokens -----------------------------------------------------------------------------------


async def _exchange(url: str, body: dict[str, str]) -> dict[str, Any]:
    """The issuer's answer to the code."""
    try:
        async with (
            open_client(url, timeout=_TOKEN_SECONDS) as client,
            asyncio.timeout(_TOKEN_SECONDS),
            client.stream("POST", url, json=body) as response,
        ):
            content = await read_body(response, _TOKEN_BYTES)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise ConnectionFailedError(
            f"Cannot reach {url}: {reason_of(error, url)}.",
            hint=f"{advice_for(error, url) or 'Check the network.'} {_AGAIN}",
        ) from error
    try:
        answer = from_json(content)
    except ValueError:
        answer = None
    if not response.is_success:
        said = _refusal(response.status_code, content, answer)
        raise OAuthError(f"The sign-in service refused the code ({said}).", hint=_AGAIN)
    if not isinstance(answer, dict):
        raise OAuthError("The sign-in service answered with something that is no token.")
    return answer


def _refusal(status: int, content: bytes, answer: object) -> str:
    """The status and the issuer's words. Only known fields are quoted of a JSON answer."""
    if isinstance(answer, dict):
        words = [answer.get("error"), answer.get("error_description")]
        text = ": ".join(word for word in words if isinstance(word, str))
    else:
        text = content.decode("utf-8", "replace")
    return f"{status} {one_line(text.strip())}".strip()


def _credentials(app: OAuthApp, tokens: dict[str, Any], base_url: str) -> OAuthCredentials:
    access_token, refresh_token = tokens.get("access_token"), tokens.get("refresh_token")
    if not (isinstance(access_token, str) and access_token):
        raise OAuthError("The sign-in service sent no access token.", hint=_AGAIN)
    if not (isinstance(refresh_token, str) and refresh_token):
        raise OAuthError(
            "The sign-in service sent no refresh token.",
            hint="Its application must allow the scope 'offline_access': tell whoever runs the "
            "server, or use `arkor-tui login --anonymous`.",
        )
    expires_in = tokens.get("expires_in")
    if not isinstance(expires_in, int | float) or isinstance(expires_in, bool):
        expires_in = None
    return OAuthCredentials(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_at=None if expires_in is None else int(time.time() + expires_in),
        auth0_domain=app.domain,
        audience=app.audience,
        client_id=app.client_id,
        cloud_api_url=base_url,
    )


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
