"""Which addresses are this machine (r20): a token, plain HTTP and no proxy are for these alone."""

from __future__ import annotations

import httpx
import pytest

from arkor_tui.config.loopback import is_loopback_host, is_loopback_url
from arkor_tui.config.network import proxy_for


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8",
        "http://127.255.0.7",
        "http://localhost:8",
        "http://LOCALHOST",
        "http://LocalHost:8/path?query",
        "http://[::1]:8",
        "http://[0:0::1]:8",
        "http://[::ffff:127.0.0.1]:8",
    ],
)
def test_this_machine(url: str) -> None:
    assert is_loopback_url(url)
    assert is_loopback_host(httpx.URL(url).host)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.evil.example",
        "http://127.0.0.1.evil",
        "http://127.0.0.1.example.com:80",
        "http://localhost.evil.example",
        "http://evil.localhost",
        "http://notlocalhost",
        "http://localhost.",
        "http://127.0.0.1.",
        "http://2130706433",
        "http://0x7f000001",
        "http://127.1",
        "http://[::ffff:192.168.1.5]",
        "http://[::2]:1",
        "http://0.0.0.0:8000",
        "http://192.168.1.5:8000",
        "http://127.0.0.1@evil.example",
        "http://localhost:80@evil.example",
        "http://evil.example#@127.0.0.1",
        "http://evil.example?@127.0.0.1",
        "http://evil.example/127.0.0.1",
    ],
)
def test_another_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_loopback_url(url)
    assert not is_loopback_host(httpx.URL(url).host)
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert proxy_for(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://user@127.0.0.1:1",
        "http://@127.0.0.1:1",
        "http://evil.example\\@127.0.0.1",
        "https://127.0.0.1:1",
        "ftp://127.0.0.1",
        "http://0177.0.0.1",
        "http://127.0.0.01",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://[",
        "http://",
        "127.0.0.1:80",
        "",
    ],
)
def test_an_address_with_more_to_it_than_a_loopback_host_gets_no_token(url: str) -> None:
    assert not is_loopback_url(url)
