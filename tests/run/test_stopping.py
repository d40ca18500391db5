"""Cancelling tells the truth: what the backend was asked, what it said, and what nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_tui.api.reconnect import ReconnectPolicy
from arkor_tui.connect.connection import Connection
from arkor_tui.ended import Ended
from arkor_tui.run.backend_job import BackendJob
from arkor_tui.run.stopping import ATTEMPTS, NOTHING, CancelState, Stopping
from tests.support.scripted import Answer, Server

WHY = Ended("person", "enough")
POLICY = ReconnectPolicy(base_delay=1.0, jitter=0.0)


class Cancellation:
    """One cancellation of the server's job, in no time: ``told`` and ``waits`` in their order."""

    def __init__(self) -> None:
        self.told: list[CancelState] = []
        self.waits: list[float] = []

    @property
    def phases(self) -> list[str]:
        return [state.phase for state in self.told]

    async def of(self, server: Server, **options: Any) -> CancelState:
        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        connection = server.connection()
        gone = options.pop("gone", False)
        if gone:
            connection.base_url = "http://127.0.0.1:1"
        stopping = Stopping(
            known(connection, str(server.job["id"])),
            lambda: POLICY,
            self.told.append,
            sleep=sleep,
            **options,
        )
        state = await stopping.stop(WHY)
        await connection.aclose()
        assert self.told[-1] == stopping.state == state
        return state


def known(connection: Connection, job_id: str | None) -> BackendJob:
    """A job that somebody submitted, or none at all."""

    async def nobody() -> Any:
        raise AssertionError("it is not submitted here")

    return BackendJob(nobody, nobody, job_id, connection)


def answer_to_cancel(server: Server, *answers: Answer) -> None:
    """What the cancel route answers, request by request."""
    server.answers[f"POST /v1/jobs/{server.job['id']}/cancel"] = list(answers)


def after_each_answer(server: Server, *statuses: str) -> None:
    """What the job's status is, request by request."""
    jobs = [Answer(200, {"job": {**server.job, "status": status}}) for status in statuses]
    server.answers[f"GET /v1/jobs/{server.job['id']}"] = list(jobs)


async def test_the_backend_s_word_is_waited_for(server: Server) -> None:
    server.obeys = True
    cancellation = Cancellation()
    state = await cancellation.of(server)
    assert cancellation.phases == ["asking", "waiting", "confirmed"]
    assert state.message == "The backend says that the run is cancelled."
    assert len(server.cancellations) == 1


async def test_a_job_that_goes_on_is_not_called_cancelled(server: Server) -> None:
    cancellation = Cancellation()
    state = await cancellation.of(server, confirm_seconds=0)
    assert cancellation.phases == ["asking", "waiting", "failed"]
    assert "took the request but did not confirm" in state.message
    assert "it says queued" in state.message
    assert "may still be running" in state.hint
    assert len(server.cancellations) == 1


async def test_a_refusal_is_told_with_the_job_s_status(server: Server) -> None:
    answer_to_cancel(server, Answer(500, {"error": "no scheduler"}))
    cancellation = Cancellation()
    state = await cancellation.of(server)
    assert cancellation.phases == ["asking", "failed"]
    assert "refused to cancel: no scheduler. The job is queued." in state.message
    assert len(server.cancellations) == 1


async def test_a_refusal_for_a_job_that_has_ended_is_fine(server: Server) -> None:
    answer_to_cancel(server, Answer(500, {"error": "no scheduler"}))
    server.job = {**server.job, "status": "completed"}
    cancellation = Cancellation()
    state = await cancellation.of(server)
    assert state.phase == "confirmed"
    assert "completed" in state.message
    assert len(server.cancellations) == 1


