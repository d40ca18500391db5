"""A real embedded backend in its own process, and a proxy that can cut its connections."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest

from arkor_tui.api.scope import Scope
from arkor_tui.connect.connection import Connection
from tests.support.amounts import patience
from tests.support.kept_engine import command_of

_WITH_KEPT_ENGINE = """
import json, sys
from functools import partial
from arkor_tui.backend import server
from arkor_tui.cli import main
train, infer = (tuple(json.loads(sys.argv.pop(1))) for _ in range(2))
server.ServeOptions = partial(server.ServeOptions, train_command=train, infer_command=infer)
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Backend:
    """``arkor-tui serve`` on one data folder; may be killed and started again."""

    data_dir: Path
    engine: str | None = None
    """Where the processes of its engine are forked; without, they are started as everywhere."""
    process: subprocess.Popen[str] | None = None
    url: str = ""

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *self._program, "serve", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "ARKOR_TUI_DATA_DIR": str(self.data_dir)},
        )
        assert self.process.stdout is not None
        first = json.loads(self.process.stdout.readline())
        assert first["type"] == "serving"
        self.url = first["url"]

    @property
    def _program(self) -> list[str]:
        if self.engine is None:
            return ["-m", "arkor_tui"]
        commands = [command_of(self.engine, name) for name in ("train", "infer")]
        return ["-c", _WITH_KEPT_ENGINE, *map(json.dumps, commands)]

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=patience(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def connection(self, url: str | None = None) -> Connection:
        token = (self.data_dir / "local" / "token").read_text()
        # behind a proxy it is one server among others: its own address is not looked up again
        kind = "local" if url is None else "url"
        return Connection(kind, url or self.url, Scope("local", "demo"), "embedded", token)


@pytest.fixture
def backend(home: Path, kept_engine: str | None) -> Iterator[Backend]:
    """A backend on the data folder that the command line of this test uses too."""
    pytest.importorskip("torch")
    running = Backend(home / "data", kept_engine)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@dataclass
class Proxy:
    """Passes bytes on to a backend, until it is told to cut every connection."""

    target: str
    url: str = ""
    cuts: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.removeprefix("http://").partition(":")
        upstream_reader, upstream_writer = await asyncio.open_connection(host, int(port))
        pair = {writer, upstream_writer}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, upstream_writer))
                both.create_task(_pump(upstream_reader, writer))
        finally:
            self._writers -= pair
            for end in pair:
                end.close()

    def cut(self) -> None:
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def proxy(backend: Backend) -> AsyncIterator[Proxy]:
    """In front of ``backend``."""
    passing = Proxy(backend.url)
    server = await asyncio.start_server(passing.serve, "127.0.0.1", 0)
    passing.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield passing
    finally:
        passing.cut()
        server.close()


@pytest.fixture
def rows() -> Path:
    """The triage starter's training rows."""
    return Path(str(files("arkor_tui.starters"))) / "triage" / "data" / "train.jsonl"
