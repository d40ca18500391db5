"""Texts of megabytes, on every screen that may be given one: little of them is looked at or drawn.

Time is not measured here: what is drawn and what is parsed is bounded, whatever there is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App
from textual.widgets import Static

from arkor_tui.archive import records
from arkor_tui.archive.records import Exchange
from arkor_tui.archive.store import Archive
from arkor_tui.chat.asking import Answer
from arkor_tui.chat.target import Target
from arkor_tui.errors import ArkorTuiError
from arkor_tui.tui.widgets import eventdetail, eventlog, output, talk
from arkor_tui.tui.widgets.eventdetail import EventDetail
from arkor_tui.tui.widgets.eventlog import line_of
from arkor_tui.tui.widgets.output import OutputScreen
from arkor_tui.tui.widgets.talk import AnswerView, ExchangeView
from tests.support.hostile_payloads import ESC, MEGABYTE, forbidden
from tests.support.recorded_runs import add_run, app_on, event, press, screen_text, settled

TEXTS = {
    "one word": "x" * (4 * MEGABYTE),
    "lines": "line\n" * MEGABYTE,
    "sequences": f"{ESC}[31mred{ESC}]0;x" * 200_000,
    "marks": "e" + "\u0301" * MEGABYTE,
    "wide": "日本" * MEGABYTE,
    "deep": "[" * MEGABYTE,
}
kinds_of_text = pytest.mark.parametrize("kind", TEXTS)


def statics(screen: object) -> list[str]:
    query = screen.query(Static)  # type: ignore[attr-defined]
    return [str(static.content) for static in query]


def fill(path: Path, text: str) -> int:
    """A failed run whose every event is megabytes long."""
    events = [event("training.log", step, loss=1.0, note=text) for step in (1, 2)]
    events += [event("odd", 3, text=text), event("checkpoint.saved", 4, artifacts=[text])]
    events += [event("training.failed", 5, error=text)]
    with Archive.open(path) as archive:
        key = add_run(archive, text, events, status="failed", job_id="long")
        archive.set_note(key, text)
        archive.save_exchange(
            Exchange(key, "base", None, "m", ({"role": "user", "content": text},), text)
        )
    return key


@kinds_of_text
async def test_the_log_and_one_event(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "history.db"
    key = fill(path, TEXTS[kind])
    with Archive.open(path) as archive:
        rows = archive.log(key, limit=10)
    read: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        of = records.object_of
        patch.setattr(records, "object_of", lambda data: read.append(len(data)) or of(data))
        lines = ["".join(part for part, _ in line_of(row)) for row in rows]
    assert all(size <= eventlog._LONGEST_ERROR for size in read), "no megabytes are parsed to draw"
    assert all(len(line) < 3 * eventlog.LONGEST and "\n" not in line for line in lines)
    async with app_on(path) as (app, pilot):
        await press(app, pilot, "enter")
        assert "training failed" in screen_text(app)
        await press(app, pilot, "g", "enter")
        assert isinstance(app.screen, EventDetail)
        assert all(len(text) < eventdetail.LONGEST + 100 for text in statics(app.screen))
        await press(app, pilot, "escape", "i", "ctrl+f", "escape")
        assert forbidden(screen_text(app)) == set()


@kinds_of_text
async def test_a_reply_and_a_toast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    text, told = TEXTS[kind], list[str]()
    monkeypatch.setattr(App, "notify", lambda _, message, **__: told.append(message))
    path = tmp_path / "history.db"
    with Archive.open(path) as archive:
        add_run(archive, "short", [event("training.started")])
    async with app_on(path) as (app, pilot):
        failure = ArkorTuiError(text, hint=text)
        answer = Answer(Target("base"), text=text, verdict=text, failure=failure)
        answer.finish_reason, answer.total_s = text, 1.0
        await app.screen.mount(ExchangeView(text, [answer]))
        app.tell_problem(ArkorTuiError(text, hint=text))
        app.session.on_report(text)
        await settled(app, pilot)
        view = app.screen.query_one(AnswerView)
        assert len(str(view.content)) < talk.LONGEST + 2_000
        assert forbidden(screen_text(app)) == set()
    assert len(told) == 2
    assert all(len(text) < 1_000 and text.count("\n") < 20 for text in told)


@kinds_of_text
async def test_what_a_callback_prints_without_end(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "history.db"
    with Archive.open(path) as archive:
        add_run(archive, "short", [event("training.started")])
    async with app_on(path) as (app, pilot):
        for _ in range(3):
            print(TEXTS[kind], end="")
        await settled(app, pilot)
        assert sum(map(len, app.printed)) + len(app._unfinished) < 10 * MEGABYTE
        await app.push_screen(OutputScreen([*app.printed, app._unfinished]))
        await settled(app, pilot)
        assert all(len(text) < output.LONGEST + 100 for text in statics(app.screen))
        assert forbidden(screen_text(app)) == set()
