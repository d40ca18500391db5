"""Sending over HTTP so that the address stays a secret."""

from __future__ import annotations

import asyncio
import logging
import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import httpx

from arkor_tui._version import __version__
from arkor_tui.text.sanitize import plain

from .delivery import TRY_SECONDS, Attempt, Send, retry_after
from .destination import Destination
from .message import Message
from .notifier import Notifier

_ANSWER_BYTES = 2_000
_TALKATIVE = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
    "apprise",
    "requests",
    "urllib3.connectionpool",
    "urllib3.util.retry",
)
"""Loggers that name addresses."""

_secret_at_work: ContextVar[bool] = ContextVar("secret_at_work", default=False)


def _hide(_record: logging.LogRecord) -> bool:
    return not _secret_at_work.get()


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep libraries from logging the address; what other tasks do is logged as ever."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_hide)  # adding it again changes nothing
    token = _secret_at_work.set(True)
    try:
        yield
    finally:
        _secret_at_work.reset(token)


class HttpNotifier(Notifier):
    """A notifier that posts JSON."""

    transport: httpx.AsyncBaseTransport | None = None
    """What to send through instead of the network."""

    @abstractmethod
    def payload(self, message: Message) -> dict[str, Any]:
        """The JSON object to send."""

    def headers(self, message: Message) -> Mapping[str, str]:
        """Further headers."""
        return {}

    def words_of(self, answer: bytes) -> str | None:
        """Why the service refused, in its own words; None where these cannot be trusted."""
        return None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Send]:
        """One client for some messages in a row."""
        destination = self.destination
        assert destination is not None
        # reading the system's certificates takes tens of milliseconds
        client = await asyncio.to_thread(
            httpx.AsyncClient,
            timeout=TRY_SECONDS,
            follow_redirects=False,
            # compressed answers would be read undecoded
            headers={"User-Agent": f"arkor-tui/{__version__}", "Accept-Encoding": "identity"},
            transport=self.transport,
        )

        async def send(message: Message) -> Attempt:
            with unlogged():
                return await self._post(client, destination, message)

        async with client:
            yield send

    async def _post(
        self, client: httpx.AsyncClient, destination: Destination, message: Message
    ) -> Attempt:
        body, headers = self.payload(message), self.headers(message)
        try:
            async with client.stream(
                "POST", destination.reveal(), json=body, headers=headers
            ) as response:
                answer = b"" if response.is_success else await _beginning(response)
        except httpx.TimeoutException:
            return Attempt(False, f"did not answer within {TRY_SECONDS:g} s", retry=True)
        except httpx.ConnectError as error:
            why = plain(destination.scrub(str(error)), limit=200, newlines=False)
            return Attempt(False, f"cannot be reached: {why or 'no reason was given'}", retry=True)
        except httpx.TransportError as error:
            return Attempt(False, f"broke the connection ({type(error).__name__})", retry=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Attempt(False, f"cannot be used: {type(error).__name__}")
        return self._judge(response, answer, destination)

    def _judge(self, response: httpx.Response, answer: bytes, destination: Destination) -> Attempt:
        status = response.status_code
        if response.is_success:
            return Attempt(True)
        if 300 <= status < 400:
            return Attempt(False, f"redirects elsewhere (status {status}), which is not followed")
        said = self.words_of(answer)
        why = f" ({destination.scrub(said)})" if said else ""
        error = f"refused the message with status {status}{why}"
        after = retry_after(response.headers.get("Retry-After"), self.clock.now())
        return Attempt(False, error, retry=status == 429 or status >= 500, after=after)


def short_words(text: object) -> str | None:
    """``text`` if it is a few plain words or a code, which cannot hold an address."""
    if isinstance(text, str) and re.fullmatch(r"[A-Za-z][A-Za-z_ ]{0,60}\.?", text.strip()):
        return text.strip()
    return None


async def _beginning(response: httpx.Response) -> bytes:
    """The first bytes of an answer, however long it is."""
    read = b""
    async for piece in response.aiter_raw(_ANSWER_BYTES):
        read += piece
        if len(read) >= _ANSWER_BYTES:
            break
    return read[:_ANSWER_BYTES]
