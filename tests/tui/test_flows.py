"""What a person does in the app, key by key."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from arkor_tui.archive.store import Archive
from arkor_tui.config.settings import Settings
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.screens.compare import CompareScreen
from arkor_tui.tui.screens.console import ConsoleScreen, TargetList
from arkor_tui.tui.screens.live import LiveScreen
from arkor_tui.tui.screens.runs import RunsScreen
from arkor_tui.tui.screens.setup import SetupScreen
from arkor_tui.tui.screens.welcome import WelcomeScreen
from arkor_tui.tui.widgets.eventdetail import EventDetail
from arkor_tui.tui.widgets.eventlog import EventLog
from arkor_tui.tui.widgets.formfields import FieldInput
from arkor_tui.tui.widgets.help import HelpScreen
from arkor_tui.tui.widgets.runtable import RunTable
from arkor_tui.tui.widgets.talk import PromptArea
from tests.support.recorded_runs import app_on, fill, press, resize, screen_text, settled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive lies."""
    return tmp_path / "history.db"


async def test_an_empty_archive_is_greeted_and_esc_looks_around(path: Path) -> None:
    async with app_on(path) as (app, pilot):
        assert isinstance(app.screen, WelcomeScreen)
        text = screen_text(app)
        assert "Train here: Support triage" in text
        assert "No account and no GPU" in text
        await press(app, pilot, "escape")
        assert isinstance(app.screen, RunsScreen)
        assert "no runs yet" in screen_text(app)


async def test_a_load_that_overtakes_the_first_does_not_swallow_the_greeting(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunsScreen] = []
    is_new = RunsScreen._is_new

    async def overtaken(screen: RunsScreen) -> bool:
        asked.append(screen)
        if len(asked) == 1:
            screen.load()  # takes the place of the load that is asking
        return await is_new(screen)

    monkeypatch.setattr(RunsScreen, "_is_new", overtaken)
    async with app_on(path) as (app, _):
        assert isinstance(app.screen, WelcomeScreen)
        assert len(asked) >= 2  # the app's own second load may overtake, too


async def test_the_welcome_asks_before_it_writes(path: Path) -> None:
    async with app_on(path) as (app, pilot):
        await pilot.press("enter")
        await pilot.pause()
        assert "nothing is overwritten" in " ".join(screen_text(app).split())
        await pilot.press("n")
        await pilot.pause()
        assert not (Path.cwd() / "trainer.py").exists()


