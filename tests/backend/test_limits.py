"""What one request, one client and one machine full of clients can take."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from arkor_tui.backend import inference, limits, store
from arkor_tui.backend.inference import InferenceProcess
from arkor_tui.backend.ipc import ChatSpec
from arkor_tui.backend.spec import DatasetSpec, TrainingSpec
from arkor_tui.backend.store import Store
from tests.support.amounts import patience

from .conftest import FAKE, Server, everything, open_client, raw, submit, until

SOURCE = DatasetSpec("blob", "https://me:pw@data.example/rows.jsonl?sig=hush", token="hush-token")
SPEC = TrainingSpec("run", "arkor-tui/tiny", "/model", SOURCE)


def head(server: Server, line: str, *more: str) -> bytes:
    headers = [f"{name}: {value}" for name, value in server.headers().items()]
    return "\r\n".join([f"{line} HTTP/1.1", "Host: 127.0.0.1", *headers, *more, "", ""]).encode()


def status(said: bytes) -> int:
    return int(said.split()[1])


@pytest.fixture
def server(kept_server: Server) -> Server:
    """The same for all that are refused; whoever has a job gets one of their own."""
    return kept_server


async def test_a_body_without_a_length_has_the_same_limit(client: httpx.AsyncClient) -> None:
    async def body() -> Any:
        for _ in range(100):
            yield b" " * 64 * 1024

    assert (await client.post("/v1/jobs", content=body())).status_code == 413


@pytest.mark.parametrize("more", [["Content-Length: 10"], ["Transfer-Encoding: chunked"]])
async def test_a_body_that_does_not_come_is_given_up(make_server: Any, more: list[str]) -> None:
    server = make_server(body_seconds=0.2, head_seconds=0.2)
    said = await raw(server, head(server, "POST /v1/jobs", *more), b"1")
    assert status(said) == 408
    # and the connection is closed, though the rest of the body is still to come


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"GET / HT"],
        [b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "],
        [b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"G"],  # the second request never ends
    ],
)
async def test_a_request_that_never_ends_is_given_up(make_server: Any, parts: list[bytes]) -> None:
    server = make_server(head_seconds=0.2)
    async with asyncio.timeout(patience(10)):
        await raw(server, *parts)


async def test_a_slow_answer_is_no_slow_request(make_server: Any, script: Any) -> None:
    """A stream may be quiet for longer than a request's head may take."""
    server = make_server(head_seconds=0.05, body_seconds=0.05, ping_seconds=0.03)
    async with open_client(server) as client:
        job_id = await submit(client, script("started", "wait /nowhere"))
        pings = 0
        async with client.stream("GET", f"/v1/jobs/{job_id}/events/stream") as response:
            async for chunk in response.aiter_text():
                pings += chunk.count("event: ping")
                if pings > 10:
                    break


async def test_headers_have_a_limit(server: Server) -> None:
    for more in (["X-A: " + "a" * 1_000_000], [f"X-{n}: a" for n in range(100_000)]):
        assert await refused(server, head(server, "GET /v1/me", *more))
    assert await refused(server, head(server, "GET /" + "a" * 1_000_000))


async def refused(server: Server, content: bytes) -> bool:
    """Whether the answer is 400, which may be lost while there is still something to send."""
    try:
        return status(await raw(server, content)) == 400
    except ConnectionError:
        return True


NUMBERS = ["1" + "0" * 400, "-1" + "0" * 400, "1e999", "1" * 5000, "1e-999", "NaN", "-Infinity"]
DEEP = "[" * 100_000
FIELDS = ["maxSteps", "learningRate", "loraR", "seed", "warmupSteps", "datasetSplit", "evalSteps"]
FORMS = ["{}", '{{"steps": {}}}', '{{"ratio": {}}}', '{{"enabled": true, "testSize": {}}}']


async def test_a_number_of_any_size_is_refused(client: httpx.AsyncClient) -> None:
    chats = ['{{"kind": "checkpoint", "jobId": "job_x", "step": {}}}']
    for name in ("seed", "maxTokens", "temperature"):
        chats.append(f'{{{{"kind": "final", "jobId": "job_x"}}}}, "{name}": {{}}')
    for number in NUMBERS:
        for form in FORMS:
            settings = ", ".join(f'"{name}": {form.format(number)}' for name in FIELDS)
            answer = await client.post(
                "/v1/jobs", content=f'{{"name": "x", "config": {{{settings}}}}}'
            )
            assert answer.status_code == 400, (number[:20], form)
        for chat in chats:
            start = '{"messages": [{"role": "user", "content": "x"}], "adapter": '
            answer = await client.post(
                "/v1/inference/chat", content=start + chat.format(number) + "}"
            )
            assert answer.status_code in (400, 404), (number[:20], chat)


