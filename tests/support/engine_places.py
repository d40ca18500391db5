"""Servers of this machine to fetch from, with and without TLS."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event, Thread
from typing import Self

import pytest


class Place:
    """Answers each connection with what ``answer`` yields for its request; keeps the requests."""

    def __init__(
        self, answer: Callable[[str], bytes | Iterable[bytes]], tls: ssl.SSLContext | None = None
    ) -> None:
        self.requests: list[str] = []
        self.gone = Event()
        """Set when the place is closed: an answer that goes on for ever should look at it."""
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def authorizations(self) -> list[str | None]:
        found = []
        for request in self.requests:
            lines = [line for line in request.split("\r\n") if line.lower().startswith("authoriz")]
            found.append(lines[0].partition(": ")[2] if lines else None)
        return found

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gone.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
        except OSError:
            plain.close()
            return
        with connection:
            request = b""
            try:
                while b"\r\n\r\n" not in request:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    request += piece
                request += _rest_of_body(connection, request)
                self.requests.append(request.decode("latin-1"))
                answer = self._answer(request.decode("latin-1").split()[1])
                for part in [answer] if isinstance(answer, bytes) else answer:
                    connection.sendall(part)
            except OSError:
                return


def _rest_of_body(connection: socket.socket, request: bytes) -> bytes:
    """What of a request's body has not come together with its head."""
    head, _, begun = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: (\d+)", head)
    missing = int(length[1]) - len(begun) if length else 0
    rest = b""
    while len(rest) < missing and (piece := connection.recv(65536)):
        rest += piece
    return rest


def answered(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer, after which the connection ends."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """An authority's certificate, and the context of a server that it vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("authority")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=throwaway", "-keyout", str(key)),
            *("-out", str(certificate), "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context
