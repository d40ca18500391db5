"""The way to every view, over an archive that is always the same."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from arkor_tui.api.reconnect import StreamState
from arkor_tui.archive.records import Prompt, RunRecord, Sample
from arkor_tui.archive.store import Archive
from arkor_tui.chat.asking import Answer
from arkor_tui.chat.target import Target
from arkor_tui.config.run_lock import HostState
from arkor_tui.session.monitor import RunMonitor
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.widgets.formfields import FieldInput
from tests.support.recorded_runs import add_run, fill, press, settled, time_of, triage_events

Go = Callable[[ArkorApp, Pilot[None]], Awaitable[None]]

REPLIES = {
    "base": "I'm not sure what you mean. Could you tell me more about your account?",
    "step 25": '{"category": "account", "urgency": "low"}',
    "step 50": '{"category": "account", "urgency": "high"}',
    "step 75": '{"category": "account", "urgency": "high", "summary": "Cannot log in."}',
}


def freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of day as recorded, durations and replies that are always the same, no waiting."""
    short = "arkor_tui.tui.widgets.runtable.when", "arkor_tui.tui.widgets.eventdetail.when"
    for name in short:
        monkeypatch.setattr(name, lambda text: str(text)[5:16])
    for name in ("eventlog", "checkpoints", "guardpanel"):
        monkeypatch.setattr(f"arkor_tui.tui.widgets.{name}.clock", lambda text: str(text)[11:19])
    monkeypatch.setattr(RunRecord, "duration", property(_duration))
    monkeypatch.setattr("arkor_tui.tui.widgets.progress.IDLE_SECONDS", float("inf"))
    monkeypatch.setattr("arkor_tui.tui.screens.setup.PREVIEW_DELAY", 0.0)
    monkeypatch.setattr(Input, "cursor_blink", False)
    monkeypatch.setattr("random.sample", lambda items, count: list(items)[:count])
    for screen in ("blind", "console", "timemachine"):
        monkeypatch.setattr(f"arkor_tui.tui.screens.{screen}.ask", _reply)


def _duration(record: RunRecord) -> float:
    return 99.0 if record.is_terminal else 61.0


async def _reply(
    _session: object, _run: object, answer: Answer, *_: object, **options: Any
) -> None:
    answer.text = REPLIES.get(answer.target.label, REPLIES["step 75"])
    answer.first_token_s, answer.total_s, answer.tokens = 0.12, 1.32, 25
    answer.finish_reason = "stop"
    if "on_change" in options:
        options["on_change"](answer)


def fill_archive(path: Path) -> None:
    """Good, failed, cancelled, running; and two prompts in the library."""
    fill(path)
    with Archive.open(path) as archive:
        add_run(archive, "support-bot-v2", triage_events()[:16], status="running", maxSteps=200)
        _watch_over(archive)
        archive.save_prompt(Prompt("log in", "I can't log in to my account.", ""))
        archive.save_prompt(Prompt("refund", "I was charged twice. Where is my money?", "Triage."))


def _watch_over(archive: Archive) -> None:
    """Samples of golden prompts with the good run."""
    good = next(run.key for run in archive.runs() if run.name == "triage-run")
    prompts = ("I can't log in to my account.", "Please cancel my plan at the end of the month.")
    for number, prompt in enumerate(prompts):
        for step, label in ((None, "base"), (25, "step 25"), (50, "step 50"), (75, "step 75")):
            passed = step is not None and step > 25 * (number + 1)
            verdict = "as expected" if passed else "lacks 'high'"
            archive.save_sample(
                Sample(good, "probe", number, step, REPLIES[label], passed, verdict,
                       time_of(step or 0), text=prompt, seconds=0.4)
            )  # fmt: skip


def keys(*pressed: str) -> Go:
    async def go(app: ArkorApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, *pressed)

    return go


def opened(name: str, *pressed: str) -> Go:
    """Open a run, and press more keys."""

    async def go(app: ArkorApp, pilot: Pilot[None]) -> None:
        runs = await app.session.archive.read(lambda a: a.runs())
        await app.open_run(next(run for run in runs if name in run.name))
        await settled(app, pilot)
        await press(app, pilot, *pressed)

    return go


async def _live(app: ArkorApp, pilot: Pilot[None]) -> None:
    """A run that trains, as far as the app can tell."""

    async def follow(monitor: RunMonitor, **_: bool) -> None:
        monitor.following, monitor.state = True, StreamState("live")
        monitor.state_since = time.monotonic()

    app.session.follow = follow  # type: ignore[method-assign]
    await opened("support-bot")(app, pilot)


