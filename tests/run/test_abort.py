"""Giving up the waiting: prompt wherever it happens, and never the end of the job."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from arkor_tui import AbortController, AbortError, Callback, LogContext, Trainer
from arkor_tui.api.reconnect import StreamState
from arkor_tui.run.abort import interruptible
from tests.support.frames import END, completed, log, started
from tests.support.scripted import AT_ONCE, JOB_ID, Answer, Server, Unanswered, stream
from tests.support.trainers import Recorder, a_trainer, attached

NEVER_SOON = replace(AT_ONCE, base_delay=3600.0, max_delay=3600.0)


class StopError(Exception):
    """A reason of the caller's own."""


async def is_aborted(trainer: Trainer, controller: AbortController, when: asyncio.Event) -> None:
    """Abort the waiting of ``trainer`` once ``when`` is set; it ends with the very reason."""
    reason = StopError()
    waiting = asyncio.create_task(trainer.wait())
    await when.wait()
    controller.abort(reason)
    with pytest.raises(StopError) as caught:
        await waiting
    assert caught.value is reason
    assert waiting.cancelling() == 0


def on_phase(trainer: Trainer, phase: str) -> asyncio.Event:
    """Set when the trainer's connection gets into that phase."""
    reached = asyncio.Event()

    def look(state: StreamState) -> None:
        if state.phase == phase:
            reached.set()

    trainer.on_state = look
    return reached


async def test_while_the_stream_is_silent(server: Server) -> None:
    controller, never = AbortController(), asyncio.Event()
    server.script(stream(started(), never))
    trainer = a_trainer(server, abort_signal=controller.signal)
    await is_aborted(trainer, controller, on_phase(trainer, "live"))
    await server.openings[0].gone.wait()
    assert server.cancellations == []


async def test_while_the_stream_is_being_opened(server: Server) -> None:
    controller = AbortController()
    server.script(Unanswered())
    trainer = a_trainer(server, abort_signal=controller.signal)
    await is_aborted(trainer, controller, on_phase(trainer, "connecting"))
    assert server.cancellations == []


@pytest.mark.parametrize("first", [Answer(503, {"error": "busy"}), stream(log(1))])
async def test_during_the_back_off_and_the_base_delay(
    server: Server, first: Answer | object
) -> None:
    controller = AbortController()
    server.script(first)  # type: ignore[arg-type]
    trainer = a_trainer(server, abort_signal=controller.signal, policy=NEVER_SOON)
    await is_aborted(trainer, controller, on_phase(trainer, "reconnecting"))
    assert (len(server.openings), server.cancellations) == (1, [])


async def test_while_the_job_is_asked_for_its_end(server: Server) -> None:
    controller = AbortController()
    server.script(stream(started(), END))
    trainer = a_trainer(server, abort_signal=controller.signal, policy=NEVER_SOON)
    await is_aborted(trainer, controller, on_phase(trainer, "ended"))
    assert server.cancellations == []


async def test_while_the_job_is_being_created_and_then_cancel_finds_it(server: Server) -> None:
    controller = AbortController()
    server.creation = asyncio.Event()
    trainer = a_trainer(server, abort_signal=controller.signal)
    await is_aborted(trainer, controller, server.submitted)
    assert trainer.job is None

    cancelling = asyncio.create_task(trainer.cancel())
    server.creation.set()
    await cancelling
    assert len(server.creations) == 1
    assert [r.path for r in server.cancellations] == [f"/v1/jobs/{JOB_ID}/cancel"]
    await trainer.aclose()


async def test_from_another_thread(server: Server) -> None:
    controller, never = AbortController(), asyncio.Event()
    server.script(stream(started(), never))
    trainer = a_trainer(server, abort_signal=controller.signal)
    live = on_phase(trainer, "live")
    waiting = asyncio.create_task(trainer.wait())
    await live.wait()
    threading.Thread(target=controller.abort, args=(StopError(),)).start()
    with pytest.raises(StopError):
        await waiting


async def test_inside_a_callback_which_finishes_its_own_work_first(server: Server) -> None:
    controller = AbortController()
    server.script(stream(started("1"), log(1, "2"), log(2, "3"), completed("4"), END))
    done: list[str] = []

    class StopsAtOne(Callback):
        async def on_log(self, ctx: LogContext) -> None:
            controller.abort(StopError())
            await asyncio.sleep(0)
            done.append(f"step {ctx.step}")

    after = Recorder()
    trainer = a_trainer(server, StopsAtOne(), after, abort_signal=controller.signal)
    with pytest.raises(StopError):
        await trainer.wait()
    assert done == ["step 1"]
    assert after.kinds == ["started", "log"]
    assert server.cancellations == []


async def test_abort_then_cancel_stops_the_run_and_the_paying(server: Server) -> None:
    controller, never = AbortController(), asyncio.Event()
    server.script(stream(started(), never))
    server.answers[f"POST /v1/jobs/{JOB_ID}/cancel"] = Answer(409, {"error": "over"})
    trainer = a_trainer(server, abort_signal=controller.signal)
    await is_aborted(trainer, controller, on_phase(trainer, "live"))
    await trainer.cancel()
    assert len(server.cancellations) == 1
    await trainer.aclose()


