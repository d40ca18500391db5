"""Sending over HTTP so that the address stays a secret."""

from __future__ import annotations

import asyncio
import logging
import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import httpx

from arkor_tui.api.http import open_client, reason_of
from arkor_tui.text.sanitize import one_line

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

_COPY_AGAIN = "copy its address again from the service"
_ADVICE = {
    401: f"it does not know this address; {_COPY_AGAIN}",
    403: f"it does not accept this address; {_COPY_AGAIN}",
    404: f"nothing takes messages at this address; {_COPY_AGAIN}",
    410: f"nothing takes messages at this address any more; {_COPY_AGAIN}",
    413: "the message is too long for it",
    429: "it was sent too many messages; ask for fewer (every_steps, samples)",
}
"""What to do where the service's own words say no more."""

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
    advice: ClassVar[Mapping[str, str]] = {}
    """What to do about a refusal, by the service's code."""

    @abstractmethod
    def payload(self, message: Message) -> dict[str, Any]:
        """The JSON object to send."""

    def headers(self, message: Message) -> Mapping[str, str]:
        """Further headers."""
        return {}

    def words_of(self, answer: bytes) -> tuple[str | None, str | None]:
        """Read the code and the words of a refusal; None for what cannot be trusted."""
        return None, None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Send]:
        """One client for some messages in a row."""
        destination = self.destination
        assert destination is not None
        # reading the certificates takes tens of milliseconds
        client = await asyncio.to_thread(
            open_client, destination.reveal(), timeout=TRY_SECONDS, transport=self.transport
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
        except (httpx.ConnectError, httpx.ProxyError) as error:
            why = one_line(destination.scrub(reason_of(error, destination.reveal())), limit=300)
            return Attempt(False, f"cannot be reached: {why}", retry=True)
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
            error = f"redirects elsewhere (status {status}), which is not followed"
            return Attempt(False, f"{error}: set the address that it leads to in the end")
        code, said = self.words_of(answer)
        why = f" ({destination.scrub(said)})" if said else ""
        advice = self.advice.get(code or "") or _ADVICE.get(status)
        error = f"refused the message with status {status}{why}{f': {advice}' if advice else ''}"
        after = retry_after(response.headers.get("Retry-After"), self.clock.now())
        return Attempt(False, error, retry=status == 429 or status >= 500, after=after)


def short_words(text: object) -> str | None:
    """Give ``text`` if it is a few plain words or a code, which cannot hold an address."""
    if isinstance(text, str) and re.fullmatch(r"[A-Za-z][A-Za-z_ ]{0,120}\.?", text.strip()):
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
