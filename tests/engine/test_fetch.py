"""Datasets behind an address: what is sent where, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from arkor_tui.local.engine import fetch
from arkor_tui.local.engine.errors import DatasetError
from arkor_tui.local.engine.fetch import fetched_blob, shown_url

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
        ("https://data.example:8443/other", False),
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
    assert "where to" in refusal(redirect(""))
    assert "more than 5 times" in refusal(redirect("/rows.jsonl"))


@pytest.mark.parametrize(("status", "word"), [(401, "token"), (403, "token"), (404, "address")])
def test_refused_by_the_server(status: int, word: str) -> None:
    text = refusal(lambda _: httpx.Response(status))
    assert str(status) in text
    assert word in text


def test_size_and_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 10)
    assert "larger" in refusal(lambda _: httpx.Response(200, content=b"x" * 11))
    monkeypatch.setattr(fetch, "MAX_SECONDS", -1.0)
    assert "longer" in refusal(lambda _: httpx.Response(200, content=b"x"))


def test_network_failures() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("name not known", request=request)

    assert "in time" in refusal(slow)
    assert "name not known" in refusal(gone)


def test_shown_url() -> None:
    assert shown_url("https://me:pw@h.example/a/b?x=1#y") == "https://h.example/a/b"
    assert "\x1b" not in shown_url("https://h/\x1b[31m")
