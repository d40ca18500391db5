"""The one way to an HTTP client: proxies, certificates, encodings, failures in words."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Mapping

import httpx

from arkor_tui._version import __version__
from arkor_tui.config.network import (
    NetworkSettingsError,
    Proxy,
    certificate_sources,
    proxy_for,
    tls_context,
)
from arkor_tui.text.sanitize import one_line

USER_AGENT = f"arkor-tui/{__version__}"
_UNTRUSTED = re.compile(
    r"CERTIFICATE_VERIFY_FAILED\](?: certificate verify failed:?)?(.*?)(?:\(_ssl|$)"
)


class UnusableAnswerError(httpx.DecodingError):
    """An answer that is not read: it is packed, or longer than anything that was asked for."""


def open_client(
    url: str,
    *,
    timeout: httpx.Timeout | float,
    headers: Mapping[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Make a client for requests to the host of ``url`` alone; redirects are not followed.

    ``timeout`` is seconds for each single wait. Blocks for some tens of milliseconds where
    certificates are read. ``transport`` replaces the network.

    Raises:
        NetworkSettingsError: the environment names a proxy or certificates that cannot be used.
    """
    proxy = proxy_for(url) if transport is None else None
    return httpx.AsyncClient(
        timeout=timeout,
        transport=transport,
        # everything that the environment says was read above, in words of ours where it is wrong
        trust_env=False,
        proxy=_for_httpx(proxy) if proxy else None,
        verify=_verified_with(url),
        follow_redirects=False,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})},
    )


def _for_httpx(proxy: Proxy) -> httpx.Proxy:
    is_encrypted = proxy.url.startswith("https:")
    return httpx.Proxy(proxy.url, ssl_context=tls_context() if is_encrypted else None)


def _verified_with(url: str) -> ssl.SSLContext:
    """What certificates are checked with; plain HTTP needs none, so none are read for it."""
    return tls_context() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def refuse_packed(response: httpx.Response) -> None:
    """Refuse an answer in an encoding, before it is read: none was asked for.

    Limits count what arrives, and 300 packed bytes may be gigabytes.

    Raises:
        UnusableAnswerError: the answer is packed.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        packed = one_line(encoding, limit=40)
        raise UnusableAnswerError(f"it answered packed as {packed}, which was not asked for")


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """Read an answer of at most ``limit`` bytes.

    Raises:
        UnusableAnswerError: the answer is packed, or longer.
        httpx.HTTPError: the connection broke.
    """
    refuse_packed(response)
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > limit:
            raise UnusableAnswerError(f"it answered with more than {limit:,} bytes")
    return bytes(data)


def reason_of(error: Exception, url: str) -> str:
    """Say why a request to ``url`` failed, with the variable of the environment that had a part.

    No sentence: it begins in small letters where it is ours, and has no full stop.
    """
    text = one_line(error).rstrip(". ")
    untrusted = _UNTRUSTED.search(text)
    if untrusted:
        why = untrusted[1].strip() or "it cannot be verified"
        text = f"its certificate is not trusted ({why})"
    elif isinstance(error, httpx.TimeoutException | TimeoutError) and not text:
        text = "no answer came in time"
    text = text or type(error).__name__
    sources = certificate_sources()
    if untrusted and sources:
        text += f", by the authorities in {' and '.join(sources)}"
    proxy = _proxy_of(url)
    return f"{text} (by way of {proxy.shown}, the proxy in {proxy.variable})" if proxy else text


def advice_for(error: Exception, url: str) -> str | None:
    """Say what to do about certificates or a proxy, where one of them had a part in the failure."""
    if _UNTRUSTED.search(str(error)):
        return (
            "If its certificate is from an authority of your own, set SSL_CERT_FILE to the file "
            "with that authority's certificate."
        )
    proxy = _proxy_of(url)
    if proxy is None:
        return None
    return f"Check {proxy.variable}; hosts listed in NO_PROXY are reached without a proxy."


def _proxy_of(url: str) -> Proxy | None:
    with contextlib.suppress(NetworkSettingsError):
        return proxy_for(url)
    return None
