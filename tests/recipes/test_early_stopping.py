"""EarlyStopping on a real trainer: one confirmed stop, its reason kept, also after a restart."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from arkor_tui import AbortController, Callback, CheckpointContext, LogContext
from arkor_tui.api.events import parse_event
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.api.stream import StreamEvent
from arkor_tui.ended import Ended
from arkor_tui.errors import UsageError
from arkor_tui.recipes import EarlyStopping, SampleRule
from arkor_tui.run import stopping
from arkor_tui.run.callbacks import RunHandle
from arkor_tui.run.contexts import context_of
from arkor_tui.run.findings import Finding, Gauge
from arkor_tui.run.trainer import Trainer
from tests.support.frames import END, checkpoint, completed, failed, log, started, went_on
from tests.support.memory_sink import MemorySink
from tests.support.scripted import JOB, Answer, Server, Unanswered, stream
from tests.support.trainers import Recorder, a_trainer, attached

CANCELLED = failed("Job cancelled", "99")


def tasks() -> set[str]:
    """What is under way, by name."""
    return {task.get_name() for task in asyncio.all_tasks()}


async def over(name: str) -> None:
    """Wait for work of this name, if any is under way."""
    work = [task for task in asyncio.all_tasks() if task.get_name() == name]
    await asyncio.gather(*work)


def phases(trainer: Trainer) -> list[str]:
    return [f.data["phase"] for f in trainer.hooks.findings if f.kind == "guard"]


async def test_it_stops_once_and_says_why(server: Server) -> None:
    server.script(stream(started(), log(1), log(2, loss=7.0), log(3, loss=9.0), CANCELLED, END))
    guard, seen = EarlyStopping(ceiling=5.0, patience=1), Recorder()
    trainer = a_trainer(server, guard, seen)
    result = await trainer.wait()
    assert result.status == "cancelled"
    assert result.reason == "the loss 7 is above 5"
    assert len(server.cancellations) == 1
    # what came after it is still told
    assert seen.kinds == ["started", "log", "log", "log", "failed"]
    assert phases(trainer) == ["stopping", "stopped"]
    said = {
        "guard": "ceiling", "reason": "the loss 7 is above 5", "value": 7.0, "limit": 5.0,
        "action": "now",
    }  # fmt: skip
    ended = "The backend says that the run is cancelled."
    assert trainer.hooks.findings == [
        Finding("guard", "EarlyStopping", 2, {**said, "phase": "stopping", "message": ""}),
        Finding("guard", "EarlyStopping", 2, {**said, "phase": "stopped", "message": ended}),
    ]
    fired = Gauge("ceiling", share=1.0, text="fired: the loss 7 is above 5", state="fired")
    assert guard.gauges()[0] == fired
    assert [gauge.name for gauge in guard.gauges()] == ["ceiling", "non-finite", "patience"]


async def given_up(trainer: Trainer, at: Callable[[], bool]) -> None:
    """Wait for the run until ``at`` holds, and give up, as ``asyncio.wait_for`` does."""
    waiting = asyncio.create_task(trainer.wait())
    async with asyncio.timeout(20):
        while not at():  # noqa: ASYNC110 what holds is no event
            await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_who_gives_up_waiting_while_it_stops_disarms_no_guard(server: Server) -> None:
    """r3: a script that waits in slices; the stop that was under way is refused."""
    cancel = f"POST /v1/jobs/{JOB['id']}/cancel"
    server.answers[cancel] = Unanswered()
    over_it, later = log(1, "2", loss=7.0), log(2, "3", loss=7.0)
    server.script(stream(started("1"), over_it, asyncio.Event()))
    trainer = a_trainer(server, EarlyStopping(ceiling=5.0))
    await given_up(trainer, lambda: bool(server.cancellations))
    server.answers[cancel] = Answer(403, {"error": "not you"})
    for request in server.cancellations:
        request.gone.set()
    assert (await trainer.stop()).phase == "failed"  # joins the one that is under way
    del server.answers[cancel]
    server.script(stream(later, server.cancelled, CANCELLED, END))
    server.obeys = True
    async with asyncio.timeout(20):
        assert (await trainer.wait()).status == "cancelled"
    assert trainer.why_stopped is not None
    assert trainer.why_stopped.guard == "ceiling"


async def test_who_gives_up_waiting_for_a_checkpoint_does_not_wait_for_ever(
    server: Server,
) -> None:
    """r3: the limit of the waiting is a task that ends with the waiting for the run."""
    server.script(stream(started("1"), log(1, "2", loss=7.0), asyncio.Event()))
    guard = EarlyStopping(ceiling=5.0, action="checkpoint", checkpoint_limit=3_600.0)
    trainer = a_trainer(server, guard)
    await given_up(trainer, lambda: phases(trainer) == ["armed"])
    guard.checkpoint_limit = 0.0
    server.obeys = True
    server.script(stream(log(2, "3", loss=7.0), server.cancelled, CANCELLED, END))
    async with asyncio.timeout(20):
        assert (await trainer.wait()).status == "cancelled"


def test_every_guard_has_a_gauge() -> None:
    rule = SampleRule.failed()
    guard = EarlyStopping(ceiling=5.0, predicate=bool, samples=rule)
    assert guard.predicate is not None
    own = [guard.predicate.gauge(), rule.gauge()]
    assert [gauge.name for gauge in guard.gauges()[:-2]] == ["non-finite", "ceiling"]
    assert guard.gauges()[-2:] == own
    assert [gauge.name for gauge in EarlyStopping().gauges()] == ["non-finite"]


async def test_a_good_run_is_left_alone(server: Server) -> None:
    logs = [log(step, loss=2.0 - step / 100) for step in range(1, 60)]
    server.script(stream(started(), *logs, completed(), END))
    trainer = a_trainer(server, EarlyStopping(ceiling=5.0, window=10, patience=30))
    assert (await trainer.wait()).status == "completed"
    assert server.cancellations == []
    assert trainer.hooks.findings == []


async def test_the_metric_is_what_the_guards_look_at(server: Server) -> None:
    logs = [log(1, evalLoss=1.0), log(2, loss=9.0), log(3, loss=1.0, evalLoss=7.0)]
    server.script(stream(started(), *logs, CANCELLED, END))
    trainer = a_trainer(server, EarlyStopping(ceiling=5.0, metric="eval_loss"))
    assert (await trainer.wait()).reason == "the eval loss 7 is above 5"
    assert trainer.hooks.findings[0].step == 3


async def test_samples_mean_nothing_without_a_rule_for_them(server: Server) -> None:
    server.script(stream(started(), checkpoint(5), completed(), END))
    trainer = a_trainer(server, EarlyStopping(), Probe())
    assert (await trainer.wait()).status == "completed"
    assert [finding.kind for finding in trainer.hooks.findings] == ["sample"]


async def test_a_loss_that_is_null_again_and_again_is_divergence(server: Server) -> None:
    logs = [log(step, loss=None) for step in range(1, 6)]
    server.script(stream(started(), *logs, CANCELLED, END))
    result = await a_trainer(server, EarlyStopping()).wait()
    assert result.reason == "5 log events in a row carry no loss"


@pytest.mark.parametrize("name", ["loss", "evalLoss"])
async def test_what_the_embedded_backend_names(server: Server, name: str) -> None:
    harmless = log(1, nonFinite={"gradNorm": "inf"})
    odd = log(2, nonFinite={name: "nan"})
    server.script(stream(started(), harmless, odd, CANCELLED, END))
    trainer = a_trainer(server, EarlyStopping())
    assert (await trainer.wait()).reason == "the backend says that the loss is not a number"
    assert trainer.hooks.findings[0].step == 2


async def test_after_the_next_checkpoint(server: Server) -> None:
    server.script(
        stream(started(), log(1, loss=7.0), log(2, loss=8.0), checkpoint(2), CANCELLED, END)
    )
    guard = EarlyStopping(ceiling=5.0, action="checkpoint")
    trainer = a_trainer(server, guard)
    cancelled_at: list[str] = []

    class Watch(Callback):
        def on_log(self, ctx: LogContext) -> None:
            assert server.cancellations == []
            assert "EarlyStopping.limit" in tasks()
            waiting = "stops at the next checkpoint: the loss 7 is above 5"
            assert guard.gauges()[0] == Gauge("ceiling", share=1.0, text=waiting, state="armed")

        def on_checkpoint(self, ctx: CheckpointContext) -> None:
            cancelled_at.append(f"checkpoint {ctx.step}: {len(server.cancellations)}")

    trainer.callbacks.append(Watch())
    result = await trainer.wait()
    assert (result.status, result.reason) == ("cancelled", "the loss 7 is above 5")
    assert cancelled_at == ["checkpoint 2: 1"]
    assert phases(trainer) == ["armed", "stopping", "stopped"]
    assert [finding.step for finding in trainer.hooks.findings] == [1, 2, 2]
    assert [finding.data["action"] for finding in trainer.hooks.findings] == ["checkpoint"] * 3


async def test_a_checkpoint_that_does_not_come_is_not_waited_for_forever(server: Server) -> None:
    server.script(stream(started(), log(1, loss=7.0), server.cancelled, CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0, action="checkpoint", checkpoint_limit=0.0)
    result = await a_trainer(server, guard).wait()
    assert result.reason == "the loss 7 is above 5"
    assert len(server.cancellations) == 1


async def test_a_run_that_ends_by_itself_leaves_nothing_behind(server: Server) -> None:
    server.script(stream(started(), log(1, loss=7.0), completed(), END))
    guard = EarlyStopping(ceiling=5.0, action="checkpoint", checkpoint_limit=3_600.0)
    trainer = a_trainer(server, guard)
    async with asyncio.timeout(30):  # not the hour that a checkpoint is waited for
        assert (await trainer.wait()).status == "completed"
    assert server.cancellations == []


async def test_a_stop_that_is_refused_is_tried_once_more_and_told(server: Server) -> None:
    server.obeys = False
    server.answers["POST /v1/jobs/job-1/cancel"] = Answer(403, {"error": "not yours"})
    server.job = {**server.job, "status": "running"}
    server.script(
        stream(started(), *(log(step, loss=7.0) for step in range(1, 6)), completed(), END)
    )
    trainer = a_trainer(server, EarlyStopping(ceiling=5.0))
    assert (await trainer.wait()).status == "completed"
    assert len(server.cancellations) == 2
    assert phases(trainer) == ["stopping", "failed", "stopping", "failed"]
    assert "not yours" in trainer.hooks.findings[1].data["message"]


async def test_a_checkpoint_is_another_occasion_for_a_stop_that_was_refused(server: Server) -> None:
    server.obeys = False
    server.answers["POST /v1/jobs/job-1/cancel"] = Answer(403, {"error": "not yours"})
    server.job = {**server.job, "status": "running"}
    server.script(stream(started(), log(1, loss=7.0), checkpoint(2), completed(), END))
    trainer = a_trainer(server, EarlyStopping(ceiling=5.0))
    assert (await trainer.wait()).status == "completed"
    assert len(server.cancellations) == 2
    assert [finding.step for finding in trainer.hooks.findings] == [1, 1, 2, 2]


async def test_a_backend_that_never_ends_its_stream(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkor_tui.run.follow.END_SECONDS", 0.0)
    server.script(stream(started(), log(1, loss=7.0), asyncio.Event()))
    async with asyncio.timeout(30):
        result = await a_trainer(server, EarlyStopping(ceiling=5.0)).wait()
    assert (result.status, result.reason) == ("cancelled", "the loss 7 is above 5")


async def test_a_predicate_of_ones_own(server: Server) -> None:
    def too_slow(ctx: LogContext) -> bool | str:
        return ctx.step == 2 and "too slow for us"

    server.script(stream(started(), log(1), log(2), CANCELLED, END))
    result = await a_trainer(server, EarlyStopping(predicate=too_slow)).wait()
    assert result.reason == "too slow for us"


class Probe(Callback):
    """Finds that every answer is wrong."""

    def attached(self, run: RunHandle) -> None:
        self.run = run

    async def on_checkpoint(self, ctx: CheckpointContext) -> None:
        data = {"prompt": 0, "target": "checkpoint", "reply": "?", "passed": False}
        await self.run.keep(Finding("sample", "probe", ctx.step, data))


async def test_bad_samples_stop_a_run(server: Server) -> None:
    server.script(
        stream(started(), checkpoint(5), checkpoint(10), server.cancelled, CANCELLED, END)
    )
    guard = EarlyStopping(samples=SampleRule.failed(times=2))
    # in whatever order they stand in the list
    result = await a_trainer(server, guard, Probe()).wait()
    assert result.reason == "at checkpoint 10, prompt 1: a golden prompt fails (2 times in a row)"


@pytest.mark.parametrize(
    ("reason", "said"), [("a person said so", "a person said so"), ("", "asked from outside")]
)
async def test_asked_from_outside(server: Server, reason: str, said: str) -> None:
    server.script(stream(started(), log(1), server.cancelled, CANCELLED, END))
    guard = EarlyStopping()

    class Person(Callback):
        async def on_log(self, ctx: LogContext) -> None:
            await asyncio.to_thread(guard.request, reason)

    trainer = a_trainer(server, guard, Person())
    assert (await trainer.wait()).reason == said
    assert [finding.data["guard"] for finding in trainer.hooks.findings] == ["request"] * 2


async def test_a_request_is_work_of_the_run_under_its_name(server: Server) -> None:
    guard = EarlyStopping()
    trainer = attached(server, guard)
    guard.attached(trainer)
    guard.request("enough")
    await asyncio.sleep(0)  # until the loop has heard of it
    assert "EarlyStopping.request" in tasks()
    await trainer.hooks.cancel()
    assert "EarlyStopping.request" not in tasks()


async def test_asked_before_there_is_a_run(server: Server) -> None:
    server.script(stream(started(), server.cancelled, CANCELLED, END))
    guard = EarlyStopping()
    guard.request("not today")
    trainer = a_trainer(server, guard)
    assert (await trainer.wait()).reason == "not today"
    assert trainer.hooks.findings[0].step is None


async def test_asked_twice_and_by_a_guard_it_still_stops_once(server: Server) -> None:
    server.script(stream(started(), log(1, loss=7.0), server.cancelled, CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0)
    guard.request("first")
    guard.request("second")
    trainer = a_trainer(server, guard)
    assert (await trainer.wait()).status == "cancelled"
    assert len(server.cancellations) == 1
    assert phases(trainer) == ["stopping", "stopped"]


async def test_asking_after_the_end_changes_nothing(server: Server) -> None:
    server.script(stream(started(), completed(), END))
    controller = AbortController()
    guard = EarlyStopping(abort_signal=controller.signal)
    assert (await a_trainer(server, guard).wait()).status == "completed"
    guard.request("too late")
    controller.abort("too late")
    await asyncio.sleep(0)  # what was asked for has been looked at
    assert server.cancellations == []
    assert guard.reason is None


def test_asking_when_the_loop_has_closed_is_harmless() -> None:
    controller = AbortController()
    guard = EarlyStopping(abort_signal=controller.signal)

    async def attach() -> None:
        guard.attached(Trainer.attach("job-1"))

    asyncio.run(attach())
    guard.request("nobody is there")
    controller.abort("nobody is there")


async def test_a_signal_that_lives_on_keeps_no_run_alive(server: Server) -> None:
    server.script(stream(started(), completed(), END))
    controller = AbortController()
    guard = EarlyStopping(abort_signal=controller.signal)
    await a_trainer(server, guard).wait()
    kept = weakref.ref(guard)
    del guard
    gc.collect()
    assert kept() is None


async def test_a_finding_holds_only_what_json_can_say(server: Server) -> None:
    infinite = log(1).replace(b"1.5", b"1e999")
    server.script(stream(started(), infinite, CANCELLED, END))
    trainer = a_trainer(server, EarlyStopping(ceiling=5.0, non_finite=False))
    assert (await trainer.wait()).reason == "the loss inf is above 5"
    assert [f.data["value"] for f in trainer.hooks.findings] == [None, None]


async def test_an_abort_signal_stops_the_job_too(server: Server) -> None:
    server.script(stream(started(), log(1), server.cancelled, CANCELLED, END))
    controller = AbortController()

    class Person(Callback):
        def on_log(self, ctx: LogContext) -> None:
            controller.abort("enough")

    guard = EarlyStopping(abort_signal=controller.signal)
    result = await a_trainer(server, guard, Person()).wait()
    assert (result.status, result.reason) == ("cancelled", "asked from outside: enough")


def past(*frames: bytes) -> list[StreamEvent]:
    events = []
    for frame in frames:
        lines = frame.decode().splitlines()
        fields = dict(line.split(": ", 1) for line in lines if line)
        events.append(StreamEvent(fields["id"], parse_event(fields["data"]), fields["data"]))
    return events


class Marks:
    """What outlives a process."""

    def __init__(self) -> None:
        self.marks: set[str] = set()
        self.answers: asyncio.Event | None = None  # nothing is told of marks before

    async def keep(self, finding: Finding) -> None:
        """The trainer has it too."""

    async def mark(self, mark: str) -> bool:
        is_new = mark not in self.marks
        self.marks.add(mark)
        return is_new

    async def was_marked(self, mark: str) -> bool:
        if self.answers is not None:
            await self.answers.wait()
        return mark in self.marks


async def resumed(
    server: Server,
    guard: EarlyStopping,
    *before: bytes,
    keeper: Marks | None = None,
) -> Trainer:
    server.job = {**server.job, "status": "running"}
    trainer = attached(server, guard)
    MemorySink(past(*before), keeper).use(trainer)
    return trainer


async def told(trainer: Trainer, *before: bytes) -> None:
    """Tell the callbacks a past without following the run."""
    await trainer.start()
    await trainer.hooks.attach(trainer)
    assert trainer.job is not None
    for item in past(*before):
        ctx = context_of(item.event, trainer.job, item.id, trainer.talk)
        assert ctx is not None
        await trainer.hooks.replay(ctx)


async def test_patience_goes_on_where_it_was(server: Server) -> None:
    server.script(stream(log(4), CANCELLED, END))
    guard = EarlyStopping(patience=3)
    trainer = await resumed(server, guard, started(), log(1), log(2), log(3))
    assert server.cancellations == []
    result = await trainer.wait()
    assert result.reason is not None
    assert "3 values" in result.reason


async def test_what_had_fired_before_a_kill_is_made_up_for(server: Server) -> None:
    # nothing is sent before the stop: it must not need an event
    server.script(stream(server.cancelled, log(2), CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0)
    trainer = await resumed(server, guard, started(), log(1, loss=7.0))
    assert server.cancellations == []
    result = await trainer.wait()
    assert (result.status, result.reason) == ("cancelled", "the loss 7 is above 5")
    assert len(server.cancellations) == 1
    assert phases(trainer) == ["stopping", "stopped"]
    assert trainer.hooks.findings[0].step == 1


async def test_the_first_reason_of_the_past_is_the_one_that_counts(server: Server) -> None:
    server.script(stream(server.cancelled, CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0)
    trainer = await resumed(server, guard, started(), log(1, loss=7.0), log(2, loss=9.0))
    assert (await trainer.wait()).reason == "the loss 7 is above 5"


async def test_a_restart_is_made_up_for_once_and_with_a_connection(server: Server) -> None:
    fresh = EarlyStopping()
    fresh.attached(attached(server, fresh))
    fresh.on_connection(StreamState("live"))
    assert "EarlyStopping.restart" not in tasks()
    guard = EarlyStopping()
    trainer = attached(server, guard)
    await told(trainer, started())
    guard.on_connection(StreamState("connecting"))
    assert "EarlyStopping.restart" not in tasks()
    guard.on_connection(StreamState("live"))
    assert "EarlyStopping.restart" in tasks()
    await trainer.hooks.finish()
    guard.on_connection(StreamState("live"))
    assert "EarlyStopping.restart" not in tasks()


def test_a_past_that_is_judged_without_a_run_stops_nothing() -> None:
    guard = EarlyStopping(ceiling=5.0)
    guard.on_replayed(LogContext(Job.model_validate(JOB), 1, 7.0, None))
    guard.on_connection(StreamState("live"))
    assert guard.reason == "the loss 7 is above 5"


async def test_a_run_that_ended_while_nobody_watched_is_not_stopped(server: Server) -> None:
    server.script(stream(asyncio.Event()))
    guard = EarlyStopping(ceiling=5.0)
    server.job = {**server.job, "status": "completed"}
    trainer = attached(server, guard)
    await told(trainer, started(), log(1, loss=7.0))
    guard.on_connection(StreamState("live"))
    await trainer.hooks.finish()
    assert server.cancellations == []
    assert trainer.hooks.findings == []


@pytest.mark.parametrize("action", ["now", "checkpoint"])
async def test_what_fires_while_the_past_is_looked_up_counts(server: Server, action: Any) -> None:
    keeper = Marks()
    await keeper.mark("EarlyStopping fired: sample")
    keeper.answers = asyncio.Event()
    server.script(stream(log(2, loss=7.0), server.cancelled, CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0, action=action, checkpoint_limit=0.0)

    class Late(Callback):
        def on_finding(self, finding: Finding) -> None:
            assert keeper.answers is not None
            keeper.answers.set()

    trainer = await resumed(server, guard, started(), log(1), keeper=keeper)
    trainer.callbacks.append(Late())
    result = await trainer.wait()
    assert (result.status, result.reason) == ("cancelled", "the loss 7 is above 5")
    assert len(server.cancellations) == 1


async def test_what_was_armed_before_a_kill_is_armed_again(server: Server) -> None:
    server.script(stream(log(2), log(3), checkpoint(3), server.cancelled, CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0, action="checkpoint")
    trainer = await resumed(server, guard, started(), log(1, loss=7.0))
    states: list[str] = []

    class Looking(Callback):
        def on_log(self, ctx: LogContext) -> None:
            states.append(guard.gauges()[0].state)

    stops: list[int] = []
    trainer.callbacks.extend([Looking(), Counting(server, stops)])
    result = await trainer.wait()
    assert (result.status, result.reason) == ("cancelled", "the loss 7 is above 5")
    assert stops == [0, 0]
    assert states == ["armed", "armed"]


async def test_after_a_kill_a_checkpoint_is_not_waited_for_forever_either(server: Server) -> None:
    server.script(stream(server.cancelled, CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0, action="checkpoint", checkpoint_limit=0.0)
    trainer = await resumed(server, guard, started(), log(1, loss=7.0))
    assert (await trainer.wait()).status == "cancelled"
    assert len(server.cancellations) == 1


async def test_what_a_sample_armed_is_not_lost_in_a_kill(server: Server) -> None:
    keeper = Marks()
    server.job = {**server.job, "status": "running"}
    server.script(stream(started(), checkpoint(5), log(6), asyncio.Event()))
    rule = SampleRule.failed()
    first = attached(server, EarlyStopping(samples=rule, action="checkpoint"), Probe())
    MemorySink((), keeper).use(first)
    async with aclosing(first.events()) as events:
        async for item in events:
            if item.id == "7":
                break
    assert phases(first) == ["armed"]
    assert server.cancellations == []

    server.script(stream(log(7), checkpoint(10), server.cancelled, CANCELLED, END))
    guard = EarlyStopping(samples=rule, action="checkpoint")
    past_events = started(), checkpoint(5), log(6)
    second = await resumed(server, guard, *past_events, keeper=keeper)
    stops: list[int] = []

    class Patient(Callback):
        async def on_log(self, ctx: LogContext) -> None:
            await over("EarlyStopping.restart")
            stops.append(len(server.cancellations))

    second.callbacks.append(Patient())
    result = await second.wait()
    assert stops == [0]
    assert (result.status, result.reason) == (
        "cancelled", "a rule for samples fired before a restart",
    )  # fmt: skip
    assert len(server.cancellations) == 1


async def test_what_a_person_asked_for_is_not_lost_in_a_kill(server: Server) -> None:
    keeper = Marks()
    await keeper.mark("EarlyStopping fired: request")
    server.script(stream(server.cancelled, CANCELLED, END))
    trainer = await resumed(server, EarlyStopping(), started(), log(1), keeper=keeper)
    assert (await trainer.wait()).reason == "asked to stop before a restart"
    assert len(server.cancellations) == 1


async def test_a_quiet_restart_stops_nothing(server: Server) -> None:
    server.script(stream(log(2), completed(), END))
    guard = EarlyStopping(ceiling=5.0, samples=SampleRule.failed())
    trainer = await resumed(server, guard, started(), log(1), keeper=Marks())
    assert (await trainer.wait()).status == "completed"
    assert server.cancellations == []
    assert trainer.callback_errors == []
    assert guard.reason is None


class Counting(Callback):
    """How many cancellations there were at each log event."""

    def __init__(self, server: Server, stops: list[int]) -> None:
        self.server, self.stops = server, stops

    def on_log(self, ctx: LogContext) -> None:
        self.stops.append(len(self.server.cancellations))


async def test_a_checkpoint_that_came_while_nobody_watched(server: Server) -> None:
    server.script(stream(log(3), CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0, action="checkpoint")
    trainer = await resumed(server, guard, started(), log(1, loss=7.0), checkpoint(2))
    assert (await trainer.wait()).status == "cancelled"
    assert len(server.cancellations) == 1


async def test_a_past_that_has_ended_is_left_alone(server: Server) -> None:
    guard = EarlyStopping(ceiling=5.0, abort_signal=AbortController().signal)
    # its end may have been told twice
    ended = (failed(), failed(id="again"))
    trainer = await resumed(server, guard, started(), log(1, loss=7.0), *ended)
    assert (await trainer.wait()).status == "failed"
    assert server.cancellations == server.openings == []
    assert guard.gauges()[0].state == "fired"


def test_a_checkpoint_is_waited_for_five_minutes_unless_told_otherwise() -> None:
    assert EarlyStopping().checkpoint_limit == 300.0


def test_an_action_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="now, checkpoint"):
        EarlyStopping(action="later")  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-1.0, math.nan])
def test_a_limit_without_a_meaning(seconds: float) -> None:
    with pytest.raises(UsageError, match="checkpoint_limit"):
        EarlyStopping(action="checkpoint", checkpoint_limit=seconds)


def test_confirmation_has_a_limit() -> None:
    assert 0 < stopping.CONFIRM_SECONDS <= 120


async def test_a_resumed_run_counts_each_step_once(server: Server) -> None:
    """t5: patience is 4; losses of the first life after the checkpoint do not count."""
    first = [log(1, loss=3.0), log(2, loss=2.0), checkpoint(2), log(3, loss=2.5), log(4, loss=2.5)]
    again = [log(step, f"again {step}", loss=2.4) for step in (3, 4, 5)]
    server.script(stream(started(), *first, went_on(2), *again, completed(), END))
    guard = EarlyStopping(patience=4)
    result = await a_trainer(server, guard).wait()
    assert result.status == "completed"
    assert server.cancellations == []
    patience = next(gauge for gauge in guard.gauges() if gauge.name == "patience")
    assert patience.value == 3


async def test_a_guard_that_waits_for_a_checkpoint_watches_again_where_its_steps_are_void(
    server: Server,
) -> None:
    """t5: it fired on a step that has never been, as far as anybody can tell."""
    frames = [
        started(),
        log(1),
        checkpoint(1),
        log(2, loss=9.0),
        went_on(1),
        log(2, "again"),
        checkpoint(2),
    ]
    server.script(stream(*frames, completed(), END))
    guard = EarlyStopping(ceiling=5.0, action="checkpoint")
    result = await a_trainer(server, guard).wait()
    assert (result.status, server.cancellations, guard.reason) == ("completed", [], None)


async def test_a_restart_knows_of_the_resume(server: Server) -> None:
    """t5: told again after a restart, the void steps count no more than they did live."""
    server.script(stream(log(3, loss=2.4, id="9"), completed(), END))
    guard = EarlyStopping(patience=3)
    before = [started(), log(1, loss=2.0), checkpoint(1), log(2, loss=2.5), went_on(1),
              log(2, loss=2.4, id="8")]  # fmt: skip
    trainer = await resumed(server, guard, *before)
    assert (await trainer.wait()).status == "completed"
    assert next(gauge for gauge in guard.gauges() if gauge.name == "patience").value == 2


async def test_the_result_says_which_guard_stopped_the_run_and_where(server: Server) -> None:
    """r16: one record for header, log, toast, list, notification and JSON."""
    server.script(stream(started(), log(1), log(2, loss=9.0), log(3), CANCELLED, END))
    result = await a_trainer(server, EarlyStopping(ceiling=5.0)).wait()
    assert result.ended == Ended("guard", "the loss 9 is above 5", "ceiling", 2)


async def test_the_checkpoint_that_a_guard_kept_is_named(server: Server) -> None:
    """r16: it fired at step 2 and the work up to step 4 is kept."""
    frames = [started(), log(2, loss=9.0), log(3), log(4), checkpoint(4), log(5)]
    server.script(stream(*frames, CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0, action="checkpoint")
    result = await a_trainer(server, guard).wait()
    assert result.ended == Ended("guard", "the loss 9 is above 5", "ceiling", 2, 4)
    assert str(result.ended).endswith("(checkpoint 4 is kept)")
