"""A run's way from the stream into the archive, over real HTTP."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from arkor_tui import Callback, LogContext, ReconnectPolicy
from arkor_tui.archive import sink
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import NewEvent, RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.run import source
from arkor_tui.run.callbacks import RunHandle
from arkor_tui.run.findings import Finding
from arkor_tui.session.monitor import RunMonitor, SubmittedError
from arkor_tui.session.monitors import Monitors
from arkor_tui.session.updates import Update
from tests.support.frames import (
    BARE_END,
    END,
    checkpoint,
    completed,
    failed,
    frame,
    log,
    started,
    went_on,
)
from tests.support.scripted import DROP, JOB, JOB_ID, Answer, Server, stream
from tests.support.trainers import a_trainer, attached


async def followed(monitor: RunMonitor) -> RunRecord:
    """Follow to the end."""
    await monitor.follow()
    assert monitor.record is not None
    return monitor.record


def full(monkeypatch: pytest.MonkeyPatch, method: str, times: int) -> None:
    """Have the disk full for the next calls of a method of the archive."""
    real = getattr(Archive, method)

    def once_full(self: Archive, *args: Any, **options: Any) -> Any:
        nonlocal times
        if times:
            times -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return real(self, *args, **options)

    monkeypatch.setattr(Archive, method, once_full)


async def ids(archive: AsyncArchive, key: int) -> list[str | None]:
    return [row.id for row in await archive.read(lambda a: a.log(key))]


async def test_every_event_is_archived_and_the_record_tells_the_end(
    server: Server, archive: AsyncArchive
) -> None:
    server.script(
        stream(
            started(), log(5, "2", loss=1.0, evalLoss=0.5), checkpoint(5, "3"), completed("4"), END
        )
    )  # fmt: skip
    monitor = RunMonitor(archive, a_trainer(server))
    record = await followed(monitor)
    assert (record.status, record.last_step, record.last_loss) == ("completed", 5, 1.0)
    assert await ids(archive, record.key) == ["1", "2", "3", "4"]
    assert list(monitor.series["evalLoss"].values) == [0.5]
    assert monitor.problems == []
    assert not monitor.following


async def test_what_a_subscriber_hears_is_on_disk_already(
    server: Server, archive: AsyncArchive, tmp_path: Path
) -> None:
    server.script(stream(started(), log(1), log(2), completed(), END))
    monitor = RunMonitor(archive, a_trainer(server))
    missing: list[Any] = []
    heard: list[int] = []

    def check(update: Update) -> None:
        with Archive.open(tmp_path / "history.db") as other:
            for row in update.rows:
                heard.append(row.seq)
                if row not in other.log(monitor.key):
                    missing.append(row)

    monitor.subscribe(check)
    await monitor.follow()
    assert heard == [1, 2, 3, 4]
    assert missing == []


async def test_after_a_restart_only_what_is_new_is_asked_for(
    server: Server, archive: AsyncArchive
) -> None:
    gate = asyncio.Event()
    server.script(stream(started("1"), log(1, "2"), gate))
    first = RunMonitor(archive, a_trainer(server))
    heard = asyncio.Event()
    first.subscribe(lambda update: heard.set() if any(r.step == 1 for r in update.rows) else None)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(first.follow())
        await heard.wait()
        task.cancel()
    server.script(stream(log(2, "3"), completed("4"), END))
    record = first.record
    assert record is not None
    again = RunMonitor(archive, attached(server), record=record)
    await again.load()
    done = await followed(again)
    assert server.openings[-1].headers["last-event-id"] == "2"
    assert await ids(archive, done.key) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("named", [True, False])
async def test_after_a_restart_recipes_hear_nothing_twice_even_if_all_is_sent_again(
    server: Server, archive: AsyncArchive, named: bool
) -> None:
    def at(step: int) -> bytes:
        return log(step, str(step)) if named else frame({"type": "training.log", "step": step})

    class Diary(Callback):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def on_replayed(self, ctx: Any) -> None:
            self.heard.append(f"replayed {ctx.step}")

        def on_log(self, ctx: LogContext) -> None:
            self.heard.append(f"live {ctx.step}")
            if ctx.step == 3:
                heard.set()

    server.script(stream(*map(at, (1, 2, 3)), asyncio.Event()))
    heard = asyncio.Event()
    first = RunMonitor(archive, a_trainer(server, Diary()))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(first.follow())
        await heard.wait()
        task.cancel()
    # a server that does not honour Last-Event-ID, or has no ids at all
    server.script(stream(*map(at, (1, 2, 3, 4)), completed(), END))
    diary = Diary()
    again = RunMonitor(archive, attached(server, diary), record=first.record)
    await again.load()
    await followed(again)
    assert diary.heard == ["replayed 1", "replayed 2", "replayed 3", "live 4"]


async def test_a_cut_connection_and_a_repeat_leave_each_event_once(
    server: Server, archive: AsyncArchive
) -> None:
    server.script(
        stream(started("1"), log(1, "2"), DROP),
        stream(log(1, "2"), log(2, "3"), completed("4"), END),
    )
    monitor = RunMonitor(archive, a_trainer(server))
    record = await followed(monitor)
    assert await ids(archive, record.key) == ["1", "2", "3", "4"]
    assert monitor.health.repeats == 1
    assert monitor.health.reconnects == 1


async def test_skipped_ids_and_lost_losses_are_counted(
    server: Server, archive: AsyncArchive
) -> None:
    server.script(stream(started("1"), log(1, "2", loss=None), log(2, "7"), completed("8"), END))
    monitor = RunMonitor(archive, a_trainer(server))
    await followed(monitor)
    assert monitor.health.missing == 4
    assert monitor.health.gaps == 1
    assert list(monitor.series["loss"].gaps) == [1.0]


async def test_a_stream_that_ends_without_a_word_is_resolved_by_the_job(
    server: Server, archive: AsyncArchive
) -> None:
    server.script(stream(started(), log(1), BARE_END))
    server.answers["GET /v1/jobs/job-1"] = Answer(
        200, {"job": {**JOB, "status": "cancelled", "completedAt": "2026-08-07T10:00:09.000Z"}}
    )
    record = await followed(RunMonitor(archive, a_trainer(server)))
    assert record.status == "cancelled"


async def test_a_failed_run_keeps_its_error(server: Server, archive: AsyncArchive) -> None:
    server.job["status"] = "failed"
    server.script(stream(started(), failed("CUDA out of memory"), END))
    record = await followed(RunMonitor(archive, a_trainer(server)))
    assert (record.status, record.error) == ("failed", "CUDA out of memory")


async def test_a_refusal_for_good_is_told_and_ends_following(
    server: Server, archive: AsyncArchive
) -> None:
    server.script(Answer(403, {"error": "not yours"}))
    monitor = RunMonitor(archive, a_trainer(server))
    await monitor.follow()
    assert [problem.message for problem in monitor.problems] == ["not yours"]
    assert monitor.state.phase == "ended"


async def test_a_callback_that_raises_is_told_and_loses_nothing(
    server: Server, archive: AsyncArchive
) -> None:
    from arkor_tui import Callback

    class Broken(Callback):
        def on_log(self, ctx: LogContext) -> None:
            raise ValueError("my mistake")

    server.script(stream(started("1"), log(1, "2"), completed("3"), END))
    monitor = RunMonitor(archive, a_trainer(server, Broken()))
    record = await followed(monitor)
    assert record.status == "completed"
    assert await ids(archive, record.key) == ["1", "2", "3"]
    assert len(monitor.problems) == 1
    assert "my mistake" in monitor.problems[0].message


async def test_a_flood_is_told_in_few_updates(server: Server, archive: AsyncArchive) -> None:
    frames = [log(n, str(n + 1)) for n in range(1, 3_001)]
    server.script(stream(started("1"), b"".join(frames), completed("9000"), END))
    monitor = RunMonitor(archive, a_trainer(server))
    updates: list[Update] = []
    monitor.subscribe(updates.append)
    record = await followed(monitor)
    assert record.events == 3_002
    with_rows = [update for update in updates if update.rows]
    assert sum(len(update.rows) for update in with_rows) == 3_002
    assert len(with_rows) < 100  # one for each event would be 3,002


async def test_a_job_that_was_submitted_and_not_archived_is_not_called_a_failure(
    server: Server, archive: AsyncArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r17: to start it again would pay for a second one."""
    full(monkeypatch, "register", 1)
    monitor = RunMonitor(archive, a_trainer(server))
    with pytest.raises(SubmittedError) as caught:
        await monitor.open()
    assert f"has the job triage-run ({JOB_ID})" in caught.value.message
    assert "disk is full" in caught.value.message
    assert f"`arkor-tui cancel {JOB_ID}`" in (caught.value.hint or "")


