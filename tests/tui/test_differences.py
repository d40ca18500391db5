"""Blind A/B and bisect, by keys, with a model that answers as the test says."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from arkor_tui.api.chat import ChatDelta
from arkor_tui.archive.store import Archive
from arkor_tui.chat.blind import Tally, tally
from arkor_tui.chat.provider import ReplyStream
from arkor_tui.chat.target import Target
from arkor_tui.errors import ArkorTuiError
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.screens.bisect import BisectScreen
from arkor_tui.tui.screens.blind import BlindScreen
from arkor_tui.tui.screens.console import ConsoleScreen, TargetList
from tests.support.recorded_runs import (
    HOSTILE,
    add_run,
    app_on,
    press,
    screen_text,
    triage_events,
    wait_for,
)


@dataclass
class Reply:
    text: str


class Talker:
    """Stands in for a target: checkpoints from step 75 on know the word."""

    def __init__(self, _run: object, target: Target) -> None:
        self.target = target

    @property
    def text(self) -> str:
        knows = self.target.kind == "final" or (self.target.step or 0) >= 75
        return f"auth, says {HOSTILE}" if knows else "hello there"

    async def __call__(self, messages: Any, **options: Any) -> Reply:
        if messages[-1]["content"] == "refuse":
            raise ArkorTuiError(f"refused {HOSTILE}", hint=HOSTILE)
        return Reply(self.text)

    @asynccontextmanager
    async def stream(self, messages: Any, **options: Any) -> AsyncIterator[ReplyStream]:
        async def deltas() -> AsyncIterator[ChatDelta]:
            yield ChatDelta(text=self.text)

        yield ReplyStream(deltas())


@asynccontextmanager
async def console(path: Path, **options: Any) -> AsyncIterator[tuple[ArkorApp, Pilot[None]]]:
    with Archive.open(path) as archive:
        add_run(archive, "a run", triage_events())
    async with app_on(path, **options) as (app, pilot):
        app.session.infer = Talker  # type: ignore[method-assign, assignment]
        await press(app, pilot, "i")
        assert isinstance(app.screen, ConsoleScreen)
        assert app.screen.query_one(TargetList).count == 6
        yield app, pilot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive lies."""
    return tmp_path / "history.db"


async def test_votes_are_blind_and_kept_with_the_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[list[Target]] = []

    def in_turn(targets: Any, count: int) -> list[Target]:
        order = list(targets) if len(shown) % 2 == 0 else list(targets)[::-1]
        shown.append(order)
        return order

    monkeypatch.setattr(random, "sample", in_turn)
    async with console(path) as (app, pilot):
        await press(app, pilot, *"hi", "f5")
        assert isinstance(app.screen, BlindScreen)
        await wait_for(app, pilot, "which one is better?")
        text = screen_text(app)
        assert "hello there" in text
        assert "auth, says" in text
        assert "\u202e" not in text
        # the second time the order is the other way round: the final adapter is preferred twice
        await press(app, pilot, "2")
        await wait_for(app, pilot, "1 vote now")
        app.screen.query_one(Input).focus()
        await press(app, pilot, "enter")
        await wait_for(app, pilot, "which one is better?")
        await press(app, pilot, "1")
        await wait_for(app, pilot, "2 votes now")
        await press(app, pilot, "ctrl+r")  # the prompt has the focus: r would be typed
        await wait_for(app, pilot, "final: 2", "base: 0", "p = 0.5 (may be chance)")
        # there is nothing left to vote on
        await press(app, pilot, "1")
        assert app.screen._votes == 2
        await press(app, pilot, "escape")
        assert isinstance(app.screen, ConsoleScreen)
    with Archive.open(path) as archive:
        rows = archive.findings(1, "vote")
    assert [row.data["preferred"] for row in rows] == ["final", "final"]
    assert rows[0].data["prompt"] == "hi"
    votes = [row.data for row in rows]
    assert tally(votes, "final", "base") == Tally("final", "base", 2, 0, 0)
    assert tally(votes, "25", "base").votes == 0


