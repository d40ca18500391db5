"""What callbacks have heard is kept apart from what is archived; a script archives as others."""

from __future__ import annotations

import asyncio
import errno
import signal
import sqlite3
import sys
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from arkor_tui import Callback, LogContext, Trainer
from arkor_tui.api.jobs import Job
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.delivery import DeliveredMark, this_host
from arkor_tui.archive.records import RunIdentity, RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.config import run_lock
from arkor_tui.config.folders import data_dir
from arkor_tui.run.callbacks import RunHandle
from arkor_tui.run.findings import Finding
from arkor_tui.session.keeping import archived
from arkor_tui.session.monitor import RunMonitor
from tests.support.frames import END, completed, log, started
from tests.support.scripted import AT_ONCE, JOB, JOB_ID, Server, stream
from tests.support.trainers import Recorder, attached, unconnected

WHOLE = (started("1"), log(1, "2"), log(2, "3"), log(3, "4"), completed("5"), END)


class Diary(Callback):
    """Keeps which steps came how; breaks off at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.replayed: list[int] = []
        self.told: list[int] = []
        self.last = last
        self.reached = asyncio.Event()

    def on_replayed(self, ctx: Any) -> None:
        if isinstance(ctx, LogContext):
            self.replayed.append(ctx.step)

    async def on_log(self, ctx: LogContext) -> None:
        if ctx.step == self.last:
            self.reached.set()
            await asyncio.Event().wait()  # until the process ends
        self.told.append(ctx.step)


def runs() -> list[RunRecord]:
    with Archive.open() as archive:
        return archive.runs()


def heard(key: int) -> int:
    with Archive.open() as archive:
        return archive.delivered(key, this_host())


def script(server: Server, *callbacks: Callback, **options: Any) -> Trainer:
    """A trainer of a plain script, which sets nothing about archives."""
    trainer = unconnected(*callbacks, archive=True, **options)
    trainer.use(server.connection())
    return trainer


async def killed(trainer: Trainer, diary: Diary) -> None:
    """Follow until a callback is reached, and end there."""
    waiting = asyncio.create_task(trainer.wait())
    await diary.reached.wait()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_the_run_of_a_script_is_archived_with_events_and_samples(server: Server) -> None:
    """r17"""

    class Prober(Callback):
        run: RunHandle

        def attached(self, run: RunHandle) -> None:
            self.run = run

        async def on_log(self, ctx: LogContext) -> None:
            sample = {"prompt": 0, "text": "hi", "target": "checkpoint", "reply": "ho"}
            await self.run.keep(Finding("sample", "probe", ctx.step, sample))

    server.script(stream(*WHOLE))
    result = await script(server, Prober()).wait()
    (run,) = runs()
    assert (run.status, run.events, run.origin) == (result.status, 5, "script")
    with Archive.open() as archive:
        assert [sample.reply for sample in archive.samples(run.key)] == ["ho"] * 3
    assert heard(run.key) == 5
    assert not list((data_dir() / "delivered").iterdir())  # the archive knows it all


async def test_a_script_may_keep_its_run_out_of_the_archive(server: Server) -> None:
    """r17"""
    server.script(stream(*WHOLE))
    await unconnected_run(server)
    assert runs() == []


async def unconnected_run(server: Server) -> None:
    trainer = unconnected(Diary(), archive=False)
    trainer.use(server.connection())
    await trainer.wait()


async def test_an_archive_that_cannot_be_opened_costs_a_script_one_sentence(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """r17"""
    with sqlite3.connect(data_dir() / "history.db") as db:
        db.execute("PRAGMA user_version = 1000000")
    db.close()
    server.script(stream(*WHOLE))
    recorder = Recorder()
    assert (await script(server, recorder).wait()).status == "completed"
    assert recorder.kinds == ["started", "log", "log", "log", "completed"]
    (record,) = caplog.records
    assert "not archived" in record.message


@pytest.mark.parametrize("trouble", ["no locks", "no folder"])
async def test_a_run_that_cannot_be_locked_is_followed_all_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    """r17, r21: it costs money, and nobody else can have the lock either."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if trouble == "no locks":
        monkeypatch.setattr(run_lock.fcntl, "flock", refuse)
    else:
        (data_dir() / "watchers").write_text("a file")
    server.script(stream(*WHOLE))
    recorder = Recorder()
    assert (await script(server, recorder).wait()).status == "completed"
    assert recorder.kinds == ["started", "log", "log", "log", "completed"]
    (run,) = runs()
    assert (run.events, heard(run.key)) == (5, 5)
    assert "Other processes cannot see" in caplog.text


