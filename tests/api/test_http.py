"""The one way to an HTTP client, over real sockets: proxies, certificates, encodings, deadlines."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from arkor_tui.api import deltas
from arkor_tui.api.chat import ChatRequest
from arkor_tui.api.client import CloudApiClient, caller
from arkor_tui.api.errors import ApiError, ConnectionFailedError, NotArkorError
from arkor_tui.api.scope import Scope
from arkor_tui.config.network import NetworkSettingsError
from arkor_tui.connect import embedded
from tests.support.engine_places import Place, answered, authority

__all__ = ["authority"]

SCOPE = Scope("org", "project")
ASK = ChatRequest(base_model="m", messages=[{"role": "user", "content": "hi"}])
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
ME = b'{"user": {"id": "u-1", "email": null}, "orgs": []}'


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *(name.upper() for name in NAMES), "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


async def failure(url: str) -> ConnectionFailedError:
    async with CloudApiClient(url, bearer="token") as client:
        with pytest.raises(ConnectionFailedError) as caught:
            await client.me()
    return caught.value


# proxies


async def test_what_goes_elsewhere_goes_by_way_of_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Place(lambda _: answered(ME)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with CloudApiClient("http://api.example", bearer="token") as client:
            assert (await client.me()).user.id == "u-1"
        assert proxy.requests[0].startswith("GET http://api.example/v1/me HTTP/1.1")


@pytest.mark.parametrize("exempt", ["localhost,[::1]", "[::1]", "", "a:b:c,[,"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "all_proxy"])
async def test_this_machine_is_never_asked_by_way_of_a_proxy(
    name: str, exempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r19, and its siblings."""
    with Place(lambda _: answered(ME)) as place, Place(lambda _: answered(b"")) as proxy:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt)
        async with CloudApiClient(place.url, bearer="token") as client:
            assert (await client.me()).user.id == "u-1"
        assert proxy.requests == []


async def test_a_name_that_only_begins_like_this_machine_goes_by_way_of_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """r20."""
    with Place(lambda _: answered(ME)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with CloudApiClient("http://127.evil.example") as client:
            await client.me()
        assert proxy.requests[0].startswith("GET http://127.evil.example/v1/me")


async def test_a_proxy_that_does_not_answer_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush@127.0.0.1:1")
    error = await failure("https://api.example")
    assert "by way of http://127.0.0.1:1, the proxy in HTTPS_PROXY" in str(error)
    assert "NO_PROXY" in str(error.hint)
    assert "hush" not in f"{error} {error.hint}"


async def test_a_proxy_that_cannot_be_used_is_told_when_something_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """a11: neither an ImportError nor a ValueError of a library."""
    monkeypatch.setenv("ALL_PROXY", "socks9://proxy.example")
    async with CloudApiClient("https://api.example") as client:
        with pytest.raises(NetworkSettingsError, match="ALL_PROXY"):
            await client.me()


# certificates


async def test_a_private_authority_works_where_it_is_named(
    authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = authority
    with Place(lambda _: answered(ME), context) as place:
        error = await failure(place.url)
        assert "its certificate is not trusted (self-signed certificate)" in str(error)
        assert "SSL_CERT_FILE" in str(error.hint)
        assert place.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with CloudApiClient(place.url) as client:
            assert (await client.me()).user.id == "u-1"


async def test_the_variable_whose_authorities_do_not_vouch_is_named(
    authority: tuple[Path, ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    with Place(lambda _: answered(ME), authority[1]) as place:
        assert "by the authorities in SSL_CERT_FILE" in str(await failure(place.url))


async def test_certificates_that_are_not_there_are_told_and_plain_http_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """a11."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    async with CloudApiClient("https://127.0.0.1:1") as client:
        with pytest.raises(NetworkSettingsError, match=r"SSL_CERT_FILE names .*gone\.pem"):
            await client.me()
    with Place(lambda _: answered(ME)) as place:
        async with CloudApiClient(place.url) as client:
            assert (await client.me()).user.id == "u-1"


# encodings

BOMB = gzip.compress(gzip.compress(bytes(10_000_000)))


async def test_a_packed_answer_is_refused_unread() -> None:
    """a2: a few bytes would be gigabytes."""
    packed = answered(BOMB, "Content-Encoding: gzip, gzip", "Content-Type: application/json")
    with Place(lambda _: packed) as place:
        async with CloudApiClient(place.url, bearer="token") as client:
            with pytest.raises(NotArkorError, match="packed as gzip, gzip"):
                await client.me()
        assert "accept-encoding: identity\r\n" in place.requests[0].lower()


async def test_a_packed_refusal_keeps_its_status() -> None:
    body = answered(BOMB, "Content-Encoding: gzip", status="401 Unauthorized")
    with Place(lambda _: body) as place:
        async with CloudApiClient(place.url, bearer="token") as client:
            with pytest.raises(ApiError) as caught:
                await client.me()
    assert (caught.value.status, str(caught.value)) == (401, "GET /v1/me answered with status 401")


# deadlines


def dripping(head: bytes, piece: bytes) -> Place:
    """A server whose every piece comes well in time, and whose answer never ends."""

    def answer(_: str) -> Iterator[bytes]:
        yield head
        while not place.gone.wait(0.02):
            yield piece

    place = Place(answer)
    return place


HINT = b"HTTP/1.1 103 Early Hints\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b" "),
        (b"HTTP/1.1 500 No\r\nContent-Length: 9999999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: x\r\n"),
        (b"", HINT),
    ],
)
async def test_a_server_that_drips_for_ever_ends(
    head: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """a13."""
    monkeypatch.setattr(caller, "TOTAL_SECONDS", 0.3)
    with dripping(head, piece) as place:
        assert "no whole answer came within 0.3 seconds" in str(await failure(place.url))


async def test_a_stream_that_never_begins_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """a13: hints are no sign of a stream."""
    monkeypatch.setattr(caller, "TOTAL_SECONDS", 0.3)
    with dripping(b"", HINT) as place:
        async with CloudApiClient(place.url) as client:
            with pytest.raises(ConnectionFailedError, match="no whole answer"):
                async with client.open_event_stream(SCOPE, "job-1", None):
                    pytest.fail("it never began")


async def test_a_reply_that_drips_for_ever_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """a13: a streamed reply, too."""
    monkeypatch.setattr(deltas, "CHAT_SECONDS", 0.3)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    with dripping(head, b"data: x\n\n") as place:
        async with CloudApiClient(place.url) as client:
            with pytest.raises(ConnectionFailedError, match="did not end within"):
                async with client.stream_chat(SCOPE, ASK) as pieces:
                    async for piece in pieces:
                        assert piece.text == "x"


async def test_what_greets_like_a_backend_and_never_ends_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """a13: looking for the embedded backend, which knows no other deadline."""
    monkeypatch.setattr(embedded, "_GREETING_SECONDS", 0.3)
    with dripping(b"", HINT) as place, pytest.raises(httpx.ReadTimeout):
        await embedded.has_embedded_header(place.url)
