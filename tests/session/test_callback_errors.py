"""A callback that raises, in the app and headless: told, never tried again, and no event lost."""

from __future__ import annotations

import argparse
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.cli.follow import View, follow
from arkor_tui.cli.output import CallbackOutput
from arkor_tui.cli.present import JsonPresenter
from arkor_tui.session.monitor import RunMonitor
from tests.run.test_callbacks import BrokenError, raising
from tests.support.frames import END, checkpoint, completed, failed, log, started
from tests.support.scripted import Server, stream
from tests.support.trainers import Recorder, a_trainer, unconnected

METHODS = ("on_started", "on_log", "on_checkpoint", "on_completed", "on_failed")
EVERY = pytest.mark.parametrize("is_async", [False, True])
ONE = pytest.mark.parametrize("method", METHODS)


def script(server: Server, method: str) -> list[str]:
    """A whole run that reaches the method; what is told of it."""
    end = failed("boom") if method == "on_failed" else completed()
    server.script(stream(started(), log(1), checkpoint(1), end, END))
    return ["started", "log", "checkpoint", "failed" if method == "on_failed" else "completed"]


@EVERY
@ONE
async def test_the_app_shows_it_and_goes_on(
    server: Server, tmp_path: Path, method: str, is_async: bool
) -> None:
    kinds = script(server, method)
    after = Recorder()
    archive = await AsyncArchive.open(tmp_path / "history.db")
    try:
        error = BrokenError("no such thing")
        trainer = a_trainer(server, raising(method, error, is_async=is_async), after)
        monitor = RunMonitor(archive, trainer)
        shown: list[str] = []
        monitor.subscribe(lambda _: shown.extend(p.message for p in monitor.problems))
        await monitor.follow()
        assert monitor.record is not None
        rows = await archive.read(lambda a: a.log(monitor.key))
        kept = await archive.read(lambda a: a.findings(monitor.key, "error"))
    finally:
        await archive.aclose()
    (problem,) = monitor.problems
    assert problem.message.startswith(
        f"A callback failed: Callback.{method} raised on {METHODS_EVENTS[method]}: "
        "BrokenError: no such thing (test_callbacks.py, line "
    )
    assert shown  # while it happened, not only afterwards
    (row,) = kept  # r7: with the run, whoever looks at it later
    assert row.data["message"] in problem.message
    assert (row.name, row.data["event"]) == (f"Callback.{method}", METHODS_EVENTS[method])
    assert str(row.data["file"]).endswith("tests/run/test_callbacks.py")
    place = f"test_callbacks.py:{row.data['line']} in "
    assert place in row.data["traceback"]
    assert after.kinds == kinds
    assert len(rows) == 4
    assert len(server.openings) == 1


METHODS_EVENTS = {
    "on_started": "training.started",
    "on_log": "training.log",
    "on_checkpoint": "checkpoint.saved",
    "on_completed": "training.completed",
    "on_failed": "training.failed",
}


@EVERY
@ONE
async def test_a_command_prints_it_goes_on_and_ends_with_1(
    server: Server, method: str, is_async: bool
) -> None:
    """r7: file and line in the JSON, and the traceback with ``--debug``."""
    debug = is_async
    kinds = script(server, method)
    after = Recorder()
    trainer = unconnected(raising(method, BrokenError("no such thing"), is_async=is_async), after)
    connection = server.connection()
    out, told = io.StringIO(), io.StringIO()
    presenter = JsonPresenter(out)
    view = View(presenter, CallbackOutput(presenter.line), interactive=False)
    with redirect_stdout(out), redirect_stderr(told):
        args = argparse.Namespace(backend=None, debug=debug)
        code = await follow(trainer, connection, view, args)
    assert code == 1
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    (error,) = [line for line in lines if line["type"] == "callback.error"]
    assert (error["callback"], error["event"]) == (f"Callback.{method}", METHODS_EVENTS[method])
    assert error["file"].endswith("tests/run/test_callbacks.py")
    assert error["line"] > 0
    assert ("Traceback (most recent call last)" in told.getvalue()) is debug
    assert told.getvalue().count(f"Callback.{method} raised on {METHODS_EVENTS[method]}") == 1
    assert "1 callback raised; see above." in told.getvalue()
    assert after.kinds == kinds
    assert len(server.openings) == 1
