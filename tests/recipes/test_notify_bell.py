"""The terminal as a place for notices: a real one."""

from __future__ import annotations

import os
import pty

import pytest

from arkor_tui.recipes.notify import BellNotifier, bell, send_test
from arkor_tui.recipes.notify.bell import ring, sequence
from arkor_tui.recipes.notify.delivery import Attempt
from tests.support.notifying import FakeRun, Time, completion, failure


def written(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """A terminal that stands in for stderr's; there is no controlling one."""
    master, slave = pty.openpty()
    monkeypatch.setattr(bell, "CONTROLLING", "/dev/none")
    monkeypatch.setattr(bell, "_terminal_of_stderr", lambda: os.ttyname(slave))
    for name in ("TMUX", "STY", "TERM"):
        monkeypatch.delenv(name, raising=False)
    return master, slave


async def test_a_terminal_gets_a_bell_and_a_notice_that_holds_no_other_sequence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, slave = written(monkeypatch)
    try:
        run = FakeRun()
        notifier = BellNotifier()
        notifier.clock = Time().clock
        notifier.attached(run.handle)
        notifier.on_failed(failure("boom \x1b]52;c;aGk=\x07\x07 9;7;rm"))
        await run.finish()
        assert run.notices == [{"service": "bell", "event": "failed", "ok": True, "error": None}]
        got = os.read(master, 4096)
    finally:
        os.close(master)
        os.close(slave)
    assert got.startswith(b"\x07\x1b]9;arkor-tui: triage-run failed")
    assert got.count(b"\x1b") == 1
    assert got.count(b"\x07") == 2


async def test_it_is_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "ring", lambda _: Attempt(True))
    marks: set[str] = set()
    notices = []
    for _ in range(2):
        run = FakeRun(marks)
        notifier = BellNotifier(on=("completed",))
        notifier.clock = Time().clock
        notifier.attached(run.handle)
        notifier.on_completed(completion())
        await run.finish()
        notices += run.notices
    assert len(notices) == 1


async def test_a_process_without_a_terminal_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = written(monkeypatch)
    monkeypatch.setattr(bell, "_terminal_of_stderr", lambda: None)
    try:
        outcome = await send_test(BellNotifier())
    finally:
        os.close(master)
        os.close(slave)
    assert not outcome.ok
    assert "no terminal" in outcome.text


def test_a_terminal_that_takes_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = written(monkeypatch)
    try:
        for _ in range(10_000):  # nobody reads, so its buffer fills
            attempt = ring(b"x" * 4096)
            if not attempt.ok:
                break
    finally:
        os.close(master)
        os.close(slave)
    assert not attempt.ok


def test_multiplexers_hand_the_notice_on() -> None:
    assert sequence("x", {"TMUX": "/tmp/t"}).startswith(b"\x07\x1bPtmux;\x1b\x1b]9;")
    assert sequence("x", {"STY": "1.pts"}).startswith(b"\x07\x1bP\x1b]9;")
    assert sequence("x", {}) == b"\x07\x1b]9;arkor-tui: x\x07"
