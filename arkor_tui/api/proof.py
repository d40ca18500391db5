"""The embedded backend's token goes to the embedded backend alone.

A backend may be killed while clients are connected, and its port be anybody's a moment later. So
each connection is first asked to prove that whoever is at its other end has the token. That is an
extension of the embedded backend: a question to ``GET /``, answered in a header.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

import h11
import httpx

from arkor_tui.config.local_backend import CHALLENGE_HEADER, PROOF_HEADER, proof_of

_SECONDS = 10.0
_PIECE = 16_384  # bytes of an answer that are read at a time
_OTHER = "another program answers there, which does not have the embedded backend's token"


class ByteStream(Protocol):
    """A connection as httpcore opens it."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes: ...
    async def write(self, buffer: bytes, timeout: float | None = None) -> None: ...
    async def aclose(self) -> None: ...


class ProofOfToken:
    """A ``trace`` for httpx, which calls it between opening a connection and the first request."""

    def __init__(self, base_url: str, token: str) -> None:
        url = httpx.URL(base_url)
        self._host = url.netloc.decode("ascii")
        self._port = url.port or 80
        self._token = token

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Ask at the other end of a new connection.

        Raises:
            httpx.ConnectError: there is no proof; the connection is closed, and nothing was told.
        """
        if event != "connection.connect_tcp.complete":
            return
        stream: ByteStream = info["return_value"]
        proven = False
        try:
            async with asyncio.timeout(_SECONDS):
                proven = await self._proves(stream)
        except (h11.RemoteProtocolError, TimeoutError):
            pass
        finally:
            if not proven:
                await stream.aclose()
        if not proven:
            raise httpx.ConnectError(_OTHER)

    async def _proves(self, stream: ByteStream) -> bool:
        challenge = secrets.token_urlsafe(24)
        talk = h11.Connection(h11.CLIENT)
        asked: list[tuple[str, str]] = [("Host", self._host), (CHALLENGE_HEADER, challenge)]
        for part in (h11.Request(method="GET", target="/", headers=asked), h11.EndOfMessage()):
            await stream.write(talk.send(part) or b"", timeout=_SECONDS)
        proof = b""
        while talk.their_state in (h11.SEND_RESPONSE, h11.SEND_BODY):
            event = talk.next_event()
            if event is h11.NEED_DATA:
                talk.receive_data(await stream.read(_PIECE, timeout=_SECONDS))
            elif isinstance(event, h11.Response):
                proof = dict(event.headers).get(PROOF_HEADER.lower().encode(), b"")
        is_open = talk.their_state is h11.DONE and not talk.trailing_data[0]
        expected = proof_of(self._token, challenge, self._port).encode()
        return is_open and hmac.compare_digest(proof, expected)
