"""EarlyStopping on a real trainer: one confirmed stop, its reason kept, also after a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from arkor_tui import AbortController, Callback, CheckpointContext, LogContext
from arkor_tui.api.events import parse_event
from arkor_tui.api.stream import StreamEvent
from arkor_tui.errors import UsageError
from arkor_tui.recipes import EarlyStopping, SampleRule
from arkor_tui.training import cancelling
from arkor_tui.training.callbacks import RunHandle
from arkor_tui.training.findings import Finding
from arkor_tui.training.trainer import Trainer
from tests.training.frames import END, checkpoint, completed, failed, log, started
from tests.training.runs import Recorder, a_trainer, attached
from tests.training.scripted import Answer, Server, stream

CANCELLED = failed("Job cancelled", "99")


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
    assert trainer.hooks.findings[0].step == 2
    assert trainer.hooks.findings[0].data["value"] == 7.0
    assert guard.gauges()[0].state == "fired"


async def test_a_good_run_is_left_alone(server: Server) -> None:
    logs = [log(step, loss=2.0 - step / 100) for step in range(1, 60)]
    server.script(stream(started(), *logs, completed(), END))
    trainer = a_trainer(server, EarlyStopping(ceiling=5.0, window=10, patience=30))
    assert (await trainer.wait()).status == "completed"
    assert server.cancellations == []
    assert trainer.hooks.findings == []


async def test_a_loss_that_is_null_again_and_again_is_divergence(server: Server) -> None:
    logs = [log(step, loss=None) for step in range(1, 6)]
    server.script(stream(started(), *logs, CANCELLED, END))
    result = await a_trainer(server, EarlyStopping()).wait()
    assert result.reason == "5 log events in a row carry no loss"


async def test_what_the_embedded_backend_names(server: Server) -> None:
    odd = log(1, loss=None, nonFinite={"loss": "nan"})
    server.script(stream(started(), odd, CANCELLED, END))
    result = await a_trainer(server, EarlyStopping()).wait()
    assert result.reason == "the backend says that the loss is not a number"


async def test_after_the_next_checkpoint(server: Server) -> None:
    server.script(
        stream(started(), log(1, loss=7.0), log(2, loss=8.0), checkpoint(2), CANCELLED, END)
    )
    trainer = a_trainer(server, EarlyStopping(ceiling=5.0, action="checkpoint"))
    cancelled_at: list[str] = []

    class Watch(Callback):
        def on_log(self, ctx: LogContext) -> None:
            assert server.cancellations == []

        def on_checkpoint(self, ctx: CheckpointContext) -> None:
            cancelled_at.append(f"checkpoint {ctx.step}: {len(server.cancellations)}")

    trainer.callbacks.append(Watch())
    result = await trainer.wait()
    assert (result.status, result.reason) == ("cancelled", "the loss 7 is above 5")
    assert cancelled_at == ["checkpoint 2: 1"]
    assert phases(trainer) == ["armed", "stopping", "stopped"]


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


async def test_a_backend_that_never_ends_its_stream(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkor_tui.training.trainer.END_SECONDS", 0.0)
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


async def test_asked_from_outside(server: Server) -> None:
    server.script(stream(started(), log(1), server.cancelled, CANCELLED, END))
    guard = EarlyStopping()

    class Person(Callback):
        async def on_log(self, ctx: LogContext) -> None:
            await asyncio.to_thread(guard.request, "a person said so")

    result = await a_trainer(server, guard, Person()).wait()
    assert result.reason == "a person said so"


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


async def resumed(server: Server, guard: EarlyStopping, *before: bytes) -> Trainer:
    server.job = {**server.job, "status": "running"}
    trainer = attached(server, guard)
    await trainer.start()
    trainer.replay(past(*before))
    return trainer


async def test_patience_goes_on_where_it_was(server: Server) -> None:
    server.script(stream(log(4), CANCELLED, END))
    guard = EarlyStopping(patience=3)
    trainer = await resumed(server, guard, started(), log(1), log(2), log(3))
    assert server.cancellations == []
    result = await trainer.wait()
    assert result.reason is not None
    assert "3 values" in result.reason


@pytest.mark.parametrize("action", ["now", "checkpoint"])
async def test_what_had_fired_before_a_kill_is_made_up_for(server: Server, action: Any) -> None:
    server.script(stream(log(2), log(3), checkpoint(3), server.cancelled, CANCELLED, END))
    guard = EarlyStopping(ceiling=5.0, action=action)
    trainer = await resumed(server, guard, started(), log(1, loss=7.0))
    assert server.cancellations == []
    stops: list[int] = []
    trainer.callbacks.append(Counting(server, stops))
    result = await trainer.wait()
    assert (result.status, result.reason) == ("cancelled", "the loss 7 is above 5")
    # now: with the first event that comes; checkpoint: not before one
    assert stops == ([1, 1] if action == "now" else [0, 0])


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
    guard = EarlyStopping(ceiling=5.0)
    await resumed(server, guard, started(), log(1, loss=7.0), failed())
    assert server.cancellations == []
    assert guard.gauges()[0].state == "fired"


def test_an_action_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="now, checkpoint"):
        EarlyStopping(action="later")  # type: ignore[arg-type]


def test_confirmation_has_a_limit() -> None:
    assert 0 < cancelling.CONFIRM_SECONDS <= 120
