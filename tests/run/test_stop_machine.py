"""Starting, waiting, stopping and aborting in any order, against a backend in memory.

A model of the backend knows what is true; whatever a trainer says is held against it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from arkor_tui import AbortController, AbortError, Callback, LogContext, ReconnectPolicy, Trainer
from arkor_tui.api.errors import ApiError, ConnectionFailedError
from arkor_tui.api.jobs import Job
from arkor_tui.run.callbacks import RunHandle
from arkor_tui.run.stopping import CancelState
from tests.support.fault_clock import VirtualLoop
from tests.support.frames import END, completed, failed, log, started
from tests.support.scripted import JOB, JOB_ID, SCOPE
from tests.support.trainers import unconnected

POLICY = ReconnectPolicy(base_delay=1.0, max_delay=2.0, jitter=0.0)
ANSWERS_AFTER = 0.5  # seconds of virtual time; two calls can overlap
LONG = 600.0  # longer than any stop takes
OVER = ("completed", "failed", "cancelled")


class MemoryBackend:
    """One job; ``events`` are its stream, which everybody is given from the first one on."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.is_up = True
        self.obeys = True
        self.refuses = False
        self.events: list[bytes] = []
        self.news = asyncio.Condition()
        self.breaks = 0
        self.troubles = 0

    def _job(self, **changes: Any) -> None:
        assert self.job is not None
        self.job = self.job.model_copy(update=changes)

    @property
    def trains(self) -> bool:
        return self.job is not None and self.job.status not in OVER

    async def say(self, event: bytes) -> None:
        self.events.append(event)
        async with self.news:
            self.news.notify_all()

    async def end(self, status: str) -> None:
        if self.trains:
            self._job(status=status)
            number = str(len(self.events) + 1)
            ending = completed(number) if status == "completed" else failed("Job cancelled", number)
            await self.say(ending)

    async def break_off(self) -> None:
        self.breaks += 1
        async with self.news:
            self.news.notify_all()


class Client:
    """What one trainer asks of the backend, and how often at once."""

    def __init__(self, backend: MemoryBackend) -> None:
        self.backend = backend
        self.cancelling = 0
        self.most_at_once = 0
        self.cancels: list[bool] = []  # whether each was sent after a confirmation
        self.state: Any = lambda: CancelState()
        self.closed_in_use = 0
        self.busy = 0

    async def _answer(self) -> None:
        self.busy += 1
        try:
            await asyncio.sleep(ANSWERS_AFTER)
        finally:
            self.busy -= 1
        if not self.backend.is_up:
            raise ConnectionFailedError("it is away")

    async def create_job(self, _scope: Any, _request: Any) -> Job:
        await self._answer()
        self.backend.job = Job.model_validate({**JOB, "status": "running"})
        await self.backend.say(started("1"))
        return self.backend.job

    async def get_job(self, _scope: Any, _job_id: str) -> Any:
        await self._answer()
        return SimpleNamespace(job=self.backend.job)

    async def cancel_job(self, _scope: Any, _job_id: str) -> None:
        self.cancels.append(self.state().confirmed)
        self.cancelling += 1
        self.most_at_once = max(self.most_at_once, self.cancelling)
        try:
            await self._answer()
        finally:
            self.cancelling -= 1
        if self.backend.refuses:
            raise ApiError(500, "not now")
        if self.backend.obeys:
            await self.backend.end("cancelled")

    @asynccontextmanager
    async def open_event_stream(
        self, _scope: Any, _job_id: str, last: str | None
    ) -> AsyncIterator[httpx.Response]:
        await self._answer()
        headers = {"content-type": "text/event-stream"}
        yield httpx.Response(200, headers=headers, content=self._frames(int(last or 0)))

    async def _frames(self, number: int) -> AsyncIterator[bytes]:
        backend = self.backend
        breaks = backend.breaks
        while True:
            while number < len(backend.events):
                yield backend.events[number]
                number += 1
            if not backend.trains:
                yield END
                return
            async with backend.news:
                await backend.news.wait()
            if backend.breaks != breaks:
                raise httpx.ReadError("the connection broke")


