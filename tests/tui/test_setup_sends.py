"""Setup starts what it shows, and names it before: the preview is the body that is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from arkor_tui.archive.store import Archive
from arkor_tui.run.trainer import Trainer
from arkor_tui.session.session import Session
from arkor_tui.starters.write import write_new
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.screens.setup import SetupScreen
from arkor_tui.tui.widgets.dialogs import Confirm
from arkor_tui.tui.widgets.formfields import FieldInput
from tests.support.recorded_runs import add_run, app_on, press, screen_text, settled, triage_events

FILE = b"""
from arkor_tui import BlobDataset, Callback, create_trainer

class Watch(Callback):
    pass

trainer = create_trainer(
    name="orders", model="arkor-tui/tiny", optim="sgd", max_steps=7, callbacks=[Watch()],
    dataset=BlobDataset("https://x.example/a.jsonl?sig=hush", token="hush"),
    dataset_format={"type": "alpaca", "column_mapping": {"output": "answer"}},
    save_steps={"ratio": 0.25}, gpu_types=["h200"], dataset_split={"enabled": True, "seed": 7},
)
"""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arkor_tui.tui.screens.setup.PREVIEW_DELAY", 0.0)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Trainer, str]]:
    """Every trainer that Setup starts, with the body that it would send."""
    found: list[tuple[Trainer, str]] = []

    async def start_run(app: ArkorApp, trainer: Trainer, **options: Any) -> bool:
        found.append((trainer, trainer.request().body().decode()))
        return True

    monkeypatch.setattr(ArkorApp, "start_run", start_run)
    return found


def previewed(app: ArkorApp) -> str:
    return str(app.screen.query_one("#request-preview", Static).render())


async def change(app: ArkorApp, pilot: Pilot[None], name: str, text: str) -> None:
    app.screen.query_one(f"#field-{name}", FieldInput).value = text
    await settled(app, pilot)


async def test_a_run_started_again_and_again_sends_what_is_shown(
    tmp_path: Path, started: list[tuple[Trainer, str]]
) -> None:
    """r1: `e` on a run, start, and start once more."""
    path = tmp_path / "history.db"
    with Archive.open(path) as archive:
        add_run(archive, "orders-3", triage_events())
        add_run(archive, "orders-2", triage_events(), optim="sgd", saveSteps={"ratio": 0.5})
    async with app_on(path, size=(80, 24)) as (app, pilot):
        await press(app, pilot, "slash", *"orders-2", "enter", "e")
        await settled(app, pilot)
        assert isinstance(app.screen, SetupScreen)
        # s5: orders-3 exists
        assert app.screen.query_one("#field-name", FieldInput).value == "orders-4"
        await change(app, pilot, "learning_rate", "0.002")
        for _ in range(2):
            shown = previewed(app)
            await press(app, pilot, "ctrl+s")
            assert isinstance(app.screen, Confirm)
            body = app.screen.query_one(".dialog-body", Static)
            assert str(body.render()) == (
                "orders-4 · arkorlab/triage-demo · 100 steps · "
                "changed from orders-2: learning rate 0.01 → 0.002"
            )
            assert app.screen.region.contains_region(body.region)
            assert "0.002" in screen_text(app)
            await press(app, pilot, "enter")
            await settled(app, pilot)
            assert started.pop()[1] == shown
        assert '"optim": "sgd"' in shown
        assert '"ratio": 0.5' in shown
        await press(app, pilot, "ctrl+s", "escape")
        assert started == []


async def test_a_changed_field_of_a_file_changes_that_and_nothing_else(
    tmp_path: Path, started: list[tuple[Trainer, str]]
) -> None:
    """r1: what once only the file knew (optimiser, columns, ratios, GPUs) stays, secrets too."""
    write_new(Path("trainer.py"), FILE)
    async with app_on(tmp_path / "history.db") as (app, pilot):
        await press(app, pilot, "escape", "2")
        await settled(app, pilot)
        bodies = []
        for length in ("7", "9", "9"):
            await change(app, pilot, "max_steps", length)
            shown = previewed(app)
            assert "hush" not in shown
            assert "••• stands for the dataset's token" in shown
            assert "With the callbacks of trainer.py: Watch" in shown
            await press(app, pilot, "ctrl+s", "enter")
            await settled(app, pilot)
            trainer, body = started.pop()
            assert [type(callback).__name__ for callback in trainer.callbacks] == ["Watch"]
            _, _, rest = shown.partition("\n")
            request = rest.partition("\n\n")[0]
            request = request.replace("?•••", "?sig=hush").replace('"•••"', '"hush"')
            assert request == body
            bodies.append(body)
        assert bodies[1] == bodies[2] == bodies[0].replace('"maxSteps": 7', '"maxSteps": 9')
        for part in ('"optim": "sgd"', '"output": "answer"', '"ratio": 0.25', '"h200"'):
            assert part in bodies[1]


async def test_the_next_free_name(tmp_path: Path) -> None:
    """s5: counted on from the run's own number, past every name that exists."""
    path = tmp_path / "history.db"
    with Archive.open(path) as archive:
        for name in (
            "orders",
            "orders-2",
            "orders-3",
            "orders-5",
            "Orders-4",
            "x-007",
            "a-1234567",
        ):
            add_run(archive, name, triage_events())
    async with Session.open(Path.cwd(), "local", archive_path=path) as session:
        names = {name: await session.runs.next_name(name) for name in
                 ("orders", "orders-2", "orders-5", "x-007", "a-1234567", "new")}  # fmt: skip
    assert names == {
        "orders": "orders-4", "orders-2": "orders-4", "orders-5": "orders-6", "x-007": "x-8",
        "a-1234567": "a-1234567-2", "new": "new-2",
    }  # fmt: skip


async def test_a_dry_run_is_named_as_one(
    tmp_path: Path, started: list[tuple[Trainer, str]]
) -> None:
    write_new(Path("trainer.py"), FILE)
    async with app_on(tmp_path / "history.db") as (app, pilot):
        await press(app, pilot, "escape", "2")
        await settled(app, pilot)
        await press(app, pilot, "ctrl+t")
        assert "dry run orders" in screen_text(app)
        await press(app, pilot, "s")
        await settled(app, pilot)
        assert '"dryRun": true' in started.pop()[1]
        assert "dryRun" not in previewed(app), "the form is for the run, as before"
