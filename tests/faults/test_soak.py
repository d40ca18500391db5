"""A long run in little time: memory, open files, threads and tasks stay as they are.

``ARKOR_TUI_TEST_SOAK`` is the run's length in seconds of its own time (3600 is the full hour); it
has 100 events a second and loses its connection every other second, in turn in each of the ways in
which that happens. Real sockets, real archive, virtual time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from weakref import ReferenceType

import pytest

from arkor_tui import Callback, LogContext, Trainer
from arkor_tui.api.dedup import SeenIds
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.session.monitor import RunMonitor
from tests.support import fault_clock as clock
from tests.support.amounts import amount, patience
from tests.support.frames import END, PING, completed, log, started
from tests.support.scripted import (
    DROP,
    JOB_ID,
    Answer,
    Reply,
    Request,
    Server,
    Step,
    Stream,
    running_server,
)

SECONDS = amount("SOAK", 40, 600)
RATE = 100  # events a second
STAY = 2  # seconds of a connection
EVENTS = SECONDS * RATE
SAMPLES = 20  # evenly over the run, each in the middle of a connection
GRACE = 0.001  # real seconds for bytes on their way through the kernel

pytestmark = pytest.mark.timeout(patience(180 + SECONDS))


@dataclass(frozen=True)
class Sample:
    """What this process holds, in the middle of a connection."""

    events: int
    connections: int
    traced: int
    """Bytes of Python's, without those that grow with the run by intent: its metric series, and
    eight for each event that was seen."""
    resident: int
    objects: int
    """Without weak references, of which CPython's caches now have more and now less."""
    files: tuple[str, ...]
    threads: int
    tasks: tuple[str, ...]

    @property
    def figures(self) -> str:
        return (
            f"{self.events:>7} events, {self.connections:>4} connections: {self.traced:>9} bytes,"
            f" {self.objects} objects, {self.resident >> 20} MiB resident,"
            f" {len(self.files)} files, {self.threads} threads, {len(self.tasks)} tasks"
        )

    @classmethod
    def take(cls, monitor: RunMonitor, events: int) -> Sample:
        gc.collect()
        parts = [
            getattr(series, name)
            for series in monitor.series.values()
            for name in type(series).__slots__
            if not name.startswith("__")
        ]
        parts += [one._hashes for one in gc.get_objects() if isinstance(one, SeenIds)]
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            events=events,
            connections=monitor.trainer.counters.connections,
            traced=tracemalloc.get_traced_memory()[0] - sum(map(sys.getsizeof, parts)),
            resident=pages * os.sysconf("SC_PAGE_SIZE"),
            objects=sum(not isinstance(one, ReferenceType) for one in gc.get_objects()),
            files=_files(),
            threads=threading.active_count(),
            tasks=tuple(sorted(task.get_coro().__qualname__ for task in asyncio.all_tasks())),  # type: ignore[union-attr]
        )


def _files() -> tuple[str, ...]:
    """What is open, without numbers that differ from socket to socket."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(sys.intern(os.readlink(entry).partition("[")[0]))
        except OSError:  # the listing's own
            continue
    return tuple(sorted(found))


class Watcher(Callback):
    """Takes samples, and keeps nothing else."""

    def __init__(self) -> None:
        self.monitor: RunMonitor | None = None
        self.samples: list[Sample] = []
        self.heard = 0

    def on_log(self, ctx: LogContext) -> None:
        self.heard += 1
        assert ctx.step == self.heard
        connections, place = divmod(ctx.step, RATE * STAY)
        if place == RATE * STAY // 2 and connections % (SECONDS // STAY // SAMPLES) == 0:
            assert self.monitor is not None
            self.samples.append(Sample.take(self.monitor, ctx.step))


class Run:
    """The backend's side: a second's events in one piece, each piece at its second."""

    def __init__(self, server: Server) -> None:
        self.second = asyncio.Event()
        self._server = server
        self._openings = 0
        server.feed = self.answer

    async def go_on(self) -> None:
        """Let the seconds pass."""
        while True:
            await asyncio.sleep(1.0)
            self.second.set()
            self.second.clear()

    def answer(self, request: Request) -> Reply:
        self._server.requests.clear()
        self._openings += 1
        if self._openings % 7 == 6:
            return Answer(503, {"error": "a new version comes up"})
        first = int(request.headers.get("last-event-id", 0))
        steps: list[Step] = [started("0")] if first == 0 else []
        until = min(first + STAY * RATE, EVENTS)
        for start in range(first, until, RATE):
            numbers = range(start + 1, min(start + RATE, until) + 1)
            steps += [PING, self.second, b"".join(log(n, str(n), **_numbers(n)) for n in numbers)]
        if until == EVENTS:
            steps += [completed(str(EVENTS + 1)), END]
        elif self._openings % 7 == 1:
            steps += [log(until + 1, str(until + 1))[:40], DROP]
        elif self._openings % 7 in (2, 4):
            steps += [DROP]
        elif self._openings % 7 == 3:
            steps += [asyncio.Event()]  # silence, until the watchdog barks
        return Stream(tuple(steps))


def _numbers(step: int) -> dict[str, float | None]:
    return {
        "evalLoss": 1.0 if step % 50 == 0 else None,
        "learningRate": 1e-4,
        "epoch": step / 1000,
        "samplesPerSecond": 8.0,
    }


@asynccontextmanager
async def task(coroutine) -> AsyncIterator[None]:  # type: ignore[no-untyped-def]
    """Work that ends with the block."""
    work = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def soak(folder: Path) -> list[Sample]:
    """The whole run, and what there was in the course of it."""
    watcher = Watcher()
    archive = await AsyncArchive.open(folder / "history.db")
    async with running_server() as server:
        run = Run(server)
        trainer = Trainer.attach(JOB_ID, callbacks=[watcher], connection=server.connection())
        monitor = watcher.monitor = RunMonitor(archive, trainer)
        monitor.subscribe(lambda _: None)
        async with task(run.go_on()):
            await monitor.follow()
        connection = await trainer.connection()
        await connection.aclose()
        assert monitor.problems == []
        assert monitor.record is not None
        assert (monitor.record.events, monitor.record.status) == (EVENTS + 2, "completed")
    await archive.aclose()
    assert watcher.heard == EVENTS
    assert asyncio.get_running_loop().time() >= SECONDS
    return watcher.samples


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_a_long_run_leaves_memory_files_and_tasks_as_they_are(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        samples = clock.run(soak(tmp_path), grace=GRACE)
    finally:
        tracemalloc.stop()
    for one in samples:
        print(one.figures)
    early, late = samples[SAMPLES // 4], samples[-1]
    assert late.connections - early.connections >= SECONDS // STAY // 2
    assert not Counter(late.files) - Counter(early.files)
    assert late.threads <= early.threads
    assert late.tasks == early.tasks
    # two objects kept for each connection, or half a pointer for each event, would be too much
    steady = samples[SAMPLES // 4 :]
    assert _growth(steady, "objects", "connections") < 2
    assert _growth(steady, "traced", "events") < 4


def _growth(samples: Sequence[Sample], figure: str, by: str) -> float:
    """How much more of a figure for each one more of another: the median over all pairs.

    A leak raises it. What comes and goes with the connections does not, nor what comes once, such
    as a step of CPython's table of interned strings, which is two megabytes when it grows.
    """
    return median(
        (getattr(later, figure) - getattr(earlier, figure))
        / (getattr(later, by) - getattr(earlier, by))
        for earlier, later in combinations(samples, 2)
    )
