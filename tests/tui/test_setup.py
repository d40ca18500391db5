"""Mistakes in Setup: beside their field, whole below the form, from form, disk and backend."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from arkor_tui.backend.jobconfig import InvalidConfigError, check_job
from arkor_tui.backend.models import ModelRegistry, UnknownModelError
from arkor_tui.errors import UsageError
from arkor_tui.run.trainer import Trainer
from arkor_tui.session.session import Session
from arkor_tui.starters.write import write_new
from arkor_tui.terminal import Capabilities
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.screens.runs import RunsScreen
from arkor_tui.tui.screens.setup import SetupScreen
from arkor_tui.tui.widgets.formfields import FieldHelp, FieldInput
from arkor_tui.tui.widgets.help import HelpScreen
from tests.support.recorded_runs import app_on, fill, press, screen_text, settled
from tests.support.scripted import Answer, running_server

ROW = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arkor_tui.tui.screens.setup.PREVIEW_DELAY", 0.0)


def beside(app: ArkorApp, name: str) -> str:
    return str(app.screen.query_one(f"#wrong-{name}", Static).render())


def help_rows(app: ArkorApp) -> str:
    """What stands below the form, as one line."""
    region = app.screen.query_one(FieldHelp).region
    rows = screen_text(app).splitlines()[region.y : region.bottom]
    return " ".join(" ".join(rows).split())


async def put(app: ArkorApp, pilot: Pilot[None], **texts: str) -> None:
    """Put texts into the fields named; the last one has the focus."""
    for name, text in texts.items():
        field = app.screen.query_one(f"#field-{name}", FieldInput)
        field.focus()
        await pilot.pause()
        field.value = text
        field.cursor_position = len(text)
        await pilot.pause()
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
    write_new(Path("rows.jsonl"), json.dumps(ROW).encode())
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "2")
        await put(app, pilot, lora_r="x", dataset="nope.jsonl")
        text = screen_text(app)
        assert "Cannot read" in text
        assert beside(app, "dataset").startswith("there is no such file: /")
        assert "ready" not in text.splitlines()[0]
        await put(app, pilot, dataset="rows.jsonl")
        assert beside(app, "dataset") == ""
        assert "1 row" in screen_text(app)


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
                await press(app, pilot, "ctrl+s", "enter")
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
        await put(app, pilot, name="")
        await press(app, pilot, *"x1?")
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


async def test_a_file_that_cannot_be_trained_on_is_told_at_once_and_not_started(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = json.dumps(ROW) + "\n"
    write = Path("train.jsonl").write_text
    write(good * 5 + '{broken\n{"foo": 1}\n')
    started: list[Trainer] = []

    async def start(session: Session, trainer: Trainer, **options: object) -> None:
        started.append(trainer)
        raise UsageError("that is all")

    monkeypatch.setattr(Session, "start", start)
    fill(path)
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await press(app, pilot, "2")
        await put(app, pilot, model="arkor-tui/tiny", dataset="train.jsonl")
        assert beside(app, "dataset").startswith("line 6: not JSON: expecting property name")
        assert "at character 2 (and 1 more)" in help_rows(app)
        assert screen_text(app).splitlines()[0].strip().endswith("1 to correct")
        for key in ("ctrl+s", "ctrl+t"):
            await put(app, pilot, name=f"x-{key[-1]}")
            await press(app, pilot, key)
            assert any("dataset: line 6: not JSON" in n.message for n in app._notifications)
            assert app.screen.focused is app.screen.query_one("#field-dataset")
            app._notifications.clear()
        write(good * 5 + '{"foo": 1}\n')
        await press(app, pilot, "ctrl+s")  # the file is looked at again
        assert beside(app, "dataset") == ("line 6: column 'messages' is missing (the row has foo)")
        assert started == []
        write(good * 6)
        await press(app, pilot, "ctrl+s", "enter")
        assert beside(app, "dataset") == ""
        assert len(started) == 1


async def test_another_format_is_held_against_the_rows_at_once(path: Path) -> None:
    write_new(Path("rows.jsonl"), b'{"text": "a"}\n')
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "2")
        await put(app, pilot, model="arkor-tui/tiny", dataset="rows.jsonl")
        assert beside(app, "dataset").startswith("line 1: column 'messages' is missing")
        await put(app, pilot, dataset_format="text")
        assert beside(app, "dataset") == ""
        assert "ready" in screen_text(app).splitlines()[0]


async def test_a_trainer_files_own_names_of_columns_count(path: Path) -> None:
    write_new(Path("rows.jsonl"), b'{"q": "a", "a": "b"}\n')
    columns = {"prompt": "q", "completion": "a"}
    write_new(Path("trainer.py"), f"""
from arkor_tui import FileDataset, create_trainer
form = {{"type": "prompt_completion", "columnMapping": {columns}}}
trainer = create_trainer(name="x", model="arkor-tui/tiny", dataset=FileDataset("rows.jsonl"),
                         dataset_format=form, max_steps=1)