async def test_a_full_disk_is_told_and_nothing_is_lost(
    server: Server, archive: AsyncArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "RETRY_SECONDS", 0.01)
    full(monkeypatch, "append", 2)
    server.script(stream(started("1"), log(1, "2"), completed("3"), END))
    monitor = RunMonitor(archive, a_trainer(server))
    told: list[str] = []
    monitor.subscribe(lambda _: told.extend(problem.message for problem in monitor.problems))
    record = await followed(monitor)
    assert await ids(archive, record.key) == ["1", "2", "3"]
    assert "disk is full" in told[0]
    assert monitor.problems == []  # events are archived again


async def test_a_disk_that_fills_up_at_the_very_end_is_waited_for_too(
    server: Server, archive: AsyncArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "RETRY_SECONDS", 0.0)
    full(monkeypatch, "set_status", 2)
    server.script(stream(started("1"), completed("2"), END))
    monitor = RunMonitor(archive, a_trainer(server))
    ended: list[bool] = []
    told: list[str] = []
    monitor.subscribe(lambda update: ended.append(update.ended))
    monitor.subscribe(lambda _: told.extend(problem.message for problem in monitor.problems))
    record = await followed(monitor)
    assert record.status == "completed"
    assert ended.count(True) == 1
    assert "database or disk is full" in told[0]
    assert monitor.problems == []


