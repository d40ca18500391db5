"""A server that does exactly what a test says, over real loopback HTTP.

It can send any bytes, split anywhere, and break off wherever a test wants it to. It waits for
events, never for time.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from arkor_tui._version import __version__
from arkor_tui.api.client import CloudApiClient
from arkor_tui.api.reconnect import ReconnectPolicy
from arkor_tui.api.scope import Scope
from arkor_tui.config.local_backend import (
    CHALLENGE_HEADER,
    PROOF_HEADER,
    LocalBackendInfo,
    proof_of,
    write_local_backend,
)
from arkor_tui.connect.connection import Connection
from arkor_tui.connect.embedded import EMBEDDED_HEADER

SCOPE = Scope("anon-7-org", "demo")
BEARER = "secret-token"
LOCAL_TOKEN = "local-secret-of-this-machine"
JOB_ID = "job-1"
JOB: dict[str, Any] = {
    "id": JOB_ID,
    "orgId": "o-7",
    "projectId": "p-1",
    "name": "triage-run",
    "status": "queued",
    "config": {"model": "unsloth/gemma-4-E4B-it"},
    "createdAt": "2026-08-07T10:00:00.000Z",
    "startedAt": None,
    "completedAt": None,
}
AT_ONCE = ReconnectPolicy(base_delay=0.0, idle_timeout=30.0)
"""Reconnects without waiting, so that tests take no time."""


class Drop:
    """As a step of a stream: the connection breaks here, in the middle of the body."""


DROP = Drop()
Step = bytes | asyncio.Event | Drop
"""Bytes to send as one piece, an event to wait for, or :data:`DROP`."""


@dataclass(frozen=True)
class Answer:
    """A whole answer; ``body`` is bytes, or anything that JSON can hold."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """An answer in steps; the body ends cleanly after the last one."""

    steps: tuple[Step, ...]
    content_type: str = "text/event-stream"


@dataclass(frozen=True)
class Unanswered:
    """The request is read and nothing is ever said."""


Reply = Answer | Stream | Unanswered


def stream(*steps: Step) -> Stream:
    return Stream(steps)


@dataclass
class Request:
    """What the server was asked."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # its client went away

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def raw_path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """Event streams come from ``streams``, one for each opening; then from ``feed``, which answers
    each request as it sees fit; without one 410, which is for good.

    ``answers`` maps a route such as ``GET /v1/me`` to one reply, or to a list of replies that are
    used up but for the last one.
    """

    url: str = ""
    streams: deque[Reply] = field(default_factory=deque)
    feed: Callable[[Request], Reply] | None = None
    answers: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=lambda: dict(JOB))
    requests: list[Request] = field(default_factory=list)
    creation: asyncio.Event | None = None  # held back until this is set
    submitted: asyncio.Event = field(default_factory=asyncio.Event)
    obeys: bool = False  # a cancelled job is cancelled from then on
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    token: str | None = None  # with one, it proves to be the embedded backend that has it
    opened: asyncio.Condition = field(default_factory=asyncio.Condition)

    def script(self, *streams: Reply) -> None:
        """What the event stream does, opening by opening."""
        self.streams.extend(streams)

    def asked(self, method: str, path: str) -> list[Request]:
        return [r for r in self.requests if (r.method, r.path) == (method, path)]

    @property
    def openings(self) -> list[Request]:
        """The requests for the event stream."""
        return [r for r in self.requests if r.path.endswith("/events/stream")]

    @property
    def creations(self) -> list[Request]:
        return self.asked("POST", "/v1/jobs")

    @property
    def cancellations(self) -> list[Request]:
        return [r for r in self.requests if r.path.endswith("/cancel")]

    async def asked_for(self, ending: str, count: int = 1) -> None:
        """Wait until ``count`` requests came whose path ends so."""
        async with self.opened:
            await self.opened.wait_for(
                lambda: sum(r.path.endswith(ending) for r in self.requests) >= count
            )

    def client(self, **options: Any) -> CloudApiClient:
        return CloudApiClient(self.url, **{"bearer": BEARER, **options})

    def connection(self) -> Connection:
        return Connection("url", self.url, SCOPE, "anonymous", BEARER)

    async def reply_to(self, request: Request) -> Reply:
        planned = self.answers.get(f"{request.method} {request.path}")
        if isinstance(planned, list):
            return planned.pop(0) if len(planned) > 1 else planned[0]
        if planned is not None:
            return planned
        if self.token is not None and request.target == "/":
            challenge = request.headers.get(CHALLENGE_HEADER.lower(), "")
            proof = proof_of(self.token, challenge, urlsplit(self.url).port or 80)
            return Answer(200, {}, {EMBEDDED_HEADER: __version__, PROOF_HEADER: proof})
        match request.method, request.path:
            case "POST", "/v1/jobs":
                self.submitted.set()
                if self.creation is not None:
                    await self.creation.wait()
                return Answer(201, {"job": self.job})
            case "GET", path if path == f"/v1/jobs/{self.job['id']}":
                return Answer(200, {"job": self.job})
            case "POST", path if path.endswith("/cancel"):
                if self.obeys:
                    self.job = {**self.job, "status": "cancelled"}
                self.cancelled.set()
                return Answer(200, {"ok": True})
            case "GET", path if path.endswith("/events/stream"):
                if self.streams:
                    return self.streams.popleft()
                if self.feed is not None:
                    return self.feed(request)
                return Answer(410, {"error": "the script has ended"})
        return Answer(404, {"error": f"no route {request.method} {request.path}"})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await self._take(reader)
            while CHALLENGE_HEADER.lower() in request.headers:  # the connection is kept after it
                await _send(await self.reply_to(request), writer, request)
                request = await self._take(reader)
            watch = asyncio.create_task(_tell_when_gone(reader, request))
            try:
                await _send(await self.reply_to(request), writer, request)
            finally:
                watch.cancel()
        writer.close()

    async def _take(self, reader: asyncio.StreamReader) -> Request:
        request = await _read_request(reader)
        self.requests.append(request)
        async with self.opened:
            self.opened.notify_all()
        return request


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8")
    first, *lines = head.split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


async def _tell_when_gone(reader: asyncio.StreamReader, request: Request) -> None:
    with suppress(ConnectionError):
        await reader.read()
    request.gone.set()


async def _send(reply: Reply, writer: asyncio.StreamWriter, request: Request) -> None:
    if isinstance(reply, Unanswered):
        await request.gone.wait()
        return
    if isinstance(reply, Answer):
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"Content-Length": str(len(body)), **reply.headers}
        if CHALLENGE_HEADER.lower() not in request.headers:
            headers["Connection"] = "close"
        writer.write(_head(reply.status, headers) + body)
        await writer.drain()
        return
    # chunked, so that a body that ended can be told from one that broke off
    headers = {"Content-Type": reply.content_type, "Transfer-Encoding": "chunked"}
    writer.write(_head(200, {**headers, "Connection": "close"}))
    for step in reply.steps:
        if isinstance(step, asyncio.Event):
            await writer.drain()
            await _first_of(step, request.gone)
        elif isinstance(step, Drop):
            await writer.drain()
            return
        elif step:
            writer.write(b"%x\r\n%s\r\n" % (len(step), step))
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _first_of(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


@asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    scripted = Server()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(scripted.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=64 * 1024 * 1024)
    scripted.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield scripted
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def announce(url: str, token_file: Path, version: str | None = None) -> LocalBackendInfo:
    """Say on disk that the embedded backend of this user runs at ``url``."""
    info = LocalBackendInfo(url, os.getpid(), token_file, version)
    write_local_backend(info)
    return info
