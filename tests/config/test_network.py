"""Proxies and certificates of the environment, and the words where one cannot be used."""

from __future__ import annotations

import importlib.util
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from arkor_tui.config.network import NetworkSettingsError, Proxy, proxies, proxy_for, tls_context
from tests.support.engine_places import authority

__all__ = ["authority"]

PROXY = "http://me:hush@proxy.example:3128"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


# proxies


def named(url: str) -> str | None:
    found = proxy_for(url)
    return found.variable if found else None


def test_the_schemes_own_proxy_goes_before_the_general_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named("https://api.example") is None
    monkeypatch.setenv("ALL_PROXY", "http://all.example")
    assert named("https://api.example") == "ALL_PROXY"
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")  # a scheme may be left out
    assert named("https://api.example") == "HTTPS_PROXY"
    assert named("http://api.example") == "ALL_PROXY"
    monkeypatch.setenv("https_proxy", "http://small.example")
    assert named("https://api.example") == "https_proxy"
    monkeypatch.setenv("https_proxy", "")
    assert named("https://api.example") == "ALL_PROXY"


def test_a_login_is_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    found = proxy_for("https://api.example")
    assert found == Proxy(PROXY, "HTTPS_PROXY", "http://proxy.example:3128")
    assert "hush" not in repr(found)


def test_a_header_of_a_request_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert proxy_for("http://api.example") is None


@pytest.mark.parametrize(
    ("exempt", "url"),
    [
        ("localhost,[::1]", "http://[::2]"),
        ("api.example", "https://api.example"),
        ("api.example", "https://deep.api.example"),
        (".api.example", "https://deep.api.example"),
        ("*.api.example", "https://deep.api.example"),
        (" other , API.example ", "https://api.EXAMPLE."),
        ("api.example:443", "https://api.example"),
        ("api.example:8443", "https://api.example:8443"),
        ("https://api.example", "https://api.example"),
        ("10.0.0.0/8", "https://10.1.2.3"),
        ("10.1.2.3", "https://10.1.2.3:99"),
        ("[fd00::1]", "https://[fd00::1]"),
        ("[fd00::1]:8443", "https://[fd00::1]:8443"),
        ("fd00::/8", "https://[fd00::1]"),
        ("fd00::1", "https://[fd00:0::1]"),
        ("*", "https://api.example"),
    ],
)
def test_no_proxy_exempts(exempt: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """r19: brackets, ports and networks are read, not handed to a library that refuses them."""
    monkeypatch.setenv("ALL_PROXY", PROXY)
    assert named(url) == "ALL_PROXY"
    monkeypatch.setenv("NO_PROXY", exempt)
    assert named(url) == (None if "::2" not in url else "ALL_PROXY")


@pytest.mark.parametrize(
    ("exempt", "url"),
    [
        ("", "https://api.example"),
        (" , ,", "https://api.example"),
        ("pi.example", "https://api.example"),
        ("api.example", "https://api.example.evil"),
        ("api.example:8443", "https://api.example"),
        ("http://api.example", "https://api.example"),
        ("10.0.0.0/8", "https://11.1.2.3"),
        ("10.0.0.0/99,[,[::,a:b:c,::1%,\\x00,1.2.3.4:999999999", "https://10.1.2.3"),
        ("[fd00::1", "https://[fd00::1]"),
    ],
)
def test_no_proxy_exempts_nothing_else(
    exempt: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exempt)
    assert named(url) == "ALL_PROXY"


@pytest.mark.parametrize(
    "value",
    ["socks9://me:hush@h:1", "://hush", "ftp://hush", "http://", "http://[hush", "http://h:hush",
     "http://h\nush", "http://hush:99999"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_what_is_no_proxy_is_named_by_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """a11: the variable is told, and nothing of its value."""
    monkeypatch.setenv(name, value)
    for choose in (lambda: proxy_for("https://api.example"), proxies):
        with pytest.raises(NetworkSettingsError, match=name) as caught:
            choose()
        assert "hush" not in f"{caught.value} {caught.value.hint}"
        assert f"unset {name}" in str(caught.value.hint)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_needs_its_package(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """a11: without socksio the words name the variable and the package."""
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:hush@proxy.example:1080")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NetworkSettingsError, match="ALL_PROXY names a SOCKS proxy") as caught:
        proxy_for("https://api.example")
    assert "pip install socksio" in str(caught.value.hint)
    assert "hush" not in f"{caught.value} {caught.value.hint}"
    assert proxy_for("http://127.0.0.1:4000") is None  # this machine needs none
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert named("https://api.example") == "ALL_PROXY"


# certificates


def subjects(context: ssl.SSLContext) -> list[object]:
    return [found["subject"] for found in context.get_ca_certs()]


def test_a_file_of_ones_own_replaces_the_usual_authorities(
    authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(subjects(tls_context())) > 50
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    assert subjects(tls_context()) == [((("commonName", "throwaway"),),)]


def test_a_folder_with_hashed_names_is_taken(
    authority: tuple[Path, ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(authority[0])],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    shutil.copy(authority[0], tmp_path / f"{hashed}.0")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert isinstance(tls_context(), ssl.SSLContext)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("SSL_CERT_FILE", "missing.pem", "No such file"),
        ("SSL_CERT_FILE", "", "which holds none"),
        ("SSL_CERT_FILE", ".", "directory"),
        ("SSL_CERT_DIR", "missing", "No such file"),
        ("SSL_CERT_DIR", ".", "openssl rehash"),
        ("SSL_CERT_DIR", "empty.pem", "Not a directory"),
    ],
)
def test_certificates_that_are_not_there_are_named(
    variable: str, value: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """a11: the variable, the path and the reason."""
    (tmp_path / "empty.pem").touch()
    path = tmp_path / (value or "empty.pem")
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(NetworkSettingsError, match=why) as caught:
        tls_context()
    assert f"{variable} names {path}" in str(caught.value)
    assert f"Correct {variable}, or unset it" in str(caught.value.hint)
