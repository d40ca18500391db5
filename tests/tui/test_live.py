"""What Live says of itself, and finding one's way in its panes."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from arkor_tui.api.reconnect import StreamState
from arkor_tui.archive.records import RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.ended import Ended
from arkor_tui.session.monitor import RunMonitor
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.host import StatusInfo
from arkor_tui.tui.screens.console import ConsoleScreen
from arkor_tui.tui.widgets.checkpoints import CheckpointList
from arkor_tui.tui.widgets.eventlog import EventLog
from arkor_tui.tui.widgets.logpane import LogPane
from arkor_tui.tui.widgets.paged import marked
from arkor_tui.tui.widgets.status import StatusLine
from tests.support.frames import checkpoint
from tests.support.recorded_runs import (
    add_run,
    app_on,
    event,
    fill,
    press,
    resize,
    screen_text,
    settled,
    triage_events,
    wait_for,
)
from tests.support.scripted_app import live_app, until
from tests.support.snapshot_views import opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def title(app: ArkorApp) -> str:
    return str(app.screen.query_one("#log-title", Static).render())


def in_view(log: EventLog) -> bool:
    return log.scroll_offset.y <= log.cursor < log.scroll_offset.y + log.size.height


async def test_what_was_found_is_shown_counted_and_marked(path: Path) -> None:
    fill(path)
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await opened("triage-run", "v", "v", "g")(app, pilot)  # checkpoints only
        log = app.screen.query_one(EventLog)
        assert log.count == 4
        await press(app, pilot, "slash", *"checkpoint", "enter")
        assert log.current is not None
        assert log.current.step == 100
        assert in_view(log)
        assert "“checkpoint”: 4 found" in title(app)
        row = log.render_line(log.cursor - log.scroll_offset.y)
        assert any(s.text == "checkpoint" and s.style and s.style.reverse for s in row)
        await press(app, pilot, "N")
        assert log.current.step == 75
        await press(app, pilot, "V", "V")  # only those, and all again: the same event
        assert log.current is not None
        assert log.current.step == 75
        assert in_view(log)


async def test_a_search_for_what_is_nowhere_says_so(path: Path) -> None:
    fill(path)
    async with app_on(path, toasts=True) as (app, pilot):
        await opened("triage-run", "slash", *"wombat", "enter")(app, pilot)
        assert any("No event holds “wombat”" in n.message for n in app._notifications)
        assert "0 found" in title(app)


def test_matches_are_split_off_in_any_case_and_nothing_is_lost() -> None:
    parts = [("A checkpoint, a Checkpoint", "x"), ("none", "")]
    found = marked(parts, "CHECK")
    assert [text for text, name in found if name == "paged--match"] == ["check", "Check"]
    assert "".join(text for text, _ in found) == "".join(text for text, _ in parts)
    assert marked(parts, "") == parts
    assert marked([("a.b", "")], ".")[1] == (".", "paged--match")


@pytest.mark.parametrize("status", ["queued", "running", "cancelled"])
async def test_an_empty_chart_says_what_it_waits_for(path: Path, status: str) -> None:
    with Archive.open(path) as archive:
        begun = [] if status == "queued" else [event("training.started")]
        add_run(archive, "young", begun, status=status, loggingSteps={"steps": 5}, dryRun=True)
    said = {
        "queued": "loads the model first",
        "running": "the first loss comes with step 5",
        "cancelled": "no loss was logged",
    }
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await opened("young")(app, pilot)
        text = screen_text(app)
        assert said[status] in text
        assert "dry run" in text.splitlines()[0]


async def test_help_names_the_keys_of_the_panes_beside_and_how_to_get_there(path: Path) -> None:
    fill(path)
    async with app_on(path, size=(200, 50)) as (app, pilot):
        await opened("triage-run", "question_mark")(app, pilot)
        text = screen_text(app)
        assert "The pane in focus: the log" in text
        assert "The chart (tab goes there)" in text
        assert "next spike" in text
        await press(app, pilot, "escape", "tab", "tab")
        assert isinstance(app.screen.focused, LossChart)
        await press(app, pilot, "question_mark")
        assert "The pane in focus: the chart" in screen_text(app)
        assert "The log (tab goes there)" in screen_text(app)


async def test_the_details_of_a_narrow_terminal_take_the_focus_and_give_it_back(
    path: Path,
) -> None:
    fill(path)
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await opened("triage-run", "tab")(app, pilot)
        assert isinstance(app.screen.focused, LossChart)
        await press(app, pilot, "t")
        assert isinstance(app.screen.focused, CheckpointList)
        assert "loss" in screen_text(app).splitlines()[2]
        await press(app, pilot, "t")
        assert isinstance(app.screen.focused, LossChart)
        await settled(app, pilot)
        assert app.screen.query_one(LogPane).display


async def test_live_opens_the_newest_run_where_none_was_chosen(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "3")
        await settled(app, pilot)
        text = screen_text(app)
        assert "No run is open" not in text
        assert "other-run" in text.splitlines()[0]
        await press(app, pilot, "y")
        assert any("Copied the event" in n.message for n in app._notifications)


async def test_the_palette_says_what_each_action_does(path: Path) -> None:
    fill(path)
    async with app_on(path, size=(120, 36)) as (app, pilot):
        await opened("triage-run", "ctrl+p", *"details")(app, pilot)
        await pilot.pause()
        await settled(app, pilot)
        assert "t · Show or hide checkpoints, guards and statistics" in screen_text(app)


async def test_a_theme_is_chosen_in_the_palette(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await pilot.press("ctrl+p", *"theme")
        await wait_for(app, pilot, "Change the current theme")
        await press(app, pilot, "enter")
        await pilot.press(*"colour")
        await wait_for(app, pilot, "colour-blind")
        await press(app, pilot, "enter")
        assert (app.theme, len(app.screen_stack)) == ("colour-blind", 1)


@pytest.mark.parametrize("saved", [True, False])
async def test_a_run_that_failed_says_what_can_be_done_with_it(path: Path, saved: bool) -> None:
    events = triage_events()[: 7 if saved else 2]
    with Archive.open(path) as archive:
        add_run(archive, "bad", [*events, event("training.failed", 31, error="boom")],
                status="failed")  # fmt: skip
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await press(app, pilot, "enter")
        text = screen_text(app)
        assert "The run failed: boom" in text
        assert ("can still be talked to: press i" in text) is saved
        assert ("saved no checkpoint" in text) is not saved
        if not saved:  # what is said is so
            await press(app, pilot, "1", "e")
            assert "from run bad" in screen_text(app)


async def under_way(
    app: ArkorApp, pilot: Pilot[None], state: StreamState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open a run that trains, as far as the app can tell, with its stream in a state."""

    async def follow(monitor: RunMonitor, **_: bool) -> None:
        monitor.following, monitor.state = True, state
        monitor.state_since = time.monotonic()

    monkeypatch.setattr(app.session, "follow", follow)
    await press(app, pilot, "enter")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (StreamState("reconnecting", 12, delay=90.0), "reconnecting 12, in (90|8[0-9]) s"),
        (StreamState("live"), "live"),
        (StreamState("connecting"), "connecting"),
    ],
)
async def test_how_the_stream_is_wins_over_the_numbers(
    path: Path, monkeypatch: pytest.MonkeyPatch, state: StreamState, said: str
) -> None:
    with Archive.open(path) as archive:
        add_run(archive, "bot", triage_events()[:16], status="running", maxSteps=20_000)
    monkeypatch.setattr(RunRecord, "duration", property(lambda _: 50_000.0))
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await under_way(app, pilot, state, monkeypatch)
        row = screen_text(app).splitlines()[1]
        assert re.search(f"{said}$", row.rstrip())
        assert "step 65/20000 0%  loss " in row
        await resize(app, pilot, 120, 36)
        row = screen_text(app).splitlines()[1]
        assert re.search(f"{said}$", row.rstrip())
        assert "eval 0.1000  13:53:20  eta" in row