async def test_an_aborted_wait_loses_no_event_for_who_waits_without_the_signal(
    server: Server,
) -> None:
    controller, never = AbortController(), asyncio.Event()
    server.script(
        stream(started("1"), log(1, "2"), never),
        stream(log(2, "3"), completed("4"), END),
    )
    recorder = Recorder()
    trainer = a_trainer(server, recorder, abort_signal=controller.signal)
    arrived = asyncio.Event()
    recorder.on_log = lambda ctx: (recorder.contexts.append(ctx), arrived.set())[1]  # type: ignore[method-assign]
    await is_aborted(trainer, controller, arrived)
    trainer.abort_signal = None
    await trainer.wait()
    assert recorder.kinds == ["started", "log", "log", "completed"]
    assert server.openings[1].headers["last-event-id"] == "2"


async def test_before_the_waiting_begins_nothing_is_asked(server: Server) -> None:
    controller = AbortController()
    controller.abort("enough")
    with pytest.raises(AbortError, match="enough"):
        await a_trainer(server, abort_signal=controller.signal).wait()
    assert server.requests == []


async def test_after_the_end_it_changes_nothing(server: Server) -> None:
    controller = AbortController()
    server.script(stream(completed(), END))
    trainer = a_trainer(server, abort_signal=controller.signal)
    result = await trainer.wait()
    controller.abort()
    assert await trainer.wait() is result


async def test_one_controller_stops_every_trainer_that_holds_its_signal(server: Server) -> None:
    controller, never = AbortController(), asyncio.Event()
    server.script(stream(started(), never), stream(started(), never))
    first = a_trainer(server, abort_signal=controller.signal)
    second = attached(server, abort_signal=controller.signal)
    live = [on_phase(trainer, "live") for trainer in (first, second)]
    waiting = asyncio.gather(first.wait(), second.wait(), return_exceptions=True)
    await asyncio.gather(*(event.wait() for event in live))
    controller.abort(StopError())
    assert [type(error) for error in await waiting] == [StopError, StopError]


async def test_a_cancelled_task_is_cancelled_and_not_aborted(server: Server) -> None:
    controller, never = AbortController(), asyncio.Event()
    server.script(stream(started(), never))
    trainer = a_trainer(server, abort_signal=controller.signal)
    live = on_phase(trainer, "live")
    waiting = asyncio.create_task(trainer.wait())
    await live.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not controller.signal.aborted


async def test_a_task_that_is_cancelled_and_aborted_at_once_is_cancelled(server: Server) -> None:
    controller, never = AbortController(), asyncio.Event()
    server.script(stream(started(), never))
    trainer = a_trainer(server, abort_signal=controller.signal)
    live = on_phase(trainer, "live")
    waiting = asyncio.create_task(trainer.wait())
    await live.wait()
    controller.abort(StopError())
    waiting.cancel()
    with pytest.raises((asyncio.CancelledError, StopError)):
        await waiting


async def test_a_time_limit_around_the_waiting_is_a_time_out(server: Server) -> None:
    server.script(stream(started(), asyncio.Event()))
    trainer = a_trainer(server, abort_signal=AbortController().signal)
    live = on_phase(trainer, "live")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            waiting = asyncio.ensure_future(trainer.wait())
            await live.wait()
            limit.reschedule(0)
            await waiting


# controller and signal by themselves


def test_only_the_first_abort_counts() -> None:
    controller, reason = AbortController(), StopError()
    assert (controller.signal.aborted, controller.signal.reason) == (False, None)
    controller.abort(reason)
    controller.abort("later")
    assert controller.signal.aborted
    assert controller.signal.reason is reason


def test_an_abort_without_a_reason_has_one_that_says_that_the_job_goes_on() -> None:
    controller = AbortController()
    controller.abort()
    assert isinstance(controller.signal.reason, AbortError)
    assert "the job itself goes on" in str(controller.signal.reason)


def test_listeners_hear_once_and_a_late_one_at_once() -> None:
    controller = AbortController()
    heard: list[str] = []

    def hear(name: str) -> Callable[[], None]:
        return lambda: heard.append(name)

    controller.signal.listen(hear("kept"))
    forget = controller.signal.listen(hear("forgotten"))
    forget()
    forget()
    controller.abort()
    controller.abort()
    controller.signal.listen(hear("late"))()
    assert heard == ["kept", "late"]


async def test_code_outside_the_block_is_never_interrupted() -> None:
    controller = AbortController()
    block = interruptible(controller.signal)
    with block:
        await asyncio.sleep(0)
    controller.abort(StopError())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(StopError), block:
        pytest.fail("the block was entered")


async def test_an_abort_at_the_end_of_a_block_is_too_late_for_it() -> None:
    controller = AbortController()
    with interruptible(controller.signal):
        controller.abort(StopError())  # heard in the loop's next turn, when the block is over
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_an_abort_after_its_loop_has_closed_harms_nobody() -> None:
    controller = AbortController()

    def abandon() -> None:
        async def inner() -> None:
            interruptible(controller.signal).__enter__()

        asyncio.run(inner())

    await asyncio.to_thread(abandon)
    controller.abort()


@pytest.mark.parametrize("stop_at", range(25))
def test_a_signal_handler_may_abort_in_the_middle_of_listening(stop_at: int) -> None:
    """Whatever the main thread does at that moment: no deadlock, and no listener is lost."""
    controller = AbortController()
    heard: list[int] = []
    lines = 0

    def trace(frame: object, event: str, arg: object) -> object:
        nonlocal lines
        lines += 1
        if lines == stop_at:  # as a signal would, between two lines
            sys.settrace(None)
            controller.abort("now")
        return trace

    others = sys.gettrace()  # what measures coverage goes on afterwards
    sys.settrace(trace)
    try:
        forget = controller.signal.listen(lambda: heard.append(1))
    finally:
        sys.settrace(others)
    controller.abort("later")
    forget()
    assert heard == [1]
