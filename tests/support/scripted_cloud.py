"""A cloud that knows identities, on loopback HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from arkor_tui.config.local_backend import CHALLENGE_HEADER, PROOF_HEADER, proof_of

ANONYMOUS_LOGIN = {
    "token": "minted-secret",
    "anonymousId": "anon-7",
    "kind": "cli",
    "personalOrg": {"id": "o-7", "slug": "anon-7-org", "name": "Personal"},
}
CLI_CONFIG = {
    "auth0Domain": "login.example.com",
    "clientId": "client-1",
    "audience": "https://audience",
    "callbackPorts": [0],
}
ME = {
    "user": {"id": "u-1", "email": "ada@example.com", "name": "Ada"},
    "orgs": [{"id": "o-1", "slug": "ada", "name": "Ada"}, {"id": "o-2", "slug": None}],
}


@dataclass
class Request:
    """What the cloud was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Cloud:
    """Answers by route; ``answers`` maps a path to a status and a body (bytes or JSON)."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(
        default_factory=lambda: {
            "/v1/auth/anonymous": (200, ANONYMOUS_LOGIN),
            "/v1/auth/cli/config": (200, CLI_CONFIG),
            "/v1/me": (200, ME),
        }
    )
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    token: str | None = None  # with one, it proves to be the embedded backend that has it
    torn: bool = False  # promise a body and break off

    def asked(self) -> list[str]:
        """The paths, in order."""
        return [request.path for request in self.requests]


@contextmanager
def running_cloud() -> Iterator[Cloud]:
    cloud = Cloud()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {k.lower(): v for k, v in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            cloud.requests.append(request)
            status, body = cloud.answers.get(self.path, (404, {"error": "no such route"}))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in cloud.headers.items():
                self.send_header(name, value)
            challenge = headers.get(CHALLENGE_HEADER.lower())
            if challenge is None:
                self.send_header("Connection", "close")
            elif cloud.token is not None:
                self.send_header(PROOF_HEADER, proof_of(cloud.token, challenge, port))
            self.send_header("Content-Length", str(len(content) + (10 if cloud.torn else 0)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    cloud.url = f"http://127.0.0.1:{port}"
    try:
        yield cloud
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
