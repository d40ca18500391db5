"""Guards, samples and what-if on screen, by keys."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from arkor_tui.archive.records import Sample
from arkor_tui.archive.store import Archive
from arkor_tui.config.run_lock import HostState, RunLock, take_run_lock
from arkor_tui.session.recipe_host import lock_path_of
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.screens.matrix import MatrixScreen
from arkor_tui.tui.screens.setup import SetupScreen
from arkor_tui.tui.screens.whatif import WhatIfScreen
from arkor_tui.tui.widgets.dialogs import Choose
from arkor_tui.tui.widgets.formfields import FieldInput, LinesArea
from arkor_tui.tui.widgets.guardpanel import GuardPanel
from arkor_tui.tui.widgets.keybar import KeyBar
from tests.support.recorded_runs import (
    HOSTILE,
    add_run,
    app_on,
    fill,
    press,
    screen_text,
    settled,
    triage_events,
    wait_for,
)

NOBODY = "http://127.0.0.1:9"
"""A backend that nobody serves: a run of it is live for all that anybody knows."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive lies."""
    return tmp_path / "history.db"


def a_live_run(path: Path, *, recipes: int = 1) -> int:
    with Archive.open(path) as archive:
        key = add_run(archive, "guarded", triage_events()[:12], status="running", backend=NOBODY)
        archive.set_recipes(key, recipes, None)
        archive.save_finding(
            key, "guard", "EarlyStopping", 40,
            {"guard": "ceiling", "reason": f"the loss 7 {HOSTILE}", "phase": "armed"},
        )  # fmt: skip
        archive.save_finding(
            key, "notice", "SlackNotifier", None,
            {"service": "Slack", "event": "guard", "ok": False, "error": "Slack answered 500."},
        )  # fmt: skip
        archive.save_finding(
            key, "error", "Diary.on_log", 40, {"message": f"it raised (x.py, line 7) {HOSTILE}"}
        )
    return key


def watched(path: Path, key: int, **state: Any) -> RunLock:
    with Archive.open(path) as archive:
        record = archive.run(key)
    assert record is not None
    watch = take_run_lock(lock_path_of(record))
    assert watch is not None
    gauges = (
        {"name": "ceiling", "share": 0.9, "text": "loss 4.5 of 5", "state": "watching"},
        {"name": "patience", "share": None, "text": f"none yet {HOSTILE}", "state": "warming"},
    )
    watch.tell(HostState(os.getpid(), "supervisor", 1.0, 2, gauges, **state))
    return watch


async def test_gauges_of_another_process_are_shown(path: Path) -> None:
    watch = watched(path, a_live_run(path), problem="no connection, attempt 3")
    try:
        async with app_on(path) as (app, pilot):
            await press(app, pilot, "enter")
            await settled(app, pilot)
            text = screen_text(app)
    finally:
        watch.release()
    assert f"2 recipes · supervisor {os.getpid()}" in text
    assert "no connection, attempt 3" in text
    assert "━━━━━━━━━─ loss 4.5 of 5" in text
    assert "armed: the loss 7" in text
    assert "Slack not told:" in text
    assert "error: it raised" in text  # r7
    assert "\x1b" not in text
    assert "\u202e" not in text


async def test_a_run_that_lost_its_process_says_so(path: Path) -> None:
    a_live_run(path)
    async with app_on(path, toasts=True) as (app, pilot):
        await press(app, pilot, "enter")
        assert "nobody watches: press w" in screen_text(app)
        await press(app, pilot, "w")
        assert isinstance(app.screen, Choose)
        assert "watch: start the callbacks" in screen_text(app)
        await press(app, pilot, *"start the", "enter")
        # there is no trainer file that they could come from
        await wait_for(app, pilot, "did not start: The run has no trainer")


async def test_a_run_without_guards_shows_no_panel(path: Path) -> None:
    with Archive.open(path) as archive:
        add_run(archive, "triage-run", triage_events())
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "enter")
        await settled(app, pilot)
        assert not app.screen.query_one(GuardPanel).display


async def test_what_if_is_tried_by_typing(path: Path) -> None:
    with_samples(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "enter", "w", "enter")
        assert isinstance(app.screen, WhatIfScreen)
        await settled(app, pilot)
        assert "It would not have stopped: all 100 steps" in screen_text(app)
        ceiling = app.screen.query_one("#whatif-ceiling", Input)
        ceiling.value = ""
        await press(app, pilot, *"3.5")
        saved = "That saves 95 of 100 steps (95%)."
        await wait_for(app, pilot, "It would have stopped at step 5", saved, "Too early")
        ceiling.value = "much"
        await wait_for(app, pilot, "ceiling must be a number")
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, WhatIfScreen)


