"""What Live says of itself, and finding one's way in its panes."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from arkor_tui.history.archive import Archive
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.widgets.checkpoints import CheckpointList
from arkor_tui.tui.widgets.eventlog import EventLog
from arkor_tui.tui.widgets.logpane import LogPane
from arkor_tui.tui.widgets.paged import marked

from .recorded import add_run, app_on, event, fill, press, screen_text, settled, wait_for
from .views import opened


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