async def test_who_waits_again_with_an_archive_hears_no_event_twice(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r17: the first time there was none, and somebody else has archived the run meanwhile."""

    async def broken(*_: object) -> AsyncArchive:
        raise OSError(errno.EIO, "disk I/O error")

    diary = Diary(2)
    trainer = script(server, diary)
    server.script(stream(*WHOLE[:3], asyncio.Event()))
    with monkeypatch.context() as patch:
        patch.setattr(AsyncArchive, "open", broken)
        await killed(trainer, diary)
    server.script(stream(*WHOLE))
    looker = Trainer.attach(JOB_ID, connection=server.connection(), policy=AT_ONCE)
    await looker.wait()
    async with asyncio.timeout(20):
        assert (await trainer.wait()).status == "completed"
    assert diary.told == [1, 3]  # the callback of step 2 was ended with the first wait
    (run,) = runs()
    assert heard(run.key) == 5


async def test_who_gives_up_in_the_past_and_waits_again_has_heard_as_much(server: Server) -> None:
    """r5: a callback that was ended is not told again here, and the mark knows."""
    first = Diary(1)
    server.script(stream(*WHOLE[:2], asyncio.Event()))
    await killed(script(server, first), first)
    server.script(stream(*WHOLE[:4], asyncio.Event()))
    looker = Trainer.attach(JOB_ID, connection=server.connection(), policy=AT_ONCE)
    async with aclosing(looker.events()) as events:
        async for item in events:
            if item.id == "4":
                break
    second = Diary(2)
    trainer = attached(server, second)
    trainer.open_sink = partial(archived, origin="command", note=str, own_callbacks=True)
    await killed(trainer, second)
    second.reached.clear()
    second.last = None
    server.script(stream(*WHOLE[4:]))
    assert (await trainer.wait()).status == "completed"
    assert second.told == [1, 3]
    (run,) = runs()
    assert heard(run.key) == 5


async def test_callbacks_of_a_script_that_attaches_hear_the_whole_history(server: Server) -> None:
    """They are its own, beside those of the run, whose mark they leave alone."""
    diary = Diary(3)
    server.script(stream(*WHOLE[:4], asyncio.Event()), stream(*WHOLE))
    await killed(script(server, diary), diary)
    (run,) = runs()
    before = heard(run.key)
    other = Recorder()
    trainer = Trainer.attach(
        JOB_ID, callbacks=[other], connection=server.connection(), policy=AT_ONCE
    )
    await trainer.wait()
    assert other.kinds == ["started", "log", "log", "log", "completed"]
    assert heard(run.key) == before == 3


async def test_a_take_over_tells_what_was_archived_and_not_heard(
    server: Server, tmp_path: Path
) -> None:
    """r5: a watched run, archived by others while its callbacks were dead."""
    first = Diary(2)
    server.job = {**JOB, "status": "running"}
    server.script(stream(*WHOLE[:3], asyncio.Event()))
    trainer = attached(server, first)
    keep = partial(archived, origin="command", note=str, own_callbacks=True)
    trainer.open_sink = keep
    await killed(trainer, first)
    assert first.told == [1]

    server.script(stream(*WHOLE[:4], asyncio.Event()))
    looker = attached(server)  # `attach` elsewhere: it archives, and runs no callbacks
    looker.open_sink = keep
    async with aclosing(looker.events()) as events:
        async for item in events:
            if item.id == "4":
                break

    server.script(stream(*WHOLE))
    second = Diary()
    taking_over = attached(server, second)
    taking_over.open_sink = keep
    assert (await taking_over.wait()).status == "completed"
    assert (second.replayed, second.told) == ([1], [2, 3])
    assert server.openings[-1].headers["last-event-id"] == "4"


async def test_a_run_of_0_1_counts_as_heard(server: Server) -> None:
    """r5: a data folder of 0.1 has no marks; what it archived of a watched run was told."""
    diary = Diary(3)
    server.script(stream(*WHOLE[:4], asyncio.Event()))
    await killed(script(server, diary), diary)
    (run,) = runs()
    with Archive.open() as archive:
        archive.db.execute("DELETE FROM delivered")
        archive.set_delivered(run.key, "", 4)  # as the migration sets it
    for left in (data_dir() / "delivered").iterdir():
        left.unlink()
    server.script(stream(*WHOLE))
    again = Diary()
    trainer = attached(server, again)
    trainer.open_sink = partial(archived, origin="command", note=str, own_callbacks=True)
    await trainer.wait()
    assert (again.replayed, again.told) == ([1, 2, 3], [])


SCRIPT = """
import os, signal, sys
from arkor_tui import HuggingFaceDataset, create_trainer, run_trainer

def on_log(ctx):
    print(ctx.step, flush=True)
    if ctx.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)

