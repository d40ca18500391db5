"""Every text that comes from outside, on every screen: only printable characters are drawn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from arkor_tui.archive.records import Exchange, Prompt, Sample
from arkor_tui.archive.store import Archive
from arkor_tui.errors import ArkorTuiError
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.widgets.runtable import RunTable
from tests.support.recorded_runs import HOSTILE, add_run, app_on, event, press, screen_text, settled

from .test_differences import Talker

Go = Callable[[ArkorApp, Pilot[None]], Awaitable[None]]


def fill_hostile(path: Path) -> None:
    """Two runs in which every text that a backend or a file can set is hostile."""
    events = [
        event("training.started"),
        event("training.log", 5, loss=1.0, evalLoss=0.9, **{f"metric {HOSTILE}": 1.0}),
        event("checkpoint.saved", 5),
        event("training.log", 10, loss=0.5, nonFinite={HOSTILE: "nan"}, note=HOSTILE),
        event(f"odd.{HOSTILE}", 11, text=HOSTILE),
        event("training.failed", 12, error=HOSTILE),
    ]
    source = {"type": "huggingface", "name": HOSTILE, "split": HOSTILE, "subset": HOSTILE}
    unknown: dict[str, Any] = {HOSTILE: {HOSTILE: HOSTILE}}
    with Archive.open(path) as archive:
        for place in (1, 2):
            key = add_run(
                archive, f"{place}{HOSTILE}", events, status="failed", job_id=f"{HOSTILE}{place}",
                model=f"{HOSTILE}{place}", datasetSource=source, datasetFormat={"type": HOSTILE},
                lrSchedulerType=HOSTILE, **unknown,
            )  # fmt: skip
            archive.set_tags(key, [HOSTILE])
            # the archive cleans these itself; in one that others have written they may be anything
            archive.db.execute(
                "UPDATE runs SET name = ?1 || name, model = ?1 || model, dataset = ?1 || dataset,"
                " error = ?1 || error, reason = ?1 WHERE key = ?2",
                (HOSTILE, key),
            )
            archive.set_note(key, f"note {HOSTILE}")
            archive.save_exchange(
                Exchange(
                    key, "checkpoint", 5, HOSTILE, ({"role": "user", "content": HOSTILE},),
                    f"said {HOSTILE}", verdict=HOSTILE, error=HOSTILE,
                )
            )  # fmt: skip
            for step in (None, 5):
                archive.save_sample(
                    Sample(
                        key, HOSTILE, 0, step, f"sampled {HOSTILE} {step}", False, HOSTILE,
                        text=f"golden {HOSTILE}",
                    )
                )  # fmt: skip
            archive.save_finding(key, "guard", HOSTILE, 5, {"phase": HOSTILE, "reason": HOSTILE})
            archive.save_finding(key, "notification", HOSTILE, 5, {"error": f"refused {HOSTILE}"})
        archive.save_prompt(Prompt(f"kept {HOSTILE}", f"text {HOSTILE}", f"system {HOSTILE}"))


def keys(*pressed: str) -> Go:
    async def go(app: ArkorApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, *pressed)

    return go


async def cursor_on_chart(app: ArkorApp, pilot: Pilot[None]) -> None:
    await press(app, pilot, "enter")
    app.screen.query_one(LossChart).focus()
    await press(app, pilot, "right_square_bracket", "m", "m", "m", "m")


async def prompt_of_the_library(app: ArkorApp, pilot: Pilot[None]) -> None:
    await press(app, pilot, "i", "ctrl+l", "enter")


async def reply_of_a_model(app: ArkorApp, pilot: Pilot[None]) -> None:
    async def refuse(_: object, **_options: bool) -> object:
        raise ArkorTuiError(f"refused {HOSTILE}", hint=HOSTILE)

    app.session.connection_for = refuse  # type: ignore[method-assign, assignment]
    await press(app, pilot, "i", "h", "i", "enter")
    await app.workers.wait_for_complete([w for w in app.workers if w.group == "ask"])
    await settled(app, pilot)


async def time_machine(app: ArkorApp, pilot: Pilot[None]) -> None:
    await reply_of_a_model(app, pilot)
    await press(app, pilot, "ctrl+t")
    await app.workers.wait_for_complete([w for w in app.workers if w.group == "ask"])
    await press(app, pilot, "right", "left")


class Different(Talker):
    """Here the base knows less than the checkpoint."""

    @property
    def text(self) -> str:
        return f"said {HOSTILE}" if self.target.kind == "base" else f"answered {HOSTILE}"


def difference(prompt: str, *pressed: str) -> Go:
    """To the two models of :class:`Different`, and there by keys."""

    async def go(app: ArkorApp, pilot: Pilot[None]) -> None:
        app.session.infer = Different  # type: ignore[method-assign, assignment]
        await press(app, pilot, "i", *prompt, *pressed)

    return go


async def printed(app: ArkorApp, pilot: Pilot[None]) -> None:
    await press(app, pilot, "enter")
    app.printed.append(f"printed {HOSTILE}")
    await press(app, pilot, "p")


PLACES: dict[str, tuple[Go, str]] = {
    "runs": (keys(), "evil"),
    "filtered by it": (keys("slash", "e", "v", "i", "l"), "evil"),
    "tags dialog": (keys("t"), "Words, with spaces"),
    "note dialog": (keys("n"), "note"),
    "deleted": (keys("d"), "Deleted"),
    "compare": (keys("space", "space", "c"), "≠"),
    "live": (keys("enter"), "The run failed"),
    "live, a metric of theirs": (cursor_on_chart, "metric [b]evil"),
    "live, the odd event": (keys("enter", "up", "enter"), "odd."),
    "live, searched": (keys("enter", "slash", *"evil", "enter"), "“evil”"),
    "cancel refused": (keys("enter", "c"), "ended already"),
    "live, samples": (keys("enter", "e"), "sampled"),
    "live, what if": (keys("enter", "w", "enter"), "What if: [b]evil"),
    "printed": (printed, "printed"),
    "setup of a re-run": (keys("e"), "-2"),
    "setup, sources": (keys("2", "ctrl+o"), "evil"),
    "console": (keys("i"), "Talk to"),
    "console, targets": (keys("i", "ctrl+k"), "base"),
    "console, library": (keys("i", "ctrl+l"), "kept"),
    "console, settings of a kept prompt": (keys("i", "ctrl+l", "enter", "ctrl+o"), "system"),
    "console, a kept prompt": (prompt_of_the_library, "text"),
    "console, transcripts": (keys("i", "ctrl+f"), "said"),
    "console, refused": (reply_of_a_model, "refused"),
    "time machine": (time_machine, "answered"),
    "blind A/B": (difference("hi", "f5"), "answered [b]evil"),
    "bisect": (difference("hi", "f6", *"answered", "enter"), "step 5  answered [b]evil"),
    "bisect, refused": (
        difference("refuse", "f6", "x", "enter"),
        "could not be asked: refused [b]evil",
    ),
}


@pytest.mark.parametrize("place", PLACES)
async def test_only_printable_text_is_drawn(tmp_path: Path, place: str) -> None:
    path = tmp_path / "history.db"
    fill_hostile(path)
    go, shown = PLACES[place]
    async with app_on(path, toasts=True) as (app, pilot):
        assert app.screen.query_one(RunTable).count == 2
        await go(app, pilot)
        await settled(app, pilot)
        text = screen_text(app)
        assert shown in text  # else this would prove nothing
        raw = {character for character in text if character != "\n" and not character.isprintable()}
        assert raw == set()


async def test_toasts_and_title_are_sanitised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    fill_hostile(path)
    written: list[str] = []
    monkeypatch.setattr(ArkorApp, "write_out", lambda _, sequence: written.append(sequence))
    async with app_on(path, toasts=True) as (app, pilot):
        await press(app, pilot, "enter", "y")
        app.session.on_report(f"report {HOSTILE}")
        await settled(app, pilot)
        assert any("report" in toast.message for toast in app._notifications)
        for toast in app._notifications:
            assert all(c == "\n" or c.isprintable() for c in f"{toast.title}{toast.message}")
    titles = [one for one in written if one.startswith("\x1b]2;")]
    assert titles
    assert all(one.removeprefix("\x1b]2;").rstrip("\x07\x1b\\").isprintable() for one in titles)
