"""Keys that come several at a time, as they do over a slow connection."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual import events
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from arkor_tui.archive.store import Archive
from arkor_tui.tui import keyorder
from arkor_tui.tui.keyorder import KeysInOrder
from arkor_tui.tui.screens.setup import SetupScreen
from tests.support.recorded_runs import app_on, press, wait_for

from .test_differences import console


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive lies."""
    return tmp_path / "history.db"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr(keyorder, "PATIENCE_SECONDS", 60.0)


def burst(app: KeysInOrder, *keys: str) -> None:
    """All keys at once, before the app has looked at the first."""
    for key in keys:
        character = " " if key == "space" else key if len(key) == 1 else None
        app.post_message(events.Key(key, character))


async def arrived(app: KeysInOrder, pilot: Pilot[None]) -> None:
    looked_at = asyncio.Event()
    app.call_later(looked_at.set)  # behind all keys of the burst
    await looked_at.wait()
    while app._held or app._next is not None or app._on_its_way is not None:
        await pilot.pause(0.001)
    await pilot.pause()


async def test_a_prompt_is_sent_whole(path: Path) -> None:
    async with console(path) as (app, pilot):
        burst(app, *"where", "space", *"is", "space", *"it", "enter")
        await wait_for(app, pilot, "auth, says")
    with Archive.open(path) as archive:
        assert archive.exchanges()[0].messages[-1]["content"] == "where is it"


async def test_what_follows_tab_lands_in_the_next_field(path: Path) -> None:
    async with console(path) as (app, pilot):
        await press(app, pilot, "ctrl+o")
        burst(app, *"Be", "tab", *"0.5", "tab", *"0.25", "tab", *"9", "ctrl+s")
        await arrived(app, pilot)
        texts = app.screen._texts  # type: ignore[attr-defined]
        filled = {name: text for name, text in texts.items() if text}
        assert filled == {"system": "Be", "temperature": "0.5", "top_p": "0.25", "max_tokens": "9"}


async def test_keys_that_act_at_once_wait_for_what_was_typed(path: Path) -> None:
    started: list[str] = []

    async with app_on(path) as (app, pilot):
        await press(app, pilot, "escape", "2")
        screen = app.screen
        assert isinstance(screen, SetupScreen)
        field = screen.query_one("#field-name", Input)
        field.value = ""
        field.focus()
        await pilot.pause()
        screen.action_start = lambda: started.append(field.value)  # type: ignore[method-assign, assignment, return-value]
        burst(app, *"my-own-run", "ctrl+s")
        await arrived(app, pilot)
    assert started == ["my-own-run"]


class Stubborn(Input):
    """Takes as long as the test wants over one key."""

    def __init__(self) -> None:
        super().__init__(id="first")
        self.taken, self.released = asyncio.Event(), asyncio.Event()

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "x":
            self.taken.set()
            await self.released.wait()


class OneField(KeysInOrder):
    """A stubborn field before another; ``typed`` is set by two letters in that."""

    def compose(self) -> ComposeResult:
        self.typed = asyncio.Event()
        yield Stubborn()
        yield Input(id="second")

    def on_input_changed(self, message: Input.Changed) -> None:
        if len(message.value) == 2:
            self.typed.set()


async def test_a_key_that_takes_for_ever_does_not_lock_the_keyboard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyorder, "PATIENCE_SECONDS", 0.01)
    app = OneField()
    async with app.run_test() as pilot:
        first, second = app.query_one("#first", Stubborn), app.query_one("#second", Input)
        first.focus()
        await pilot.pause()
        burst(app, "x")
        await first.taken.wait()
        second.focus()
        burst(app, "y", "z")
        await app.typed.wait()
        assert second.value == "yz"
        first.released.set()
        await pilot.pause()
        burst(app, "a")
        await arrived(app, pilot)
        assert second.value == "yza"


async def test_a_key_whose_widget_goes_away_does_not_lock_the_keyboard() -> None:
    app = OneField()
    async with app.run_test() as pilot:
        first, second = app.query_one("#first", Stubborn), app.query_one("#second", Input)
        first.focus()
        await pilot.pause()
        burst(app, "q", "tab", "w")
        first.remove()
        while "w" not in second.value:
            await pilot.pause(0.001)
        await arrived(app, pilot)