def test_a_tally_in_words() -> None:
    assert Tally("a", "b", ties=2).text == "a: 0 · b: 0 · ties: 2"
    assert Tally("a", "b", 9, 1).text.endswith("p = 0.0215 (more than chance)")


async def test_an_old_verdict_goes_when_something_else_is_expected(path: Path) -> None:
    """s6: neither the answer nor the way to it is left over from another expectation."""
    async with console(path) as (app, pilot):
        await press(app, pilot, *"hi", "f6", *"auth", "enter")
        await wait_for(app, pilot, "began to pass at step 75")
        for keys in (("x",), ("ctrl+o",)):
            await press(app, pilot, *keys)
            assert "began to pass" not in screen_text(app)
            assert "auth, says" not in screen_text(app)
            await press(app, pilot, "ctrl+g")
            assert isinstance(app.screen, BisectScreen), "there is nothing to talk to"
            while keys == ("x",) and "began to pass" not in screen_text(app):
                await press(app, pilot, "backspace", "enter")
                await wait_for(app, pilot, "began to pass at step 75")


async def test_bisect_finds_the_checkpoint(path: Path) -> None:
    async with console(path) as (app, pilot):
        await press(app, pilot, *"hi", "f6")
        assert isinstance(app.screen, BisectScreen)
        await press(app, pilot, *"auth", "enter")
        told = "It began to pass at step 75; step 50 was the last before."
        await wait_for(app, pilot, told, "✗       base  hello there", "✓    step 75  auth")
        await press(app, pilot, "ctrl+g")
        assert isinstance(app.screen, ConsoleScreen)
        current = app.screen.query_one(TargetList).current
        assert current is not None
        assert current.label == "step 75"


async def test_bisect_says_what_is_missing_or_refused(path: Path) -> None:
    async with console(path, toasts=True) as (app, pilot):
        await press(app, pilot, "f6")
        await press(app, pilot, "down", "enter")
        await wait_for(app, pilot, "Give a prompt")
        await press(app, pilot, *"x", "up")
        prompt = app.screen.query_one("#bisect-prompt", Input)
        prompt.value = "refuse"
        await press(app, pilot, "enter")
        await wait_for(app, pilot, "could not be asked: refused")
        assert "\u202e" not in screen_text(app)


async def test_bisect_expects_more_than_a_text(path: Path) -> None:
    async with console(path, toasts=True) as (app, pilot):
        await press(app, pilot, *"hi", "f6", "ctrl+o")
        assert "must not contain" in screen_text(app)
        await press(app, pilot, *"hello", "enter")
        await wait_for(app, pilot, "It began to pass at step 75")
        await press(app, pilot, "ctrl+o", *"(", "enter")
        await wait_for(app, pilot, "is wrong")
        expected = app.screen.query_one("#bisect-expected", Input)
        expected.value = "^a.th"
        await press(app, pilot, "enter")
        await wait_for(app, pilot, "It began to pass at step 75")
        await press(app, pilot, "ctrl+o")
        assert "JSON with FIELD=VALUE" in screen_text(app)
        expected.value = "category"
        await press(app, pilot, "enter")
        await wait_for(app, pilot, "not of the form FIELD=VALUE")


async def test_what_bisect_found_is_talked_to_instead_of_what_was_marked(path: Path) -> None:
    async with console(path) as (app, pilot):
        await press(app, pilot, "ctrl+b", *"hi", "f6", "ctrl+g")
        assert isinstance(app.screen, BisectScreen)  # nothing was found yet
        await press(app, pilot, *"auth", "enter")
        await wait_for(app, pilot, "It began to pass at step 75")
        await press(app, pilot, "ctrl+g")
        assert [t.label for t in app.screen.query_one(TargetList).asked()] == ["step 75"]