async def _guarded(app: ArkorApp, pilot: Pilot[None]) -> None:
    """The same, in the hands of a supervisor whose guard waits for a checkpoint."""
    archive = app.session.archive
    run = next(r for r in await archive.read(lambda a: a.runs()) if r.name == "support-bot-v2")
    armed = {"guard": "ceiling", "reason": "the loss 7.1 is above 5", "phase": "armed"}
    told = {"service": "Slack", "event": "guard", "ok": True, "error": None}

    def save(archive: Archive) -> None:
        archive.save_finding(run.key, "guard", "EarlyStopping", 40, armed)
        archive.save_finding(run.key, "notice", "SlackNotifier", None, told)
        archive.db.execute("UPDATE findings SET created_at = ?", (time_of(40),))

    await archive.write(save)
    gauges = (
        {"name": "ceiling", "share": 1.0, "text": "stops at the next checkpoint: the loss 7.1 is "
         "above 5", "state": "armed"},
        {"name": "patience", "share": 0.4, "text": "12 of 30 without a better loss than 0.45"},
    )  # fmt: skip
    state = HostState(4711, "supervisor", 1.0, 3, gauges)

    async def watched(record: RunRecord) -> HostState:
        return state

    app.session.supervision.host = watched  # type: ignore[method-assign, assignment]
    await _live(app, pilot)


async def _quit(app: ArkorApp, pilot: Pilot[None]) -> None:
    await _live(app, pilot)
    await press(app, pilot, "q")


async def _setup(app: ArkorApp, pilot: Pilot[None]) -> None:
    runs = await app.session.archive.read(lambda a: a.runs())
    app.set_up_from(next(run for run in runs if run.name == "triage-run"))
    await settled(app, pilot)


async def _setup_errors(app: ArkorApp, pilot: Pilot[None]) -> None:
    await _setup(app, pilot)
    for name, text in (("name", ""), ("dataset", "http://x"), ("lora_r", "0"), ("test_size", "2")):
        app.screen.query_one(f"#field-{name}", FieldInput).value = text
    await settled(app, pilot)


async def _chart(app: ArkorApp, pilot: Pilot[None]) -> None:
    await opened("triage-run")(app, pilot)
    app.screen.query_one("#chart").focus()
    await press(app, pilot, "z", "s", "right_square_bracket", "right_square_bracket")


async def _asked(app: ArkorApp, pilot: Pilot[None]) -> None:
    await opened("triage-run", "i", "ctrl+b", "enter")(app, pilot)


async def _what_if(app: ArkorApp, pilot: Pilot[None]) -> None:
    await opened("triage-run", "w", "enter")(app, pilot)
    app.screen.query_one("#whatif-ceiling", Input).value = "3"
    found = app.screen.query_one("#whatif-found", Static)
    await _until(pilot, lambda: "step 5" in str(found.content))


async def _blind(app: ArkorApp, pilot: Pilot[None]) -> None:
    await opened("triage-run", "i", "f5")(app, pilot)
    await _until(pilot, lambda: app.screen.query_one("#blind-pane-1").has_focus)


async def _bisect(app: ArkorApp, pilot: Pilot[None]) -> None:
    app.session.infer = _Talker  # type: ignore[method-assign, assignment]
    await opened("triage-run", "i", "f6", *"high", "enter")(app, pilot)
    found = app.screen.query_one("#bisect-found", Static)
    await _until(pilot, lambda: "began" in str(found.content))


async def _until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("what was waited for did not come")


class _Talker:
    """A target that answers as :data:`REPLIES` say."""

    def __init__(self, _run: object, target: Target) -> None:
        self.text = REPLIES.get(target.label, REPLIES["step 75"])

    async def __call__(self, *args: object, **options: object) -> _Talker:
        return self


async def _palette(app: ArkorApp, pilot: Pilot[None]) -> None:
    await pilot.press("ctrl+p")
    await pilot.pause()
    while not (isinstance(app.screen, CommandPalette) and _listed(app)):
        await pilot.pause()


def _listed(app: ArkorApp) -> bool:
    found = app.screen.query_one(OptionList).option_count
    return bool(found) and all(worker.is_finished for worker in app.workers)


VIEWS: dict[str, Go] = {
    "welcome": keys(),
    "runs": keys(),
    "compare": keys("space", "space", "c"),
    "setup": _setup,
    "setup-errors": _setup_errors,
    "live-running": _live,
    "live-failed": opened("evil"),
    "live-event": opened("triage-run", "enter"),
    "live-side": opened("triage-run", "t"),
    "chart": _chart,
    "console": opened("triage-run", "i"),
    "console-compare": _asked,
    "time-machine": opened("triage-run", "i", "ctrl+t"),
    "live-guards": _guarded,
    "samples": opened("triage-run", "e", "left"),
    "what-if": _what_if,
    "blind": _blind,
    "bisect": _bisect,
    "help": opened("triage-run", "question_mark"),
    "palette": _palette,
    "quit": _quit,
    "library": opened("triage-run", "i", "ctrl+l"),
}