LONG = "a-run-whose-name-says-all-of-its-settings-" + "x" * 29


async def test_a_long_name_leaves_room_for_the_status_and_the_model(path: Path) -> None:
    with Archive.open(path) as archive:
        add_run(archive, LONG, triage_events())
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await press(app, pilot, "enter")
        row = screen_text(app).splitlines()[0]
        assert row.startswith(" a-run-whose-name-says")
        assert "…  ✓ completed  arkor-tui/tiny · arkorlab/triage-demo" in row
        await resize(app, pilot, 140, 30)
        await wait_for(app, pilot, f"{LONG}  ✓ completed  arkor-tui/tiny · arkorlab/triage-demo")
        await press(app, pilot, "4")
        assert "settin… · final · temperature 0 · max" in screen_text(app).splitlines()[0]
        await resize(app, pilot, 80, 24)
        await wait_for(app, pilot, "… · final · temperature 0 · max 200 tokens")


@pytest.mark.parametrize("name", [LONG, "名前" * 20, "short"], ids=["long", "wide", "short"])
async def test_a_long_name_leaves_room_in_the_status_line(path: Path, name: str) -> None:
    fill(path)
    async with app_on(path, size=(80, 24)) as (app, pilot):
        line = app.screen.query_one(StatusLine)
        for width, stream in ((80, "idle for 12 s"), (120, "reconnecting 12, in 30 s")):
            await resize(app, pilot, width, 24)
            line.show(
                StatusInfo("console", "local", "demo", "me", stream, "warn", f"● {name}",
                           "10/100 loss 1.5000 eta 0:10", 1)
            )  # fmt: skip
            text = line.render_line(0).text
            assert f" {stream} " in text
            assert text.rstrip().endswith("10/100 loss 1.5000 eta 0:10  +1 more")
            assert f"● {name[:2]}" in text
            assert ("…" in text) is (name != "short")


