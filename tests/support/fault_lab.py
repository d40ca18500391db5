"""One run under a schedule: real client, real monitor, real archive; and the verdict on it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest

from arkor_tui import Callback, ReconnectPolicy, Trainer
from arkor_tui.api import reconnect
from arkor_tui.api.client import CloudApiClient
from arkor_tui.api.reconnect import StreamState
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import LogRow, RunRecord
from arkor_tui.connect.connection import Connection
from arkor_tui.run.callbacks import (
    CheckpointContext,
    CompletedContext,
    Context,
    FailedContext,
    LogContext,
    StartedContext,
)
from arkor_tui.session.monitor import RunMonitor
from arkor_tui.session.updates import StreamHealth
from tests.support.fault_backend import Backend
from tests.support.fault_network import Proxy, Trace, memory_proxy, tcp_proxy
from tests.support.fault_schedule import CLEAN, Manner, Passage, Schedule
from tests.support.scripted import BEARER, SCOPE, Server, running_server

POLICY = ReconnectPolicy()
TOO_LONG = 7_200.0  # seconds of virtual time; the longest schedules take half of it
NOWHERE = "http://127.0.0.1:9"
Told = tuple[str, str | None]
"""The kind of a callback's context, and the time of its event, which names it."""


class Diary(Callback):
    """Keeps what a callback is told, and when the connection changed."""

    def __init__(self, enough: int | None) -> None:
        self.replayed: list[Told] = []
        self.told: list[Told] = []
        self.states: list[tuple[float, StreamState]] = []
        self.full = asyncio.Event()
        self._enough = enough

    def count(self, heard: int) -> None:
        """Be full once it was told, or has heard of, enough events."""
        if self._enough is not None and heard >= self._enough:
            self.full.set()

    def _tell(self, ctx: Context) -> None:
        self.told.append(_told(ctx))
        self.count(len(self.told))

    def on_started(self, ctx: StartedContext) -> None:
        self._tell(ctx)

    def on_log(self, ctx: LogContext) -> None:
        self._tell(ctx)

    async def on_checkpoint(self, ctx: CheckpointContext) -> None:
        await asyncio.sleep(0)
        self._tell(ctx)

    def on_completed(self, ctx: CompletedContext) -> None:
        self._tell(ctx)

    def on_failed(self, ctx: FailedContext) -> None:
        self._tell(ctx)

    def on_replayed(self, ctx: Context) -> None:
        self.replayed.append(_told(ctx))

    def on_connection(self, state: StreamState) -> None:
        self.states.append((asyncio.get_running_loop().time(), state))


def _told(ctx: Context) -> Told:
    return type(ctx).__name__.removesuffix("Context").lower(), ctx.timestamp


@dataclass
class Life:
    """What one process of ours saw of the run."""

    diary: Diary
    traces: list[Trace]
    draws: random.Random
    """As the policy's random source was when this life began."""
    recipes: bool = True
    health: StreamHealth = field(default_factory=StreamHealth)
    killed: bool = False
    problems: list[str] = field(default_factory=list)


@dataclass
class Story:
    """All that happened to one run."""

    schedule: Schedule
    backend: Backend
    record: RunRecord
    rows: list[LogRow]
    lives: list[Life]


async def live_through(
    schedule: Schedule, archive: AsyncArchive, patch: pytest.MonkeyPatch, *, tcp: bool
) -> Story:
    """Follow the run of a schedule to its end, through as many processes as it asks for."""
    offset = 0

    def plan(number: int) -> tuple[Manner, Passage]:
        at = offset + number
        return schedule.connections[at] if at < len(schedule.connections) else CLEAN

    backend = Backend(schedule, lambda number: plan(number)[0])
    lives: list[Life] = []
    record: RunRecord | None = None
    restarts = list(schedule.restarts)
    draws = random.Random(schedule.seed)
    patch.setattr(reconnect, "random", draws)
    async with _ways(backend, tcp) as ways:
        while not lives or lives[-1].killed:
            diary = Diary(restarts.pop(0) if restarts else None)
            now = random.Random()
            now.setstate(draws.getstate())
            async with ways.open(lambda number: plan(number)[1]) as (proxy, connection):
                life = Life(diary, proxy.traces, now, schedule.recipes)
                record = await _live(life, archive, connection, schedule_id(schedule), record)
            lives.append(life)
            offset += len(proxy.traces)
    assert record is not None
    key = record.key
    rows = await archive.read(lambda a: a.log(key, limit=1_000_000))
    return Story(schedule, backend, record, rows, lives)


