"""The Console by keys: whom one asks, what a form shows while one types, and the way to help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from arkor_tui.archive.store import Archive
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.screens.console import ConsoleScreen
from arkor_tui.tui.screens.timemachine import around
from arkor_tui.tui.widgets.asksettings import AskSettingsScreen
from arkor_tui.tui.widgets.dialogs import ChooseSeveral
from arkor_tui.tui.widgets.help import HelpScreen
from arkor_tui.tui.widgets.talk import AnswerView, PromptArea, TalkPane
from arkor_tui.tui.widgets.targets import TargetList
from tests.support.recorded_runs import add_run, app_on, press, screen_text, triage_events, wait_for

from .test_differences import Talker, console


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive lies."""
    return tmp_path / "history.db"


def asked(app: object) -> list[str]:
    return [target.label for target in app.screen.query_one(TargetList).asked()]  # type: ignore[attr-defined]


async def test_what_is_typed_into_a_setting_can_be_seen(path: Path) -> None:
    async with console(path) as (app, pilot):
        await press(app, pilot, "ctrl+o", "tab", "tab", *"0.25")
        assert isinstance(app.focused, Input)
        assert app.focused.id == "ask-top_p"
        row = next(row for row in screen_text(app).splitlines() if "top-p" in row)
        assert "0.25" in row
        assert app.focused.content_size.height == 1


async def test_settings_that_mean_nothing_are_told_beside_their_field(path: Path) -> None:
    async with console(path) as (app, pilot):
        await press(app, pilot, "ctrl+o")
        for name, text in (("tool_choice", "auto"), ("history", "y"), ("constraint_kind", "xml")):
            app.screen.query_one(f"#ask-{name}", Input).value = text
        await press(app, pilot, "ctrl+s")
        assert isinstance(app.screen, AskSettingsScreen)
        rows = screen_text(app).splitlines()
        for label, wrong in (
            ("tool choice", "needs a tools file"),
            ("remember", "yes or no"),
            ("constraint ", "unknown kind 'xml'"),
        ):
            assert any(label in row and wrong in row for row in rows), wrong


async def test_the_head_names_what_is_set(path: Path) -> None:
    async with console(path, size=(160, 36)) as (app, pilot):
        await press(app, pilot, "ctrl+o")
        app.screen.query_one("#ask-stop", Input).value = "END"
        app.screen.query_one("#ask-history", Input).value = "yes"
        await press(app, pilot, "ctrl+s")
        assert "stop END · remember yes" in screen_text(app).splitlines()[0]


async def test_the_base_is_put_beside_all_that_are_marked(path: Path) -> None:
    async with console(path) as (app, pilot):
        targets = app.screen.query_one(TargetList)
        assert asked(app) == ["final"]
        await press(app, pilot, "ctrl+b")
        assert asked(app) == ["base", "final"]
        await press(app, pilot, "ctrl+b")
        assert asked(app) == ["final"]
        targets.focus()
        await press(app, pilot, "up", "space", "up", "space")
        assert asked(app) == ["step 75", "step 100"]
        await press(app, pilot, "ctrl+b")
        assert asked(app) == ["base", "step 75", "step 100"]
        await press(app, pilot, "ctrl+b")
        assert asked(app) == ["step 75", "step 100"]
        await press(app, pilot, "up", "space", "up", "space", "ctrl+b")
        assert asked(app) == ["step 25", "step 50", "step 75", "step 100"]
        await press(app, pilot, "space", "up", "ctrl+b")
        assert asked(app) == ["base", "step 50", "step 75", "step 100"]


async def test_the_base_alone_gets_the_newest_beside_it(path: Path) -> None:
    async with console(path) as (app, pilot):
        app.screen.query_one(TargetList).focus()
        await press(app, pilot, "home", "enter", "ctrl+b")
        assert asked(app) == ["base", "final"]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_several_are_marked_in_the_picker_at_every_size(
    path: Path, size: tuple[int, int]
) -> None:
    async with console(path, size=size) as (app, pilot):
        await press(app, pilot, "ctrl+k", *"step", "tab", "down", "tab", "enter")
        assert asked(app) == ["step 25", "step 50"]
        assert "step 25 + step 50" in screen_text(app).splitlines()[0]
        assert app.screen.query_one(PromptArea).has_focus
        # marked ones are marked again the next time, four at most, and one alone is no mark
        await press(app, pilot, "ctrl+k")
        assert isinstance(app.screen, ChooseSeveral)
        assert screen_text(app).count("◉") >= 2
        await press(app, pilot, "tab", *("down",) * 3, "tab", "down", "tab")
        assert "At most 4 at once." in screen_text(app)
        await press(app, pilot, "escape")
        assert asked(app) == ["step 25", "step 50"]
        await press(app, pilot, "ctrl+k", *"zz")
        assert "Nothing here holds these words." in screen_text(app)
        await press(app, pilot, "enter")  # nothing is under the cursor
        assert isinstance(app.screen, ChooseSeveral)


