"""Callbacks: in the order of the stream, one after another, and what happens when one raises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from arkor_tui import Callback, CallbackError, LogContext
from arkor_tui.run.callbacks import RunHandle
from tests.support.frames import END, checkpoint, completed, failed, frame, log, started
from tests.support.scripted import Server, stream
from tests.support.trainers import Recorder, a_trainer

METHODS = {
    "on_started": (started("1"), "training.started"),
    "on_log": (log(1, "1"), "training.log"),
    "on_checkpoint": (checkpoint(1, "1"), "checkpoint.saved"),
    "on_completed": (completed("1"), "training.completed"),
    "on_failed": (failed("boom", "1"), "training.failed"),
}
TERMINAL = ("on_completed", "on_failed")


class BrokenError(Exception):
    """What a callback of a user raises."""


def raising(method: str, error: Exception, *, is_async: bool) -> Callback:
    """A callback whose ``method`` raises ``error`` the first time."""
    callback = Callback()
    errors = [error]

    def sync(ctx: Any) -> None:
        if errors:
            raise errors.pop()

    async def later(ctx: Any) -> None:
        await asyncio.sleep(0)
        sync(ctx)

    setattr(callback, method, later if is_async else sync)
    return callback


def run_with(method: str) -> tuple[bytes, ...]:
    rest = () if method in TERMINAL else (completed("9"),)
    return (METHODS[method][0], *rest, END)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("method", METHODS)
async def test_one_that_raises_ends_the_waiting_with_its_own_error(
    server: Server, method: str, is_async: bool
) -> None:
    first = (METHODS[method][0], asyncio.Event())  # what comes next is not read ahead
    server.script(stream(*first), stream(completed("9"), END))
    error = BrokenError("no such thing")
    after = Recorder()
    trainer = a_trainer(server, raising(method, error, is_async=is_async), after)
    with pytest.raises(CallbackError, match="no such thing") as caught:
        await trainer.wait()
    assert caught.value.__cause__ is error
    assert caught.value.callback == f"Callback.{method}"
    assert caught.value.event == METHODS[method][1]
    assert caught.value.others == []
    assert trainer.callback_errors == [caught.value]
    # one opening, no retry, and the callbacks after it in the list saw the event
    assert len(server.openings) == 1
    assert after.kinds == [method.removeprefix("on_")]

    # a second wait goes on with the next event: nothing is lost, nothing comes twice
    result = await trainer.wait()
    assert result.status == ("failed" if method == "on_failed" else "completed")
    rest = [] if method in TERMINAL else ["completed"]
    assert after.kinds == [method.removeprefix("on_"), *rest]
    assert len(server.openings) == (1 if method in TERMINAL else 2)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("method", METHODS)
async def test_one_that_raises_is_only_reported_where_that_was_asked_for(
    server: Server, method: str, is_async: bool
) -> None:
    server.script(stream(*run_with(method)))
    after = Recorder()
    trainer = a_trainer(
        server,
        raising(method, BrokenError("oh"), is_async=is_async),
        after,
        on_callback_error="report",
    )
    result = await trainer.wait()
    assert result.status == ("failed" if method == "on_failed" else "completed")
    assert [type(error.__cause__) for error in trainer.callback_errors] == [BrokenError]
    assert after.kinds[0] == method.removeprefix("on_")
    assert len(server.openings) == 1


async def test_a_replay_after_the_error_repeats_nothing(server: Server) -> None:
    whole = (started("1"), log(1, "2"), log(2, "3"), log(3, "4"), completed("5"), END)
    held = (*whole[:2], asyncio.Event())
    server.script(stream(*held), stream(*whole))  # a server that ignores Last-Event-ID
    recorder = Recorder()
    trainer = a_trainer(server, recorder, raising("on_log", BrokenError(), is_async=False))
    with pytest.raises(CallbackError):
        await trainer.wait()
    assert recorder.kinds == ["started", "log"]
    await trainer.wait()
    assert [ctx.event_id for ctx in recorder.contexts] == ["1", "2", "3", "4", "5"]
    assert server.openings[1].headers["last-event-id"] == "2"


async def test_events_without_ids_that_came_with_the_failing_one_are_not_lost(
    server: Server,
) -> None:
    def bare(step: int) -> bytes:
        return frame({"type": "training.log", "step": step})

    server.script(
        stream(started("1") + log(1, "2") + bare(2) + bare(3)),
        stream(bare(2) + bare(3) + completed("4") + END),
    )
    recorder = Recorder()
    trainer = a_trainer(server, recorder, raising("on_log", BrokenError(), is_async=False))
    with pytest.raises(CallbackError):
        await trainer.wait()
    await trainer.wait()
    assert [ctx.step for ctx in recorder.contexts if isinstance(ctx, LogContext)] == [1, 2, 3]


async def test_several_that_raise_on_one_event_are_told_together(server: Server) -> None:
    server.script(stream(started("1"), END))
    first, second = BrokenError("first"), BrokenError("second")
    trainer = a_trainer(
        server,
        raising("on_started", first, is_async=False),
        raising("on_started", second, is_async=True),
    )
    with pytest.raises(CallbackError, match="first") as caught:
        await trainer.wait()
    assert [error.__cause__ for error in caught.value.others] == [second]
    assert [error.__cause__ for error in trainer.callback_errors] == [first, second]


async def test_an_error_of_on_completed_does_not_lead_to_on_failed(server: Server) -> None:
    server.script(stream(completed("1"), END))
    recorder = Recorder()
    trainer = a_trainer(server, raising("on_completed", BrokenError(), is_async=False), recorder)
    with pytest.raises(CallbackError):
        await trainer.wait()
    assert recorder.kinds == ["completed"]
    assert trainer.result is not None
    assert trainer.result.status == "completed"


async def test_each_is_awaited_before_the_next_and_none_runs_twice_at_a_time(
    server: Server,
) -> None:
    server.script(stream(*(log(step, str(step)) for step in range(1, 6)), completed("9"), END))
    trace: list[str] = []

    class Traced(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        async def on_log(self, ctx: LogContext) -> None:
            trace.append(f"{self.name} begins {ctx.step}")
            for _ in range(3):
                await asyncio.sleep(0)
            trace.append(f"{self.name} ends {ctx.step}")

    await a_trainer(server, Traced("a"), Traced("b")).wait()
    assert trace == [
        f"{name} {what} {step}"
        for step in range(1, 6)
        for name in "ab"
        for what in ("begins", "ends")
    ]


async def test_plain_functions_do_as_well_sync_or_async_and_come_last(server: Server) -> None:
    server.script(stream(started("1"), log(1, "2"), checkpoint(1, "3"), completed("4"), END))
    told: list[str] = []

    def note(name: str) -> Callable[[Any], None]:
        return lambda ctx: told.append(name)

    async def on_log(ctx: LogContext) -> None:
        await asyncio.sleep(0)
        told.append("log")

    class First(Callback):
        def on_log(self, ctx: LogContext) -> None:
            told.append("first")

    trainer = a_trainer(
        server,
        First(),
        on_started=note("started"),
        on_log=on_log,
        on_checkpoint=note("checkpoint"),
        on_completed=note("completed"),
        on_failed=note("failed"),
    )
    await trainer.wait()
    assert told == ["started", "first", "log", "checkpoint", "completed"]


async def test_a_plain_function_that_raises_is_named(server: Server) -> None:
    server.script(stream(log(1, "1"), END))

    def watch_the_loss(ctx: LogContext) -> None:
        raise BrokenError

    with pytest.raises(CallbackError) as caught:
        await a_trainer(server, on_log=watch_the_loss).wait()
    assert caught.value.callback.startswith("on_log (")
    assert "watch_the_loss" in caught.value.callback


async def test_what_a_function_returns_is_of_no_matter(server: Server) -> None:
    server.script(stream(log(1, "1"), completed("2"), END))
    trainer = a_trainer(server, on_log=lambda ctx: 42, on_completed=lambda ctx: "done")
    assert (await trainer.wait()).status == "completed"


async def test_a_callback_is_told_its_run_once_before_the_first_event(server: Server) -> None:
    server.script(stream(log(1, "1"), log(2, "2"), completed("3"), END))

    class Canceller(Callback):
        def attached(self, run: RunHandle) -> None:
            self.run = run
            self.attachments = getattr(self, "attachments", 0) + 1

        async def on_log(self, ctx: LogContext) -> None:
            assert self.run.job is not None
            if ctx.step == 1:
                await self.run.cancel()
                raise BrokenError

    canceller = Canceller()
    server.script(stream(log(2, "2"), completed("3"), END))
    trainer = a_trainer(server, canceller)
    with pytest.raises(CallbackError):
        await trainer.wait()
    await trainer.wait()
    assert canceller.attachments == 1
    assert len(server.cancellations) == 1


@pytest.mark.parametrize("mode", ["raise", "report"])
async def test_one_that_raises_on_being_attached_is_treated_alike(
    server: Server, mode: str
) -> None:
    server.script(stream(log(1, "1"), completed("2"), END))

    class Unattachable(Callback):
        def attached(self, run: RunHandle) -> None:
            raise BrokenError

    after = Recorder()
    trainer = a_trainer(server, Unattachable(), after, on_callback_error=mode)
    if mode == "raise":
        with pytest.raises(CallbackError, match="attached"):
            await trainer.wait()
    assert (await trainer.wait()).status == "completed"
    assert after.kinds == ["log", "completed"]
    assert len(trainer.callback_errors) == 1


async def test_base_exceptions_pass_through_as_they_are(server: Server) -> None:
    server.script(stream(log(1, "1"), END))

    class Quit(BaseException):
        pass

    def leave(ctx: LogContext) -> None:
        raise Quit

    with pytest.raises(Quit):
        await a_trainer(server, on_log=leave).wait()