@pytest.mark.parametrize(
    "body",
    [
        DEEP.encode(),
        b'{"a":' * 100_000,
        ('{"name": "x", "config": {"datasetSource": ' + "[" * 150 + "]" * 150 + "}}").encode(),
        gzip.compress(b'{"name": "x"}', mtime=0),  # each process collects the same tests
        b'{"name": "\\ud800", "config": {}}',
        b'{"name": "x", "config": {"model": "\\u0000"}}',
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b'"' + b"x" * 4_000_000 + b'"',
    ],
)
async def test_a_body_of_any_form_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    for path in ("/v1/jobs", "/v1/inference/chat", "/v1/projects"):
        for headers in ({}, {"Content-Encoding": "gzip"}):
            answer = await client.post(path, content=body, headers=headers)
            assert answer.status_code == 400, (path, body[:40])
            assert len(answer.content) < 2_000


@pytest.fixture
def traps(tmp_path: Path) -> list[str]:
    """Paths that are no JSON Lines file."""
    loop, dangling = tmp_path / "loop", tmp_path / "dangling"
    loop.symlink_to(loop)
    dangling.symlink_to(tmp_path / "nothing")
    (tmp_path / "file").touch()
    return [
        "rows.jsonl",
        "../rows.jsonl",
        "~/rows.jsonl",
        "file:///etc/passwd",
        "/etc/passwd\0.jsonl",
        "/" + "a" * 5000,
        "/" + "a/" * 3000,
        str(tmp_path / "file" / "x"),
        str(tmp_path),
        str(loop),
        str(dangling),
        "/dev/zero",
        "/dev/stdin",
        "/dev/null",
        "/proc/self/mem/x",
        "/proc/self/fd/0",
        "",
        " ",
    ]


async def test_what_is_no_file_is_no_dataset_and_no_model(
    client: httpx.AsyncClient, traps: list[str]
) -> None:
    for path in traps:
        source = {"type": "file", "path": path}
        config = {"model": "arkor-tui/tiny", "datasetSource": source}
        answer = await client.post("/v1/jobs", json={"name": "x", "config": config})
        assert answer.status_code == 400, path
        assert list(answer.json()["fields"]) == ["config.datasetSource"], path
        if path.startswith("/"):
            for name in (path, path + ".gguf"):
                chat = {"messages": [{"role": "user", "content": "x"}], "baseModel": name}
                answer = await client.post("/v1/inference/chat", json=chat)
                assert answer.status_code == 400, path
                assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    "job_id",
    [
        "../token",
        "..%2ftoken",
        "%2e%2e%2f%2e%2e%2ftoken",
        "..%5ctoken",
        "%00",
        "job_%00",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "%ff%fe",
        "' OR 1=1 --",
        "job_" + "a" * 5000,
    ],
)
async def test_a_job_id_is_looked_up_and_never_a_path(server: Server, job_id: str) -> None:
    before = sorted(server.data_dir.rglob("*"))
    lines = [f"GET /v1/jobs/{job_id}", f"POST /v1/jobs/{job_id}/cancel"]
    for line in [*lines, f"GET /v1/jobs/{job_id}/events/stream"]:
        target = line.replace(" OR 1=1 --", "%20OR%201=1%20--")
        said = await raw(server, head(server, target, "Connection: close"))
        assert status(said) in (404, 405), line
        assert server.token.encode() not in said
    async with open_client(server) as client:
        for step in (-1, 0, 10**30):
            adapter = {"kind": "checkpoint", "jobId": job_id, "step": step}
            chat = {"messages": [{"role": "user", "content": "x"}], "adapter": adapter}
            answer = await client.post("/v1/inference/chat", json=chat)
            assert answer.status_code in (400, 404)
    assert sorted(server.data_dir.rglob("*")) == before


async def test_streams_are_bounded_and_their_places_come_back(
    make_server: Any, script: Any
) -> None:
    server = make_server()
    async with open_client(server) as client:
        job_id = await submit(client, script("started", "wait /nowhere"))
        path = f"/v1/jobs/{job_id}/events/stream"
        async with AsyncExitStack() as stack:
            loads = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            many = await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=server.url, headers=server.headers(), trust_env=False, limits=loads
                )
            )
            for _ in range(limits.MAX_STREAMS):
                response = await stack.enter_async_context(many.stream("GET", path))
                assert response.status_code == 200
            assert (await client.get(path)).status_code == 503
            assert (await client.get("/v1/me")).status_code == 200  # only streams are full
        async with asyncio.timeout(patience(20)):
            while True:
                async with client.stream("GET", path) as response:
                    if response.status_code == 200:
                        break


