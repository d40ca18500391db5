"""What the list of runs says where there is little room, or nothing to list."""

from __future__ import annotations

from pathlib import Path

import pytest

from arkor_tui.archive.store import Archive
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.screens.compare import CompareScreen
from arkor_tui.tui.screens.runs import RunsScreen
from arkor_tui.tui.screens.welcome import WelcomeScreen
from arkor_tui.tui.widgets.help import HelpScreen
from arkor_tui.tui.widgets.runtable import RunTable
from tests.support.recorded_runs import add_run, app_on, fill, press, screen_text, triage_events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


async def test_an_empty_list_says_why_it_is_empty(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "slash", *"wombat", "enter")
        assert "no run holds these words" in screen_text(app)
        await press(app, pilot, "escape", "f")
        text = screen_text(app)
        assert "no run is running" in text
        assert "no runs yet" not in text


async def test_tags_and_dry_runs_are_seen_in_a_narrow_terminal(path: Path) -> None:
    with Archive.open(path) as archive:
        add_run(archive, "short-one", triage_events()[:3], dryRun=True)
    async with app_on(path, size=(80, 24), toasts=True) as (app, pilot):
        assert "short-one dry run" in screen_text(app)
        await press(app, pilot, "t", *"good x", "enter")
        assert any("short-one: #good #x" in n.message for n in app._notifications)
        await press(app, pilot, "n", *"why", "enter")
        assert any("note: why" in n.message for n in app._notifications)
    with Archive.open(path) as archive:
        (run,) = archive.runs()
        archive.set_tags(run.key, ["ok"])
    async with app_on(path, size=(200, 50)) as (app, _):
        row = next(line for line in screen_text(app).splitlines() if "short-one" in line)
        assert row.count("#ok") == 1  # there it has a column


async def test_tags_may_have_commas_between_them_and_are_found_by_their_sign(path: Path) -> None:
    """s4: ``lowlr, #test`` are two tags, and ``#lowlr`` finds the run."""
    with Archive.open(path) as archive:
        run = add_run(archive, "tagged", triage_events()[:3])
        add_run(archive, "other", triage_events()[:3])
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "slash", *"tagged", "enter", "t", *"lowlr, #test", "enter")
        await press(app, pilot, "slash", "ctrl+u", *"#lowlr", "enter")
        assert app.screen.query_one(RunTable).count == 1
    with Archive.open(path) as archive:
        tagged = archive.run(run)
    assert tagged is not None
    assert tagged.tags == ("lowlr", "test")


async def test_help_works_on_the_welcome_too(path: Path) -> None:
    async with app_on(path) as (app, pilot):
        assert isinstance(app.screen, WelcomeScreen)
        await press(app, pilot, "question_mark")
        assert isinstance(app.screen, HelpScreen)
        assert "look around" in screen_text(app)
        await press(app, pilot, "escape", "escape")
        assert isinstance(app.screen, RunsScreen)


def last_told(app: ArkorApp) -> str:
    return [n.message for n in app._notifications][-1]


async def test_what_a_filter_hides_is_not_deleted(path: Path) -> None:
    fill(path)
    async with app_on(path, toasts=True) as (app, pilot):
        await press(app, pilot, "space", "slash", *"zzzz", "enter", "d")
        assert not app._notifications
        await press(app, pilot, "escape")
        table = app.screen.query_one(RunTable)
        assert table.count == 3
        assert len(table.chosen) == 1  # it is marked still, and acted on where it is listed
        # another one is listed: it is under the cursor, and so the one that goes
        await press(app, pilot, "slash", *"triage-run", "enter", "d")
        assert table.count == 0
        await press(app, pilot, "escape")
        assert table.count == 2
        assert len(table.chosen) == 1
        await press(app, pilot, "d")
        assert table.count == 1
        assert not table.chosen


async def test_what_a_filter_hides_is_not_compared(path: Path) -> None:
    fill(path)
    async with app_on(path, toasts=True) as (app, pilot):
        await press(app, pilot, "space", "space", "slash", *"triage-run", "enter", "c")
        assert "Mark two to four runs" in last_told(app)
        await press(app, pilot, "escape", "c")
        assert isinstance(app.screen, CompareScreen)


async def test_what_came_back_is_told(path: Path) -> None:
    fill(path)
    async with app_on(path, toasts=True) as (app, pilot):
        await press(app, pilot, "u")
        assert "nothing to bring back" in last_told(app)
        await press(app, pilot, "slash", *"triage-run", "enter", "d", "u")
        assert last_told(app) == "Brought back triage-run."
        await press(app, pilot, "escape", "space", "space", "d")
        await press(app, pilot, "slash", *"triage-run", "enter", "u")
        assert last_told(app).startswith("Brought back 2 runs. The filter hides ")
        await press(app, pilot, "escape")
        assert app.screen.query_one(RunTable).count == 3
