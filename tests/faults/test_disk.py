"""A disk that is full for a while, or damaged: it is told, nothing is lost, and the app goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from arkor_tui.archive.store import Archive
from arkor_tui.session import monitor as run_module
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.screens.live import LiveScreen
from tests.e2e.test_app import Screen
from tests.support.amounts import patience
from tests.support.frames import checkpoint, completed, frame, log
from tests.support.recorded_runs import add_run, app_on, event, fill, press, screen_text
from tests.support.scripted_app import Live, live_app
from tests.tui.conftest import no_backend  # noqa: F401 - opening a live run would start one

DEADLINE = patience(60)  # seconds until what does not come is a failure


@pytest.fixture
def path(home: Path) -> Path:
    """Where the archive lies."""
    (home / "data").mkdir(mode=0o700)
    return home / "data" / "history.db"


async def until(live: Live, what: str, condition: Callable[[], bool]) -> None:
    """Let the app go on until ``condition`` holds."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await live.pilot.pause(0.01)
    except TimeoutError:
        screen = screen_text(live.app)
        raise AssertionError(f"{what!r} did not come:\n{screen}\n{live.told}") from None


async def shows(live: Live, text: str, there: bool = True) -> None:
    """Until the screen shows this, or no longer does."""

    def so() -> bool:
        return (text in " ".join(screen_text(live.app).split())) is there

    await until(live, text, so)


async def limit_pages(live: Live, spare: int) -> None:
    """Let SQLite itself say that there is no room for more than so many pages."""

    def limit(a: Archive) -> None:
        count = a.db.execute("PRAGMA page_count").fetchone()[0]
        a.db.execute(f"PRAGMA max_page_count = {count + spare}")

    await live.app.session.archive.write(limit)


async def test_a_full_disk_under_a_live_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "RETRY_SECONDS", 0.05)
    rest = b"".join(log(step, str(step + 1)) for step in range(2, 1_001))
    async with live_app(path, rest, checkpoint(1000, "1002"), completed("1003")) as live:
        await live.press("3")
        assert isinstance(live.app.screen, LiveScreen)
        await limit_pages(live, 0)
        live.gate.set()
        await shows(live, "Events cannot be archived")
        await shows(live, "Free some space there")
        await shows(live, "full")
        await limit_pages(live, 1_000_000)
        await until(live, "the end", lambda: not live.monitor.following)
        await shows(live, "Events cannot be archived", False)
        await shows(live, "completed")
        assert live.app.failure is None
    with Archive.open(path) as archive:
        (run,) = archive.runs()
        assert (run.status, run.last_step) == ("completed", 1000)
        assert [row.id for row in archive.log(run.key, limit=2_000)] == [
            str(number) for number in range(1, 1_004)
        ]


async def test_a_full_disk_of_the_backend(path: Path) -> None:
    waits = frame({"waits": "its events cannot be stored: disk is full"}, event="ping")
    go_on = asyncio.Event()
    # it waits at once after an event, which is written while the screen says so already
    rest = (log(2, "3"), waits, go_on, log(3, "4"), completed("5"))
    async with live_app(path, *rest) as live:
        await live.press("3")
        live.gate.set()
        await shows(live, "The run waits: its events cannot be stored: disk is full.")
        await shows(live, "Check the free space of the backend's disk")
        await shows(live, "waiting for 0 s")
        await until(live, "the event", lambda: live.monitor.record.last_step == 2)  # type: ignore[union-attr]
        assert isinstance(live.app.screen, LiveScreen)
        live.app.screen._show_header()  # as with the next second
        await shows(live, "The run waits: its events cannot be stored: disk is full.")
        go_on.set()
        await until(live, "the end", lambda: not live.monitor.following)
        await shows(live, "The run waits", False)
        assert live.monitor.problems == []


async def test_a_disk_that_stays_full_to_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaving is possible, and the next time the rest is asked of the backend."""
    monkeypatch.setattr(run_module, "RETRY_SECONDS", 0.05)
    rest = b"".join(log(step, str(step + 1)) for step in range(2, 1_001))
    async with live_app(path, rest, completed("1002")) as live:
        await limit_pages(live, 0)
        live.gate.set()
        problems = live.monitor.problems
        await until(
            live, "the problem", lambda: any("cannot be archived" in p.message for p in problems)
        )
        await live.press("q", "l")
        assert live.app._exit
    with Archive.open(path) as archive:
        (run,) = archive.runs()
        assert run.status == "running"
        rows = archive.log(run.key, limit=2_000)
        assert [row.id for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
        assert run.last_event_id == rows[-1].id


def damage(path: Path, marker: bytes) -> None:
    """Overwrite every page that holds some bytes; opening looks at none of them."""
    with Archive.open(path) as archive:
        archive.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = archive.db.execute("PRAGMA page_size").fetchone()[0]
    content = path.read_bytes()
    pages = [content[at : at + size] for at in range(0, len(content), size)]
    hit = [number for number, page in enumerate(pages) if number and marker in page]
    assert hit
    for number in hit:
        pages[number] = b"\xa5" * size
    path.write_bytes(b"".join(pages))


def overfull(path: Path) -> None:
    """More runs than fit on some pages."""
    fill(path)
    with Archive.open(path) as archive:
        for number in range(300):
            add_run(archive, f"run-{number:03}", [event("training.started")])


async def _use(app: ArkorApp, pilot: Pilot[None]) -> None:
    """Every view, and some keys of each."""
    keys = ("1", *["pagedown"] * 6, "G", "enter", "v", "escape", "1", "d", "u")
    for key in keys:
        await press(app, pilot, key)
        assert app.failure is None, key
        assert not app._exit, key


@pytest.mark.parametrize("marker", [b'"samplesPerSecond"', b"run-150"])
async def test_damage_that_shows_only_later(
    path: Path, marker: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    overfull(path)
    damage(path, marker)
    told: list[str] = []
    monkeypatch.setattr(ArkorApp, "notify", lambda _app, text, **_options: told.append(text))
    async with app_on(path) as (app, pilot):
        await _use(app, pilot)
        assert app.screen_stack
    assert sum("is damaged" in text and "a new one is begun" in text for text in told) == 1
    assert [file for file in os.listdir(path.parent) if "broken" in file] == []


@pytest.mark.parametrize("command", ["runs", "runs show run-150", "runs export run-150", "doctor"])
def test_commands_on_what_is_damaged(path: Path, command: str) -> None:
    overfull(path)
    damage(path, b"run-150")
    done = subprocess.run(
        [sys.executable, "-m", "arkor_tui", *command.split(), "--limit=1000"][
            : None if command.startswith("runs") else -1
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "is damaged" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "fault of arkor-tui" not in done.stderr
    assert [file for file in os.listdir(path.parent) if "broken" in file] == []


@pytest.mark.parametrize("command", ["runs", "runs delete x --yes", "replay x", "doctor", ""])
def test_an_archive_of_a_newer_version(path: Path, command: str) -> None:
    fill(path)
    with Archive.open(path) as archive:
        archive.db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    if command:
        done = subprocess.run(
            [sys.executable, "-m", "arkor_tui", *command.split()],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        code, said = done.returncode, done.stdout + done.stderr
    else:
        screen = Screen()
        code, said = screen.end(), " ".join(screen.text.split())
        screen.close()
    assert code == 1
    assert "newer version of arkor-tui" in said
    assert "pip install -U arkor-tui" in said
    assert "Traceback" not in said
    assert path.read_bytes() == before
    assert [file for file in os.listdir(path.parent) if "broken" in file] == []