async def test_connections_are_bounded_and_their_places_come_back(make_server: Any) -> None:
    server = make_server(connections=4)
    port = httpx.URL(server.url).port
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    for reader, writer in held:
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        if not await reader.read():
            raise ConnectionResetError
    for _, held_writer in held:
        held_writer.close()
    async with asyncio.timeout(patience(20)), open_client(server) as client:
        while True:
            try:
                assert (await client.get("/v1/me")).status_code == 200
                break
            except httpx.TransportError:
                continue


async def test_chats_are_bounded_and_their_places_come_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inference, "MAX_CHATS", 3)
    process = InferenceProcess(tmp_path / "log", (sys.executable, str(FAKE), "infer"))
    running = asyncio.create_task(process.run())
    try:
        spec = ChatSpec([{"role": "user", "content": f"!until={tmp_path / 'never'}"}])
        chats = [process.chat(spec, "/model", None) for _ in range(3)]
        for chat in chats:
            assert (await anext(chat))["type"] == "delta"
        refused = [message async for message in process.chat(spec, "/model", None)]
        assert [(message["status"], message["code"]) for message in refused] == [(503, "busy")]
        for chat in chats:
            await chat.aclose()
        again = process.chat(spec, "/model", None)
        assert (await anext(again))["type"] == "delta"
        await again.aclose()
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_a_burst_of_streams_and_chats_leaves_nothing_behind(
    server: Server, client: httpx.AsyncClient, script: Any
) -> None:
    """Clients that break off at any moment; afterwards every place is free and the server well."""
    job_id = await submit(client, script("started", "wait /nowhere"))
    await until(client, job_id, "training.started")
    chat = {"messages": [{"role": "user", "content": "a b c"}], "baseModel": "arkor-tui/tiny"}
    stream = head(server, f"GET /v1/jobs/{job_id}/events/stream")
    body = json.dumps(chat).encode()
    talk = head(server, "POST /v1/inference/chat", f"Content-Length: {len(body)}") + body
    port = httpx.URL(server.url).port

    async def break_off(after: int, content: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(content[:after])
        if after >= len(content):
            await reader.read(1)
        writer.transport.abort()

    for content in (stream, talk):
        cuts = range(0, len(content) + 1, max(1, len(content) // 40))
        await asyncio.gather(*(break_off(cut, content) for cut in (*cuts, len(content))))
    await client.post(f"/v1/jobs/{job_id}/cancel")
    assert (await everything(client, job_id))[-1].event == "end"
    log = (server.data_dir / "server.log").read_text()
    assert "Traceback" not in log, log


async def test_jobs_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(store, "MAX_LIVE_JOBS", 2)
    kept = Store(tmp_path / "db")
    await kept.open()
    first = await kept.create_job("o", "p", "n", {}, SPEC)
    assert first is not None
    assert await kept.create_job("o", "p", "n", {}, SPEC) is not None
    assert await kept.create_job("o", "p", "n", {}, SPEC) is None
    await kept.finish(first.id, "cancelled", "training.failed", {})
    assert await kept.create_job("o", "p", "n", {}, SPEC) is not None
    await kept.close()


async def test_identities_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(store, "MAX_IDENTITIES", 2)
    kept = Store(tmp_path / "db")
    await kept.open()
    made = [await kept.create_identity() for _ in range(3)]
    assert [each is None for each in made] == [False, False, True]
    await kept.close()


async def test_a_job_that_has_ended_keeps_no_secret_of_its_dataset(tmp_path: Path) -> None:
    kept = Store(tmp_path / "db")
    await kept.open()
    job = await kept.create_job("o", "p", "n", {}, SPEC)
    assert job is not None
    assert await kept.spec(job.id) == SPEC  # it is fetched with them, after a restart too
    await kept.finish(job.id, "failed", "training.failed", {"error": "x"})
    spec = await kept.spec(job.id)
    assert (spec.dataset.location, spec.dataset.token) == ("https://data.example/rows.jsonl", None)
    assert spec.model_source == SPEC.model_source
    await kept.close()
    left = (tmp_path / "db").read_bytes()
    assert b"hush" not in left
    assert b"me:pw" not in left