async def test_help_is_a_key_away_also_from_a_prompt(path: Path) -> None:
    async with console(path) as (app, pilot):
        assert app.screen.query_one(PromptArea).has_focus
        assert "f1 keys" in screen_text(app).splitlines()[-1]
        assert "f5  compares two without saying" in screen_text(app)
        await press(app, pilot, "f1")
        assert isinstance(app.screen, HelpScreen)
        assert "blind A/B" in screen_text(app)
        await press(app, pilot, "escape")
        assert isinstance(app.screen, ConsoleScreen)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("f5",), "in all sittings"),
        (("f6",), "One change between the first and the last"),
        (("ctrl+t",), "compared with the one before it"),
    ],
)
async def test_help_works_over_a_page(path: Path, keys: tuple[str, ...], told: str) -> None:
    async with console(path) as (app, pilot):
        await press(app, pilot, *"hi", *keys)
        page = app.screen
        assert not isinstance(page, ConsoleScreen)
        await press(app, pilot, "f1")
        assert isinstance(app.screen, HelpScreen)
        assert told in " ".join(screen_text(app).replace("│", " ").split())
        await press(app, pilot, "escape")
        assert app.screen is page


async def test_the_way_back_to_the_prompt_is_shown(path: Path) -> None:
    async with console(path) as (app, pilot):
        await press(app, pilot, *"hi", "enter")
        await wait_for(app, pilot, "auth, says")
        assert not app.screen.query_one(".hints").display
        await press(app, pilot, "escape")
        assert app.screen.query_one(TalkPane).has_focus
        assert "write" in screen_text(app).splitlines()[-1]
        await press(app, pilot, "enter", *"x")
        assert app.screen.query_one(PromptArea).text == "x"
        await press(app, pilot, "ctrl+n")
        assert app.screen.query_one(".hints").display


async def test_retry_forgets_only_what_it_asks_again(path: Path) -> None:
    async with console(path) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, ConsoleScreen)
        await press(app, pilot, "ctrl+o")
        app.screen.query_one("#ask-history", Input).value = "yes"
        await press(app, pilot, "ctrl+s", *"one", "enter")
        await wait_for(app, pilot, "auth, says")
        await press(app, pilot, "ctrl+b")  # asks base and final: not a talk to one any more
        await wait_for(app, pilot, "hello there")
        await press(app, pilot, "ctrl+r")
        await app.workers.wait_for_complete()
        assert screen._messages[0]["content"] == "one"
        assert len(screen._messages) == 2
        await press(app, pilot, "ctrl+b", "ctrl+r")
        await app.workers.wait_for_complete()
    with Archive.open(path) as archive:
        last = archive.exchanges()[0]
    assert last.messages[0]["content"] == "one"


async def test_a_reply_that_cannot_be_judged_is_not_shown_as_failed(path: Path) -> None:
    async with console(path) as (app, pilot):
        await press(app, pilot, *"hi", "enter")
        await wait_for(app, pilot, "auth, says")
        view = app.screen.query_one(AnswerView)
        view.answer.verdict, view.answer.passed = "the schema cannot be used: E", None
        view.show()
        await pilot.pause()
        assert "● the schema cannot be used" in screen_text(app)


@pytest.mark.parametrize("place", [0, 7, 40, 99])
def test_the_strip_keeps_the_one_that_is_shown(place: int) -> None:
    widths = [8 + n % 5 for n in range(100)]
    shown = around(widths, place, 74)
    assert place in shown
    assert sum(widths[n] for n in shown) <= 74
    wider = [n for n in (shown.start - 1, shown.stop) if 0 <= n < 100]
    assert all(sum(widths[n] for n in shown) + widths[n] > 74 for n in wider)
    assert around([90], 0, 10) == range(1)


async def test_the_time_machine_is_one_row_of_targets(path: Path) -> None:
    async with console(path, size=(80, 24)) as (app, pilot):
        await press(app, pilot, *"hi", "ctrl+t")
        await wait_for(app, pilot, "6/6 answered")
        rows = [row for row in screen_text(app).splitlines() if "● step" in row]
        assert len(rows) == 1
        assert "● final" in rows[0]
        assert "‹" in rows[0] or "● base" in rows[0]
        await press(app, pilot, "home")
        assert any("● base" in row for row in screen_text(app).splitlines())