async def test_nobody_took_a_request_that_was_refused(server: Server) -> None:
    answer_to_cancel(server, Answer(500, {"error": "no scheduler"}))
    job = f"GET /v1/jobs/{server.job['id']}"
    server.answers[job] = Answer(503, {"error": "too busy"})
    state = await Cancellation().of(server, confirm_seconds=0)
    assert state.phase == "failed"
    assert "refused (no scheduler) and did not confirm" in state.message
    assert "too busy" in state.message
    assert len(server.cancellations) == 1


async def test_a_backend_that_is_away_is_asked_again_by_the_policy(server: Server) -> None:
    cancellation = Cancellation()
    state = await cancellation.of(server, gone=True)
    assert cancellation.phases == ["asking", "failed"]
    assert cancellation.waits == [1.0, 2.0, 4.0, 8.0]
    assert len(cancellation.waits) == ATTEMPTS - 1
    assert "could not be reached" in state.message


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
async def test_a_backend_that_is_busy_is_asked_again(server: Server, status: int) -> None:
    """r3: one answer of an overloaded server or a proxy is no reason to let a job train on."""
    server.obeys = True
    answer_to_cancel(server, Answer(status, {"error": "busy"}), Answer(200, {"ok": True}))
    after_each_answer(server, "cancelled")
    cancellation = Cancellation()
    assert (await cancellation.of(server)).confirmed
    assert cancellation.phases == ["asking", "waiting", "confirmed"]
    assert cancellation.waits[0] == 1.0
    assert len(server.cancellations) == 2


async def test_a_job_that_ends_slowly_is_asked_for_ever_less_often(server: Server) -> None:
    after_each_answer(server, *["running"] * 8, "cancelled")
    cancellation = Cancellation()
    assert (await cancellation.of(server)).confirmed
    waits = [0.2, 0.3, 0.45, 0.675, 1.0125, 1.51875, 2.0, 2.0]
    assert cancellation.waits == pytest.approx(waits)
    assert len(server.cancellations) == 1


async def test_a_job_that_cannot_be_asked_for_is_not_taken_for_stopped(server: Server) -> None:
    server.answers[f"GET /v1/jobs/{server.job['id']}"] = Answer(500, {"error": "no disk"})
    state = await Cancellation().of(server, confirm_seconds=0)
    assert state.phase == "failed"
    assert "took the request but did not confirm within 0 s: no disk" in state.message
    assert len(server.cancellations) == 1


async def test_the_end_of_another_job_confirms_nothing(server: Server) -> None:
    """r3: a proxy that keeps answers, say."""
    other = {**server.job, "id": "another", "status": "completed"}
    server.answers[f"GET /v1/jobs/{server.job['id']}"] = Answer(200, {"job": other})
    state = await Cancellation().of(server, confirm_seconds=0)
    assert state.phase == "failed"
    assert "it told of the job 'another'" in state.message


async def test_a_refusal_says_what_to_do_where_that_is_known(server: Server) -> None:
    answer_to_cancel(server, Answer(401, {"error": "who are you?"}))
    assert "login" in (await Cancellation().of(server)).hint


async def test_what_was_never_submitted_is_never_called_stopped(server: Server) -> None:
    """r3: nothing is asked, nothing is told, nothing is kept."""
    told: list[CancelState] = []
    stopping = Stopping(known(server.connection(), None), lambda: POLICY, told.append)
    assert await stopping.stop(WHY) == NOTHING
    assert (stopping.state, stopping.why, told) == (CancelState(), None, [])
    assert server.requests == []


async def test_a_job_that_its_backend_deleted_is_not_taken_for_stopped(server: Server) -> None:
    """r10: asked for once more, then told as it is."""
    answer_to_cancel(server, Answer(404, {"error": "no such job"}))
    server.answers[f"GET /v1/jobs/{server.job['id']}"] = Answer(404, {"error": "no such job"})
    state = await Cancellation().of(server)
    assert state.phase == "failed"
    assert "does not know the job any more" in state.message
    assert len(server.asked("GET", f"/v1/jobs/{server.job['id']}")) == 2
