"""What every request must pass before a route sees it."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arkor_tui._version import __version__
from arkor_tui.config.local_backend import CHALLENGE_HEADER, PROOF_HEADER, proof_of

from .store import encode

BACKEND_HEADER = "X-Arkor-Tui-Backend"
OWNER = ("owner", "local")
"""Id and organisation of who holds the token file."""

_CLIENT = re.compile(r"[A-Za-z0-9@/._-]{1,64}/[0-9]+\.[0-9]+\S{0,60}")
_NETLOC = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_OPEN_PATHS = frozenset({"/", "/v1/auth/anonymous", "/v1/auth/cli/config"})


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer that never holds NaN."""
    return Response(encode(body), status, headers, media_type="application/json")


def refuse(status: int, error: str, code: str | None = None, **more: object) -> Response:
    """The protocol's error envelope (docs/protocol.md, section 3)."""
    body: dict[str, object] = {"error": error}
    if code is not None:
        body["code"] = code
    return answer({**body, **more}, status)


@dataclass(frozen=True, slots=True)
class Hosts:
    """What this backend may be called in a request: loopback, and ``names`` (lower case).

    With ``any_address`` every IP address will do, for a backend that listens on all of them. What
    is refused are names: a web page can make its own one mean this machine (DNS rebinding), but not
    an address.
    """

    names: frozenset[str] = frozenset()
    any_address: bool = False

    def knows(self, netloc: str) -> bool:
        """Whether ``netloc`` (a name or address, and perhaps a port) is this backend."""
        found = _NETLOC.fullmatch(netloc)
        if found is None:
            return False
        host = (found[1] or found[2]).lower()
        if found[2] and (host == "localhost" or host in self.names):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or self.any_address or str(address) in self.names


@dataclass(slots=True)
class Gate:
    """Host, origin, client version and token.

    ``identify`` looks up tokens other than ``token``; without it there are none.
    """

    app: ASGIApp
    token: str = field(repr=False)
    hosts: Hosts
    identify: Callable[[str], Awaitable[tuple[str, str] | None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")  # it would get past the gate

        challenge = Headers(scope=scope).get(CHALLENGE_HEADER) if scope["path"] == "/" else None

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[BACKEND_HEADER] = __version__
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-store"
                if challenge:
                    headers[PROOF_HEADER] = proof_of(self.token, challenge, scope["server"][1])
            await send(message)

        refusal = await self._refusal(scope)
        await (refusal or self.app)(scope, receive, marked)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self.hosts.knows(hosts[0]):
            return refuse(403, "This backend answers to its own loopback address only.")
        if origins and [origin.lower() for origin in origins] != [f"http://{hosts[0].lower()}"]:
            return refuse(403, "This backend does not answer to web pages.")
        path = scope["path"]
        if path == "/":
            return None
        client = headers.get("x-arkor-client")
        if client is None or not _CLIENT.fullmatch(client):
            return refuse(
                426,
                "sdk_version_unsupported",
                currentVersion=client,
                supportedRange="any arkor release that names itself",
                upgrade="Send the header X-Arkor-Client: arkor/<version>.",
                reason="missing" if client is None else "malformed",
            )
        if path in _OPEN_PATHS:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        identity = await self._identity(token.strip()) if scheme.lower() == "bearer" else None
        if identity is None:
            return refuse(
                401,
                "This backend wants the token of its token file (`arkor-tui serve` names it).",
            )
        scope["identity"] = identity
        return None

    async def _identity(self, token: str) -> tuple[str, str] | None:
        if not token:
            return None
        if hmac.compare_digest(token.encode(), self.token.encode()):
            return OWNER
        return await self.identify(token) if self.identify is not None else None


def identity_of(request: Request) -> tuple[str, str]:
    """Id and organisation of who asks."""
    identity: tuple[str, str] = request.scope["identity"]
    return identity