def rows(path: Path, *systems: str, layout: str = "chatml") -> dict[str, object]:
    """A file with a conversation for each system prompt, empty for none; as a run's dataset."""
    column, who, what, person, model = {
        "chatml": ("messages", "role", "content", "user", "assistant"),
        "sharegpt": ("conversations", "from", "value", "human", "gpt"),
    }[layout]
    with path.open("w", encoding="utf-8") as file:
        for system in systems:
            said = [("system", system)] if system else []
            turns = [*said, (person, "hi"), (model, "yes")]
            file.write(json.dumps({column: [{who: a, what: b} for a, b in turns]}) + "\n")
    return {"datasetSource": {"type": "file", "path": str(path)}, "datasetFormat": {"type": layout}}


def told(app: ArkorApp) -> str:
    """The system prompt in the head; empty where there is none."""
    head = str(app.screen.query_one("#console-head", Static).render())
    return head.partition("\n system: ")[2]


async def test_a_run_is_told_what_its_rows_begin_with(path: Path, tmp_path: Path) -> None:
    """Whichever run was talked to before: the app may have been started again meanwhile."""
    datasets = {
        "bot": rows(tmp_path / "bot.jsonl", "You are a bot.", "You are a bot."),
        "several": rows(tmp_path / "several.jsonl", "You are a bot.", "You are a cat."),
        "triage-own": rows(tmp_path / "none.jsonl", "", ""),
        "shared": rows(tmp_path / "shared.jsonl", "You are a fox.", layout="sharegpt"),
        "lost": {"datasetSource": {"type": "file", "path": str(tmp_path / "gone.jsonl")}},
        "triage-gone": {"datasetSource": {"type": "file", "path": str(tmp_path / "gone.jsonl")}},
    }
    elsewhere = rows(tmp_path / "elsewhere.jsonl", "You are mine.")
    with Archive.open(path) as archive:
        for name, dataset in datasets.items():
            add_run(archive, name, triage_events(), **dataset)
        add_run(archive, "elsewhere", triage_events(), backend="https://x.example", **elsewhere)
    found = {}
    async with app_on(path) as (app, pilot):
        for name in (*datasets, "bot", "triage-gone", "elsewhere"):
            await press(app, pilot, "escape", "1", "escape", "slash", *name, "enter", "enter", "4")
            assert name in screen_text(app).splitlines()[0]
            found[name] = told(app)
    assert found == {
        "bot": "You are a bot.",
        "several": "",
        "elsewhere": "",
        "triage-own": "",
        "shared": "You are a fox.",
        "lost": "",
        "triage-gone": "You triage support tickets.",
    }


async def test_what_is_typed_takes_the_place_of_the_starter_s_example(path: Path) -> None:
    """The example can be sent as it is, and is never glued to what one types."""
    with Archive.open(path) as archive:
        gone = {"datasetSource": {"type": "file", "path": "/gone.jsonl"}}
        add_run(archive, "triage-run", triage_events(), **gone)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "i")
        prompt = app.screen.query_one(PromptArea)
        await wait_for(app, pilot, "I can't log in to my account.")
        await press(app, pilot, *"Hi")
        assert prompt.text == "Hi"


async def test_a_run_without_its_rows_is_told_what_it_was_told_last(
    path: Path, tmp_path: Path
) -> None:
    dataset = rows(tmp_path / "bot.jsonl", "You are a bot.")
    with Archive.open(path) as archive:
        add_run(archive, "bot", triage_events(), **dataset)
    async with app_on(path) as (app, pilot):
        app.session.infer = Talker  # type: ignore[method-assign, assignment]
        await press(app, pilot, "i", *"hi", "enter")
        await wait_for(app, pilot, "auth, says")
    (tmp_path / "bot.jsonl").unlink()
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "enter", "4")
        assert told(app) == "You are a bot."


async def test_a_prompt_that_was_typed_goes_on_to_a_run_that_has_none(
    path: Path, tmp_path: Path
) -> None:
    dataset = rows(tmp_path / "bot.jsonl", "You are a bot.")
    with Archive.open(path) as archive:
        add_run(archive, "a run", triage_events())
        add_run(archive, "other", triage_events())
        add_run(archive, "bot", triage_events(), **dataset)
    async with app_on(path) as (app, pilot):
        seen = []
        for name in ("bot", "a run", "other", "bot"):
            await press(app, pilot, "escape", "1", "escape", "slash", *name, "enter", "enter", "4")
            if name == "a run":
                await press(app, pilot, "ctrl+o", *"Typed.", "ctrl+s")
            seen.append(told(app))
        assert seen == ["You are a bot.", "Typed.", "Typed.", "You are a bot."]


async def test_the_keys_of_the_settings_are_in_view(path: Path) -> None:
    async with console(path, size=(80, 24)) as (app, pilot):
        for down in (0, 11):
            await press(app, pilot, "ctrl+o", *("tab",) * down)
            assert "ctrl+s keeps, Esc discards" in screen_text(app)
            await press(app, pilot, "escape")
