"""Leaving the app, and stopping a run, while it trains."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from arkor_tui.api.scope import Scope
from arkor_tui.archive.store import Archive
from arkor_tui.tui.screens.live import LiveScreen
from arkor_tui.tui.widgets.dialogs import Confirm
from arkor_tui.tui.widgets.formfields import FieldInput
from tests.support.recorded_runs import app_on, fill, screen_text, settled
from tests.support.scripted import Answer, Stream
from tests.support.scripted_app import CANCEL, CANCELLED, RUNNING, Live, live_app
from tests.support.trainers import unconnected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive lies."""
    return tmp_path / "history.db"


async def workers(live: Live, group: str) -> None:
    """Wait for what was begun by a key."""
    wanted = [w for w in live.app.workers if w.group == group and not w.is_finished]
    await live.app.workers.wait_for_complete(wanted)
    await live.pilot.pause()


async def test_q_asks_and_stay_changes_nothing(path: Path) -> None:
    async with live_app(path) as live:
        await live.press("q")
        assert isinstance(live.app.screen, Confirm)
        text = screen_text(live.app)
        for words in ("triage-run is still training", "Leave running", "Cancel it", "Stay"):
            assert words in text
        await live.press("s")
        assert not isinstance(live.app.screen, Confirm)
        assert not live.app._exit
        assert live.monitor.following
        assert live.server.cancellations == []


async def test_leaving_is_the_first_answer_and_cancels_nothing(path: Path) -> None:
    async with live_app(path) as live:
        await live.press("q", "enter")
        assert live.app._exit
        assert live.server.cancellations == []
    with Archive.open(path) as archive:
        (run,) = archive.runs()
        assert (run.status, run.last_step) == ("running", 1)


async def test_a_run_that_is_being_submitted_is_not_left_without_a_question(path: Path) -> None:
    """r3: the backend has it already, and nothing would watch over it."""
    async with live_app(path) as live:
        live.server.creation = asyncio.Event()
        live.server.submitted.clear()
        starting = asyncio.create_task(live.app.session.start(unconnected()))
        await live.server.submitted.wait()
        await live.press("q")
        assert "A run is being submitted" in screen_text(live.app)
        await live.press("enter")
        assert not live.app._exit
        await live.press("q", "l")
        assert live.app._exit
        live.server.creation.set()
        await starting


async def test_a_run_that_is_being_submitted_is_not_started_again(path: Path) -> None:
    """r1: two would be paid for, and the first would have nobody who watches."""
    async with live_app(path) as live:
        live.server.creation = asyncio.Event()
        live.server.submitted.clear()
        before = len(live.server.creations)
        await live.press("2")
        await settled(live.app, live.pilot)
        for name in ("name", "model", "dataset"):
            live.app.screen.query_one(f"#field-{name}", FieldInput).value = "another/one"
        await settled(live.app, live.pilot)
        await live.press("ctrl+s")
        assert isinstance(live.app.screen, Confirm)
        await live.press("enter")
        await live.server.submitted.wait()
        await live.press("ctrl+s")
        assert not isinstance(live.app.screen, Confirm)
        assert "is being submitted" in live.told
        live.server.creation.set()
        await workers(live, "start")
        assert len(live.server.creations) == before + 1


async def test_escape_stays(path: Path) -> None:
    async with live_app(path) as live:
        await live.press("q", "escape")
        assert not live.app._exit
        assert live.monitor.following


async def test_cancel_leaves_once_the_backend_has_confirmed(path: Path) -> None:
    async with live_app(path) as live:
        live.server.answers["GET /v1/jobs/job-1"] = [RUNNING, CANCELLED]
        await live.press("q", "c")
        await workers(live, "quit")
        assert live.app._exit
        assert len(live.server.cancellations) == 1
        assert live.monitor.cancel_state.phase == "confirmed"


async def test_a_refused_cancel_keeps_the_app_open_and_tells_the_truth(path: Path) -> None:
    async with live_app(path) as live:
        live.server.answers[CANCEL] = Answer(500, {"error": "no scheduler"})
        await live.press("q", "c")
        await workers(live, "quit")
        assert not live.app._exit
        assert "no scheduler" in live.told
        assert "The job is running" in live.told


async def test_ctrl_c_asks_too_and_a_second_one_does_not_lose_the_answer(path: Path) -> None:
    async with live_app(path) as live:
        await live.press("ctrl+c")
        assert isinstance(live.app.screen, Confirm)
        await live.press("ctrl+c")
        assert len([s for s in live.app.screen_stack if isinstance(s, Confirm)]) == 1
        await live.press("l")
        await workers(live, "quit")
        assert live.app._exit


async def test_a_run_of_another_project_is_named_with_it_and_how_to_follow_it_works(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`latest` would be another run there: the job id is given."""
    async with live_app(path) as live:
        connection = live.app.session.connection
        assert connection is not None
        live.app.session.connection = replace(connection, scope=Scope("local", "elsewhere"))
        left: list[str] = []
        monkeypatch.setattr(live.app, "exit", lambda *, message: left.append(str(message)))
        await live.press("q")
        assert "triage-run (of demo) is still training" in screen_text(live.app)
        await live.press("l")
        await workers(live, "quit")
    (message,) = left
    assert "triage-run (of demo) trains on" in message
    assert "`arkor-tui attach job-1`" in message


async def test_the_no_of_the_cancel_question_has_the_focus(path: Path) -> None:
    async with live_app(path) as live:
        await live.press("3", "c")
        assert isinstance(live.app.screen, Confirm)
        await live.press("enter")
        assert isinstance(live.app.screen, LiveScreen)
        assert live.server.cancellations == []


async def test_cancelling_is_asked_once_and_ends_with_the_backend_s_word(path: Path) -> None:
    async with live_app(path) as live:
        taken = asyncio.Event()
        live.server.answers[CANCEL] = Stream((taken, b'{"ok": true}'), "application/json")
        live.server.answers["GET /v1/jobs/job-1"] = [RUNNING, CANCELLED]
        await live.press("3", "c", "y")
        await live.server.asked_for("/cancel")
        await live.press("c")
        assert isinstance(live.app.screen, LiveScreen)  # no second question
        assert "being cancelled" in live.told
        assert "cancelling: asking" in screen_text(live.app)
        assert "Cancelled:" not in live.told  # nobody has confirmed anything yet
        taken.set()
        await workers(live, "cancel")
        assert "Cancelled: The backend says that the run is cancelled." in live.told
        assert len(live.server.cancellations) == 1


async def test_a_cancel_that_is_refused_is_told_on_live(path: Path) -> None:
    async with live_app(path) as live:
        live.server.answers[CANCEL] = Answer(500, {"error": "no scheduler"})
        await live.press("3", "c", "y")
        await workers(live, "cancel")
        assert "Not cancelled" in live.told
        text = " ".join(screen_text(live.app).split())
        assert "The backend refused to cancel: no scheduler" in text


async def test_without_a_run_cancel_asks_nothing(path: Path) -> None:
    from tests.support.recorded_runs import app_on, press

    async with app_on(path) as (app, pilot):
        await press(app, pilot, "escape", "3", "c")
        assert isinstance(app.screen, LiveScreen)
        assert "No run is open" in screen_text(app)


async def test_a_view_that_is_asked_for_while_the_app_ends_is_not_made(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, _):
        app.exit()
        app.action_view("console")
        assert list(app._screen_stacks) == ["runs"]


async def test_a_list_that_comes_after_the_end_is_not_shown(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        screen = app.screen
        await screen.query("*").remove()  # as when the app is closing
        await screen.load().wait()  # type: ignore[attr-defined]
        await pilot.pause()
