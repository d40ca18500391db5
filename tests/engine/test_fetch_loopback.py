"""Datasets behind an address, over real sockets and real TLS."""

from __future__ import annotations

import gzip
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from arkor_tui.backend.engine import fetch
from arkor_tui.backend.engine.errors import DatasetError
from arkor_tui.backend.engine.fetch import fetched_blob
from tests.support.engine_places import Place, answered, authority

__all__ = ["authority"]

ROWS = b'{"text": "a"}\n'
Tls = tuple[Path, ssl.SSLContext]


def get(url: str, token: str | None = None) -> bytes:
    with fetched_blob(url, token) as (path, _):
        return path.read_bytes()


def refusal(url: str, token: str | None = None) -> str:
    with pytest.raises(DatasetError) as caught:
        get(url, token)
    return f"{caught.value.message} {caught.value.hint}"


def moved(to: str) -> bytes:
    return answered(b"", f"Location: {to}", status="302 Found")


@pytest.fixture
def trusted(authority: Tls, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    certificate, context = authority
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return context


def test_over_tls_with_its_token(trusted: ssl.SSLContext) -> None:
    with Place(lambda _: answered(ROWS), trusted) as place:
        assert get(f"{place.url}/rows?sig=hush", "tok") == ROWS
        assert place.authorizations() == ["Bearer tok"]
        assert place.requests[0].startswith("GET /rows?sig=hush HTTP/1.1")


def test_a_certificate_that_nobody_vouches_for_gets_no_token(authority: Tls) -> None:
    with Place(lambda _: answered(ROWS), authority[1]) as place:
        text = refusal(f"{place.url}/rows?sig=hush", "tok")
        assert "certificate" in text
        assert "hush" not in text
        assert place.requests == []


def test_a_redirect_from_https_to_http_is_refused(trusted: ssl.SSLContext) -> None:
    with Place(lambda _: answered(ROWS)) as bare:
        target = moved(f"{bare.url}/rows?sig=hush")
        with Place(lambda _: target, trusted) as place:
            text = refusal(f"{place.url}/rows", "tok")
        assert "unprotected" in text
        assert "hush" not in text
        assert bare.requests == []


def test_the_token_goes_to_no_other_port_of_the_same_machine(trusted: ssl.SSLContext) -> None:
    with Place(lambda _: answered(ROWS), trusted) as other:
        target = moved(f"{other.url}/rows")
        with Place(lambda _: target, trusted) as place:
            assert get(f"{place.url}/rows", "tok") == ROWS
            assert place.authorizations() == ["Bearer tok"]
        assert other.authorizations() == [None]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "HTTPS_PROXY", "http_proxy"])
def test_no_proxy_is_told_what_stays_on_this_machine(
    variable: str, trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Place(lambda _: answered(b"", status="502 Bad Gateway")) as proxy:
        monkeypatch.setenv(variable, f"{proxy.url}/")
        for tls in (None, trusted):
            with Place(lambda _: answered(ROWS), tls) as place:
                assert get(f"{place.url}/rows", "tok") == ROWS
        assert proxy.requests == []


def test_a_proxy_is_told_where_to_and_no_more(
    authority: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Place(lambda _: answered(b"", status="502 Bad Gateway")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        text = refusal("https://me:hush@data.example/rows?sig=hush", "tok")
        asked = proxy.requests[0]
    assert asked.startswith("CONNECT data.example:443 HTTP/1.1")
    assert not [secret for secret in ("hush", "tok", "Basic") if secret in asked]
    assert "hush" not in text


def test_brackets_in_no_proxy_spoil_no_fetch(
    trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r19: a dataset, too."""
    monkeypatch.setenv("NO_PROXY", "localhost,[::1]")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with Place(lambda _: answered(ROWS), trusted) as place:
        assert get(f"{place.url}/rows", "tok") == ROWS


@pytest.mark.parametrize("proxy", ["socks9://me:hush@h:1", "socks5://me:hush@h:1", "://hush"])
def test_a_proxy_that_is_none_is_told_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    text = refusal("https://data.example/rows")
    assert "ALL_PROXY" in text
    assert "hush" not in text


def test_a_netrc_file_gives_no_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hush\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Place(lambda _: answered(ROWS)) as place:
        get(f"{place.url}/rows")
        assert place.authorizations() == [None]


def dripping(place: list[Place], start: bytes, drop: bytes) -> Iterator[bytes]:
    """Some bytes, and then one now and then, as long as anybody listens."""
    yield start
    end = time.monotonic() + 20  # where the limit does not work, the test fails in the end
    while time.monotonic() < end and not place[0].gone.wait(0.01):
        yield drop


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"{"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x", b"x"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
    ids=["headers", "body", "chunks", "redirect", "hints"],
)
def test_a_drip_ends_in_time(monkeypatch: pytest.MonkeyPatch, start: bytes, drop: bytes) -> None:
    monkeypatch.setattr(fetch, "MAX_SECONDS", 0.3)
    places: list[Place] = []

    def answer(_: str) -> list[bytes]:
        return dripping(places, start, drop)  # type: ignore[return-value]

    with Place(answer) as place:
        places.append(place)
        assert "longer than" in refusal(f"{place.url}/rows")


def test_what_unpacks_to_more_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 1024 * 1024)
    bomb = gzip.compress(b"\n" * 64 * 1024 * 1024)
    assert len(bomb) < 100_000
    with Place(lambda _: answered(bomb, "Content-Encoding: gzip")) as place:
        assert "larger than" in refusal(f"{place.url}/rows")
    packed = answered(gzip.compress(ROWS), "Content-Encoding: gzip")
    with Place(lambda _: packed) as place:
        assert get(f"{place.url}/rows") == ROWS


def test_a_length_that_lies_and_bytes_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 1024 * 1024)
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with Place(lambda _: [head, *[b"x" * 65536] * 100]) as place:
        assert "larger than" in refusal(f"{place.url}/rows")
    with Place(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx") as place:
        assert "Cannot fetch" in refusal(f"{place.url}/rows?sig=hush")


def test_redirects_without_end() -> None:
    with Place(lambda path: moved(path + "x")) as place:
        assert "more than 5 times" in refusal(f"{place.url}/rows", "tok")
        assert len(place.requests) == 6
