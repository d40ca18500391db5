"""Processes that outlive their starter: their first word, and what is known of a bad start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arkor_tui.connect.detached import Detached, start_detached


async def test_a_process_that_does_not_start_says_why_in_its_log(home: Path) -> None:
    log = home / "x.log"
    log.write_text("of an earlier start\n")
    started = await start_detached(("no-such-command",), log=log, cwd=home, seconds=60.0)
    assert started.line == b""
    assert started.has_ended
    assert started.told("serving") is None
    assert "no-such-command" in started.why()
    assert "earlier" not in started.why()


def test_only_the_end_of_a_long_log_is_the_reason(home: Path) -> None:
    """r13: whatever was printed before, the reason is not cut off."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    log = home / "x.log"
    log.write_text("of an earlier start\n" + "noise\n" * 1_000 + "and then it broke\n")
    assert Detached(process, b"", log, 20).why().endswith("and then it broke")
    told = b'{"type": "failed", "message": "No room.", "hint": "Make some."}\n'
    assert Detached(process, told, log, 20).why() == "No room. Make some."
    log.write_text("")
    assert Detached(process, b"", log, 0).why() == "it said nothing."


async def test_it_leads_a_session_of_its_own(home: Path) -> None:
    """No signal of the starter's terminal is for it: the kernel sends them to one session."""
    started = await start_detached(("serve",), log=home / "x.log", cwd=home, seconds=60.0)
    try:
        assert started.told("serving") is not None, started.why()
        assert os.getsid(started.pid) == started.pid
        assert os.getpgid(started.pid) == started.pid
    finally:
        started.process.terminate()
        await asyncio.to_thread(started.process.wait, 20)
    assert started.process.returncode == 0


async def test_a_first_line_that_takes_too_long_is_not_waited_for(home: Path) -> None:
    started = await start_detached(("--version",), log=home / "x.log", cwd=home, seconds=0.0)
    try:
        assert started.line == b""
        assert started.told("serving") is None
        assert started.pid == started.process.pid
    finally:
        started.process.wait()
    assert started.has_ended


async def test_a_log_that_cannot_be_written_is_an_error(home: Path) -> None:
    with pytest.raises(OSError, match=r"x\.log"):
        await start_detached(("--version",), log=home / "no" / "x.log", cwd=home, seconds=1.0)


@pytest.mark.parametrize(
    "line", [b"", b"usage: arkor-tui", b'"serving"', b"[]", b"{}", b'{"type": "other"}', b"\xff"]
)
def test_only_the_line_that_was_asked_for_counts(line: bytes, home: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert Detached(process, line, home / "x.log", 0).told("serving") is None
    said = Detached(process, b'{"type": "serving", "url": "u"}\n', home / "x.log", 0)
    assert said.told("serving") == {"type": "serving", "url": "u"}
