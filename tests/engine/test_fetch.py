"""Datasets behind an address: what is sent where, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from arkor_tui.backend.engine import fetch
from arkor_tui.backend.engine.errors import DatasetError
from arkor_tui.backend.engine.fetch import fetched_blob, shown_url

Answer = Callable[[httpx.Request], httpx.Response]
URL = "https://data.example/rows.jsonl?signature=secret"


class Server:
    """Answers by a function and keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    def get(self, url: str, token: str | None = None) -> bytes:
        with fetched_blob(url, token, transport=httpx.MockTransport(self)) as (path, _):
            self.path: Path = path
            return path.read_bytes()

    @property
    def authorizations(self) -> list[str | None]:
        return [request.headers.get("authorization") for request in self.requests]


def redirect(to: str) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/rows.jsonl":
            return httpx.Response(302, headers={"location": to})
        return httpx.Response(200, content=b"{}")

    return answer


def refusal(answer: Answer, url: str = URL, token: str | None = "tok") -> str:
    with pytest.raises(DatasetError) as caught:
        Server(answer).get(url, token)
    text = f"{caught.value.message} {caught.value.hint}"
    assert "secret" not in text
    assert "tok" not in text.replace("token", "")
    return text


def test_fetch_sends_the_token_and_removes_the_file() -> None:
    server = Server(lambda _: httpx.Response(200, content=b'{"text": "a"}\n'))
    assert server.get(URL, "tok") == b'{"text": "a"}\n'
    assert server.authorizations == ["Bearer tok"]
    assert str(server.requests[0].url) == URL
    assert not server.path.exists()


def test_no_token_no_header() -> None:
    server = Server(lambda _: httpx.Response(200, content=b"x"))
    server.get(URL)
    assert server.authorizations == [None]


def test_token_goes_before_user_and_password() -> None:
    server = Server(lambda _: httpx.Response(200, content=b"x"))
    server.get("https://me:pw@data.example/rows.jsonl", "tok")
    assert server.authorizations == ["Bearer tok"]


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/other", True),
        ("https://data.example/other", True),
        ("https://cdn.example/other", False),
        ("https://data.example:443/other", True),
        ("https://DATA.example/other", True),
        ("//cdn.example/other", False),
        ("https://data.example:8443/other", False),
        ("https://data.example./other", False),
        ("https://sub.data.example/other", False),
        ("https://data.example.evil.example/other", False),
    ],
)
def test_token_stays_with_its_host(target: str, kept: bool) -> None:
    server = Server(redirect(target))
    assert server.get(URL, "tok") == b"{}"
    assert server.authorizations == ["Bearer tok", "Bearer tok" if kept else None]


def test_token_does_not_come_back_after_a_detour() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        way = {"/rows.jsonl": "https://cdn.example/b", "/b": "https://data.example/c"}
        to = way.get(request.url.path)
        return httpx.Response(302, headers={"location": to}) if to else httpx.Response(200)

    server = Server(answer)
    server.get(URL, "tok")
    assert server.authorizations == ["Bearer tok", None, None]


def test_plain_http_on_this_machine_is_fine() -> None:
    for host in ("127.0.0.1:9", "localhost:9", "[::1]:9"):
        server = Server(lambda _: httpx.Response(200, content=b"x"))
        assert server.get(f"http://{host}/rows.jsonl", "tok") == b"x"


@pytest.mark.parametrize(
    "url",
    [
        "http://data.example/rows.jsonl?k=secret",
        "http://127.0.0.1.evil.example/x",
        "ftp://data.example/x",
        "file:///etc/passwd",
        "rows.jsonl",
        "https://",
        "https:///etc/passwd",
        "//data.example/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost.evil.example/x",
        "http://localhost@evil.example/x",
        "http://127.0.0.1@evil.example/x",
        "HTTP://DATA.EXAMPLE/x",
        "gopher://127.0.0.1/x",
        "data:application/jsonl,{}",
        "unix:///run/x.sock",
        "jar:https://data.example/x",
        "https://data.example:99999/x",
        "https://[::1/x",
        "https://data.example:0/x",
        "\nhttps://data.example/x",
        "https://data.example/\0",
    ],
)
def test_unprotected_addresses_are_refused_before_a_request(url: str) -> None:
    server = Server(lambda _: httpx.Response(200))
    with pytest.raises(DatasetError):
        server.get(url, "tok")
    assert server.requests == []


