"""A proxy between client and server that does to each connection what a schedule says.

It works on bytes, over TCP on loopback or, quicker, over pipes in memory: what happens to the bytes
is the same. The client's HTTP library sees a socket in either case.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import httpcore
import httpx

from tests.support.fault_schedule import Fault, Passage
from tests.support.scripted import Server

STREAM = re.compile(rb"GET \S+/events/stream\?")
LAST_ID = re.compile(rb"(?i)last-event-id: *(.*?) *\r\n")


class Writer(Protocol):
    """The half of a connection that bytes go into; asyncio's, or one in memory."""

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    def close(self) -> None: ...


Ends = tuple[asyncio.StreamReader, Writer]


class _BrokenOffError(Exception):
    """The passage ends the connection; ``in_order`` or not."""

    def __init__(self, in_order: bool) -> None:
        self.in_order = in_order


@dataclass
class Trace:
    """What the client got of one event stream, byte for byte; ``lossy`` where that is not sure."""

    passage: Passage
    number: int
    got: bytearray = field(default_factory=bytearray)
    lossy: bool = False
    did: list[str] = field(default_factory=list)
    """Which faults came to pass."""
    smudged: list[bytes] = field(default_factory=list)
    """Chunks that reached the client with another byte, as they were before."""


class Line:
    """One answer on its way. What it is given is cut into head, chunk sizes and chunks first."""

    def __init__(
        self, trace: Trace, send: Callable[[bytes], Awaitable[None]], again: Iterable[bytes]
    ) -> None:
        self._trace = trace
        self._send = send
        self._again = list(again)
        self._faults = deque(trace.passage.faults)
        self._waiting = bytearray()
        self._part: str = "head"
        self._size = b""
        self._held = b""
        self._single = 0  # bytes yet to be sent one by one
        self._garble = 0
        self._readable = False
        self._smudges = dict(trace.passage.smudges)
        self._chunks = 0
        self.chunks: list[bytes] = []
        """Whole chunks that went through, as they were, and may come again."""

    async def carry(self, data: bytes) -> None:
        """Pass on what has come from the server, as far as it is a whole part.

        Raises:
            _BrokenOffError: the connection is to end here.
        """
        self._waiting += data
        while (length := self._length()) is not None:
            part = bytes(self._waiting[:length])
            del self._waiting[:length]
            await self._carry_part(part)

    def _length(self) -> int | None:
        """Of the part that is complete."""
        if self._part in ("head", "size"):
            mark = b"\r\n\r\n" if self._part == "head" else b"\r\n"
            at = self._waiting.find(mark)
            return None if at < 0 else at + len(mark)
        length = int(self._size, 16) + 2 if self._part == "chunk" else len(self._waiting)
        return length if 0 < length <= len(self._waiting) else None

    async def _carry_part(self, part: bytes) -> None:
        kind = self._part
        sent = part
        if kind == "chunk":
            sent = self._smudged(part)
        if self._garble and (kind == "size" or (kind == "head" and b" 200 " in part)):
            at = self._garble % len(part)
            self._readable = False
            self._trace.did.append("garbled")
            sent = part[:at] + bytes([part[at] ^ self._garble]) + part[at + 1 :]
            self._garble = 0
        if kind == "size":
            self._held = sent  # in one piece with its chunk, as servers send it
        else:
            sent, self._held = self._held + sent, b""
            await self._pass(sent)
        if kind == "head":
            self._part = "size" if b"\r\nTransfer-Encoding: chunked\r\n" in part else "body"
            self._readable = b"\r\nContent-Type: text/event-stream\r\n" in part
            if self._part == "size":
                for chunk in self._again:
                    self._trace.did.append("again")
                    await self._pass(chunk)
        elif kind == "size":
            self._part, self._size = "chunk", part
        elif kind == "chunk":
            self._part = "size"
            last = part == b"\r\n" or re.search(b"event: ?end", part)
            if self._readable and not (last or part.startswith(b"\xef\xbb\xbf")):
                self.chunks.append(self._size + part)

    def _smudged(self, chunk: bytes) -> bytes:
        number, self._chunks = self._chunks, self._chunks + 1
        smudge = self._smudges.get(number)
        first = chunk.find(b"\ndata: ") + 7 if smudge is not None and smudge.json_only else 0
        if smudge is None or first == 6 or len(chunk) < 5:
            return chunk
        self._trace.smudged.append(chunk)
        rng = random.Random(smudge.draw)
        at = rng.randrange(first, len(chunk) - (4 if smudge.json_only else 2))
        return chunk[:at] + bytes([chunk[at] ^ rng.randint(1, 255)]) + chunk[at + 1 :]

    async def _pass(self, data: bytes) -> None:
        """Through the faults, which lie at offsets of what was sent."""
        while self._faults and self._faults[0].at < len(self._trace.got) + len(data):
            fault = self._faults.popleft()
            before = max(fault.at - len(self._trace.got), 0)
            await self._deliver(data[:before])
            data = data[before:]
            await self._do(fault)
        await self._deliver(data)

    async def _do(self, fault: Fault) -> None:
        self._trace.did.append(fault.do)
        match fault.do:
            case "cut" | "reset":
                raise _BrokenOffError(fault.do == "cut")
            case "silence":
                await asyncio.Event().wait()  # until the client leaves
            case "pause":
                await asyncio.sleep(fault.amount)
            case "split":
                self._single = fault.amount
            case "garble":
                self._garble = fault.amount

    async def _deliver(self, data: bytes) -> None:
        while data and self._single:
            self._single -= 1
            await self._hand_over(data[:1])
            data = data[1:]
        if data:
            await self._hand_over(data)

    async def _hand_over(self, data: bytes) -> None:
        self._trace.got += data
        await self._send(data)


