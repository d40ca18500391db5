"""Runs as a backend would have recorded them, and an app over them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.screen import ModalScreen

from arkor_tui.api.jobs import Job
from arkor_tui.archive.records import LIVE_STATUSES, NewEvent, RunIdentity
from arkor_tui.archive.store import Archive
from arkor_tui.config.settings import Settings
from arkor_tui.session.session import Session
from arkor_tui.terminal import Capabilities
from arkor_tui.tui.app import ArkorApp

HOSTILE = "\x1b]0;owned\x07[b]evil[/b]\u202egnp\x9b31m"
CONFIG = {
    "model": "arkor-tui/tiny",
    "datasetSource": {"type": "huggingface", "name": "arkorlab/triage-demo"},
    "maxSteps": 100, "loraR": 16, "loraAlpha": 32, "learningRate": 0.01, "batchSize": 16,
}  # fmt: skip


def time_of(step: int) -> str:
    """A fixed time for a step."""
    return f"2026-03-01T10:{step // 60:02}:{step % 60:02}.000Z"


def event(kind: str, step: int | None = None, **fields: Any) -> tuple[str, int | None, str]:
    """Kind, step and JSON of an event."""
    data = {"type": kind, "jobId": "job", "timestamp": time_of(step or 0), **fields}
    if step is not None:
        data["step"] = step
    return kind, step, json.dumps(data)


def triage_events() -> list[tuple[str, int | None, str]]:
    """A whole run of a hundred steps, with a spike at 40 and a gap at 60."""
    events = [event("training.started")]
    for step in range(5, 101, 5):
        loss: float | None = round(4.5 / step * 5 + (3.0 if step == 40 else 0.0), 4)
        if step == 60:
            loss = None
        fields = {"loss": loss, "learningRate": 0.01, "epoch": step / 45, "samplesPerSecond": 80}
        if step % 25 == 0:
            fields["evalLoss"] = round(5.0 / step, 4)
        events.append(event("training.log", step, **fields))
        if step % 25 == 0:
            events.append(event("checkpoint.saved", step))
    events.append(event("training.completed", artifacts=[1, 2, 3]))
    return events


def add_run(
    archive: Archive,
    name: str,
    events: list[tuple[str, int | None, str]],
    *,
    status: str = "completed",
    job_id: str = "",
    backend: str = "local",
    **config: Any,
) -> int:
    """Archive a run; returns its key."""
    job_id = job_id or f"job_{name[:20]}"
    job = Job.model_validate(
        {
            "id": job_id, "orgId": "o", "projectId": "p", "name": name, "status": status,
            "config": {**CONFIG, **config}, "createdAt": time_of(0), "startedAt": time_of(1),
            "completedAt": None if status in LIVE_STATUSES else time_of(100),
        }
    )  # fmt: skip
    key = archive.register(RunIdentity(backend, "local", "demo-project", job_id), job)
    archive.append(
        key,
        [
            NewEvent(str(n), kind, step, time_of(step or 0), data)
            for n, (kind, step, data) in enumerate(events, 1)
        ],
    )
    return key


def fill(path: Path) -> dict[str, int]:
    """Three runs: a good one, a hostile failed one, a cancelled one."""
    with Archive.open(path) as archive:
        good = add_run(archive, "triage-run", triage_events())
        bad_events = [
            event("training.started"),
            event("training.log", 1, loss=None, nonFinite={"loss": "nan"}),
            event("training.failed", 2, error=f"boom {HOSTILE}"),
        ]
        bad = add_run(archive, HOSTILE, bad_events, status="failed", job_id="job_bad")
        half = triage_events()[:6]
        cancelled = add_run(archive, "other-run", half, status="cancelled", loraR=8)
    return {"good": good, "bad": bad, "cancelled": cancelled}


@asynccontextmanager
async def app_on(
    path: Path,
    *,
    size: tuple[int, int] = (120, 36),
    settings: Settings | None = None,
    theme: str | None = None,
    toasts: bool = False,
) -> AsyncIterator[tuple[ArkorApp, Pilot[None]]]:
    """The app on an archive, with no backend that could be reached."""
    async with Session.open(Path.cwd(), "local", archive_path=path) as session:
        app = ArkorApp(session, settings=settings, theme=theme, capabilities=Capabilities())
        async with app.run_test(size=size, notifications=toasts) as pilot:
            await settled(app, pilot)
            yield app, pilot


async def settled(app: ArkorApp, pilot: Pilot[None]) -> None:
    """Until no worker runs and everything is drawn; a worker may wait for a dialog's answer."""
    for _ in range(3):
        while _busy(app):
            await pilot.pause()
        await pilot.pause()


def _busy(app: ArkorApp) -> bool:
    running = [worker for worker in app.workers if not worker.is_finished]
    if isinstance(app.screen, ModalScreen):  # what is below may wait for it
        running = [w for w in running if w.node is not app and w.node.screen is app.screen]
    return bool(running)


async def resize(app: App[None], pilot: Pilot[None], columns: int, rows: int) -> None:
    """Another size, until the view is laid out for it: Textual waits a moment for more sizes."""
    await pilot.resize_terminal(columns, rows)
    assert await _comes(pilot, lambda: app.screen.outer_size == (columns, rows))
    await pilot.pause()


async def wait_for(app: ArkorApp, pilot: Pilot[None], *texts: str) -> None:
    """Until the screen shows all of these; one that is drawn in parts may show some before."""

    def missing() -> list[str]:
        shown = screen_text(app)
        return [text for text in texts if text not in shown]

    if not await _comes(pilot, lambda: not missing()):
        raise AssertionError(f"{missing()} did not appear in\n{screen_text(app)}")


async def _comes(pilot: Pilot[None], condition: Callable[[], bool]) -> bool:
    for _ in range(400):
        await pilot.pause(0.01)
        if condition():
            return True
    return False


async def press(app: ArkorApp, pilot: Pilot[None], *keys: str) -> None:
    """Press keys one after the other, as a person does."""
    for key in keys:
        await pilot.press(key)
        await settled(app, pilot)


def screen_text(app: ArkorApp) -> str:
    """What is on screen, row by row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)