async def test_runs_are_filtered_sorted_and_narrowed_by_status(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        table = app.screen.query_one(RunTable)
        assert table.count == 3
        await press(app, pilot, "slash", *"other", "enter")
        assert table.count == 1
        assert table.current is not None
        assert table.current.name == "other-run"
        await press(app, pilot, "escape")
        assert table.count == 3
        await press(app, pilot, "f", "f", "f")
        assert table.current.status == "failed"
        await press(app, pilot, "f", "f", "s")
        assert "by name" in screen_text(app)
        assert [table.item(n).name for n in range(3)][1:] == ["other-run", "triage-run"]  # type: ignore[union-attr]


async def test_deleting_is_undone_by_u(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        table = app.screen.query_one(RunTable)
        await press(app, pilot, "d")
        assert table.count == 2
        await press(app, pilot, "u")
        assert table.count == 3


async def test_tags_and_notes_are_kept(path: Path) -> None:
    keys = fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "slash", *"triage-run", "enter")
        await pilot.press("t")
        await pilot.pause()
        await pilot.press(*"good base", "enter")
        await settled(app, pilot)
        await pilot.press("n")
        await pilot.pause()
        await pilot.press(*"ship it", "enter")
        await settled(app, pilot)
    with Archive.open(path) as archive:
        run = archive.run(keys["good"])
    assert run is not None
    assert (run.tags, run.note) == (("good", "base"), "ship it")


async def test_two_marked_runs_are_compared_with_their_differences(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "slash", *"run", "enter")
        await press(app, pilot, "space", "space", "c")
        assert isinstance(app.screen, CompareScreen)
        text = screen_text(app)
        assert "≠ loraR" in text
        assert "≠ batchSize" not in text
        await press(app, pilot, "escape")
        assert isinstance(app.screen, RunsScreen)


async def open_good(app: object, pilot: object) -> LiveScreen:
    await press(app, pilot, "slash", *"triage-run", "enter", "enter")  # type: ignore[arg-type]
    screen = app.screen  # type: ignore[attr-defined]
    assert isinstance(screen, LiveScreen)
    return screen


async def test_enter_opens_the_run_live(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        screen = await open_good(app, pilot)
        text = screen_text(app)
        assert "✓ completed" in text
        assert "step 100/100 100%" in text
        assert "◆ 100" in text
        assert "✓ training completed" in text
        assert screen.query_one(EventLog).count == 26


async def test_the_charts_keys_read_it(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        screen = await open_good(app, pilot)
        chart = screen.query_one(LossChart)
        chart.focus()
        await press(app, pilot, "right_square_bracket")
        assert chart.cursor == 25
        await press(app, pilot, "right_square_bracket", "left_square_bracket")
        assert chart.cursor == 25
        await press(app, pilot, "right_curly_bracket")
        assert chart.cursor == 40
        await press(app, pilot, "right_parenthesis")
        assert chart.cursor == 60
        await press(app, pilot, "o", "s")
        assert chart.log_y
        assert chart.smoothing == 0.6
        await press(app, pilot, "plus")
        assert chart.x_range is not None
        await press(app, pilot, "0")
        assert chart.x_range is None
        await press(app, pilot, "x")
        assert chart.x_axis == "epoch"


async def test_the_cursor_is_tied_to_the_log(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        screen = await open_good(app, pilot)
        chart, log = screen.query_one(LossChart), screen.query_one(EventLog)
        chart.focus()
        await press(app, pilot, "right_square_bracket")
        await settled(app, pilot)
        assert log.current is not None
        assert (log.current.kind, log.current.step) == ("training.log", 25)
        log.focus()
        await press(app, pilot, "up")
        assert chart.cursor == 20


async def test_the_log_is_searched_filtered_and_looked_into(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        screen = await open_good(app, pilot)
        log = screen.query_one(EventLog)
        await press(app, pilot, "slash", *"checkpoint.saved", "enter")
        assert log.current is not None
        assert (log.current.kind, log.current.step) == ("checkpoint.saved", 100)
        await press(app, pilot, "N")
        assert log.current.step == 75
        await press(app, pilot, "enter")
        assert isinstance(app.screen, EventDetail)
        assert '"type": "checkpoint.saved"' in screen_text(app)
        await press(app, pilot, "escape", "escape", "v", "v")
        assert log.count == 4


async def test_a_run_that_has_ended_is_not_cancelled_again(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await open_good(app, pilot)
        await pilot.press("c")
        await pilot.pause()
        assert any("has ended already" in n.message for n in app._notifications)


async def test_a_failed_run_says_why_and_nothing_hostile_is_on_screen(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "slash", *"failed", "enter", "enter")
        text = screen_text(app)
        assert "The run failed: boom" in text
        assert not any(c in text for c in "\x1b\x07\x9b\u202e")
        assert "[b]evil[/b]" in text  # shown as it is, not understood as markup


async def test_the_console_lists_what_can_be_talked_to_and_keys_are_typed(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await open_good(app, pilot)
        await press(app, pilot, "i")
        screen = app.screen
        assert isinstance(screen, ConsoleScreen)
        targets = screen.query_one(TargetList)
        assert [t.label for t in targets.targets] == [
            "base", "step 25", "step 50", "step 75", "step 100", "final",
        ]  # fmt: skip
        assert targets.current is not None
        assert targets.current.label == "final"
        prompt = screen.query_one(PromptArea)
        assert prompt.has_focus
        prompt.clear()
        await press(app, pilot, "left_square_bracket", "1", "q", "question_mark", "ctrl+j", "2")
        assert prompt.text == "[1q?\n2"
        assert isinstance(app.screen, ConsoleScreen)


async def test_a_prompt_without_a_backend_says_what_to_do(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await open_good(app, pilot)
        await press(app, pilot, "i")
        # nothing may be started from here: the backend is not installed as far as this app knows
        app.session.connection_for = _nowhere  # type: ignore[method-assign]
        await press(app, pilot, *"hi", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "no backend today" in screen_text(app)
    with Archive.open(path) as archive:
        assert archive.exchanges()[0].error == "no backend today"


async def _nowhere(_: object, **_options: bool) -> object:
    from arkor_tui.errors import ArkorTuiError

    raise ArkorTuiError("no backend today", hint="come back tomorrow")


async def test_setup_names_mistakes_beside_their_fields(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "2")
        screen = app.screen
        assert isinstance(screen, SetupScreen)
        field = screen.query_one("#field-lora_r", FieldInput)
        field.value = "zero"
        await pilot.pause()
        assert "a whole number" in str(screen.query_one("#wrong-lora_r", Static).render())
        field.value = "0"
        await pilot.pause()
        assert "at least 1" in str(screen.query_one("#wrong-lora_r", Static).render())
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, SetupScreen)  # nothing was started


async def test_rerun_fills_setup_in_from_the_run(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "slash", *"triage-run", "enter", "e")
        screen = app.screen
        assert isinstance(screen, SetupScreen)
        assert screen.query_one("#field-name", Input).value == "triage-run-2"
        assert screen.query_one("#field-lora_alpha", Input).value == "32"
        assert screen.query_one("#field-dataset", Input).value == "arkorlab/triage-demo"


async def test_setup_reads_the_trainer_file_of_the_folder(path: Path) -> None:
    from arkor_tui.starters.write import write_starter

    write_starter("triage", Path.cwd())
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "2")
        await settled(app, pilot)
        screen = app.screen
        assert screen.query_one("#field-model", Input).value == "arkor-tui/tiny"
        text = screen_text(app)
        assert "800 rows" in text
        assert "1 callback" in text


async def test_help_lists_the_real_keys_and_numbers_change_the_view(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "question_mark")
        assert isinstance(app.screen, HelpScreen)
        text = screen_text(app)
        assert "compare" in text
        assert "The pane in focus" in text
        await press(app, pilot, "escape", "3")
        assert isinstance(app.screen, LiveScreen)
        await press(app, pilot, "1")
        assert isinstance(app.screen, RunsScreen)


async def test_keys_of_ones_own_replace_ours_and_mistakes_are_told(path: Path) -> None:
    fill(path)
    settings = Settings(keys={"view.live": "f3", "live.nonsense": "x"})
    async with app_on(path, settings=settings) as (app, pilot):
        assert any("live.nonsense" in n.message for n in app._notifications)
        await press(app, pilot, "3")
        assert isinstance(app.screen, RunsScreen)
        await press(app, pilot, "f3")
        assert isinstance(app.screen, LiveScreen)


async def test_q_leaves_at_once_when_nothing_runs(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert app._exit


async def test_a_tiny_terminal_gets_a_message_and_keeps_the_view(path: Path) -> None:
    fill(path)

    def words() -> str:
        return " ".join(screen_text(app).split())

    async with app_on(path, size=(80, 24)) as (app, pilot):
        for size in ((49, 24), (80, 11), (20, 4)):
            await resize(app, pilot, *size)
            await settled(app, pilot)
            assert "terminal is too small" in words()
            assert "triage-run" not in words()
        await resize(app, pilot, 80, 24)
        await settled(app, pilot)
        assert "too small" not in words()
        assert "triage-run" in words()


async def test_every_screen_fits_every_size(path: Path) -> None:
    """Also where it is too small for the snapshots, and on the way from one to the next."""
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "slash", *"triage-run", "enter", "enter")
        for key in ("1", "2", "escape", "3", "4", "escape", "escape"):
            await press(app, pilot, key)
            for size in ((60, 15), (80, 24), (200, 50)):
                await resize(app, pilot, *size)
                rows = screen_text(app).split("\n")
                assert len(rows) == size[1]
                assert all(len(row) <= size[0] for row in rows)
        assert "quit" in screen_text(app)


@pytest.mark.parametrize("theme", ["arkor-light", "terminal-16"])
async def test_the_app_comes_up_in_a_theme(path: Path, theme: str) -> None:
    """That every theme draws every screen is what the snapshots test."""
    fill(path)
    async with app_on(path, theme=theme) as (app, pilot):
        assert app.theme == theme
        await press(app, pilot, "enter")
        assert "other-run" in screen_text(app)
