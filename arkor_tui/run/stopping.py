"""The one state machine that stops a job, and believes nobody but the backend.

docs/architecture.md, "The life of a run", draws it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from arkor_tui.api.errors import ApiError, ConnectionFailedError
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import ReconnectPolicy
from arkor_tui.ended import Ended, EndedBy
from arkor_tui.errors import ArkorTuiError

ATTEMPTS = 5
"""How often a backend is asked that is not reached, or too busy to answer."""
CONFIRM_SECONDS = 60.0
"""How long a job may take to end after its backend agreed to stop it."""
_TIMES_GONE = 2
_BUSY = (408, 429, 502, 503, 504)
"""Answers of a server, or of what stands before it, that has not looked at the request."""

CancelPhase = Literal["none", "asking", "waiting", "confirmed", "failed"]


@dataclass(frozen=True, slots=True)
class CancelState:
    """How far a stop is.

    ``none``: nobody asked for one, or there was no job yet (``message`` says so). ``asking``: the
    backend was not reached yet. ``waiting``: it took the request, but the job has not ended.
    ``confirmed``: the backend says that this job has ended (``message`` says how). ``failed``: the
    job may still be running; ``message`` says why and ``hint`` what to do.
    """

    phase: CancelPhase = "none"
    message: str = ""
    hint: str = ""

    @property
    def under_way(self) -> bool:
        """Whether an answer is still to come."""
        return self.phase in ("asking", "waiting")

    @property
    def confirmed(self) -> bool:
        """Whether the backend said that the job has ended."""
        return self.phase == "confirmed"


NOTHING = CancelState("none", "There is no job yet, so there was nothing to stop.")


class StoppableJob(Protocol):
    """What a stop needs of its job; both questions raise what a backend says."""

    @property
    def may_exist(self) -> bool:
        """Whether there is a job, or one is being submitted."""

    async def submitted(self) -> str | None:
        """Wait for a submission that is under way; the job's id, None where there is none."""

    async def request_cancel(self, job_id: str) -> None:
        """Ask the backend once to stop the job."""

    async def ask(self, job_id: str) -> Job:
        """Ask the backend for the job."""

    def learn(self, job: Job) -> None:
        """Take the job as the backend says that it is."""


Sleep = Callable[[float], Awaitable[None]]


