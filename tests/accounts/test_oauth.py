"""Protocol reference, section 10, "Credentials": sign-in with an account, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import webbrowser
from collections.abc import Iterator
from typing import Any

import pytest

from arkor_tui.api.accounts import CliConfig
from arkor_tui.api.errors import ConnectionFailedError
from arkor_tui.api.oauth import OAuthApp, OAuthError, Pkce, open_in_browser, sign_in
from tests.support.amounts import patience
from tests.support.oauth_issuer import TOKENS, Browser, Issuer, get

BASE_URL = "https://cloud.example.com"


def app(*ports: int) -> OAuthApp:
    return OAuthApp("login.example.com", "client-1", "https://audience", ports or (0,))


async def run(issuer: Issuer, browser: Browser | None, **changes: Any) -> Any:
    shown: list[str] = []
    options: dict[str, Any] = {
        "base_url": BASE_URL,
        "show_url": shown.append,
        "open_browser": browser,
        "timeout": patience(30),
        "issuer_url": issuer.url,
        **changes,
    }
    return await sign_in(options.pop("app", app()), **options)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_pkce_end_to_end(issuer: Issuer) -> None:
    browser = Browser()
    before = time.time()
    credentials = await run(issuer, browser)
    assert credentials.bearer == "access-secret"
    assert credentials.to_wire() == {
        "mode": "oauth",
        "accessToken": "access-secret",
        "refreshToken": "refresh-secret",
        "expiresAt": credentials.expires_at,
        "auth0Domain": "login.example.com",
        "audience": "https://audience",
        "clientId": "client-1",
        "arkorCloudApiUrl": BASE_URL,
    }
    assert before + 3599 <= credentials.expires_at <= time.time() + 3601
    assert isinstance(credentials.expires_at, int)

    asked = issuer.authorize
    assert asked["response_type"] == "code"
    assert asked["client_id"] == "client-1"
    assert asked["audience"] == "https://audience"
    assert asked["scope"] == "openid profile email offline_access"
    assert asked["code_challenge_method"] == "S256"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", asked["code_challenge"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", asked["state"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", asked["redirect_uri"])

    assert len(issuer.token_requests) == 1
    exchanged = issuer.token_requests[0]
    assert exchanged.pop("code_verifier") not in browser.visited[0]
    assert exchanged == {
        "grant_type": "authorization_code",
        "client_id": "client-1",
        "code": "the-code",
        "redirect_uri": asked["redirect_uri"],
    }
    assert issuer.token_headers["content-type"] == "application/json"
    page = await asyncio.to_thread(browser.page)
    assert page.status == 200
    assert page.headers["x-content-type-options"] == "nosniff"
    with pytest.raises(OSError):
        await asyncio.to_thread(get, asked["redirect_uri"])  # the callback server is gone


async def test_the_verifier_belongs_to_the_challenge(issuer: Issuer) -> None:
    await run(issuer, Browser())
    assert issuer.verifies()


def test_pkce_material() -> None:
    one, other = Pkce.new(), Pkce.new()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", one.verifier)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", one.state)
    assert one.verifier != other.verifier
    assert one.state != other.state
    assert repr(one) == "Pkce()"
    # the example of RFC 7636, appendix B
    known = Pkce("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "")
    assert known.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_without_a_browser_the_url_is_shown(issuer: Issuer) -> None:
    shown: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run(issuer, None, show_url=shown.set_result))
    url = await shown
    assert url.startswith(f"{issuer.url}/authorize?")
    await asyncio.to_thread(Browser(), url)
    assert (await running).bearer == "access-secret"


async def test_a_failing_browser_is_tolerated(issuer: Issuer) -> None:
    def broken(url: str) -> None:
        browser(url)
        raise RuntimeError("no display")

    browser = Browser()
    credentials = await run(issuer, None, open_browser=broken)
    assert credentials.bearer == "access-secret"


@pytest.mark.parametrize(
    ("kind", "opens"),
    [
        (webbrowser.GenericBrowser, False),  # a browser that would take over the terminal
        (webbrowser.BackgroundBrowser, True),
        (webbrowser.Chrome, True),
    ],
)
def test_only_a_graphical_browser_is_opened(
    kind: type[webbrowser.GenericBrowser], opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(kind, "open", lambda self, url: opened.append(url))
    monkeypatch.setattr(webbrowser, "get", lambda: kind("name"))
    open_in_browser("https://x")
    assert opened == (["https://x"] if opens else [])


async def test_a_state_mismatch_is_refused(issuer: Issuer) -> None:
    issuer.redirect = {"code": "stolen", "state": "of-another-sign-in"}
    browser = Browser()
    with pytest.raises(OAuthError, match="state differs"):
        await run(issuer, browser)
    assert issuer.token_requests == []


async def test_a_refusal_is_shown_as_plain_text(issuer: Issuer) -> None:
    issuer.redirect = {
        "error": "access_denied",
        "error_description": "<script>alert(1)</script>\x1b[31mno",
    }
    browser = Browser()
    with pytest.raises(OAuthError, match="access_denied") as caught:
        await run(issuer, browser)
    assert "\x1b" not in str(caught.value)
    page = await asyncio.to_thread(browser.page)
    assert page.status == 400
    assert page.headers["content-type"] == "text/plain; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "access_denied" in page.text
    assert issuer.token_requests == []


async def test_a_callback_without_code_is_refused(issuer: Issuer) -> None:
    issuer.redirect = {"state": "x"}
    with pytest.raises(OAuthError, match="without a code"):
        await run(issuer, Browser())


async def test_strangers_at_the_callback_port_change_nothing(issuer: Issuer) -> None:
    def disturb(callback: str) -> None:
        origin = callback.split("/callback")[0]
        assert get(f"{origin}/favicon.ico").status == 404
        assert get(f"{origin}/callback/more?code=a&state=b").status == 404
        assert get(f"{origin}//callback?code=a&state=b").status == 404
        host, port = origin.removeprefix("http://").split(":")
        for junk in (
            b"",
            b"\x16\x03\x01",
            b"POST /callback HTTP/1.1\r\n\r\n",
            b"GET http://[/callback HTTP/1.1\r\n\r\n",
            b"GET /callback?" + b"a=1&" * 100 + b" HTTP/1.1\r\n\r\n",
            b"x" * 40_000,
        ):
            with socket.create_connection((host, int(port)), timeout=5) as stranger:
                stranger.sendall(junk)

    browser = Browser(before=disturb)
    assert (await run(issuer, browser)).bearer == "access-secret"


async def test_idle_connections_do_not_keep_the_sign_in_open(issuer: Issuer) -> None:
    idle: list[socket.socket] = []

    def preconnect(callback: str) -> None:
        host, port = callback.removeprefix("http://").split("/")[0].split(":")
        idle.append(socket.create_connection((host, int(port)), timeout=5))

    started = time.monotonic()
    await run(issuer, Browser(before=preconnect))
    assert time.monotonic() - started < patience(30) / 2
    idle[0].close()


async def test_the_first_free_port_is_used(issuer: Issuer, taken_port: int) -> None:
    port = free_port()
    await run(issuer, Browser(), app=app(taken_port, 70_000, port))
    assert issuer.authorize["redirect_uri"] == f"http://127.0.0.1:{port}/callback"


@pytest.mark.parametrize("named", [True, False])
async def test_all_ports_busy(issuer: Issuer, taken_port: int, named: bool) -> None:
    browser = Browser()
    ports = (taken_port,) if named else ()
    busy = OAuthApp("login.example.com", "client-1", "aud", ports)
    with pytest.raises(OAuthError, match=str(taken_port) if named else "none named") as caught:
        await run(issuer, browser, app=busy)
    assert caught.value.hint
    assert browser.visited == []


async def test_nobody_signs_in(issuer: Issuer) -> None:
    with pytest.raises(OAuthError, match="Nobody signed in"):
        await run(issuer, None, timeout=0.05)


async def test_a_cancelled_sign_in_leaves_nothing_behind(issuer: Issuer) -> None:
    port = free_port()
    asked = asyncio.Event()
    running = asyncio.create_task(
        run(issuer, None, app=app(port), show_url=lambda _: asked.set(), timeout=60.0)
    )
    await asked.wait()  # it listens from before it shows the address
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(OSError):
        await asyncio.to_thread(get, f"http://127.0.0.1:{port}/callback")


@pytest.mark.parametrize("value", [None, "", 5])
async def test_no_refresh_token_is_an_error(issuer: Issuer, value: object) -> None:
    issuer.answer = json.dumps({**TOKENS, "refresh_token": value}).encode()
    with pytest.raises(OAuthError, match="no refresh token") as caught:
        await run(issuer, Browser())
    assert "secret" not in str(caught.value)


async def test_no_access_token_is_an_error(issuer: Issuer) -> None:
    issuer.answer = b'{"refresh_token": "refresh-secret"}'
    with pytest.raises(OAuthError, match="no access token"):
        await run(issuer, Browser())


async def test_an_unknown_life_time_is_no_expiry(issuer: Issuer) -> None:
    issuer.answer = json.dumps({**TOKENS, "expires_in": None}).encode()
    assert (await run(issuer, Browser())).expires_at is None


@pytest.mark.parametrize(
    ("status", "answer", "text"),
    [
        (403, b'{"error":"invalid_grant","error_description":"expired"}', "403 invalid_grant: exp"),
        (500, b"\xff<html>", "500"),
        (200, b"no json", "no token"),
        (200, b"[]", "no token"),
    ],
)
async def test_a_failed_exchange_is_told(
    issuer: Issuer, status: int, answer: bytes, text: str
) -> None:
    issuer.status, issuer.answer = status, answer
    with pytest.raises(OAuthError, match=text):
        await run(issuer, Browser())


async def test_an_unreachable_token_endpoint_is_told(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_tui.api import oauth

    port = free_port()
    exchange = oauth._exchange
    monkeypatch.setattr(
        oauth, "_exchange", lambda _, body: exchange(f"http://127.0.0.1:{port}/oauth/token", body)
    )
    with pytest.raises(ConnectionFailedError, match="Cannot reach"):
        await run(issuer, Browser())


def test_the_servers_configuration() -> None:
    full = {"auth0Domain": "d.example", "clientId": "c", "audience": "a", "callbackPorts": [1, 2]}
    assert OAuthApp.from_config(CliConfig(**full)) == OAuthApp("d.example", "c", "a", (1, 2))
    for missing in ("auth0Domain", "clientId", "audience"):
        assert OAuthApp.from_config(CliConfig(**{**full, missing: None})) is None
    for odd in ("evil.example/x", "a b", "user@host", "\x1b[31m", "https://d"):
        with pytest.raises(OAuthError):
            OAuthApp.from_config(CliConfig(**{**full, "auth0Domain": odd}))