class Proxy:
    """Takes connections of one client; ``passages`` gives what happens to each event stream.

    Other requests pass as they are. The request's number goes to the server as ``X-Opening``.
    """

    def __init__(
        self, passages: Callable[[int], Passage], upstream: Callable[[], Awaitable[Ends]]
    ) -> None:
        self._passages = passages
        self._upstream = upstream
        self._sent: list[bytes] = []
        self._asked: list[bytes] = []
        self.traces: list[Trace] = []

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """One connection, from its request to its end."""
        in_order = True
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            trace = Trace(Passage(), len(self.traces))
            again: list[bytes] = []
            if STREAM.match(head):
                trace.passage = self._passages(len(self.traces))
                self.traces.append(trace)
                head = self._altered(head, trace)
                again = self._sent[-trace.passage.again :] if trace.passage.again else []

            async def send(data: bytes) -> None:
                writer.write(data)
                await writer.drain()

            line = Line(trace, send, again)
            if trace.passage.refused:
                trace.did.append("refused")
            else:
                in_order = await self._until_either(
                    self._carry(line, head + body), self._gone(reader)
                )
            if in_order or isinstance(writer, MemoryWriter):
                self._sent += line.chunks
        if not in_order:
            trace.lossy = _reset(writer)
        writer.close()

    def _altered(self, head: bytes, trace: Trace) -> bytes:
        passage, asked = trace.passage, LAST_ID.search(head)
        own = asked[0] if asked else b""
        instead = own
        if passage.forgets and own:
            instead = b""
            trace.did.append("forgets")
        elif passage.stale and self._asked:
            instead = self._asked[len(self._asked) // 2]
            trace.did.append("stale")
        self._asked.append(own)
        head = head.replace(own, b"") if own else head
        return head[:-2] + instead + b"X-Opening: %d\r\n\r\n" % trace.number

    async def _carry(self, line: Line, request: bytes) -> bool:
        """Whether the connection is to end in order."""
        reader, writer = await self._upstream()
        try:
            writer.write(request)
            await writer.drain()
            while data := await reader.read(65_536):
                await line.carry(data)
        except _BrokenOffError as error:
            return error.in_order
        else:
            return True
        finally:
            writer.close()

    async def _gone(self, reader: asyncio.StreamReader) -> bool:
        await reader.read()  # a client says nothing more until it leaves
        return True

    async def _until_either(self, *works: Coroutine[Any, Any, bool]) -> bool:
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return all(task.result() for task in done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: Writer) -> bool:
    """Whether bytes that were sent may get lost by it, as a kernel drops what was not read yet."""
    if isinstance(writer, MemoryWriter):
        writer.abort()
        return False
    assert isinstance(writer, asyncio.StreamWriter)
    plug = writer.get_extra_info("socket")
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return True


class Tasks:
    """Owner of the tasks that connections run in."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        failures = await asyncio.gather(*self._tasks, return_exceptions=True)
        for failure in failures:
            if isinstance(failure, Exception):
                raise failure


@asynccontextmanager
async def tcp_proxy(
    passages: Callable[[int], Passage], port: int
) -> AsyncIterator[tuple[Proxy, int]]:
    """A proxy to a port of this machine, and the port where it listens."""

    async def upstream() -> Ends:
        return await asyncio.open_connection("127.0.0.1", port)

    proxy, tasks = Proxy(passages, upstream), Tasks()
    server = await asyncio.start_server(
        lambda reader, writer: tasks.start(proxy.serve(reader, writer)), "127.0.0.1", 0
    )
    try:
        yield proxy, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await tasks.end()


# in memory


class MemoryWriter:
    """A writer whose bytes arrive at once, piece by piece."""

    def __init__(self, feed: Callable[[bytes], None], end: Callable[[bool], None]) -> None:
        self._feed = feed
        self._end: Callable[[bool], None] | None = end

    def write(self, data: bytes) -> None:
        if self._end is not None:
            self._feed(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        self._finish(True)

    def abort(self) -> None:
        self._finish(False)

    def _finish(self, in_order: bool) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(in_order)


def _pipe() -> tuple[asyncio.StreamReader, MemoryWriter]:
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    return reader, MemoryWriter(reader.feed_data, lambda _: reader.feed_eof())


class MemorySocket(httpcore.AsyncNetworkStream):
    """The client's end of a connection in memory. Pieces are read as they were written."""

    def __init__(self, out: MemoryWriter) -> None:
        self._out = out
        self._pieces: deque[bytes] = deque()
        self._end: bool | None = None
        self._news = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)
        self._news.set()

    def end(self, in_order: bool) -> None:
        self._end = in_order
        self._news.set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while not self._pieces:
            if self._end is not None:
                if self._end:
                    return b""
                raise httpcore.ReadError("Connection reset by peer")
            self._news.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._news.wait()
            except TimeoutError as error:
                raise httpcore.ReadTimeout from error
        piece = self._pieces.popleft()
        if len(piece) > max_bytes:
            self._pieces.appendleft(piece[max_bytes:])
        return piece[:max_bytes]

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._end is not None:
            raise httpcore.WriteError("Broken pipe")
        self._out.write(bytes(buffer))

    async def aclose(self) -> None:
        self._out.close()

    def get_extra_info(self, info: str) -> Any:
        return None


class _MemoryNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self, serve: Callable[[asyncio.StreamReader, Writer], None]) -> None:
        self._serve = serve

    async def connect_tcp(self, host: str, port: int, **_: Any) -> MemorySocket:  # type: ignore[override]
        reader, out = _pipe()
        plug = MemorySocket(out)
        self._serve(reader, MemoryWriter(plug.feed, plug.end))
        return plug

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def memory_proxy(
    passages: Callable[[int], Passage], server: Server
) -> AsyncIterator[tuple[Proxy, httpx.AsyncBaseTransport]]:
    """A proxy to a scripted server that listens nowhere, and a transport that leads to it."""
    tasks = Tasks()

    async def upstream() -> Ends:
        request, to_server = _pipe()
        answer, to_proxy = _pipe()
        tasks.start(server.serve(request, cast(asyncio.StreamWriter, to_proxy)))
        return answer, to_server

    proxy = Proxy(passages, upstream)
    transport = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    transport._pool = httpcore.AsyncConnectionPool(
        network_backend=_MemoryNetwork(
            lambda reader, writer: tasks.start(proxy.serve(reader, writer))
        )
    )
    try:
        yield proxy, transport
    finally:
        await tasks.end()
