"""The server in its own process, with stand-ins for the engine's processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import ServerSentEvent, aconnect_sse

from arkor_tui.api.client import CLIENT_HEADER, CLIENT_VERSION
from tests.support.amounts import patience

FAKE = Path(__file__).parents[1] / "support" / "fake_child.py"
_SERVE = """
import json, sys
from pathlib import Path
from arkor_tui.backend.server import ServeOptions, serve
from arkor_tui.errors import ArkorTuiError
given = json.loads(sys.argv[1])
options = ServeOptions(
    data_dir=Path(given["data_dir"]),
    port=given.get("port"),
    allow_anonymous=given.get("allow_anonymous", False),
    map_models=given.get("map_models", {}),
    jobs=given.get("jobs", 1),
    map_datasets={name: Path(path) for name, path in given.get("map_datasets", {}).items()},
    train_command=tuple(given["train"]),
    infer_command=tuple(given["infer"]),
    **{
        name: given[name]
        for name in ("host", "ping_seconds", "head_seconds", "body_seconds", "connections")
        if name in given
    },
)
def ready(info):
    print(json.dumps({"url": info.url}), flush=True)
try:
    raise SystemExit(serve(options, on_ready=ready))
except ArkorTuiError as error:
    print(json.dumps({"error": error.message, "hint": error.hint}), flush=True)
    raise SystemExit(1)
"""


@dataclass
class Server:
    """One server process on one data folder."""

    data_dir: Path
    options: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    url: str = ""
    first_line: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        given = {
            "data_dir": str(self.data_dir),
            "train": [sys.executable, str(FAKE), "train"],
            "infer": [sys.executable, str(FAKE), "infer"],
            **self.options,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = json.loads(self.process.stdout.readline())
        self.url = self.first_line.get("url", "")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what was said on stderr."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=patience(10))
        return self.process.returncode, said

    @property
    def token(self) -> str:
        return (self.data_dir / "token").read_text()

    def headers(self, token: str | None = None) -> dict[str, str]:
        given = self.token if token is None else token
        authorization = {"Authorization": f"Bearer {given}"} if given else {}
        return {CLIENT_HEADER: CLIENT_VERSION, **authorization}


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Any]:
    """Start servers; every one is gone at the end."""
    made: list[Server] = []

    def make(name: str = "backend", **options: Any) -> Server:
        server = Server(tmp_path / name, options)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@pytest.fixture
def server(make_server: Any) -> Server:
    """A server with the stand-ins."""
    running: Server = make_server()
    return running


@pytest.fixture(scope="module")
def kept_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests of a file that leave nothing behind in it."""
    server = Server(tmp_path_factory.mktemp("kept") / "backend")
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Bare HTTP as the owner."""
    async with open_client(server) as opened:
        yield opened


def open_client(server: Server, token: str | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=server.url, headers=server.headers(token), trust_env=False, timeout=patience(20)
    )


@pytest.fixture
def script(tmp_path: Path) -> Any:
    """Write a training script; gives the job request that runs it."""

    def write(*lines: str, name: str = "run", **config: Any) -> dict[str, Any]:
        path = tmp_path / f"script-{os.urandom(4).hex()}"
        path.write_text("\n".join(lines))
        source = {"type": "file", "path": str(path)}
        return {
            "name": name,
            "config": {"model": "arkor-tui/tiny", "datasetSource": source, **config},
        }

    return write


async def raw(server: Server, *parts: bytes) -> bytes:
    """Send bytes as they are; everything that comes until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(server.url).port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()
    finally:
        writer.close()


async def submit(client: httpx.AsyncClient, request: dict[str, Any]) -> str:
    response = await client.post("/v1/jobs", json=request)
    assert response.status_code == 201, response.text
    return str(response.json()["job"]["id"])


async def frames(
    client: httpx.AsyncClient, job_id: str, last: str | None = None
) -> AsyncIterator[ServerSentEvent]:
    """Everything that the stream sends, ``end`` included, until it closes."""
    headers = {"Last-Event-ID": last} if last else {}
    path = f"/v1/jobs/{job_id}/events/stream"
    async with aconnect_sse(client, "GET", path, headers=headers) as source:
        async for frame in source.aiter_sse():
            yield frame


async def until(client: httpx.AsyncClient, job_id: str, kind: str) -> list[ServerSentEvent]:
    """The frames up to the first of that event type."""
    seen = []
    async for frame in frames(client, job_id):
        seen.append(frame)
        if frame.event == kind:
            return seen
    raise AssertionError(f"the stream ended without {kind}: {[f.event for f in seen]}")


async def everything(
    client: httpx.AsyncClient, job_id: str, last: str | None = None
) -> list[ServerSentEvent]:
    return [frame async for frame in frames(client, job_id, last)]


async def job(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get(f"/v1/jobs/{job_id}")).json()["job"]
    return answer
