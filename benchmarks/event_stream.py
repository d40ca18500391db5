"""Events per second through api + run, against bare httpx-sse + json.loads.

Both read the same stream, in this process, from a server in a process of its own that writes
frames from memory. The runs alternate; the best of each by processor time counts, as whatever else
the machine does only slows. Target: at least two fifths of the bare rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import httpx
from httpx_sse import aconnect_sse

from arkor_tui.api.scope import Scope
from arkor_tui.connect.connection import Connection
from arkor_tui.run.callbacks import FunctionCallback, LogContext
from arkor_tui.run.trainer import Trainer

from .report import Figure, at_least, command_line, show

TARGET = 0.4
JOB = {
    "id": "job-1",
    "orgId": "o-1",
    "projectId": "p-1",
    "name": "benchmark",
    "status": "running",
    "config": {"model": "arkor-tui/tiny"},
    "createdAt": "2026-08-07T10:00:00.000Z",
}
STREAM = "/v1/jobs/job-1/events/stream"


def frames(count: int) -> bytes:
    """A whole run: ``count`` log frames and the end."""
    out = []
    for step in range(1, count + 1):
        data = {
            "type": "training.log",
            "jobId": "job-1",
            "timestamp": "2026-08-07T10:00:01.000Z",
            "step": step,
            "loss": round(3 / step**0.5, 6),
            "evalLoss": None,
            "learningRate": 0.0002,
            "epoch": round(step / count, 4),
            "samplesPerSecond": 41.5,
        }
        out.append(f"id: {step}\nevent: training.log\ndata: {json.dumps(data)}\n\n")
    data = {"type": "training.completed", "jobId": "job-1", "timestamp": "2026-08-07T11:00:00Z"}
    out.append(f"id: {count + 1}\nevent: training.completed\ndata: {json.dumps(data)}\n\n")
    out.append("event: end\ndata: {}\n\n")
    return "".join(out).encode()


async def serve(count: int) -> None:
    """Answer until the parent goes away; says its port on stdout first."""
    body = frames(count)
    job = json.dumps({"job": JOB}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_stream = STREAM.encode() in head
        content, kind = (body, "text/event-stream") if is_stream else (job, "application/json")
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        writer.write(content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def bare(url: str) -> int:
    """What anyone would write first."""
    count = 0
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        aconnect_sse(client, "GET", url + STREAM) as source,
    ):
        async for frame in source.aiter_sse():
            if frame.event == "end":
                break
            json.loads(frame.data)
            count += 1
    return count - 1  # the completion


async def ours(url: str) -> int:
    """Parsed, validated, without repeats, and given to a callback."""
    count = 0

    def on_log(ctx: LogContext) -> None:
        nonlocal count
        count += 1

    connection = Connection("url", url, Scope("org", "project"), "anonymous", "token")
    callbacks = [FunctionCallback(on_log=on_log)]
    result = await Trainer.attach("job-1", callbacks=callbacks, connection=connection).wait()
    if result.status != "completed":
        raise RuntimeError(f"the run ended {result.status}")
    await connection.aclose()
    return count


async def rate(run: Callable[[str], Awaitable[int]], url: str, expected: int) -> float:
    """Events per second of processor time."""
    begin = time.process_time()
    count = await run(url)
    seconds = time.process_time() - begin
    if count != expected:
        raise RuntimeError(f"{run.__name__} saw {count} of {expected} events")
    return count / seconds


async def measure(count: int, runs: int) -> list[Figure]:
    """The best rates."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.event_stream", "--serve", "--events", str(count),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(await server.stdout.readline())}"
        rates: dict[str, list[float]] = {"bare": [], "ours": []}
        for run in (bare, ours):  # warm: imports and caches are not what is measured
            await rate(run, url, count)
        for _ in range(runs):
            rates["bare"].append(await rate(bare, url, count))
            rates["ours"].append(await rate(ours, url, count))
    finally:
        assert server.stdin is not None
        server.stdin.close()
        await server.wait()
    bare_rate, own = (max(rates[name]) for name in ("bare", "ours"))
    return [
        at_least(TARGET, "events through api + run, against bare httpx-sse", own / bare_rate),
        Figure("events through api + run", own, "/s"),
    ]


def main() -> int:
    """Print the figures, or serve what they are measured with."""
    parser = command_line(__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.events))
        return 0
    return show(asyncio.run(measure(options.events, options.runs)), as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())