def with_samples(path: Path) -> None:
    with Archive.open(path) as archive:
        key = add_run(archive, "triage-run", triage_events())
        for number, prompt in enumerate(("I cannot log in", f"odd {HOSTILE}")):
            archive.save_sample(
                Sample(key, "probe", number, None, "Hello!", False, "no auth", text=prompt)
            )
            for step in (25, 50, 75, 100):
                good = step >= 50
                reply = f'{{"category": "{"auth" if good else "??"}", "step": {step}}}'
                verdict = "ok" if good else f"lacks “auth” {HOSTILE}"
                archive.save_sample(
                    Sample(key, "probe", number, step, reply, good, verdict, text=prompt)
                )


async def test_samples_stand_in_a_matrix(path: Path) -> None:
    with_samples(path)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "enter", "e")
        assert isinstance(app.screen, MatrixScreen)
        await settled(app, pilot)
        text = screen_text(app)
        assert "base     25     50     75    100" in text
        assert "0/2    0/2    2/2    2/2    2/2" in text
        assert "100 › I cannot log in" in text
        await press(app, pilot, "left", "left", "left")
        assert "25 › I cannot log in" in screen_text(app)
        assert "lacks “auth”" in screen_text(app)
        await press(app, pilot, "down")
        assert "25 › odd" in screen_text(app)
        await press(app, pilot, "h")
        assert "base › odd" in screen_text(app)
        assert "Hello!" in screen_text(app)
        raw = {c for c in screen_text(app) if c != "\n" and not c.isprintable()}
        assert raw == set()
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, MatrixScreen)


async def test_a_run_without_samples_says_where_they_come_from(path: Path) -> None:
    with Archive.open(path) as archive:
        add_run(archive, "triage-run", triage_events())
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "enter", "e")
        assert "Golden prompts are asked at every checkpoint" in screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_matrix_fits(path: Path, size: tuple[int, int]) -> None:
    with_samples(path)
    async with app_on(path, size=size) as (app, pilot):
        await press(app, pilot, "enter", "e")
        await settled(app, pilot)
        assert "100 ›" in screen_text(app)
        assert "passed" in screen_text(app)


def field(app: Any, name: str) -> FieldInput:
    found = app.screen.query_one(f"#field-{name}", FieldInput)
    assert isinstance(found, FieldInput)
    return found


async def test_guards_prompts_and_notices_are_typed_into_setup(path: Path) -> None:
    fill(path)
    async with app_on(path, size=(120, 60)) as (app, pilot):
        await press(app, pilot, "2")
        assert isinstance(app.screen, SetupScreen)
        field(app, "guard_ceiling").focus()
        await press(app, pilot, *"5", "down", *"10")
        assert field(app, "guard_window").value == "10"
        prompts = app.screen.query_one("#field-prompts", LinesArea)
        prompts.focus()
        prompts.insert("log in => aut")
        await press(app, pilot, "h", "enter", *"hi")
        assert prompts.text == "log in => auth\nhi"
        # the arrows lead out at the edges, and tab always does
        await press(app, pilot, "down")
        assert app.focused is field(app, "notify")
        field(app, "notify").value = "page"
        await press(app, pilot, "end", "r")
        assert "no service pager" in screen_text(app)
        await press(app, pilot, "up", "tab")
        assert app.focused is field(app, "notify")


async def test_a_test_notice_without_an_address_says_so(path: Path) -> None:
    fill(path)
    async with app_on(path, size=(120, 60), toasts=True) as (app, pilot):
        await press(app, pilot, "2", "ctrl+n")
        await wait_for(app, pilot, "Name a service")
        field(app, "notify").value = "slack"
        await press(app, pilot, "ctrl+n")
        await wait_for(app, pilot, "has no address")


async def test_a_view_that_closes_ends_its_work_before_its_widgets_go(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path)
    until_closing = asyncio.Event()
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "enter", "w", "enter")
        screen = app.screen
        assert isinstance(screen, WhatIfScreen)
        with Archive.open(path) as archive:

            async def read(work: Callable[[Archive], Any]) -> Any:
                await until_closing.wait()
                return work(archive)

            async def linger(_: KeyBar) -> None:
                while screen.query(LossChart):  # noqa: ASYNC110 it is about the order of removal
                    await asyncio.sleep(0)
                until_closing.set()
                for _step in range(10):
                    await asyncio.sleep(0)

            monkeypatch.setattr(app.session.archive, "read", read)
            monkeypatch.setattr(KeyBar, "_on_unmount", linger, raising=False)
            screen._try()
            worker = next(worker for worker in app.workers if worker.node is screen)
            await pilot.press("escape")
            await until_closing.wait()
            await settled(app, pilot)
        assert worker.is_cancelled
        assert not isinstance(app.screen, WhatIfScreen)