async def test_the_spread_of_one_value_is_not_known(path: Path) -> None:
    with Archive.open(path) as archive:
        add_run(archive, "young", triage_events()[:2], status="cancelled")
        add_run(archive, "older", triage_events()[:3], status="cancelled")
    async with app_on(path) as (app, pilot):
        await opened("young")(app, pilot)
        text = screen_text(app)
        assert "n 1   mean 4.5000 ± – (95 %)" in text
        assert "variance –   std –" in text
        await opened("older")(app, pilot)
        assert "variance 2.5312   std 1.5910" in screen_text(app)


async def test_the_offer_of_a_checkpoint_goes_once_it_is_taken(path: Path) -> None:
    async with live_app(path, checkpoint(1), asyncio.Event()) as live:
        await live.press("3")
        live.gate.set()
        await until(live.monitor, lambda: "is ready: press i" in live.told)
        live.app.notify("Something else.", timeout=60)
        await live.press("i")
        await settled(live.app, live.pilot)
        assert isinstance(live.app.screen, ConsoleScreen)
        assert "is ready" not in live.told
        assert "Something else." in live.told


async def test_a_guard_that_stopped_a_run_is_named_on_live_and_in_runs(path: Path) -> None:
    """r16: which guard, where and why, and no older loss as the last one."""
    odd = event("training.log", 12, loss=None, nonFinite={"loss": "nan"})
    with Archive.open(path) as archive:
        events = [event("training.started"), event("training.log", 11, loss=0.5), odd]
        key = add_run(archive, "guarded", events, status="cancelled")
        guard = Ended("guard", "the loss is not a number", "non-finite", 12, 10)
        archive.set_end(key, "cancelled", "Job cancelled", guard)
    async with app_on(path, size=(160, 40)) as (app, pilot):
        await wait_for(app, pilot, str(guard), "loss NaN at step 12")
        await press(app, pilot, "enter")
        await wait_for(app, pilot, str(guard), "loss NaN at step 12")
        ended = await app.session.runs.get(key)
        assert ended is not None
        app.announcer.tell_end(ended)
        await pilot.pause()
        told = f"guarded: cancelled, loss NaN at step 12. {guard}"
        assert told in [toast.message for toast in app._notifications]