async def test_a_disk_that_stays_full_does_not_keep_a_refused_run_going(
    server: Server, archive: AsyncArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "RETRY_SECONDS", 0.0)
    full(monkeypatch, "append", 1_000_000)
    server.script(stream(started("1")), Answer(403, {"error": "not yours"}))
    monitor = RunMonitor(archive, a_trainer(server))
    await monitor.follow()
    told = [problem.message for problem in monitor.problems]
    assert "not yours" in told
    assert any("disk is full" in message for message in told)
    assert len(told) == 2  # each once, however often it was tried
    assert await ids(archive, monitor.key) == []


async def test_a_slow_disk_makes_the_stream_wait(
    server: Server, archive: AsyncArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "MOST_WAITING", 3)
    monkeypatch.setattr(source, "MOST_AHEAD", 3)
    go_on, real = threading.Event(), Archive.append
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def slow(self: Archive, key: int, events: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()
        return real(self, key, events)

    monkeypatch.setattr(Archive, "append", slow)
    frames = b"".join([started("1"), *(log(n, str(n + 1)) for n in range(1, 21))])
    server.script(stream(frames, completed("99"), END))
    monitor = RunMonitor(archive, a_trainer(server))
    following = asyncio.create_task(monitor.follow())
    await begun.wait()
    for _ in range(100):  # turns of the loop, in which more would come
        await asyncio.sleep(0)
    arrived = monitor.health.events
    go_on.set()
    await following
    assert arrived <= 8  # what waits for the disk, and what was read ahead of it
    assert await ids(archive, monitor.key) == [str(n) for n in range(1, 22)] + ["99"]


async def test_following_twice_is_following_once(server: Server, archive: AsyncArchive) -> None:
    server.script(stream(started("1"), completed("2"), END))
    monitor = RunMonitor(archive, a_trainer(server))
    with pytest.raises(RuntimeError, match="no place in the archive yet"):
        monitor.key  # noqa: B018
    heard: list[Update] = []
    leave = monitor.subscribe(heard.append)
    await asyncio.gather(monitor.follow(), monitor.follow())
    assert len(server.openings) == 1
    assert sum(len(update.rows) for update in heard) == 2
    leave()
    leave()
    before = len(heard)
    monitor.tell(Update())
    assert len(heard) == before


async def test_a_run_that_cannot_be_archived_at_all_is_a_problem_and_no_exception(
    server: Server, archive: AsyncArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(monkeypatch, "register", 1)
    monitor = RunMonitor(archive, a_trainer(server))
    await monitor.follow()
    (problem,) = monitor.problems
    assert "history.db cannot be used: database or disk is full" in problem.message
    assert monitor.state.phase == "ended"


async def test_a_run_is_cancelled_although_its_reason_cannot_be_archived(
    server: Server, archive: AsyncArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.obeys = True
    server.script(stream(started("1"), asyncio.Event()))
    async with Monitors(archive) as monitors:
        monitor = await monitors.start(a_trainer(server))
        await server.asked_for("/events/stream")
        full(monkeypatch, "set_status", 1)
        state = await monitors.cancel(monitor, "by hand")
    assert state.confirmed
    assert any(
        problem.message.startswith("The reason is not archived: ")
        and "database or disk is full" in problem.message
        for problem in monitor.problems
    )


async def test_cancel_is_confirmed_by_the_job_itself(server: Server, archive: AsyncArchive) -> None:
    gate = asyncio.Event()
    running = Answer(200, {"job": {**JOB, "status": "running"}})
    ended = Answer(200, {"job": {**JOB, "status": "cancelled"}})
    server.answers["GET /v1/jobs/job-1"] = [running, ended]
    server.script(stream(started("1"), gate, failed("Job cancelled", "2"), END))
    async with Monitors(archive) as monitors:
        monitor = await monitors.start(a_trainer(server))
        phases: list[str] = []
        monitor.subscribe(lambda _: phases.append(monitor.cancel_state.phase))
        both = await asyncio.gather(
            monitors.cancel(monitor, "by hand"), monitors.cancel(monitor, "by hand")
        )
        gate.set()
        assert [state.phase for state in both] == ["confirmed", "confirmed"]
        assert len(server.cancellations) == 1
        assert [p for p in dict.fromkeys(phases) if p != "none"] == [
            "asking", "waiting", "confirmed",
        ]  # fmt: skip


async def test_a_refused_cancel_says_that_the_job_runs_on(
    server: Server, archive: AsyncArchive
) -> None:
    server.answers["POST /v1/jobs/job-1/cancel"] = Answer(500, {"error": "no scheduler"})
    server.answers["GET /v1/jobs/job-1"] = Answer(200, {"job": {**JOB, "status": "running"}})
    gate = asyncio.Event()
    server.script(stream(started("1"), gate))
    async with Monitors(archive) as monitors:
        monitor = await monitors.start(a_trainer(server))
        state = await monitors.cancel(monitor)
        gate.set()
    assert state.phase == "failed"
    assert "no scheduler" in state.message
    assert "running" in state.message


async def test_leaving_follows_nothing_on_and_cancels_no_run(
    server: Server, archive: AsyncArchive
) -> None:
    server.script(stream(started("1"), asyncio.Event()))
    async with Monitors(archive) as monitors:
        monitor = await monitors.start(a_trainer(server))
        await server.asked_for("/events/stream")
    assert not monitor.following
    assert server.cancellations == []


async def test_what_another_process_wrote_first_is_told_too(
    server: Server, archive: AsyncArchive, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    frames = (log(5, "2"), checkpoint(5, "3"), log(6, "4"), completed("5"))
    server.script(stream(started(), go_on, *frames, END))
    monitor = RunMonitor(archive, a_trainer(server))
    heard: list[Update] = []
    first = asyncio.Event()
    monitor.subscribe(heard.append)
    monitor.subscribe(lambda update: first.set() if update.rows else None)
    await monitor.open()
    following = asyncio.create_task(monitor.follow())
    await first.wait()
    with Archive.open(tmp_path / "history.db") as other:  # a supervisor that was faster
        other.append(
            monitor.key,
            [
                NewEvent("2", "training.log", 5, None, '{"type":"training.log","step":5,"loss":1}'),
                NewEvent("3", "checkpoint.saved", 5, None, '{"type":"checkpoint.saved","step":5}'),
            ],
        )
    go_on.set()
    await following
    assert [row.id for update in heard for row in update.rows] == ["1", "2", "3", "4", "5"]
    assert [step for update in heard for step in update.checkpoints] == [5]
    assert await ids(archive, monitor.key) == ["1", "2", "3", "4", "5"]
    assert list(monitor.series["loss"].steps) == [5, 6]


async def test_findings_are_archived_and_told(server: Server, archive: AsyncArchive) -> None:
    class Finder(Callback):
        def attached(self, run: RunHandle) -> None:
            self.run = run

        async def on_log(self, ctx: LogContext) -> None:
            assert await self.run.first_time(f"seen {ctx.step}")
            await self.run.keep(Finding("guard", "Finder", ctx.step, {"phase": "armed"}))
            sample = {"prompt": 0, "text": "hi", "target": "checkpoint", "reply": "ho"}
            await self.run.keep(Finding("sample", "Finder", ctx.step, sample))

    server.script(stream(started(), log(1), completed(), END))
    monitor = RunMonitor(archive, a_trainer(server, Finder()))
    heard: list[Update] = []
    monitor.subscribe(heard.append)
    record = await followed(monitor)
    assert [f.kind for update in heard for f in update.findings] == ["guard", "sample"]
    found = await archive.read(lambda a: a.findings(record.key))
    assert [(f.kind, f.step, f.data) for f in found] == [("guard", 1, {"phase": "armed"})]
    samples = await archive.read(lambda a: a.samples(record.key))
    assert [(s.text, s.reply, s.step) for s in samples] == [("hi", "ho", 1)]
    assert await archive.read(lambda a: a.is_marked(record.key, "seen 1"))


async def test_recipes_are_told_the_archived_past(server: Server, archive: AsyncArchive) -> None:
    past: list[object] = []
    live: list[int] = []

    class Memory(Callback):
        def on_replayed(self, ctx: object) -> None:
            past.append(ctx)

        def on_log(self, ctx: LogContext) -> None:
            live.append(ctx.step)

    server.script(stream(started(), log(1), log(2), DROP))
    server.job = {**JOB, "status": "running"}
    once = ReconnectPolicy(max_attempts=0)
    first = RunMonitor(archive, attached(server, Memory(), policy=once))
    await first.follow()
    assert first.record is not None
    assert (past, live) == ([], [1, 2])
    live.clear()
    server.streams.clear()
    server.script(stream(log(3), completed(), END))
    trainer = attached(server, Memory())
    second = RunMonitor(archive, trainer, record=first.record)
    await second.load()
    await second.follow()
    assert [getattr(ctx, "step", None) for ctx in past] == [None, 1, 2]
    assert live == [3]
    assert server.openings[-1].headers["last-event-id"] == "3"


async def test_void_steps_leave_the_curve_of_a_run_that_is_followed(
    server: Server, archive: AsyncArchive
) -> None:
    """t5: the archive's curve has them cut, and so has the one on screen."""
    lost = [log(step, str(step + 1)) for step in (1, 2, 3, 4)]
    server.script(stream(started("1"), *lost, went_on(2, "6"), log(3, "7"), completed("8"), END))
    monitor = RunMonitor(archive, a_trainer(server))
    await followed(monitor)
    assert list(monitor.series["loss"].steps) == [1, 2, 3]
