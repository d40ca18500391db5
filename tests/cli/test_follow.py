"""What Ctrl-C asks while a run is followed."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from arkor_tui.cli import follow
from arkor_tui.cli.output import CallbackOutput


class Told:
    """A presenter that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Running:
    """As much of a trainer as the question needs."""

    name = "triage-run"
    job = SimpleNamespace(id="job-1")

    def __init__(self) -> None:
        self.stopped = 0

    async def stop(self, _reason: str, *, by: str) -> Any:
        assert by == "person"
        self.stopped += 1
        return SimpleNamespace(confirmed=True)


async def answered(typed: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int | None, int, str]:
    """The exit code, how often it was cancelled, and what was said; ``typed`` at a terminal."""
    ours, theirs = os.openpty()
    presenter, trainer = Told(), Running()
    try:
        with os.fdopen(theirs, "r", encoding="utf-8") as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            os.write(ours, typed.encode())
            view = follow.View(cast(Any, presenter), CallbackOutput(print), interactive=True)
            args = argparse.Namespace(on_signal="ask", backend=None)
            interrupts: asyncio.Queue[signal.Signals] = asyncio.Queue()
            async with asyncio.timeout(20):
                code = await follow._decide(cast(Any, trainer), view, args, interrupts)
    finally:
        os.close(ours)
    return code, trainer.stopped, "\n".join(presenter.notes)


@pytest.mark.parametrize(
    ("typed", "code", "stopped"),
    [
        ("\n", 130, 0),
        ("c\n", None, 1),
        ("Cancel\n", None, 1),
        ("s\n", None, 0),
        (" stay \n", None, 0),
        ("x\ny\nc\n", None, 1),
        ("x\ns\n", None, 0),
        ("cat\n\n", 130, 0),
        ("x\n\x04", 130, 0),
    ],
)
async def test_only_enter_leaves_and_what_is_unknown_is_asked_again(
    typed: str, code: int | None, stopped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await answered(typed, monkeypatch)
    assert found[:2] == (code, stopped)
    asked_again = typed.count("\n") - (0 if "\x04" in typed else 1)
    assert found[2].count("Please press Enter, or answer with c or s.") == asked_again
    assert ("No longer following" in found[2]) == (code == 130)
