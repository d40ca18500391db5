"""How a run ends where its stream does not say so, and who ended it."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from arkor_tui import Callback, CallbackError, LogContext, Trainer
from arkor_tui.api.reconnect import ReconnectPolicy, StreamState
from arkor_tui.ended import Ended
from arkor_tui.run import follow, source
from arkor_tui.run.callbacks import RunHandle
from tests.support.frames import END, completed, failed, log, started
from tests.support.memory_sink import MemorySink
from tests.support.scripted import DROP, JOB, JOB_ID, Answer, Server, Unanswered, stream
from tests.support.trainers import Recorder, a_trainer, attached, unconnected

GONE = Answer(404, {"error": "no such job"})
JOB_ROUTE = f"GET /v1/jobs/{JOB_ID}"
CANCELLED = failed("Job cancelled", "99")


async def test_a_job_that_its_backend_deleted_is_asked_for_once_more_and_then_lost(
    server: Server,
) -> None:
    """r10: an end in result, sink and callbacks, never an endless reconnect."""
    server.script(stream(started("1"), log(1, "2"), DROP), GONE, GONE)
    server.answers[JOB_ROUTE] = GONE
    recorder = Recorder()
    trainer = a_trainer(server, recorder)
    sink = MemorySink().use(trainer)
    result = await trainer.wait()
    assert result.status == "failed"
    assert result.ended is not None
    assert (result.ended.by, result.ended.step) == ("lost", 1)
    assert "deleted" in result.ended.sentence
    assert recorder.kinds == ["started", "log", "failed"]
    assert recorder.contexts[-1].error == result.ended.sentence
    assert [ended for _, ended in sink.ends] == [result.ended]
    assert len(server.asked("GET", f"/v1/jobs/{JOB_ID}")) == 2
    # nobody may take that for a confirmation
    assert (await trainer.stop()).phase == "failed"


async def test_an_end_that_no_event_told_is_told_once_over_restarts(server: Server) -> None:
    """r10: who takes over afterwards does not hear of it again."""
    server.answers[JOB_ROUTE] = [Answer(200, {"job": JOB}), GONE]
    first, second = Recorder(), Recorder()
    sink = MemorySink()
    for recorder in (first, second):
        server.script(GONE, GONE)
        trainer = attached(server, recorder)
        sink.use(trainer)
        server.answers[JOB_ROUTE] = [Answer(200, {"job": JOB}), GONE]
        await trainer.wait()
    assert (first.kinds, second.kinds) == (["failed"], [])


@pytest.mark.parametrize(
    "answer", [Answer(204), Answer(200, b"<html>", {"Content-Type": "text/html"})]
)
async def test_an_answer_without_a_stream_is_named_and_ends_with_the_job(
    server: Server, answer: Answer
) -> None:
    """r11: the job is asked; its end is the run's."""
    server.script(stream(started("1"), DROP), *[answer] * 4)
    server.job = {**server.job, "status": "completed"}
    states: list[StreamState] = []
    trainer = a_trainer(server)
    trainer.on_state = states.append
    assert (await trainer.wait()).status == "completed"
    reasons = [state.reason for state in states if f"status {answer.status}" in state.reason]
    assert len(reasons) == 3
    assert states[-1].phase == "ended"


async def test_an_answer_without_a_stream_while_the_job_trains_is_tried_again(
    server: Server,
) -> None:
    """r11"""
    server.job = {**server.job, "status": "running"}
    server.script(*[Answer(204)] * 6, stream(started("1"), completed("2"), END))
    assert (await a_trainer(server).wait()).status == "completed"


