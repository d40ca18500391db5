"""The table of places: a screen is one row, and no place with keys is left out."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

import arkor_tui.tui
from arkor_tui.config.settings import Settings
from arkor_tui.session.session import Session
from arkor_tui.terminal import Capabilities
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.keymap import actions_of
from arkor_tui.tui.screens.base import BaseScreen
from arkor_tui.tui.views import PLACES, Place, modes, number_keys
from tests.support.recorded_runs import fill, press, screen_text, settled


class FakePane(Static, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "polish", "polish", id="fake-pane.polish"),
    ]

    def action_polish(self) -> None:
        """Do nothing."""


class FakeScreen(BaseScreen):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "wave", "wave", id="fake.wave")]

    def content(self) -> ComposeResult:
        """One text and a pane."""
        yield Static("nobody waved", id="fake-text")
        yield FakePane("a pane", id="fake-pane")

    def action_wave(self) -> None:
        """Say that somebody waved."""
        self.query_one("#fake-text", Static).update("somebody waved")


FAKE = Place("view", "fake", "Fake", lambda: FakeScreen, "9", (("the fake pane", "#fake-pane"),))


class AppWithFake(ArkorApp):
    """What ArkorApp is with one more row in the table."""

    CSS_PATH = Path(inspect.getfile(ArkorApp)).with_name("app.tcss")
    places = (*PLACES, FAKE)
    MODES = modes(places)
    BINDINGS: ClassVar[list[BindingType]] = [*number_keys((FAKE,))]


@asynccontextmanager
async def app_with_fake(
    path: Path, settings: Settings | None = None
) -> AsyncIterator[tuple[AppWithFake, Pilot[None]]]:
    fill(path)
    async with Session.open(Path.cwd(), "local", archive_path=path) as session:
        app = AppWithFake(session, settings=settings, capabilities=Capabilities())
        async with app.run_test(size=(120, 36)) as pilot:
            await settled(app, pilot)
            yield app, pilot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


async def test_a_row_gives_a_view_its_key_status_help_and_palette(path: Path) -> None:
    async with app_with_fake(path) as (app, pilot):
        assert " 9 Fake " in screen_text(app)  # the status line of another view
        await press(app, pilot, "9")
        assert isinstance(app.screen, FakeScreen)
        await press(app, pilot, "x")
        assert "somebody waved" in screen_text(app)
        await press(app, pilot, "question_mark")
        text = screen_text(app)
        assert "The pane in focus: the fake pane" in text
        assert "polish" in text
        assert "x  " in text
        assert "wave" in text
        assert "Fake" in text
        await press(app, pilot, "escape", "ctrl+p", *"wave")
        await pilot.pause()
        assert "Say that somebody waved" in screen_text(app)
        await press(app, pilot, "escape", "1", "ctrl+p", *"fake")
        assert "Go to one of the views" in screen_text(app)


async def test_the_keymap_knows_the_actions_of_a_row(path: Path) -> None:
    keys = {"view.fake": "f9", "fake.wave": "y", "fake.wav": "z"}
    async with app_with_fake(path, Settings(keys=keys)) as (app, pilot):
        told = [toast.message for toast in app._notifications]
        assert [text for text in told if "fake" in text] == [
            "keys: there is no action 'fake.wav'. Did you mean fake.wave?"
        ]
        await press(app, pilot, "f9", "y")
        assert "somebody waved" in screen_text(app)


def test_no_place_with_keys_is_missing_from_the_table() -> None:
    """Each class whose keys have ids is in the table, or something that builds on it is."""
    listed = {base for place in PLACES for base in place.load().__mro__}
    forgotten = [
        f"{cls.__module__}.{cls.__name__}"
        for cls in classes_with_keys()
        if cls not in listed and not issubclass(cls, ArkorApp)
    ]
    assert not forgotten, f"rows for tui/views.py: {', '.join(forgotten)}"


def classes_with_keys() -> list[type[DOMNode]]:
    found = []
    for name in pkgutil.walk_packages(arkor_tui.tui.__path__, "arkor_tui.tui."):
        for cls in vars(importlib.import_module(name.name)).values():
            if not (inspect.isclass(cls) and issubclass(cls, DOMNode)):
                continue
            own = cls.__module__ == name.name and "BINDINGS" in vars(cls)
            if own and actions_of(cls):
                found.append(cls)
    assert len(found) > 20
    return found


def test_every_row_leads_to_what_it_says() -> None:
    kinds = {"view": BaseScreen, "screen": Screen, "dialog": ModalScreen, "pane": Widget}
    for place in PLACES:
        cls = place.load()
        assert issubclass(cls, kinds[place.kind]), place.name
        assert bool(place.key) is (place.kind == "view"), place.name
    names = [place.name for place in PLACES]
    assert len(set(names)) == len(names)
    assert [place.key for place in PLACES if place.key] == ["1", "2", "3", "4"]


def test_the_list_of_keys_has_every_place(capsys: pytest.CaptureFixture[str]) -> None:
    from arkor_tui.cli import main

    assert main(["doctor", "--keys"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert listed >= {"view.runs", "live.talk", "checkpoints.choose", "welcome.skip"}
