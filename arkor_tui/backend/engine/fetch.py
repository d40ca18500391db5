"""A dataset behind an address: fetched under rules that keep its token and its query private.

https is needed, except on the loopback interface. Private addresses are allowed: it is this user
who names the address, and many keep their data on a server of their own network. No redirect leads
from https to plain http, so services that only listen there (a cloud machine's metadata) are out of
a foreign server's reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from arkor_tui.api.http import open_client, reason_of
from arkor_tui.backend.spec import sendable_token
from arkor_tui.config.loopback import is_loopback_host
from arkor_tui.config.network import NetworkSettingsError
from arkor_tui.text.redact import redact_url
from arkor_tui.text.sanitize import plain

from .errors import DatasetError

MAX_BYTES = 512 * 1024 * 1024
"""Of the rows, unpacked."""
MAX_SECONDS = 600.0
"""From the first connection to the last byte, redirects included."""
_MAX_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ENCODINGS = frozenset({"", "identity", "gzip"})
"""One pass of gzip makes at most a thousand bytes of one, and a piece of an answer is small; other
encodings, and several on top of each other, could fill the memory before their size is known."""
_UNREADABLE_TARGET = "it redirects to an address that cannot be read"
_MIB = 1024 * 1024


def shown_url(url: str | httpx.URL) -> str:
    """``url`` for people: bare of what may be secret, and harmless."""
    return plain(
        redact_url(str(url)) or "an address that cannot be read", limit=200, newlines=False
    )


@contextlib.contextmanager
def fetched_blob(
    url: str, token: str | None, *, transport: httpx.AsyncBaseTransport | None = None
) -> Iterator[tuple[Path, str]]:
    """Fetch ``url`` to a temporary file; yields its path and the address to show.

    The token is sent as a bearer to the origin (scheme, host and port) of ``url`` alone, never over
    plain http to another machine. At most :data:`MAX_BYTES` bytes are read, in at most
    :data:`MAX_SECONDS` seconds.

    Raises:
        DatasetError: a rule forbids it, or the fetch failed.
    """
    shown = shown_url(url)
    if token and not sendable_token(token):
        raise DatasetError(
            f"The token of the dataset {shown} cannot be sent.",
            hint="It must be printable ASCII without blanks; copy it again.",
        )
    with tempfile.TemporaryDirectory(prefix="arkor-tui-dataset-") as folder:
        path = Path(folder) / "rows.jsonl"
        try:
            asyncio.run(_fetch(_allowed(url), token, path, transport))
        except TimeoutError as error:
            raise _failed(shown, f"it took longer than {MAX_SECONDS:.0f} seconds") from error
        except httpx.TimeoutException as error:
            raise _failed(shown, "the server did not answer in time") from error
        except httpx.InvalidURL as error:  # httpx reads a Location even where it does not follow it
            raise _failed(shown, _UNREADABLE_TARGET) from error
        except httpx.HTTPError as error:
            raise _failed(shown, reason_of(error, url)) from error
        yield path, shown


async def _fetch(
    url: httpx.URL, token: str | None, path: Path, transport: httpx.AsyncBaseTransport | None
) -> None:
    headers = {
        "Accept": "application/jsonl, application/x-ndjson, */*;q=0.5",
        "Accept-Encoding": "gzip",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
        # user name and password in the address would take the place of the token
        url = url.copy_with(username=None, password=None)
    # the whole of it: a server that sends a byte now and then never runs into httpx's own limits
    async with asyncio.timeout(MAX_SECONDS), contextlib.AsyncExitStack() as clients:
        client = await clients.enter_async_context(_client(url, transport))
        for _ in range(_MAX_REDIRECTS + 1):
            async with client.stream("GET", url, headers=headers) as response:
                if response.status_code not in _REDIRECTS:
                    await _save(response, url, path)
                    return
                target = _redirected(url, response.headers.get("location", ""))
            if _origin(target) != _origin(url):
                headers.pop("Authorization", None)
                # another client: cookies stay behind, and the proxy is the one for that host
                client = await clients.enter_async_context(_client(target, transport))
            url = target
    raise _failed(shown_url(url), f"it redirects more than {_MAX_REDIRECTS} times")


def _client(url: httpx.URL, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    try:
        return open_client(str(url), timeout=_TIMEOUT, transport=transport)
    except NetworkSettingsError as error:
        raise DatasetError(error.message, hint=error.hint) from error


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _save(response: httpx.Response, url: httpx.URL, path: Path) -> None:
    if response.status_code != httpx.codes.OK:
        raise _refused(shown_url(url), response.status_code)
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise _failed(
            shown_url(url), f"it comes packed as {plain(encoding, limit=40, newlines=False)}"
        )
    size = 0
    with path.open("wb") as file:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > MAX_BYTES:
                raise _failed(
                    shown_url(url), f"it is larger than {MAX_BYTES // _MIB} MB, which is the limit"
                )
            file.write(chunk)


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    try:
        target = url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise _failed(shown_url(url), _UNREADABLE_TARGET) from error
    if not location:
        raise _failed(shown_url(url), "it redirects without saying where to")
    if url.scheme == "https" and target.scheme != "https":
        raise _failed(shown_url(url), "it redirects from https to an unprotected address")
    return _allowed(target)


def _allowed(url: str | httpx.URL) -> httpx.URL:
    """``url``, if it is https, or http on the loopback interface."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise _unreadable() from error
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise _unreadable()
    if parsed.scheme == "https" and parsed.host:
        return parsed
    if parsed.scheme == "http" and is_loopback_host(parsed.host):
        return parsed
    raise DatasetError(
        f"The dataset {shown_url(parsed)} cannot be fetched: only https addresses are allowed "
        "(http on this machine alone).",
        hint="Use an https:// address, or a local file.",
    )


def _unreadable() -> DatasetError:
    return DatasetError(
        "The dataset's address cannot be read.", hint="Give a full https:// address."
    )


def _failed(shown: str, reason: str) -> DatasetError:
    return DatasetError(
        f"Cannot fetch the dataset {shown}: {reason}.",
        hint="Check the address and the network, then start again.",
    )


def _refused(shown: str, status: int) -> DatasetError:
    if status in (401, 403):
        hint = "Check the dataset's token, and that it may read this address."
    elif status in (404, 410):
        hint = "Check the address."
    else:
        hint = "Try again later, or download the file and use it as a local dataset."
    return DatasetError(
        f"Cannot fetch the dataset {shown}: the server answered {status}.", hint=hint
    )
