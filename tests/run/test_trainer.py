"""One run from its submission to its end, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from arkor_tui import ApiError, ReconnectPolicy, Trainer, TrainingResult
from arkor_tui.api.chat import AdapterRef
from arkor_tui.api.errors import NotArkorError, StreamExhaustedError
from arkor_tui.config.settings import SettingsError
from arkor_tui.errors import UsageError
from tests.support.frames import (
    BARE_END,
    END,
    PING,
    checkpoint,
    completed,
    event,
    failed,
    frame,
    log,
    started,
)
from tests.support.scripted import AT_ONCE, BEARER, DROP, JOB, JOB_ID, SCOPE, Answer, Server, stream
from tests.support.trainers import Recorder, a_trainer, attached

# the way through


async def test_the_callbacks_follow_the_stream_with_its_values(server: Server) -> None:
    server.script(
        stream(
            started("1", metadata={"gpu": "h100"}),
            log(10, "2", loss=1.25, learningRate=2e-4, epoch=0.5, samplesPerSecond=8, gradNorm=3),
            log(10, "3", loss=None, evalLoss=1.5, nonFinite={"loss": "nan"}),
            checkpoint(10, "4", artifacts=[{"any": 1}]),
            completed("5", artifacts=[1, 2], metrics={"finalLoss": 0.5, "totalSteps": 10}),
            END,
        )
    )
    recorder = Recorder()
    trainer = a_trainer(server, recorder)
    result = await trainer.wait()

    assert recorder.kinds == ["started", "log", "log", "checkpoint", "completed"]
    assert [ctx.event_id for ctx in recorder.contexts] == ["1", "2", "3", "4", "5"]
    begin, first, second, saved, done = recorder.contexts
    assert begin.metadata == {"gpu": "h100"}
    assert (begin.job.status, begin.job.started_at) == ("running", "2026-08-07T10:00:01.000Z")
    assert (first.step, first.loss, first.eval_loss) == (10, 1.25, None)
    assert (first.learning_rate, first.epoch, first.samples_per_second) == (2e-4, 0.5, 8)
    assert (first.extra, first.non_finite) == ({"gradNorm": 3}, {})
    assert (second.loss, second.eval_loss, second.non_finite) == (None, 1.5, {"loss": "nan"})
    assert saved.adapter == AdapterRef(kind="checkpoint", job_id=JOB_ID, step=10)
    assert saved.artifacts == [{"any": 1}]
    assert (done.artifacts, done.metrics.final_loss) == ([1, 2], 0.5)
    assert done.job.completed_at == "2026-08-07T10:00:01.000Z"

    assert result == trainer.result
    assert (result.status, result.artifacts, result.job.id) == ("completed", [1, 2], JOB_ID)
    assert result.metrics is not None
    assert result.metrics.total_steps == 10


async def test_a_failed_run_calls_on_failed_with_its_text_and_returns(server: Server) -> None:
    server.script(stream(started(), failed("out of memory", step=7), END))
    server.job["status"] = "failed"
    recorder = Recorder()
    result = await a_trainer(server, recorder).wait()
    assert recorder.kinds == ["started", "failed"]
    assert (recorder.contexts[1].error, recorder.contexts[1].step) == ("out of memory", 7)
    assert (result.status, result.job.error) == ("failed", "out of memory")
    assert result.artifacts == []


async def test_a_cancelled_run_is_told_from_a_failed_one_by_asking_the_job(server: Server) -> None:
    server.script(stream(started(), failed("stopped by ada"), END))
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = Answer(200, {"job": {**JOB, "status": "cancelled"}})
    recorder = Recorder()
    result = await a_trainer(server, recorder).wait()
    assert (result.status, recorder.kinds) == ("cancelled", ["started", "failed"])


@pytest.mark.parametrize(
    ("text", "status"), [("Job cancelled", "cancelled"), ("out of memory", "failed")]
)
async def test_where_the_job_cannot_be_asked_the_text_decides(
    server: Server, text: str, status: str
) -> None:
    server.script(stream(failed(text), END))
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = Answer(500, {"error": "down"})
    assert (await a_trainer(server).wait()).status == status


async def test_what_comes_after_the_end_of_the_run_is_not_looked_at(server: Server) -> None:
    server.script(stream(completed("1"), failed("too late", "2"), log(1), END))
    recorder = Recorder()
    assert (await a_trainer(server, recorder).wait()).status == "completed"
    assert recorder.kinds == ["completed"]


async def test_unknown_events_and_repeats_reach_no_callback(server: Server) -> None:
    server.script(
        stream(started("1"), log(1, "2"), event("training.paused", "3"), DROP),
        stream(started("1"), log(1, "2"), log(2, "4"), PING, frame("junk"), completed("5"), END),
    )
    recorder = Recorder()
    trainer = a_trainer(server, recorder)
    await trainer.wait()
    assert recorder.kinds == ["started", "log", "log", "completed"]
    assert (trainer.counters.repeats, trainer.counters.malformed) == (2, 1)
    assert server.openings[1].headers["last-event-id"] == "3"


async def test_the_events_are_given_after_their_callbacks(server: Server) -> None:
    server.script(stream(started("1"), log(1, "2"), completed("3"), END))
    recorder = Recorder()
    async with aclosing(a_trainer(server, recorder).events()) as events:
        seen = [(item.id, len(recorder.contexts)) async for item in events]
    assert seen == [("1", 1), ("2", 2), ("3", 3)]


async def test_leaving_the_events_early_and_waiting_on_loses_nothing(server: Server) -> None:
    whole = (started("1"), log(1, "2"), log(2, "3"), completed("4"), END)
    server.script(stream(*whole[:2], asyncio.Event()), stream(*whole))
    recorder = Recorder()
    trainer = a_trainer(server, recorder)
    async with aclosing(trainer.events()) as events:
        async for item in events:
            if item.id == "2":
                break
    await trainer.wait()
    assert recorder.kinds == ["started", "log", "log", "completed"]
    assert server.openings[1].headers["last-event-id"] == "2"


async def test_what_was_read_before_leaving_is_handled_first_afterwards(server: Server) -> None:
    server.script(stream(b"".join((started("1"), log(1, "2"), log(2, "3"), completed("4"), END))))
    recorder = Recorder()
    trainer = a_trainer(server, recorder)
    async with aclosing(trainer.events()) as events:
        async for item in events:
            if item.id == "1":
                break
    assert recorder.kinds == ["started"]
    assert (await trainer.wait()).status == "completed"
    assert recorder.kinds == ["started", "log", "log", "completed"]


# the end of the stream is not always the end of the run


@pytest.mark.parametrize("end", [END, BARE_END])
async def test_an_end_without_an_ending_asks_the_job_until_it_has_ended(
    server: Server, end: bytes
) -> None:
    server.script(stream(started(), log(1), end))
    answers = [Answer(200, {"job": {**JOB, "status": status}}) for status in ("running", "queued")]
    last = {**JOB, "status": "completed", "completedAt": "2026-08-07T11:00:00Z"}
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = [
        *answers,
        Answer(503, {"error": "busy"}),
        Answer(404, {"error": "not yet"}),
        Answer(200, {"job": last}),
    ]
    recorder = Recorder()
    result = await a_trainer(server, recorder).wait()
    assert (result.status, result.job.completed_at) == ("completed", "2026-08-07T11:00:00Z")
    assert recorder.kinds == ["started", "log", "completed"]
    assert len(server.asked("GET", f"/v1/jobs/{JOB_ID}")) == 5
    assert len(server.openings) == 1


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        ("cancelled", None, "Job cancelled"),
        ("failed", "no disk", "no disk"),
        ("failed", None, "The backend gave no reason."),
        ("cancelled", "by ada", "by ada"),
    ],
)
async def test_an_end_without_an_ending_tells_a_bad_one_once(
    server: Server, status: str, error: str | None, told: str
) -> None:
    server.script(stream(started(), END))
    server.job.update(status=status, error=error)
    recorder = Recorder()
    result = await a_trainer(server, recorder).wait()
    assert result.status == status
    assert recorder.kinds == ["started", "failed"]
    assert recorder.contexts[1].error == told


async def test_asking_for_the_end_stops_where_the_policy_does(server: Server) -> None:
    server.script(stream(started(), END))
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = Answer(503, {"error": "busy"})
    trainer = a_trainer(server, policy=replace(AT_ONCE, max_attempts=2))
    with pytest.raises(StreamExhaustedError, match="3 times") as caught:
        await trainer.wait()
    assert isinstance(caught.value.__cause__, ApiError)
    assert len(server.asked("GET", f"/v1/jobs/{JOB_ID}")) == 3


@pytest.fixture
def settings(home: Path) -> Callable[[str], object]:
    (home / "config").mkdir()
    return (home / "config" / "settings.toml").write_text


async def test_the_policy_is_that_of_the_settings(
    server: Server, settings: Callable[[str], object]
) -> None:
    settings("[stream]\nbase_delay = 0.0\nmax_attempts = 1\nidle_timeout = 0\n")
    server.script(stream(started(), DROP), stream(DROP), stream(DROP))
    trainer = a_trainer(server, policy=None)
    with pytest.raises(StreamExhaustedError, match="2 times"):
        await trainer.wait()
    assert trainer.policy == ReconnectPolicy(base_delay=0.0, max_attempts=1, idle_timeout=None)


async def test_a_policy_of_its_own_comes_before_the_settings(
    server: Server, settings: Callable[[str], object]
) -> None:
    settings("[stream]\nmax_attempts = 1\n")
    server.script(stream(started(), completed(), END))
    trainer = a_trainer(server)
    await trainer.wait()
    assert trainer.policy == AT_ONCE


async def test_settings_that_cannot_be_read_are_told_before_anything_is_sent(
    server: Server, settings: Callable[[str], object]
) -> None:
    settings("[stream]\nmax_attempts = many\n")
    trainer = a_trainer(server, policy=None)
    with pytest.raises(SettingsError, match="line 2"):
        await trainer.start()
    assert server.creations == []


async def test_settings_that_cannot_be_read_keep_no_run_alive(
    server: Server, settings: Callable[[str], object]
) -> None:
    settings("[stream]\nmax_attempts = many\n")
    server.obeys = True
    trainer = Trainer.attach(JOB_ID, connection=server.connection())
    assert (await trainer.stop()).confirmed


async def test_asking_for_the_end_stops_at_a_refusal(server: Server) -> None:
    server.script(stream(started(), END))
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = Answer(401, {"error": "expired"})
    with pytest.raises(ApiError, match="expired"):
        await a_trainer(server).wait()


# start


async def test_however_many_start_there_is_one_job(server: Server) -> None:
    trainer = a_trainer(server)
    ids = await asyncio.gather(*(trainer.start() for _ in range(20)))
    assert set(ids) == {JOB_ID}
    assert await trainer.start() == JOB_ID
    assert len(server.creations) == 1


async def test_who_gives_up_on_a_start_does_not_lead_to_a_second_job(server: Server) -> None:
    server.creation = asyncio.Event()
    trainer = a_trainer(server)
    first = asyncio.create_task(trainer.start())
    await server.submitted.wait()
    second = asyncio.create_task(trainer.start())
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    server.creation.set()
    assert await second == JOB_ID
    assert len(server.creations) == 1


async def test_a_refused_start_may_be_tried_again(server: Server) -> None:
    server.answers["POST /v1/jobs"] = [
        Answer(400, {"error": "evalSteps: must be a step config", "code": "invalid"}),
        Answer(201, {"job": JOB}),
    ]
    trainer = a_trainer(server)
    with pytest.raises(ApiError, match="evalSteps") as caught:
        await trainer.start()
    assert (caught.value.status, caught.value.code) == (400, "invalid")
    assert trainer.job is None
    assert await trainer.start() == JOB_ID


async def test_the_submission_goes_to_the_scope_with_the_bearer(server: Server) -> None:
    await a_trainer(server, max_steps=3).start()
    (request,) = server.creations
    assert request.query == {"orgSlug": SCOPE.org_slug, "projectSlug": SCOPE.project_slug}
    assert request.headers["authorization"] == f"Bearer {BEARER}"
    assert request.json == {
        "name": "triage-run",
        "config": {
            "model": "unsloth/gemma-4-E4B-it",
            "datasetSource": {"type": "huggingface", "name": "arkorlab/triage-demo"},
            "maxSteps": 3,
        },
    }


async def test_a_server_that_is_not_arkor_is_named_as_such(server: Server) -> None:
    server.answers["POST /v1/jobs"] = Answer(200, b"<html>hello</html>")
    with pytest.raises(NotArkorError, match="POST /v1/jobs"):
        await a_trainer(server).start()


async def test_creating_a_trainer_connects_to_nothing(server: Server) -> None:
    trainer = a_trainer(server)
    assert (trainer.job, trainer.result, trainer.name) == (None, None, "triage-run")
    with pytest.raises(UsageError):
        trainer.infer()
    assert server.requests == []


async def test_a_connection_is_given_before_the_first_use_or_not_at_all(server: Server) -> None:
    with pytest.raises(UsageError, match="connected already"):
        a_trainer(server).use(server.connection())


# wait


async def test_waiting_starts_the_job_once_and_a_second_wait_only_returns(server: Server) -> None:
    server.script(stream(started("1"), completed("2"), END))
    recorder = Recorder()
    trainer = a_trainer(server, recorder)
    first = await trainer.wait()
    asked = len(server.requests)
    assert await trainer.wait() is first
    assert len(server.requests) == asked
    assert recorder.kinds == ["started", "completed"]


async def test_two_who_wait_at_once_share_one_stream(server: Server) -> None:
    server.script(stream(started("1"), log(1, "2"), completed("3"), END))
    recorder = Recorder()
    trainer = a_trainer(server, recorder)
    first, second = await asyncio.gather(trainer.wait(), trainer.wait())
    assert first is second
    assert len(server.openings) == len(server.creations) == 1
    assert recorder.kinds == ["started", "log", "completed"]


async def test_waiting_again_after_the_policy_gave_up_goes_on_where_it_was(server: Server) -> None:
    busy = Answer(503, {"error": "busy"})
    server.script(stream(started("1"), log(1, "2"), DROP), busy, stream(completed("3"), END))
    recorder = Recorder()
    trainer = a_trainer(server, recorder, policy=replace(AT_ONCE, max_attempts=1))
    with pytest.raises(StreamExhaustedError):
        await trainer.wait()
    assert (await trainer.wait()).status == "completed"
    assert recorder.kinds == ["started", "log", "completed"]
    assert [r.headers.get("last-event-id") for r in server.openings] == [None, "2", "2"]


async def test_a_refused_stream_ends_the_waiting_at_once(server: Server) -> None:
    server.script(Answer(401, {"error": "token expired"}))
    with pytest.raises(ApiError, match="token expired") as caught:
        await a_trainer(server).wait()
    assert caught.value.status == 401
    assert "arkor-tui login" in (caught.value.hint or "")
    assert len(server.openings) == 1


@pytest.mark.parametrize("status", [404, 503])
async def test_a_stream_that_is_not_there_yet_is_opened_again(server: Server, status: int) -> None:
    server.script(Answer(status, {"error": "later"}), stream(completed(), END))
    assert (await a_trainer(server).wait()).status == "completed"


async def test_the_states_of_the_connection_are_told_once_each(server: Server) -> None:
    server.script(stream(started("1"), DROP), stream(completed("2"), END))
    trainer = a_trainer(server)
    phases: list[str] = []
    trainer.on_state = lambda state: phases.append(state.phase)
    await trainer.wait()
    assert phases == ["connecting", "live", "reconnecting", "connecting", "live", "ended"]


async def test_many_trainers_run_side_by_side(server: Server) -> None:
    server.script(*[stream(started("1"), log(1, "2"), completed("3"), END)] * 8)
    recorders = [Recorder() for _ in range(8)]
    results = await asyncio.gather(*(a_trainer(server, one).wait() for one in recorders))
    assert [result.status for result in results] == ["completed"] * 8
    assert all(one.kinds == ["started", "log", "completed"] for one in recorders)
    assert len(server.creations) == 8


# attach


async def test_attaching_replays_the_history_and_submits_nothing(server: Server) -> None:
    server.script(stream(started("1"), log(1, "2"), completed("3"), END))
    recorder = Recorder()
    trainer = attached(server, recorder)
    assert trainer.name == JOB_ID
    result = await trainer.wait()
    assert isinstance(result, TrainingResult)
    assert recorder.kinds == ["started", "log", "completed"]
    assert (trainer.name, server.creations) == ("triage-run", [])


async def test_replaying_an_ended_job_does_not_bring_it_back_to_life(server: Server) -> None:
    server.job.update(status="cancelled", completedAt="2026-08-07T11:00:00Z")
    server.script(stream(started("1"), failed("stopped", "2"), END))
    recorder = Recorder()
    result = await attached(server, recorder).wait()
    assert [ctx.job.status for ctx in recorder.contexts] == ["cancelled", "cancelled"]
    assert result.status == "cancelled"


async def test_attaching_to_an_unknown_job_says_so(server: Server) -> None:
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = Answer(404, {"error": "no such job"})
    with pytest.raises(ApiError, match="no such job"):
        await attached(server).wait()
    assert server.openings == []


async def test_an_attached_trainer_has_no_request(server: Server) -> None:
    with pytest.raises(UsageError):
        attached(server).request()


# cancel


async def test_cancel_asks_the_backend_once_with_scope_and_bearer(server: Server) -> None:
    trainer = a_trainer(server)
    await trainer.start()
    await trainer.cancel()
    (request,) = server.cancellations
    assert (request.method, request.path) == ("POST", f"/v1/jobs/{JOB_ID}/cancel")
    assert request.query == {"orgSlug": SCOPE.org_slug, "projectSlug": SCOPE.project_slug}
    assert request.headers["authorization"] == f"Bearer {BEARER}"
    await trainer.aclose()


async def test_cancel_before_the_start_does_nothing(server: Server) -> None:
    await a_trainer(server).cancel()
    assert server.requests == []


async def test_cancel_asks_even_when_the_run_is_over_and_a_conflict_is_fine(server: Server) -> None:
    server.script(stream(completed(), END))
    server.answers[f"POST /v1/jobs/{JOB_ID}/cancel"] = Answer(409, {"error": "already over"})
    trainer = a_trainer(server)
    await trainer.wait()
    await trainer.cancel()
    assert len(server.cancellations) == 1
    await trainer.aclose()


async def test_a_refused_cancel_surfaces(server: Server) -> None:
    server.answers[f"POST /v1/jobs/{JOB_ID}/cancel"] = Answer(403, {"error": "not yours"})
    trainer = a_trainer(server)
    await trainer.start()
    with pytest.raises(ApiError, match="not yours"):
        await trainer.cancel()
    await trainer.aclose()


async def test_cancel_waits_for_a_creation_in_flight_and_cancels_that_job(server: Server) -> None:
    server.creation = asyncio.Event()
    trainer = a_trainer(server)
    starting = asyncio.create_task(trainer.start())
    await server.submitted.wait()
    cancelling = asyncio.create_task(trainer.cancel())
    server.creation.set()
    await cancelling
    assert await starting == JOB_ID
    assert len(server.cancellations) == 1
    await trainer.aclose()


async def test_cancel_during_a_creation_that_fails_has_nothing_to_do(server: Server) -> None:
    server.creation = asyncio.Event()
    server.answers["POST /v1/jobs"] = Answer(400, {"error": "no"})
    trainer = a_trainer(server)
    starting = asyncio.create_task(trainer.start())
    await asyncio.sleep(0)
    await trainer.cancel()
    with pytest.raises(ApiError):
        await starting
    assert server.cancellations == []


async def test_an_attached_run_is_cancelled_without_asking_for_it_first(server: Server) -> None:
    trainer = attached(server)
    await trainer.cancel()
    assert [r.path for r in server.requests] == [f"/v1/jobs/{JOB_ID}/cancel"]
    await trainer.aclose()
