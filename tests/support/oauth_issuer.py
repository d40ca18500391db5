"""A small sign-in service on loopback HTTP, and a browser that visits it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.amounts import patience

TOKENS = {
    "access_token": "access-secret",
    "refresh_token": "refresh-secret",
    "id_token": "id-secret",
    "expires_in": 3600,
}


@dataclass
class Issuer:
    """What the service was asked, and how it answers."""

    url: str = ""
    authorize: dict[str, str] = field(default_factory=dict)
    redirect: dict[str, str] = field(default_factory=dict)  # replaces the callback's query
    token_requests: list[dict[str, Any]] = field(default_factory=list)
    token_headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    answer: bytes = json.dumps(TOKENS).encode()

    def verifies(self) -> bool:
        """Whether the exchanged verifier belongs to the challenge of the visit."""
        verifier = self.token_requests[-1]["code_verifier"].encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        return digest == self.authorize["code_challenge"]


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            assert parts.path == "/authorize"
            issuer.authorize = {k: v[0] for k, v in parse_qs(parts.query).items()}
            query = issuer.redirect or {"code": "the-code", "state": issuer.authorize["state"]}
            self.send_response(302)
            self.send_header("Location", f"{issuer.authorize['redirect_uri']}?{urlencode(query)}")
            self.end_headers()

        def do_POST(self) -> None:
            assert self.path == "/oauth/token"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            issuer.token_requests.append(json.loads(body))
            issuer.token_headers = {k.lower(): v for k, v in self.headers.items()}
            self.send_response(issuer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(issuer.answer)))
            self.end_headers()
            self.wfile.write(issuer.answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Page:
    """What a browser got."""

    status: int
    headers: dict[str, str]
    text: str


def get(url: str) -> Page:
    """One plain GET, no redirects."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=patience(5))
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer: HTTPResponse = connection.getresponse()
        headers = {k.lower(): v for k, v in answer.getheaders()}
        return Page(answer.status, headers, answer.read().decode())
    finally:
        connection.close()


@dataclass
class Browser:
    """Signs in at the issuer and follows it back; ``before`` runs with the callback's address."""

    pages: Queue[Page] = field(default_factory=Queue)
    visited: list[str] = field(default_factory=list)
    before: Callable[[str], None] | None = None

    def __call__(self, url: str) -> None:
        self.visited.append(url)
        callback = get(url).headers["location"]
        if self.before is not None:
            self.before(callback)
        self.pages.put(get(callback))

    def page(self) -> Page:
        """The page that the callback showed."""
        return self.pages.get(timeout=patience(5))
