"""The app over a run that is live on a scripted server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from arkor_tui.session.monitor import RunMonitor
from arkor_tui.session.session import Session
from arkor_tui.terminal import Capabilities
from arkor_tui.tui.app import ArkorApp
from tests.support.frames import END, failed, log, started
from tests.support.recorded_runs import settled
from tests.support.scripted import JOB, Answer, Server, Step, running_server, stream
from tests.support.trainers import a_trainer

CANCEL = "POST /v1/jobs/job-1/cancel"
RUNNING = Answer(200, {"job": {**JOB, "status": "running"}})
CANCELLED = Answer(200, {"job": {**JOB, "status": "cancelled"}})


@dataclass
class Live:
    """An app with a run that trains until ``gate`` is set; then its stream ends."""

    app: ArkorApp
    pilot: Pilot[None]
    server: Server
    monitor: RunMonitor
    gate: asyncio.Event

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    @property
    def told(self) -> str:
        """Everything that toasts say."""
        return "\n".join(f"{n.title}: {n.message}" for n in self.app._notifications)


@asynccontextmanager
async def live_app(path: Path, *more: Step) -> AsyncIterator[Live]:
    """Open the app with one run that has logged a step and goes on, by default to its failure."""
    gate = asyncio.Event()
    async with running_server() as server:
        rest = more or (failed("Job cancelled", "3"),)
        server.script(stream(started("1"), log(1, "2"), gate, *rest, END))
        server.answers["GET /v1/jobs"] = Answer(200, {"jobs": [{**JOB, "status": "running"}]})
        server.answers["GET /v1/jobs/job-1"] = RUNNING
        async with Session.open(Path.cwd(), server.url, archive_path=path) as session:
            session.connection = server.connection()
            monitor = await session.monitors.start(a_trainer(server))
            await until(monitor, lambda: bool(monitor.series))
            app = ArkorApp(session, capabilities=Capabilities())
            async with app.run_test(size=(120, 36)) as pilot:
                await settled(app, pilot)
                yield Live(app, pilot, server, monitor, gate)


async def until(monitor: RunMonitor, reached: Callable[[], bool]) -> None:
    """Wait for an update after which this is so."""
    heard = asyncio.Event()
    leave = monitor.subscribe(lambda _: heard.set())
    try:
        while not reached():
            await heard.wait()
            heard.clear()
    finally:
        leave()
