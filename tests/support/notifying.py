"""A run without a backend, time without waiting, and a place that messages are sent to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import httpx

from arkor_tui.api.jobs import Job
from arkor_tui.ended import Ended
from arkor_tui.recipes.notify.delivery import Clock
from arkor_tui.recipes.notify.http import HttpNotifier
from arkor_tui.run.background import Background
from arkor_tui.run.callbacks import RunHandle
from arkor_tui.run.contexts import CompletedContext, FailedContext, LogContext
from arkor_tui.run.findings import Finding

SECRET = "T00000000/B00000000/hushhushhush"  # no real one
URL = f"https://hooks.slack.com/services/{SECRET}"
START = datetime(2026, 8, 7, 10, 0, tzinfo=UTC).timestamp()
N = TypeVar("N", bound=HttpNotifier)
AT_START = "2026-08-07T10:00:00.000Z"
NOBODY: Any = None
"""For the part of a context that no notifier uses."""


class Time:
    """Seconds that pass only where somebody sleeps, or by :meth:`advance` if ``by_hand``."""

    def __init__(self, *, by_hand: bool = False) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self._by_hand = by_hand
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self.clock = Clock(self.sleep, lambda: self.seconds, lambda: START + self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self._by_hand or seconds <= 0:
            self.seconds += seconds
            await asyncio.sleep(0)
            return
        until, wake = self.seconds + seconds, asyncio.Event()
        self._sleepers.append((until, wake))
        await wake.wait()

    async def advance(self, seconds: float) -> None:
        self.seconds += seconds
        for until, wake in self._sleepers:
            if until <= self.seconds:
                wake.set()
        await turns()


async def turns(count: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


class FakeRun:
    """What a callback sees of its run. ``marks`` is what an archive would keep."""

    def __init__(self, marks: set[str] | None = None) -> None:
        self.job: Job | None = a_job()
        self.name = "triage-run"
        self.why_stopped: Ended | None = None
        self.marks = set() if marks is None else marks
        self.findings: list[Finding] = []
        self.tasks = Background()

    async def keep(self, finding: Finding) -> None:
        self.findings.append(finding)

    async def first_time(self, mark: str) -> bool:
        is_new = mark not in self.marks
        self.marks.add(mark)
        return is_new

    async def was_marked(self, mark: str) -> bool:
        return mark in self.marks

    def background(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        return self.tasks.start(work, name)

    async def finish(self) -> None:
        await self.tasks.finish()
        assert self.tasks.take() == []

    @property
    def handle(self) -> RunHandle:
        return cast("RunHandle", self)

    @property
    def notices(self) -> list[dict[str, Any]]:
        return [finding.data for finding in self.findings if finding.kind == "notice"]


class Place(httpx.AsyncBaseTransport):
    """Answers with ``answers`` in turn (an exception is raised), then with 200."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200)
        if isinstance(answer, Exception):
            raise answer
        # read already, which an answer from the network is not
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    @property
    def texts(self) -> list[str]:
        return [body["text"] for body in self.bodies]


def sending(made: N, place: Place, time: Time | None = None) -> N:
    """A notifier that sends to ``place`` and waits in ``time``."""
    made.transport, made.clock = place, (time or Time()).clock
    return made


def a_job(status: str = "running", **fields: Any) -> Job:
    return Job.model_validate(
        {
            "id": "job-1",
            "orgId": "o",
            "projectId": "p",
            "name": "triage-run",
            "status": status,
            "config": {"model": "m", "maxSteps": 100},
            "createdAt": AT_START,
            **fields,
        }
    )


def a_log(step: int, loss: float | None = 1.5, **fields: Any) -> LogContext:
    return LogContext(a_job(), step, loss, **{"event_id": f"log-{step}", **fields})


def completion(count: int = 2, **fields: Any) -> CompletedContext:
    job = fields.pop("job", a_job("completed"))
    return CompletedContext(job, [{}] * count, NOBODY, **{"timestamp": AT_START, **fields})


def failure(error: str = "out of memory", status: str = "failed", **fields: Any) -> FailedContext:
    job = fields.pop("job", a_job(status))
    return FailedContext(job, error, **{"timestamp": AT_START, **fields})
