"""Sizes of the terminal that follow each other while a view is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from textual import events
from textual.geometry import Size
from textual.message import Message

from tests.support.amounts import patience
from tests.support.recorded_runs import app_on, fill, settled


@pytest.fixture
def path(project: Path) -> Path:
    path = project / "history.db"
    fill(path)
    return path


async def until(condition: Callable[[], bool]) -> None:
    """Poll, since a pilot would wait for the view that is busy."""
    async with asyncio.timeout(patience(20)):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "opens", ["", "question_mark", "ctrl+p"], ids=["view", "dialog", "palette"]
)
async def test_the_last_size_counts(
    path: Path, opens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app_on(path, size=(80, 24)) as (app, pilot):
        if opens:
            await pilot.press(opens)
            await settled(app, pilot)
        screen = app.screen
        go_on, is_busy = asyncio.Event(), asyncio.Event()
        told: list[object] = []
        post = screen.post_message

        def posted(message: Message) -> bool:
            if isinstance(message, events.Resize):
                told.append(message.size)
            return post(message)

        async def be_busy() -> None:
            is_busy.set()
            await go_on.wait()

        monkeypatch.setattr(screen, "post_message", posted)

        def tell(columns: int, rows: int) -> None:
            size = Size(columns, rows)
            app.post_message(events.Resize(size, size))

        try:
            screen.call_later(be_busy)
            await is_busy.wait()
            tell(100, 30)
            await until(lambda: told == [(100, 30)])
            screen.call_later(lambda: None)  # something else comes between the two
            tell(120, 36)
            await until(lambda: told == [(100, 30), (120, 36)])
        finally:
            go_on.set()
        await until(lambda: screen.outer_size == (120, 36))


async def test_a_size_that_comes_back_draws_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app_on(path, size=(80, 24)) as (app, _):
        drawn: list[str] = []
        monkeypatch.setattr(
            app, "_display", lambda _screen, update: drawn.append(type(update).__name__)
        )
        for size in (Size(60, 20), Size(80, 24)):
            app.post_message(events.Resize(size, size))
        await until(lambda: "LayoutUpdate" in drawn)