class Stopping:
    """Stop one job. However many ask, one request is under way, and none follows a confirmation.

    ``why`` is the first reason of a stop that had a job; ``tell`` hears of each state in order, and
    ``ended`` gives the job where the backend said by itself that it has ended.
    A stop goes on although whoever asked for it has given up waiting; it takes about
    :data:`CONFIRM_SECONDS` at most and is a task of this object.
    """

    def __init__(
        self,
        job: StoppableJob,
        policy: Callable[[], ReconnectPolicy],
        tell: Callable[[CancelState], None],
        ended: Callable[[], Job | None] = lambda: None,
        *,
        sleep: Sleep = asyncio.sleep,
        confirm_seconds: float = CONFIRM_SECONDS,
    ) -> None:
        self.state = CancelState()
        self.why: Ended | None = None
        self._job = job
        self._policy = policy
        self._tell = tell
        self._ended = ended
        self._sleep = sleep
        self._confirm_seconds = confirm_seconds
        self._stop: asyncio.Task[CancelState] | None = None
        self._request: asyncio.Task[None] | None = None

    async def stop(self, why: Ended) -> CancelState:
        """Stop the job and wait until the backend says that it has ended.

        Never raises for what a backend says or fails to say: the state tells the truth. Without a
        job nothing is done, and nothing is kept of it.
        """
        if self._stop is None:
            if self.state.confirmed:
                return self.state
            if not self._job.may_exist:
                return NOTHING
            if (job := self._ended()) is not None:  # the backend has said so by itself
                return self._change(_has_ended(job))
            self.why = self.why or why
            self._stop = asyncio.create_task(self._run(), name="stop the job")
            self._stop.add_done_callback(self._stopped)
        return await asyncio.shield(self._stop)

    def _stopped(self, stop: asyncio.Task[CancelState]) -> None:
        self._stop = None
        if not stop.cancelled():
            stop.exception()  # whoever waited has it

    async def cancel(self) -> None:
        """Send one request; joins one that is under way, and does nothing where none is needed.

        Raises:
            ApiError: the backend refused. That the job has ended already (409) is fine.
            ConnectionFailedError: the backend could not be reached.
        """
        job_id = await self._job.submitted() if self._job.may_exist else None
        if job_id is not None and not self.state.confirmed:
            await self._ask_once(job_id)

    async def _ask_once(self, job_id: str) -> None:
        if self._request is None:
            self._request = asyncio.create_task(self._send(job_id), name="ask to cancel")
            self._request.add_done_callback(self._answered)
        await asyncio.shield(self._request)

    async def _send(self, job_id: str) -> None:
        try:
            await self._job.request_cancel(job_id)
        except ApiError as error:
            if error.status != 409:
                raise

    def _answered(self, request: asyncio.Task[None]) -> None:
        self._request = None
        if not request.cancelled():
            request.exception()  # whoever waited has it

    def _change(self, state: CancelState) -> CancelState:
        self.state = state
        self._tell(state)
        return state

    async def _run(self) -> CancelState:
        self._change(CancelState("asking"))
        job_id = await self._job.submitted()
        if job_id is None:
            self.why = None
            return self._change(NOTHING)
        refused = await self._ask_until_reached(job_id)
        if isinstance(refused, ConnectionFailedError):
            return self._change(
                CancelState(
                    "failed",
                    "The backend could not be reached, so the job may still be running: "
                    f"{refused.message}",
                    "Check the network and cancel again.",
                )
            )
        if refused is None:
            self._change(CancelState("waiting"))
        return self._change(await self._confirm(job_id, refused))

    async def _ask_until_reached(self, job_id: str) -> ArkorTuiError | None:
        """Send the request; the last error where it was not taken."""
        failure: ArkorTuiError | None = None
        for attempt in range(ATTEMPTS):
            try:
                await self._ask_once(job_id)
            except ArkorTuiError as error:
                if not _may_pass(error):
                    return error
                failure = error
                if attempt + 1 < ATTEMPTS:
                    await self._sleep(self._policy().delay(attempt))
            else:
                return None
        return failure

    async def _confirm(self, job_id: str, refused: ArkorTuiError | None) -> CancelState:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._confirm_seconds
        delay = min(0.2, self._policy().base_delay)
        last, status, gone = refused, "not known", 0
        while True:
            try:
                job = await self._job.ask(job_id)
            except ArkorTuiError as error:
                last = error
                gone = gone + 1 if isinstance(error, ApiError) and error.status == 404 else 0
                if gone >= _TIMES_GONE:
                    return CancelState(
                        "failed",
                        f"The backend does not know the job any more: {error.message}",
                        "It was deleted there. Make sure that nothing trains on.",
                    )
            else:
                status, gone = job.status, 0
                if job.is_terminal:
                    self._job.learn(job)
                    return _has_ended(job)
                if refused is not None:
                    return CancelState(
                        "failed",
                        f"The backend refused to cancel: {refused.message.rstrip('.')}. "
                        f"The job is {job.status}.",
                        refused.hint or "Try again, or cancel it where it was started.",
                    )
            if loop.time() + delay > deadline:
                return self._unconfirmed(status, last, refused)
            await self._sleep(delay)
            delay = min(delay * 1.5, 2.0)

    def _unconfirmed(
        self, status: str, last: ArkorTuiError | None, refused: ArkorTuiError | None
    ) -> CancelState:
        why = f": {last.message}" if last is not None else f"; it says {status}."
        took = (
            "took the request but"
            if refused is None
            else f"refused ({refused.message.rstrip('.')}) and"
        )
        return CancelState(
            "failed",
            f"The backend {took} did not confirm within {self._confirm_seconds:g} s{why}",
            "The job may still be running. Cancel again, or look at it later.",
        )


def _may_pass(error: ArkorTuiError) -> bool:
    """Tell whether the same request may be taken a moment later."""
    if isinstance(error, ApiError):
        return error.status in _BUSY
    return isinstance(error, ConnectionFailedError)


def _has_ended(job: Job) -> CancelState:
    return CancelState("confirmed", f"The backend says that the run is {job.status}.")


def reason_to_stop(
    sentence: str,
    by: EndedBy,
    guard: str | None = None,
    step: int | None = None,
    checkpoint: int | None = None,
) -> Ended:
    """Make why a run is stopped of what a caller said, which may be nothing."""
    return Ended(by, sentence or _USUAL[by], guard, step, checkpoint)


_USUAL: dict[EndedBy, str] = {
    "guard": "A guard stopped it.",
    "person": "It was cancelled by hand.",
    "signal": "It was cancelled by a signal.",
    "callback": "A callback stopped it.",
    "backend": "The backend ended it.",
    "lost": "The backend does not know the job any more.",
}