def test_bad_redirects() -> None:
    assert "unprotected" in refusal(redirect("http://data.example/other"))
    assert "unprotected" in refusal(redirect("http://127.0.0.1/other"))
    assert "only https" in refusal(redirect("file:///etc/passwd"), "http://127.0.0.1/rows.jsonl")
    assert "only https" in refusal(
        redirect("http://169.254.169.254/latest"), "http://127.0.0.1/rows.jsonl"
    )
    for target in ("file:///etc/passwd", "ftp://data.example/x"):
        assert "unprotected" in refusal(redirect(target))
    for target in ("javascript:1", "data:,x", "https://data.example:x/"):
        assert "Cannot fetch" in refusal(redirect(target))
    assert "cannot be read" in refusal(redirect("https://data.example:99999/x"))
    assert "where to" in refusal(redirect(""))
    assert "more than 5 times" in refusal(redirect("/rows.jsonl"))


@pytest.mark.parametrize(("status", "word"), [(401, "token"), (403, "token"), (404, "address")])
def test_refused_by_the_server(status: int, word: str) -> None:
    text = refusal(lambda _: httpx.Response(status))
    assert str(status) in text
    assert word in text


def test_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 10)
    assert "larger" in refusal(lambda _: httpx.Response(200, content=b"x" * 11))


def test_an_upgrade_to_https_is_another_origin() -> None:
    server = Server(redirect("https://127.0.0.1/other"))
    server.get("http://127.0.0.1/rows.jsonl", "tok")
    assert server.authorizations == ["Bearer tok", None]


def test_nothing_of_one_origin_is_told_to_another() -> None:
    """Neither what the address held, nor what its server gave us to keep."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/rows.jsonl":
            return httpx.Response(200, content=b"{}")
        given = {"location": "https://data.example:8443/b", "set-cookie": "session=secret"}
        return httpx.Response(302, headers=given)

    server = Server(answer)
    server.get("https://me:secret@data.example/rows.jsonl?key=secret", None)
    there = server.requests[1]
    assert "secret" not in f"{there.url} {there.headers.raw}"
    assert not {"referer", "cookie", "authorization"} & set(there.headers)


@pytest.mark.parametrize(
    "token", ["secret\nX-A: b", "secret two", "sécret", "secret\0", "s\tecret"]
)
def test_a_token_that_no_header_can_hold_is_refused_without_being_named(token: str) -> None:
    server = Server(lambda _: httpx.Response(200))
    with pytest.raises(DatasetError) as caught:
        server.get(URL, token)
    assert "cret" not in f"{caught.value.message} {caught.value.hint}".replace("secret=", "")
    assert server.requests == []


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "gzip, br", "\x1b[m"])
def test_packing_that_could_fill_the_memory_is_refused(encoding: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "gzip"
        stream = httpx.ByteStream(b"x")
        return httpx.Response(200, headers={"content-encoding": encoding}, stream=stream)

    assert "packed as" in refusal(answer)


def test_network_failures() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("name not known", request=request)

    assert "in time" in refusal(slow)
    assert "name not known" in refusal(gone)


def test_shown_url() -> None:
    assert shown_url("https://me:pw@h.example/a/b?x=1#y") == "https://h.example/a/b"
    assert shown_url(httpx.URL("https://me:pw@h.example/a?x=1")) == "https://h.example/a"
    assert shown_url("https://[::1/a?x=1") == "an address that cannot be read"
    assert "\x1b" not in shown_url("https://h/\x1b[31m")