def schedule_id(schedule: Schedule) -> str:
    """The job's id: one for each schedule, as all share an archive."""
    return f"job-{schedule.seed}"


async def follow_script(
    server: Server, archive: AsyncArchive, record: RunRecord | None = None
) -> tuple[Life, RunRecord, list[LogRow]]:
    """Follow what a scripted server says, without any faults on the way."""
    async with memory_proxy(lambda _: Passage(), server) as (proxy, transport):
        life = Life(Diary(None), proxy.traces, random.Random(0))
        last = await _live(
            life,
            archive,
            _connection(transport),
            server.job["id"],
            record,
            replace(POLICY, jitter=0),
        )
        rows = await archive.read(lambda a: a.log(last.key, limit=1_000_000))
        return life, last, rows


def _connection(transport: httpx.AsyncBaseTransport) -> Connection:
    client = CloudApiClient(NOWHERE, bearer=BEARER, transport=transport)
    return Connection("cloud", NOWHERE, SCOPE, "anonymous", BEARER, None, client)


async def _live(
    life: Life,
    archive: AsyncArchive,
    connection: Connection,
    job_id: str,
    record: RunRecord | None,
    policy: ReconnectPolicy = POLICY,
) -> RunRecord:
    """One process of ours, until the run ends or it is killed; the run as archived then."""
    callbacks = [life.diary] if life.recipes else []
    trainer = Trainer.attach(job_id, callbacks=callbacks, connection=connection, policy=policy)
    monitor = RunMonitor(archive, trainer, record=record)
    if not life.recipes:
        before = record.events if record is not None else 0
        monitor.subscribe(lambda _: life.diary.count(_archived(monitor) - before))
    if record is not None:
        await monitor.load()
    life.killed = await _until_end_or_kill(monitor, life.diary)
    life.health = monitor.health
    life.problems = [problem.message for problem in monitor.problems]
    await connection.aclose()
    key = monitor.key
    final = await archive.read(lambda a: a.run(key))
    assert final is not None
    return final


def _archived(monitor: RunMonitor) -> int:
    return monitor.record.events if monitor.record is not None else 0


async def _until_end_or_kill(monitor: RunMonitor, diary: Diary) -> bool:
    """Whether it was killed."""
    follow = asyncio.create_task(monitor.follow())
    kill = asyncio.create_task(diary.full.wait())
    done, _ = await asyncio.wait(
        [follow, kill], timeout=TOO_LONG, return_when=asyncio.FIRST_COMPLETED
    )
    assert done, "it never ends"
    ended = follow.done()
    for task in (follow, kill):
        task.cancel()
    results = await asyncio.gather(follow, kill, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]
    return not ended


@dataclass(frozen=True)
class _Ways:
    """The ways from clients of ours to one backend."""

    server: Server
    tcp: bool

    @asynccontextmanager
    async def open(
        self, passages: Callable[[int], Passage]
    ) -> AsyncIterator[tuple[Proxy, Connection]]:
        """One more, through a proxy of its own."""
        if self.tcp:
            port = int(self.server.url.rpartition(":")[2])
            async with tcp_proxy(passages, port) as (proxy, listening):
                url = f"http://127.0.0.1:{listening}"
                yield proxy, Connection("cloud", url, SCOPE, "anonymous", BEARER)
        else:
            async with memory_proxy(passages, self.server) as (proxy, transport):
                yield proxy, _connection(transport)


@asynccontextmanager
async def _ways(backend: Backend, tcp: bool) -> AsyncIterator[_Ways]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server()) if tcp else Server()
        backend.serve(server)
        server.job["id"] = schedule_id(backend.schedule)
        yield _Ways(server, tcp)