run_trainer(create_trainer(
    name="triage-run", model="arkor-tui/tiny", dataset=HuggingFaceDataset("a/b"),
    backend=sys.argv[1], on_log=on_log,
), report=lambda _: None)
"""


@pytest.mark.usefixtures("token")
async def test_a_kill_in_a_callback_repeats_that_event_and_no_other(server: Server) -> None:
    """r5: whatever was archived ahead of it, and although nothing was closed in order."""
    frames = [started("1"), *(log(step, str(step + 1)) for step in range(1, 6))]
    server.script(stream(b"".join(frames), asyncio.Event()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, server.url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert out.split() == [b"1", b"2", b"3"]
    server.job = {**JOB, "status": "running"}
    server.script(stream(completed("7"), END))
    (run,) = runs()
    assert run.events >= 4
    diary = Diary()
    archive = await AsyncArchive.open()
    try:
        trainer = attached(server, diary)
        monitor = RunMonitor(archive, trainer, record=run)
        await monitor.load()
        await monitor.follow()
    finally:
        await archive.aclose()
    assert monitor.problems == []
    assert diary.replayed == [1, 2]
    assert diary.told[0] == 3
    assert diary.told == list(range(3, run.events))


def test_a_mark_of_another_run_says_nothing(home: Path) -> None:
    """r5: an archive that is made where one was deleted may be the same file to the system."""
    path = home / "history.db"
    with Archive.open(path) as archive:
        key = archive.register(RunIdentity("local", "o", "p", JOB_ID), Job.model_validate(JOB))
        mark = DeliveredMark(path, key)
        mark.open(archive)
        mark.set(7)
        mark.close()
        archive.db.execute("UPDATE runs SET job_id = 'another' WHERE key = ?", (key,))
        again = DeliveredMark(path, key)
        again.open(archive)
        assert again.seq == 0
        again.close()


def test_a_mark_of_another_archive_says_nothing(home: Path) -> None:
    path = home / "history.db"
    with Archive.open(path) as archive:
        mark = DeliveredMark(path, 1)
        mark.open(archive)
        mark.set(7)
        mark.close()  # as a kill leaves it: the archive was not told
        again = DeliveredMark(path, 1)
        again.open(archive)
        assert again.seq == 7
        again.close()
    path.rename(home / "old.db")
    with Archive.open(path) as archive:
        mark = DeliveredMark(path, 1)
        mark.open(archive)
        assert mark.seq == 0
        mark.close()
