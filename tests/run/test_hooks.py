"""What a callback may do with its run: findings, marks, work beside the stream, stopping it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from arkor_tui import AbortController, AbortError, Callback, CallbackError, LogContext
from arkor_tui.api.reconnect import StreamState
from arkor_tui.run.callbacks import RunHandle
from arkor_tui.run.findings import Finding, Gauge
from tests.support.frames import END, completed, failed, log, started
from tests.support.scripted import DROP, Server, stream
from tests.support.trainers import Recorder, a_trainer

CANCELLED = failed("Job cancelled", "99")


class Holder(Callback):
    """Knows its run."""

    run: RunHandle

    def attached(self, run: RunHandle) -> None:
        self.run = run


async def test_a_finding_is_told_to_every_callback_after_the_event(server: Server) -> None:
    server.script(stream(started(), log(1), completed(), END))
    order: list[str] = []

    class Finder(Holder):
        async def on_log(self, ctx: LogContext) -> None:
            await self.run.keep(Finding("guard", "Finder", ctx.step))
            order.append("finder's log")

        def on_finding(self, finding: Finding) -> None:
            order.append("finder's finding")

    class Other(Callback):
        def on_log(self, ctx: LogContext) -> None:
            order.append("other's log")

        async def on_finding(self, finding: Finding) -> None:
            await asyncio.sleep(0)
            order.append(f"other's finding {finding.step}")

    trainer = a_trainer(server, Finder(), Other())
    await trainer.wait()
    assert order == ["finder's log", "other's log", "finder's finding", "other's finding 1"]
    assert [found.name for found in trainer.hooks.findings] == ["Finder"]


async def test_a_finding_from_a_group_of_tasks_does_not_lock_up(server: Server) -> None:
    server.script(stream(started(), log(1), completed(), END))
    told: list[int | None] = []

    class Many(Holder):
        async def on_log(self, ctx: LogContext) -> None:
            async with asyncio.TaskGroup() as group:
                for step in range(3):
                    group.create_task(self.run.keep(Finding("notice", "Many", step)))

        def on_finding(self, finding: Finding) -> None:
            told.append(finding.step)

    async with asyncio.timeout(30):
        await a_trainer(server, Many()).wait()
    assert told == [0, 1, 2]


async def test_work_beside_the_stream_is_awaited_before_the_end(server: Server) -> None:
    server.script(stream(started(), log(1), log(2), completed(), END))
    done: list[str] = []
    may_end = asyncio.Event()

    class Slow(Holder):
        def on_log(self, ctx: LogContext) -> None:
            if ctx.step == 1:
                self.run.background(self.work(), name="slow work")
            else:
                done.append("the log went on")
                may_end.set()

        async def work(self) -> None:
            await may_end.wait()
            await self.run.keep(Finding("notice", "Slow", 1))
            self.run.background(self.more(), name="more work")

        async def more(self) -> None:
            await asyncio.sleep(0)
            done.append("all work is done")

        def on_finding(self, finding: Finding) -> None:
            done.append("told")

    async with asyncio.timeout(30):
        await a_trainer(server, Slow()).wait()
    assert done == ["the log went on", "told", "all work is done"]


async def test_work_is_ended_where_waiting_is_given_up(server: Server) -> None:
    server.script(stream(started(), log(1), asyncio.Event()))
    controller = AbortController()
    ended = asyncio.Event()

    class Endless(Holder):
        def on_log(self, ctx: LogContext) -> None:
            self.run.background(self.work(), name="endless")

        async def work(self) -> None:
            controller.abort("enough")
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    trainer = a_trainer(server, Endless(), abort_signal=controller.signal)
    with pytest.raises(AbortError, match="enough"):
        await trainer.wait()
    assert ended.is_set()
    assert server.cancellations == []


@pytest.mark.parametrize("mode", ["raise", "report"])
async def test_what_work_raises_is_a_callback_error(server: Server, mode: Any) -> None:
    server.script(stream(started(), log(1), completed(), END))

    class Broken(Holder):
        def on_log(self, ctx: LogContext) -> None:
            self.run.background(self.work(), name="Broken.work")

        async def work(self) -> None:
            raise KeyError("oops")

    trainer = a_trainer(server, Broken(), on_callback_error=mode)
    if mode == "raise":
        with pytest.raises(CallbackError, match="oops"):
            await trainer.wait()
    assert (await trainer.wait()).status == "completed"
    assert [error.callback for error in trainer.callback_errors] == ["Broken.work"]
    assert len(server.openings) == 1


class Raises(Holder):
    """Raises in a method that nobody waits for, or in one that is called beside events."""

    def __init__(self, method: str) -> None:
        self.method = method

    def maybe(self, method: str) -> None:
        if self.method == method:
            raise ValueError(f"in {method}")

    def on_connection(self, state: StreamState) -> None:
        self.maybe("on_connection")

    def on_finding(self, finding: Finding) -> None:
        self.maybe("on_finding")

    async def on_log(self, ctx: LogContext) -> None:
        await self.run.keep(Finding("notice", "Raises", ctx.step))


@pytest.mark.parametrize("method", ["on_connection", "on_finding"])
async def test_an_error_beside_events_is_raised_too(server: Server, method: str) -> None:
    server.script(stream(started(), log(1), completed(), END))
    trainer = a_trainer(server, Raises(method))
    with pytest.raises(CallbackError, match=f"in {method}"):
        await trainer.wait()
    assert len(server.openings) == 1


@pytest.mark.parametrize("method", ["on_connection", "on_finding"])
async def test_an_error_beside_events_costs_no_event(server: Server, method: str) -> None:
    server.script(stream(started(), log(1), completed(), END))
    after = Recorder()
    trainer = a_trainer(server, Raises(method), after, on_callback_error="report")
    assert (await trainer.wait()).status == "completed"
    assert after.kinds == ["started", "log", "completed"]
    assert {error.callback for error in trainer.callback_errors} == {f"Raises.{method}"}


async def test_a_mark_is_the_first_only_once(server: Server) -> None:
    trainer = a_trainer(server)
    assert not await trainer.was_marked("x")
    assert await trainer.first_time("x")
    assert not await trainer.first_time("x")
    assert await trainer.was_marked("x")


async def test_connection_states_are_told_to_callbacks(server: Server) -> None:
    server.script(stream(started(), log(1), DROP), stream(completed(), END))
    phases: list[str] = []

    class Watch(Callback):
        def on_connection(self, state: StreamState) -> None:
            phases.append(state.phase)

    await a_trainer(server, Watch()).wait()
    assert phases == ["connecting", "live", "reconnecting", "connecting", "live", "ended"]


class Gauged(Callback):
    def __init__(self, name: str) -> None:
        self.name = name

    def gauges(self) -> list[Gauge]:
        return [Gauge(self.name)]


async def test_gauges_of_all_callbacks(server: Server) -> None:
    trainer = a_trainer(server, Gauged("a"), Callback(), Gauged("b"))
    assert [gauge.name for gauge in trainer.hooks.gauges()] == ["a", "b"]


async def test_many_stops_are_one(server: Server) -> None:
    server.obeys = True
    server.script(stream(started(), log(1), server.cancelled, CANCELLED, END))

    class Eager(Holder):
        async def on_log(self, ctx: LogContext) -> None:
            first, second = await asyncio.gather(self.run.stop("first"), self.run.stop("second"))
            assert first.confirmed
            assert second.confirmed

    trainer = a_trainer(server, Eager())
    result = await trainer.wait()
    assert (result.status, result.reason) == ("cancelled", "first")
    assert (await trainer.stop("late")).confirmed
    assert len(server.cancellations) == 1


async def test_a_reason_is_no_reason_where_the_run_ended_by_itself(server: Server) -> None:
    server.script(stream(started(), completed(), END))
    trainer = a_trainer(server)
    await trainer.wait()
    server.job = {**server.job, "status": "completed"}
    assert (await trainer.stop("too late")).confirmed
    assert trainer.result is not None
    assert trainer.result.reason is None


async def test_states_of_a_stop_are_told(server: Server) -> None:
    server.obeys = True
    server.script(stream(started(), server.cancelled, CANCELLED, END))
    trainer = a_trainer(server)
    told: list[str] = []
    trainer.on_cancel = lambda state: told.append(state.phase)
    waiting = asyncio.create_task(trainer.wait())
    await server.asked_for("/events/stream")
    await trainer.stop("by hand")
    assert (await waiting).reason == "by hand"
    assert told == ["asking", "waiting", "confirmed"]


async def test_a_callback_that_cannot_say_how_far_it_is_hides_no_other(server: Server) -> None:
    class Odd(Callback):
        def gauges(self) -> list[Gauge]:
            raise ValueError("no idea")

    hooks = a_trainer(server, Odd(), Gauged("a")).hooks
    hooks.on_error = "report"
    for _ in range(3):
        assert [gauge.name for gauge in hooks.gauges()] == ["a"]
    await hooks.take([])
    (error,) = hooks.errors  # told once, however often somebody looks
    assert "Odd.gauges raised on a look at its gauges: ValueError: no idea" in error.message
