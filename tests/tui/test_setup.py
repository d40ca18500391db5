"""Mistakes in Setup: beside their field, whole below the form, from form, disk and backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from arkor_tui.monitor.session import Session
from arkor_tui.starters.write import write_new
from arkor_tui.terminal import Capabilities
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.screens.runs import RunsScreen
from arkor_tui.tui.screens.setup import SetupScreen
from arkor_tui.tui.widgets.formfields import FieldHelp, FieldInput
from arkor_tui.tui.widgets.help import HelpScreen
from tests.training.scripted import Answer, running_server

from .recorded import app_on, fill, press, screen_text, settled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arkor_tui.tui.screens.setup.PREVIEW_DELAY", 0.0)


def beside(app: ArkorApp, name: str) -> str:
    return str(app.screen.query_one(f"#wrong-{name}", Static).render())


async def put(app: ArkorApp, pilot: Pilot[None], **texts: str) -> None:
    """Type over the fields named."""
    for name, text in texts.items():
        app.screen.query_one(f"#field-{name}", FieldInput).focus()
        await pilot.pause()
        await pilot.press("home", "shift+end", "delete", *text)
    await settled(app, pilot)


async def test_a_word_that_is_no_answer_is_never_taken_for_a_no(path: Path) -> None:
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "2")
        await put(app, pilot, train_on_responses_only="alp", guard_non_finite="foo")
        assert beside(app, "train_on_responses_only") == "yes or no"
        assert beside(app, "guard_non_finite") == "yes or no"
        await put(app, pilot, dataset_format="foo")
        assert beside(app, "dataset_format").startswith("one of: chatml")


async def test_below_the_form_stands_what_the_field_is_for_and_its_whole_mistake(
    path: Path,
) -> None:
    fill(path)
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await press(app, pilot, "2")
        await put(app, pilot, lr_scheduler_type="")
        said = app.screen.query_one(FieldHelp).said
        assert "of the learning rate" in said
        assert "linear, cosine, constant" in said
        await put(app, pilot, notify="hallo")
        assert "no service hallo: slack, discord, webhook, apprise, bell" in screen_text(app)


async def test_the_data_are_looked_at_whatever_else_is_wrong(path: Path) -> None:
    write_new(Path("rows.jsonl"), json.dumps({"messages": []}).encode())
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "2")
        await put(app, pilot, lora_r="x", dataset="nope.jsonl")
        text = screen_text(app)
        assert "Cannot read" in text
        assert beside(app, "dataset").startswith("cannot be read")
        assert "ready" not in text.splitlines()[0]
        await put(app, pilot, dataset="rows.jsonl")
        assert beside(app, "dataset") == ""
        assert "1 rows" in screen_text(app)


async def test_what_the_backend_refuses_stands_beside_its_field_until_that_is_changed(
    path: Path,
) -> None:
    refusal = {
        "error": "The job is refused: config.lrSchedulerType must be one of linear, cosine.",
        "code": "invalid_config",
        "fields": {
            "config.lrSchedulerType": "must be one of linear, cosine",
            "config.datasetSource": "names a file that does not exist: /nowhere.jsonl",
        },
    }
    async with running_server() as server:
        server.answers["POST /v1/jobs"] = Answer(400, refusal)
        async with Session.open(Path.cwd(), server.url, archive_path=path) as session:
            session.connection = server.connection()
            app = ArkorApp(session, capabilities=Capabilities())
            async with app.run_test(size=(120, 36)) as pilot:
                await settled(app, pilot)
                await press(app, pilot, "escape", "2")
                await put(app, pilot, model="arkor-tui/tiny", dataset="https://x.example/a.jsonl",
                          lr_scheduler_type="foo")  # fmt: skip
                assert "ready" in screen_text(app)
                await press(app, pilot, "ctrl+s")
                await settled(app, pilot)
                assert isinstance(app.screen, SetupScreen)
                assert beside(app, "lr_scheduler_type") == "must be one of linear, cosine"
                assert "does not exist" in beside(app, "dataset")
                assert app.screen.focused is app.screen.query_one("#field-dataset")
                assert "2 to correct, ctrl+s tries it" in screen_text(app)
                await put(app, pilot, lr_scheduler_type="linear")
                assert beside(app, "lr_scheduler_type") == ""
                assert "1 to correct" in screen_text(app)


async def test_help_and_the_other_views_are_reached_while_typing(path: Path) -> None:
    fill(path)
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await press(app, pilot, "2")
        await put(app, pilot, name="x1?")
        assert app.screen.query_one("#field-name", FieldInput).value == "x1?"
        assert "f1 keys" in screen_text(app).splitlines()[-1]
        assert "esc back" in screen_text(app).splitlines()[-1]
        await press(app, pilot, "f1")
        assert isinstance(app.screen, HelpScreen)
        assert "dry run" in screen_text(app)
        await press(app, pilot, "f1", "escape", "1")
        assert isinstance(app.screen, RunsScreen)
        await press(app, pilot, "2")
        assert app.screen.query_one("#field-name", FieldInput).value == "x1?"