async def test_a_cancel_beside_a_wait_succeeds_and_the_wait_returns_cancelled(
    home: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r2: the connection is closed by its last user."""
    server.obeys = True
    server.script(stream(started(), server.cancelled, CANCELLED, END))
    connection = server.connection()
    trainer = unconnected(backend=server.url)

    async def connect(*_: Any, **__: Any) -> Any:
        return connection

    monkeypatch.setattr("arkor_tui.run.trainer.connect", connect)
    answering = asyncio.Event()
    real = server.reply_to

    async def slow(request: Any) -> Any:
        reply = await real(request)
        if request.path.endswith("/cancel"):
            await answering.wait()  # the stream has told the end by now
        return reply

    monkeypatch.setattr(server, "reply_to", slow)

    async def cancel() -> None:
        await server.asked_for("/events/stream")
        await trainer.cancel()

    async def wait() -> str:
        status = (await trainer.wait()).status
        answering.set()
        return status

    status, _ = await asyncio.gather(wait(), cancel())
    assert status == "cancelled"
    assert connection._client is None  # closed, by whoever used it last


async def test_a_stop_before_the_start_leaves_no_trace(server: Server) -> None:
    """r3: it says that there was nothing to stop; the next one stops, and is kept."""
    trainer = a_trainer(server)
    told: list[str] = []
    trainer.on_cancel = lambda state: told.append(state.phase)
    state = await trainer.stop("too early")
    await trainer.cancel()
    assert (state.phase, state.confirmed) == ("none", False)
    assert "no job yet" in state.message
    assert (trainer.stop_reason, trainer.cancel_state.phase, told) == (None, "none", [])
    assert server.requests == []

    server.obeys = True
    await trainer.start()
    assert (await trainer.stop("in earnest")).confirmed
    assert trainer.stop_reason == "in earnest"
    assert len(server.cancellations) == 1


async def test_a_stop_during_the_submission_stops_the_job_that_it_makes(server: Server) -> None:
    """r3"""
    server.obeys = True
    server.creation = asyncio.Event()
    trainer = a_trainer(server)
    starting = asyncio.create_task(trainer.start())
    await server.submitted.wait()
    stopping = asyncio.create_task(trainer.stop("changed my mind"))
    await asyncio.sleep(0)
    assert not stopping.done()
    server.creation.set()
    assert (await stopping).confirmed
    assert await starting == JOB_ID
    assert len(server.cancellations) == 1


async def test_a_stop_during_a_submission_that_fails_leaves_no_trace(server: Server) -> None:
    """r3"""
    server.creation = asyncio.Event()
    server.answers["POST /v1/jobs"] = Answer(400, {"error": "no"})
    trainer = a_trainer(server)
    starting = asyncio.create_task(trainer.start())
    await asyncio.sleep(0)
    state = await trainer.stop("changed my mind")
    assert (state.phase, trainer.stop_reason) == ("none", None)
    await asyncio.wait([starting])
    assert starting.exception() is not None


async def test_a_guard_after_an_early_stop_works(server: Server) -> None:
    """r3"""
    server.obeys = True
    server.script(stream(started(), log(1), server.cancelled, CANCELLED, END))

    class Guard(Callback):
        run: RunHandle

        def attached(self, run: RunHandle) -> None:
            self.run = run

        async def on_log(self, ctx: LogContext) -> None:
            await self.run.stop("too high", by="guard", guard="ceiling", checkpoint=1)

    trainer = a_trainer(server, Guard())
    await trainer.stop("too early")
    result = await trainer.wait()
    assert (result.status, result.reason) == ("cancelled", "too high")
    assert result.ended == Ended("guard", "too high", "ceiling", 1, 1)


@pytest.mark.parametrize("inside", [True, False])
async def test_who_stopped_a_run_is_known(server: Server, inside: bool) -> None:
    server.obeys = True
    server.script(stream(started(), log(1), server.cancelled, CANCELLED, END))

    class Stopper(Callback):
        run: RunHandle

        def attached(self, run: RunHandle) -> None:
            self.run = run

        async def on_log(self, ctx: LogContext) -> None:
            await self.run.stop()

    trainer = a_trainer(server, *[Stopper()] * inside)
    waiting = asyncio.create_task(trainer.wait())
    if not inside:
        await server.asked_for("/events/stream")
        await trainer.stop()
    ended = (await waiting).ended
    assert ended is not None
    assert ended.by == ("callback" if inside else "person")


async def test_a_run_that_somebody_else_stopped(server: Server) -> None:
    server.job = {**server.job, "status": "cancelled"}
    server.script(stream(started(), CANCELLED, END))
    trainer = attached(server)
    sink = MemorySink().use(trainer)
    result = await trainer.wait()
    assert result.ended is not None
    assert "elsewhere" in result.ended.sentence
    assert [ended for _, ended in sink.ends] == [None]  # what is kept about it stays


async def test_a_stop_cuts_no_stream_that_is_away_for_a_moment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r3: callbacks hear what came while the connection was lost."""
    monkeypatch.setattr(follow, "END_SECONDS", 0.02)
    server.obeys = True
    busy = Answer(503, {"error": "busy"})
    last = stream(log(2, "3"), log(3, "4"), failed("Job cancelled", "5"), END)
    server.script(stream(started("1"), log(1, "2"), DROP), *[busy] * 8, last)
    recorder = Recorder()
    trainer = a_trainer(server, recorder, policy=ReconnectPolicy(base_delay=0.02, max_delay=0.02))
    waiting = asyncio.create_task(trainer.wait())
    await server.asked_for("/events/stream", 2)
    assert (await trainer.stop("by hand")).confirmed
    assert (await waiting).status == "cancelled"
    assert recorder.kinds == ["started", "log", "log", "log", "failed"]


async def test_a_stop_waits_for_no_stream_that_never_comes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r3: the job is asked in the end."""
    monkeypatch.setattr(follow, "END_SECONDS", 0.01)
    monkeypatch.setattr(follow, "AWAY_SECONDS", 0.05)
    server.obeys = True
    server.feed = lambda _: Answer(503, {"error": "busy"})
    trainer = a_trainer(server, policy=ReconnectPolicy(base_delay=0.01, max_delay=0.01))
    waiting = asyncio.create_task(trainer.wait())
    await server.asked_for("/events/stream", 2)
    assert (await trainer.stop("by hand")).confirmed
    async with asyncio.timeout(20):
        assert (await waiting).status == "cancelled"


async def test_a_stop_cuts_no_stream_that_waits_for_slow_callbacks(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r3: what was not read yet, as too much is read ahead, is told too."""
    monkeypatch.setattr(follow, "END_SECONDS", 0.01)
    monkeypatch.setattr(source, "MOST_AHEAD", 2)
    server.obeys = True
    logs = [log(step, str(step + 1)) for step in range(1, 9)]
    server.script(stream(started("1"), *logs, failed("Job cancelled", "10"), END))
    begun, cut = asyncio.Event(), asyncio.Event()

    class Slow(Recorder):
        async def on_log(self, ctx: LogContext) -> None:  # type: ignore[override]
            super().on_log(ctx)
            begun.set()
            await cut.wait()

    recorder = Slow()
    trainer = a_trainer(server, recorder)
    waiting = asyncio.create_task(trainer.wait())
    await begun.wait()
    assert (await trainer.stop("by hand")).confirmed
    asyncio.get_running_loop().call_later(0.1, cut.set)
    assert (await waiting).status == "cancelled"
    assert recorder.kinds == ["started", *["log"] * 8, "failed"]


async def test_a_stop_goes_on_although_its_caller_has_given_up(server: Server) -> None:
    server.obeys = True
    server.answers[f"POST /v1/jobs/{JOB_ID}/cancel"] = Unanswered()
    trainer = attached(server)
    stopping = asyncio.create_task(trainer.stop("by hand"))
    await server.asked_for("/cancel")
    stopping.cancel()
    await asyncio.wait([stopping])
    joined = asyncio.create_task(trainer.stop("again"))
    await asyncio.sleep(0)
    assert trainer.cancel_state.phase == "asking"
    del server.answers[f"POST /v1/jobs/{JOB_ID}/cancel"]
    server.requests[-1].gone.set()
    assert (await joined).phase in ("confirmed", "failed")
    assert trainer.stop_reason == "by hand"


def leaving() -> None:
    sys.exit("enough")


def interrupting() -> None:
    raise KeyboardInterrupt


def cancelling() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("leave", [leaving, interrupting, cancelling])
@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("mode", ["raise", "report"])
async def test_a_callback_that_leaves_is_a_callback_that_failed(
    server: Server, leave: Any, is_async: bool, mode: Any
) -> None:
    """r14: named with file and line, and with the word that the job goes on."""
    server.script(stream(started(), log(1), completed(), END))

    def sync(_: LogContext) -> None:
        leave()

    async def later(_: LogContext) -> None:
        await asyncio.sleep(0)
        leave()

    trainer = a_trainer(server, on_log=later if is_async else sync, on_callback_error=mode)
    if mode == "raise":
        with pytest.raises(CallbackError) as caught:
            await trainer.wait()
        assert caught.value.file == __file__
        assert caught.value.line is not None
        assert f"test_ends.py, line {caught.value.line}" in caught.value.message
        assert "The job itself goes on" in (caught.value.hint or "")
    assert (await trainer.wait()).status == "completed"
    assert len(trainer.callback_errors) == 1


@pytest.mark.parametrize("leave", [leaving, interrupting])
async def test_work_beside_the_stream_that_leaves_ends_no_loop(server: Server, leave: Any) -> None:
    """r14"""
    server.script(stream(started(), log(1), completed(), END))

    class Broken(Callback):
        run: RunHandle

        def attached(self, run: RunHandle) -> None:
            self.run = run

        def on_log(self, ctx: LogContext) -> None:
            self.run.background(self.work(), name="Broken.work")

        async def work(self) -> None:
            leave()

    trainer = a_trainer(server, Broken(), on_callback_error="report")
    assert (await trainer.wait()).status == "completed"
    (error,) = trainer.callback_errors
    assert error.callback == "Broken.work"
    assert error.line is not None


async def test_who_is_cancelled_while_a_callback_runs_is_cancelled(server: Server) -> None:
    """r14: our own cancellation is no failure of the callback."""
    server.script(stream(started(), log(1), asyncio.Event()))
    begun = asyncio.Event()

    async def on_log(_: LogContext) -> None:
        begun.set()
        await asyncio.Event().wait()

    trainer: Trainer = a_trainer(server, on_log=on_log)
    waiting = asyncio.create_task(trainer.wait())
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert trainer.callback_errors == []
