"""A run that a command follows is archived as far as that can be, and followed in any case."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import Any

import pytest

from arkor_tui import Callback, LogContext
from arkor_tui.api.errors import ApiError
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.store import Archive
from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.config.folders import data_dir
from arkor_tui.config.run_lock import HostState, RunLock
from arkor_tui.run.trainer import Trainer
from arkor_tui.session import recipe_host
from arkor_tui.session.keeping import archived as keep
from arkor_tui.session.recipe_host import AlreadyHostedError
from tests.support.frames import BARE_END, END, completed, log, started
from tests.support.scripted import Answer, Server, stream
from tests.support.trainers import Recorder, a_trainer, attached


async def followed(trainer: Trainer) -> list[str]:
    """Follow to the end; what was said about the archive."""
    notes: list[str] = []
    trainer.open_sink = partial(keep, origin="command", note=notes.append, own_callbacks=True)
    await trainer.wait()
    return notes


command = partial(keep, origin="command", note=str, own_callbacks=True)


def archived() -> list[tuple[str, int, str | None]]:
    """Status, events and reason of every run of the user's archive."""
    with Archive.open() as archive:
        return [(run.status, run.events, run.reason) for run in archive.runs()]


async def test_a_run_is_archived_with_its_end(server: Server) -> None:
    server.script(stream(started(), log(1), completed(), END))
    assert await followed(a_trainer(server, Recorder())) == []
    assert archived() == [("completed", 3, None)]


async def test_without_an_archive_the_run_is_followed_all_the_same(server: Server) -> None:
    data_dir()
    with sqlite3.connect(data_dir() / "history.db") as db:
        db.execute("PRAGMA user_version = 1000000")
    db.close()
    server.script(stream(started(), completed(), END))
    seen = Recorder()
    (note,) = await followed(a_trainer(server, seen))
    assert note.startswith("The run is not archived: ")
    assert "newer version" in note
    assert seen.kinds == ["started", "completed"]


async def test_an_archive_that_fills_up_is_told_once_and_costs_no_event(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Archive.append

    def append(self: Archive, key: int, events: Any) -> Any:
        if len(seen.kinds) or events[-1].kind != "training.started":
            raise sqlite3.OperationalError("database or disk is full")
        return real(self, key, events)

    monkeypatch.setattr(Archive, "append", append)
    server.script(stream(started(), log(1), log(2), completed(), END))
    seen = Recorder()
    (note,) = await followed(a_trainer(server, seen))
    assert "disk is full" in note
    assert "fills the gap later" in note
    assert seen.kinds == ["started", "log", "log", "completed"]
    ((status, events, _),) = archived()
    assert status == "completed"
    assert events < 4


async def test_who_follows_again_has_recipes_that_know_the_past(server: Server) -> None:
    server.job = {**server.job, "status": "running"}
    server.script(stream(started(), log(1)))
    # what goes wrong comes out as it is, and not in an exception of the watching
    with pytest.raises(ApiError, match="the script has ended"):
        await followed(attached(server, Recorder()))

    class Memory(Callback):
        def __init__(self) -> None:
            self.past: list[str | None] = []
            self.live: list[int] = []

        def on_replayed(self, ctx: Any) -> None:
            self.past.append(ctx.event_id)

        def on_log(self, ctx: LogContext) -> None:
            self.live.append(ctx.step)

    server.streams.clear()
    server.script(stream(log(2), completed(), END))
    memory = Memory()
    assert await followed(attached(server, memory)) == []
    assert (memory.past, memory.live) == (["1", "2"], [2])
    assert server.openings[-1].headers["last-event-id"] == "2"
    assert archived() == [("completed", 4, None)]


async def test_a_run_whose_end_was_not_seen_is_left_open(server: Server) -> None:
    server.script(stream(started(), BARE_END), Answer(410))
    server.job = {**server.job, "status": "running"}
    notes: list[str] = []
    trainer = attached(server)
    await trainer.start()
    async with command(trainer, note=notes.append) as sink:
        assert sink is not None
    assert archived() == [("running", 0, None)]


async def test_how_the_watching_stands_may_be_unknown_but_costs_no_event(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe_host, "TELL_SECONDS", 0.0)
    refused = asyncio.Event()
    real, told = RunLock.tell, 0

    def tell(self: RunLock, state: HostState) -> None:
        nonlocal told
        told += 1
        if told > 1:
            loop.call_soon_threadsafe(refused.set)
            raise WriteFailedError("no space left on the device")
        real(self, state)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(RunLock, "tell", tell)
    server.script(stream(started(), refused, log(1), completed(), END))
    seen = Recorder()
    assert await followed(a_trainer(server, seen)) == []
    assert seen.kinds == ["started", "log", "completed"]
    assert told > 1


async def test_recipes_that_another_process_runs_are_not_run_twice(server: Server) -> None:
    trainer, other = attached(server, Recorder()), attached(server, Recorder())
    await trainer.start()
    await other.start()
    async with command(trainer):
        with pytest.raises(AlreadyHostedError, match="command"):
            async with command(other):
                pass
        # without recipes there is nothing to run twice
        alone = attached(server)
        await alone.start()
        async with command(alone) as sink:
            assert sink is not None


async def test_an_archive_that_opens_for_writing_only_is_closed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, opened = Archive.open, []

    def once(path: Any = None) -> Archive:
        if opened:
            raise OSError("too many open files")
        opened.append(real(path))
        return opened[0]

    monkeypatch.setattr(Archive, "open", once)
    with pytest.raises(OSError, match="too many"):
        await AsyncArchive.open()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].runs()
