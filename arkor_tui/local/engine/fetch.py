"""A dataset behind an address: fetched under rules that keep its token and its query private."""

from __future__ import annotations

import contextlib
import ipaddress
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from arkor_tui.plain import plain

from .errors import DatasetError

MAX_BYTES = 512 * 1024 * 1024
MAX_SECONDS = 600.0
_MAX_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MIB = 1024 * 1024


def shown_url(url: str | httpx.URL) -> str:
    """``url`` without query, fragment and user name: those may be secrets."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return "an address that cannot be read"
    bare = parsed.copy_with(query=None, fragment=None, username=None, password=None)
    return plain(str(bare), limit=200, newlines=False)


@contextlib.contextmanager
def fetched_blob(
    url: str, token: str | None, *, transport: httpx.BaseTransport | None = None
) -> Iterator[tuple[Path, str]]:
    """Fetch ``url`` to a temporary file; yields its path and the address to show.

    https is needed, except on the loopback interface. The token is sent as a bearer to the host of
    ``url`` alone, never over plain http to another machine. At most :data:`MAX_BYTES` bytes are
    read, in at most :data:`MAX_SECONDS` seconds.

    Raises:
        DatasetError: a rule forbids it, or the fetch failed.
    """
    shown = shown_url(url)
    with tempfile.TemporaryDirectory(prefix="arkor-tui-dataset-") as folder:
        path = Path(folder) / "rows.jsonl"
        try:
            with httpx.Client(timeout=_TIMEOUT, transport=transport) as client:
                _fetch(client, _allowed(url), token, path)
        except httpx.TimeoutException as error:
            raise _failed(shown, "the server did not answer in time") from error
        except httpx.HTTPError as error:
            raise _failed(shown, plain(str(error), limit=200) or type(error).__name__) from error
        yield path, shown


def _fetch(client: httpx.Client, url: httpx.URL, token: str | None, path: Path) -> None:
    headers = {"Accept": "application/jsonl, application/x-ndjson, */*;q=0.5"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
        # user name and password in the address would take the place of the token
        url = url.copy_with(username=None, password=None)
    deadline = time.monotonic() + MAX_SECONDS
    for _ in range(_MAX_REDIRECTS + 1):
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code not in _REDIRECTS:
                _save(response, url, path, deadline)
                return
            target = _redirected(url, response.headers.get("location", ""))
            if target.host != url.host or target.port != url.port:
                headers.pop("Authorization", None)
            url = target
    raise _failed(shown_url(url), f"it redirects more than {_MAX_REDIRECTS} times")


def _save(response: httpx.Response, url: httpx.URL, path: Path, deadline: float) -> None:
    if response.status_code != httpx.codes.OK:
        raise _refused(shown_url(url), response.status_code)
    size = 0
    with path.open("wb") as file:
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > MAX_BYTES:
                raise _failed(
                    shown_url(url), f"it is larger than {MAX_BYTES // _MIB} MB, which is the limit"
                )
            if time.monotonic() > deadline:
                raise _failed(shown_url(url), f"it took longer than {MAX_SECONDS:.0f} seconds")
            file.write(chunk)


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    try:
        target = url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise _failed(shown_url(url), "it redirects to an address that cannot be read") from error
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
        raise DatasetError(
            "The dataset's address cannot be read.", hint="Give a full https:// address."
        ) from error
    if parsed.scheme == "https" and parsed.host:
        return parsed
    if parsed.scheme == "http" and _is_loopback(parsed.host):
        return parsed
    raise DatasetError(
        f"The dataset {shown_url(parsed)} cannot be fetched: only https addresses are allowed "
        "(http on this machine alone).",
        hint="Use an https:// address, or a local file.",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