""".encode())  # fmt: skip
    fill(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "2")
        await settled(app, pilot)
        assert "1 row" in screen_text(app)
        assert beside(app, "dataset") == ""
        assert "ready" in screen_text(app).splitlines()[0]


@asynccontextmanager
async def refusing(
    path: Path, answer: dict[str, object], size: tuple[int, int]
) -> AsyncIterator[tuple[ArkorApp, Pilot[None]]]:
    """Setup, filled in, over a backend that refuses every job with this answer."""
    async with running_server() as server:
        server.answers["POST /v1/jobs"] = Answer(400, answer)
        async with Session.open(Path.cwd(), server.url, archive_path=path) as session:
            session.connection = server.connection()
            app = ArkorApp(session, capabilities=Capabilities())
            async with app.run_test(size=size) as pilot:
                await settled(app, pilot)
                await press(app, pilot, "escape", "2")
                await put(app, pilot, model="arkor-tui/tiny", dataset="https://x.example/a.jsonl")
                yield app, pilot


def refusal_of(**config: object) -> dict[str, object]:
    """What the embedded backend answers to such a job."""
    config = {"model": "arkor-tui/tiny", **config}
    source = {"type": "blob", "url": "https://x.example/a.jsonl"}
    try:
        check_job({"name": "x", "config": {"datasetSource": source, **config}}, ModelRegistry(), {})
    except InvalidConfigError as error:
        return {"error": str(error), "code": "invalid_config", "fields": error.fields}
    raise AssertionError("it is taken")


async def test_each_seed_is_wrong_at_its_own_field(path: Path) -> None:
    """One is the run's, one is for what is held out."""
    split = {"enabled": True, "testSize": 0.1, "seed": -5}
    async with refusing(path, refusal_of(seed=-5, datasetSplit=split), (120, 36)) as (app, pilot):
        await press(app, pilot, "ctrl+s", "enter")
        await settled(app, pilot)
        for name in ("seed", "split_seed"):
            assert beside(app, name) == "must be a whole number from 0 to 4294967295"
        assert beside(app, "test_size") == ""
        assert app.screen.focused is app.screen.query_one("#field-split_seed")
        await put(app, pilot, seed="-5")
        assert beside(app, "seed") == "at least 0"


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_an_explanation_is_shown_to_its_end(
    path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkor_tui.backend.models._why_not_on_hub", lambda name: "HTTPError " * 3)
    with pytest.raises(UnknownModelError) as raised:
        ModelRegistry().find("no/such-model")
    text = " ".join(str(raised.value).split())
    answer: dict[str, object] = {"error": "refused", "fields": {"config.model": text}}
    async with refusing(path, answer, size) as (app, pilot):
        await press(app, pilot, "ctrl+s", "enter")
        await settled(app, pilot)
        assert help_rows(app).endswith(text)
        assert app.screen.query_one(FieldHelp).size.height > 2


async def test_a_long_explanation_does_not_cover_its_field_and_help_has_all_of_it(
    path: Path,
) -> None:
    text = " ".join(f"word{number}" for number in range(55))
    answer: dict[str, object] = {"error": "refused", "fields": {"config.maxSteps": text}}
    async with refusing(path, answer, (60, 14)) as (app, pilot):
        await press(app, pilot, "ctrl+s", "enter")
        await settled(app, pilot)
        assert app.screen.query_one(FieldHelp).size.height == 6
        form, field = app.screen.query_one("#form"), app.screen.query_one("#field-max_steps")
        assert form.region.contains_region(field.region)
        await press(app, pilot, "f1")
        await press(app, pilot, *["down"] * 8)
        assert "word54" in screen_text(app)


async def test_only_models_that_the_backend_has_are_offered(path: Path) -> None:
    fill(path)
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await press(app, pilot, "2")
        await put(app, pilot, model="")
        assert "known here: arkor-tui/tiny" in help_rows(app)
        assert "unsloth" not in screen_text(app)
        app.session.backend = "cloud"
        await press(app, pilot, "escape", "2")
        await put(app, pilot, model="unsl")
        assert "known here: unsloth/gemma-4-E4B-it" in help_rows(app)
        assert "tiny" not in help_rows(app)
        await press(app, pilot, "right")
        model = app.screen.query_one("#field-model", FieldInput)
        assert model.value == "unsloth/gemma-4-E4B-it"


async def test_escape_leaves_the_preview_for_the_field_that_was_left(path: Path) -> None:
    fill(path)
    for size in ((50, 16), (80, 24), (120, 36)):
        async with app_on(path, size=size) as (app, pilot):
            await press(app, pilot, "2")
            await put(app, pilot, lora_r="8")
            await press(app, pilot, "ctrl+e")
            assert app.screen.query_one("#previews").has_focus
            assert "esc back" in screen_text(app).splitlines()[-1]
            await press(app, pilot, "escape")
            assert isinstance(app.screen, SetupScreen)
            assert app.screen.focused is app.screen.query_one("#field-lora_r")
            assert app.screen.query_one("#form").region.height > 0
            await press(app, pilot, "ctrl+e", "ctrl+e")
            assert app.screen.focused is app.screen.query_one("#field-lora_r")
            await press(app, pilot, "escape")
            assert isinstance(app.screen, RunsScreen)