class MemoryConnection:
    """The one connection of a trainer."""

    kind, base_url, scope, version, identity = "url", "memory", SCOPE, None, "anonymous"

    def __init__(self, backend: MemoryBackend) -> None:
        self.client = Client(backend)

    def find_again(self) -> Client:
        return self.client

    async def aclose(self) -> None:
        self.client.closed_in_use += self.client.busy > 0


class Guard(Callback):
    """Stops the run at a loss above 5."""

    run: RunHandle

    def attached(self, run: RunHandle) -> None:
        self.run = run

    async def on_log(self, ctx: LogContext) -> None:
        if ctx.loss is not None and ctx.loss > 5:
            await self.run.stop("too high", by="guard", guard="ceiling")


class Stop:
    """A stop that was asked for, and what was true when it was."""

    def __init__(self, task: asyncio.Task[Any], had_job: bool, troubles: int) -> None:
        self.task, self.had_job, self.troubles = task, had_job, troubles


class StopMachine(RuleBasedStateMachine):
    reached: ClassVar[set[str]] = set()
    """What happened in any of the stories: a machine that never gets anywhere proves nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.loop = self.runner.get_loop()
        self.backend = MemoryBackend()
        self.trainers: list[Trainer] = []
        self.clients: list[Client] = []
        self.stops: list[Stop] = []
        self.waits: list[tuple[Trainer, asyncio.Task[Any]]] = []
        self.others: list[asyncio.Task[Any]] = []
        self.controllers: list[AbortController] = []
        self._add(unconnected(Guard(), policy=POLICY))

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def _add(self, trainer: Trainer) -> None:
        connection = MemoryConnection(self.backend)
        connection.client.state = lambda: trainer.cancel_state
        trainer.use(connection)  # type: ignore[arg-type]
        controller = AbortController()
        trainer.abort_signal = controller.signal
        self.trainers.append(trainer)
        self.clients.append(connection.client)
        self.controllers.append(controller)

    def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        async def begin() -> asyncio.Task[Any]:
            task = asyncio.get_running_loop().create_task(work)
            await asyncio.sleep(0)
            return task

        return self._do(begin())

    def _one(self, number: int) -> int:
        return number % len(self.trainers)

    which = st.integers(0, 1)
    later = st.sampled_from([0.0, 0.0, 0.6, 3.0, 70.0])
    """Seconds that pass after a step."""

    @initialize(
        is_begun=st.sampled_from([True, True, True, False]),
        obeys=st.sampled_from([True, False, False]),
    )
    def begin(self, is_begun: bool, obeys: bool) -> None:
        """Most stories begin with a run that somebody waits for."""
        self.backend.obeys = obeys
        if is_begun:
            self.wait(0)
            self.pass_time(3.0)

    @rule(number=which)
    def start(self, number: int) -> None:
        self.others.append(self._begin(self.trainers[self._one(number)].start()))

    @rule(number=which)
    def wait(self, number: int) -> None:
        trainer = self.trainers[self._one(number)]
        self.waits.append((trainer, self._begin(trainer.wait())))

    @rule(number=which, seconds=later)
    def stop(self, number: int, seconds: float) -> None:
        trainer = self.trainers[self._one(number)]
        has_job = trainer._job.may_exist
        task = self._begin(trainer.stop("by hand"))
        self.stops.append(Stop(task, has_job, self.backend.troubles))
        self.pass_time(seconds)

    @rule(number=which)
    def stop_and_see(self, number: int) -> None:
        """Long enough for the backend's first word, and too short for the last."""
        self.stop(number, 3.0)

    @rule(number=which)
    def give_up_a_stop(self, number: int) -> None:
        """Whoever asked leaves; the stop goes on."""
        if self.stops:
            stop = self.stops.pop(number % len(self.stops))
            stop.task.cancel()
            self.others.append(stop.task)

    @rule(number=which, seconds=later)
    def cancel(self, number: int, seconds: float) -> None:
        self.others.append(self._begin(self.trainers[self._one(number)].cancel()))
        self.pass_time(seconds)

    @rule(number=which)
    def abort(self, number: int) -> None:
        one = self._one(number)
        self.controllers[one].abort("enough")
        self._do(asyncio.sleep(0))
        self.controllers[one] = AbortController()  # for whoever waits later
        self.trainers[one].abort_signal = self.controllers[one].signal

    @precondition(lambda self: self.backend.job is not None and len(self.trainers) == 1)
    @rule()
    def attach(self) -> None:
        self._add(attached_in_memory())

    @precondition(lambda self: self.backend.trains)
    @rule(seconds=later)
    def guard_fires(self, seconds: float) -> None:
        number = len(self.backend.events)
        self._do(self.backend.say(log(number, str(number + 1), loss=9.0)))
        self.pass_time(seconds)

    @rule()
    def lose_connections(self) -> None:
        self._do(self.backend.break_off())

    @precondition(lambda self: self.backend.is_up)
    @rule(seconds=later)
    def kill_backend(self, seconds: float) -> None:
        self.backend.troubles += 1
        self.backend.is_up = False
        self._do(self.backend.break_off())
        self.pass_time(seconds)

    @precondition(lambda self: not self.backend.is_up)
    @rule()
    def bring_back_backend(self) -> None:
        self.backend.troubles += 1  # a stop that failed meanwhile was right to say so
        self.backend.is_up = True

    @rule(obeys=st.booleans(), refuses=st.booleans())
    def change_backend(self, obeys: bool, refuses: bool) -> None:
        """It takes a request and ends the job later, by itself; or it refuses it."""
        self.backend.troubles += 1
        self.backend.obeys, self.backend.refuses = obeys, refuses

    @precondition(lambda self: self.backend.trains)
    @rule(status=st.sampled_from(["completed", "cancelled"]))
    def end_by_itself(self, status: str) -> None:
        self._do(self.backend.end(status))

    @rule(seconds=later)
    def pass_time(self, seconds: float) -> None:
        self._do(asyncio.sleep(seconds))

    @invariant()
    def nothing_is_confirmed_while_the_job_trains(self) -> None:
        for trainer in self.trainers:
            trains = "trains" if self.backend.trains else "has ended"
            self.reached.add(f"{trainer.cancel_state.phase}, and it {trains}")
            assert not (trainer.cancel_state.confirmed and self.backend.trains)
            assert trainer.result is None or not self.backend.trains

    @invariant()
    def one_request_at_a_time_and_none_after_the_confirmation(self) -> None:
        for client in self.clients:
            assert client.most_at_once <= 1
            assert not any(client.cancels)
            assert client.closed_in_use == 0

    @invariant()
    def no_stop_is_lost(self) -> None:
        for stop in self.stops:
            if not stop.task.done():
                continue
            state = stop.task.result()  # never raises for what a backend says
            if not stop.had_job:
                assert state.phase == "none"
            elif self.backend.troubles == stop.troubles and self.backend.is_up:
                calm = self.backend.obeys and not self.backend.refuses
                assert not calm or state.confirmed or self.backend.job is None

    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            self.runner.close()

    def _settle(self) -> None:
        """In calm, everything that was begun ends as it should."""
        backend = self.backend
        backend.is_up, backend.obeys, backend.refuses = True, True, False
        backend.troubles += 1
        self._do(asyncio.sleep(LONG))
        for stop in self.stops:
            assert stop.task.done()
        if backend.trains:
            self._do(backend.end("cancelled"))
        self._do(asyncio.sleep(LONG))
        for trainer, task in self.waits:
            assert task.done(), "somebody waits for ever"
            if isinstance(task.exception(), AbortError | ConnectionFailedError):
                continue  # aborted, or the backend was away when the job was to be submitted
            assert task.result().status == backend.job.status  # type: ignore[union-attr]
            assert trainer.result is task.result()
        assert all(task.done() for task in self.others)
        for task in self.others:
            if not task.cancelled():
                task.exception()
        self.nothing_is_confirmed_while_the_job_trains()
        self.one_request_at_a_time_and_none_after_the_confirmation()
        self.no_stop_is_lost()


def attached_in_memory() -> Trainer:
    return Trainer.attach(JOB_ID, callbacks=[Guard()], policy=POLICY, archive=False)


def test_any_order_of_calls_and_troubles() -> None:
    """r2, r3: what a trainer says of its job is what the backend knows of it."""
    run_state_machine_as_test(
        StopMachine,
        settings=settings(
            max_examples=100,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    assert StopMachine.reached >= {
        "none, and it trains", "asking, and it trains", "waiting, and it trains",
        "failed, and it trains", "confirmed, and it has ended",
    }  # fmt: skip
