"""What Ctrl-C asks while a run is followed."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import signal
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from arkor_tui.archive.sink import identity_of
from arkor_tui.archive.store import Archive
from arkor_tui.cli import follow
from arkor_tui.cli.output import CallbackOutput
from arkor_tui.cli.present import presenter_for
from arkor_tui.ended import Ended
from arkor_tui.run.trainer import Trainer
from tests.support.archive_material import job
from tests.support.frames import END, failed, started
from tests.support.scripted import JOB, JOB_ID, Answer, Server, stream
from tests.support.trainers import unconnected


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


class Command:
    """``start`` in this process."""

    def __init__(self, server: Server, on_signal: str) -> None:
        presenter = presenter_for(json=True, out=io.StringIO())
        view = follow.View(presenter, CallbackOutput(print), interactive=False)
        args = argparse.Namespace(on_signal=on_signal, backend=None, debug=False)
        trainer = unconnected()
        self.work = asyncio.create_task(follow.follow(trainer, server.connection(), view, args))

    async def code(self) -> int:
        async with asyncio.timeout(20):
            return await self.work


def interrupt(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


async def test_a_signal_while_the_job_is_submitted_cancels_it(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """r3: the backend has the job by then, and would train it for nobody."""
    server.obeys = True
    server.creation = asyncio.Event()
    server.script(stream(started(), server.cancelled, failed("Job cancelled", "9"), END))
    command = Command(server, "cancel")
    await server.submitted.wait()
    interrupt()
    await asyncio.sleep(0)
    interrupt()  # who wants it cancelled does not want less by asking twice
    server.creation.set()
    assert await command.code() == 1
    assert len(server.cancellations) == 1
    assert "may have the job already" in capsys.readouterr().err


async def test_who_leaves_while_the_job_is_submitted_is_told_its_name(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """r3: "interrupted before the job was submitted" was said of a job that trained."""
    server.creation = asyncio.Event()
    command = Command(server, "leave")
    await server.submitted.wait()
    interrupt(signal.SIGINT)
    while "may have the job" not in capsys.readouterr().err:  # noqa: ASYNC110 text is no event
        await asyncio.sleep(0)
    server.creation.set()
    assert await command.code() == 130
    assert f"`arkor-tui cancel {JOB_ID}` stops it" in capsys.readouterr().err
    assert server.cancellations == []


async def test_who_leaves_twice_is_told_that_nobody_knows(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """r3: the wait for the answer can be left, too."""
    server.creation = asyncio.Event()
    command = Command(server, "leave")
    await server.submitted.wait()
    interrupt(signal.SIGINT)
    interrupt(signal.SIGTERM)
    assert await command.code() == 130
    assert "It may train the job all the same" in capsys.readouterr().err


async def test_a_terminal_that_goes_while_the_job_is_submitted_leaves_it_in_good_hands(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r3: the callbacks of a job that was just submitted are handed over, too."""
    handed: list[str] = []

    async def hand_over(trainer: Any, _presenter: Any) -> None:
        handed.append(trainer.job.id)

    monkeypatch.setattr(follow, "_hand_over", hand_over)
    monkeypatch.setattr(follow, "forget_output", lambda: None)
    server.creation = asyncio.Event()
    command = Command(server, "ask")
    await server.submitted.wait()
    interrupt(signal.SIGHUP)
    await asyncio.sleep(0)
    server.creation.set()
    assert await command.code() == 129
    assert handed == [JOB_ID]


async def test_a_submission_that_fails_says_why_although_it_was_interrupted(
    server: Server,
) -> None:
    """r3: nothing is left to be stopped."""
    server.answers["POST /v1/jobs"] = Answer(400, {"error": "no such model"})
    command = Command(server, "cancel")
    await server.asked_for("/v1/jobs")
    interrupt()
    with pytest.raises(Exception, match="no such model"):
        await command.code()
    assert server.cancellations == []


async def test_who_looks_at_a_cancelled_run_is_told_who_cancelled_it(server: Server) -> None:
    """r16: attach says what the archive says, and what it knows itself where that is nothing."""
    server.job = {**JOB, "status": "cancelled"}
    connection, out = server.connection(), io.StringIO()
    identity = identity_of(connection, JOB_ID)
    for kept in (None, Ended("person", "Cancelled by `arkor-tui cancel`.", step=7)):
        with Archive.open() as archive:
            key = archive.register(identity, job(status="cancelled"))
            if kept is not None:
                archive.set_end(key, "cancelled", "Job cancelled", kept)
        server.script(stream(started("1"), failed("Job cancelled", "2"), END))
        view = follow.View(presenter_for(json=True, out=out), CallbackOutput(print), False)
        args = argparse.Namespace(on_signal="ask", backend=None, debug=False)
        trainer = Trainer.attach(JOB_ID)
        async with asyncio.timeout(20):
            assert await follow.follow(trainer, connection, view, args, attached=True) == 1
    results = [json.loads(line) for line in out.getvalue().splitlines()]
    first, last = [line["ended"] for line in results if line["type"] == "result"]
    assert first["sentence"] == "It was cancelled from elsewhere."
    assert last == {"by": "person", "sentence": "Cancelled by `arkor-tui cancel`.", "step": 7}
