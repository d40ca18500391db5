"""Stopping a job on the backend, and not believing it before the backend says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from arkor_tui.api.errors import ConnectionFailedError
from arkor_tui.api.reconnect import ReconnectPolicy
from arkor_tui.errors import ArkorTuiError

if TYPE_CHECKING:
    from .trainer import Trainer

ATTEMPTS = 5
"""How often an unreachable backend is asked."""
CONFIRM_SECONDS = 60.0
"""How long a job may take to end after its backend agreed to stop it."""

CancelPhase = Literal["none", "asking", "waiting", "confirmed", "failed"]


@dataclass(frozen=True, slots=True)
class CancelState:
    """How far a cancellation is.

    ``asking``: the backend was not reached yet. ``waiting``: it took the request, but the job has
    not ended. ``confirmed``: the backend says that the job has ended (``message`` says how).
    ``failed``: the job may still be running; ``message`` says why and ``hint`` what to do.
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


Sleep = Callable[[float], Awaitable[None]]


async def cancel_and_confirm(
    trainer: Trainer,
    tell: Callable[[CancelState], None],
    *,
    policy: ReconnectPolicy,
    sleep: Sleep = asyncio.sleep,
    confirm_seconds: float = CONFIRM_SECONDS,
) -> CancelState:
    """Ask the backend to stop the job, then ask for the job until it has ended.

    Never raises for what a backend says or fails to say: the last state tells the truth. A job that
    ended by itself in the meantime is confirmed, with its own status.
    """
    tell(CancelState("asking"))
    refused = await _ask(trainer, policy, sleep)
    if refused is not None and isinstance(refused, ConnectionFailedError):
        return _told(
            tell,
            CancelState(
                "failed",
                f"The backend could not be reached, so the job may still be running: "
                f"{refused.message}",
                "Check the network and cancel again.",
            ),
        )
    if refused is None:
        tell(CancelState("waiting"))
    return _told(tell, await _confirm(trainer, refused, policy, sleep, confirm_seconds))


async def _ask(trainer: Trainer, policy: ReconnectPolicy, sleep: Sleep) -> ArkorTuiError | None:
    """Send the request; the last error where it was not taken."""
    failure: ArkorTuiError | None = None
    for attempt in range(ATTEMPTS):
        try:
            await trainer.cancel()
        except ConnectionFailedError as error:
            failure = error
            if attempt + 1 < ATTEMPTS:
                await sleep(policy.delay(attempt))
        except ArkorTuiError as error:
            return error
        else:
            return None
    return failure


async def _confirm(
    trainer: Trainer,
    refused: ArkorTuiError | None,
    policy: ReconnectPolicy,
    sleep: Sleep,
    seconds: float,
) -> CancelState:
    job = trainer.job
    if job is None:
        return CancelState("confirmed", "There was no job to cancel.")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    delay = min(0.2, policy.base_delay)
    last: ArkorTuiError | None = refused
    while True:
        try:
            connection = await trainer.connection()
            job = (await connection.client.get_job(connection.scope, job.id)).job
        except ArkorTuiError as error:
            last = error
        else:
            if job.is_terminal:
                return CancelState("confirmed", f"The backend says that the run is {job.status}.")
            if refused is not None:
                return CancelState(
                    "failed",
                    f"The backend refused to cancel: {refused.message.rstrip('.')}. "
                    f"The job is {job.status}.",
                    refused.hint or "Try again, or cancel it where it was started.",
                )
        if loop.time() + delay > deadline:
            return _unconfirmed(job.status, seconds, last, refused)
        await sleep(delay)
        delay = min(delay * 1.5, 2.0)


def _unconfirmed(
    status: str, seconds: float, last: ArkorTuiError | None, refused: ArkorTuiError | None
) -> CancelState:
    why = f": {last.message}" if last is not None else f"; it says {status}."
    took = (
        "took the request but"
        if refused is None
        else f"refused ({refused.message.rstrip('.')}) and"
    )
    return CancelState(
        "failed",
        f"The backend {took} did not confirm within {seconds:g} s{why}",
        "The job may still be running. Cancel again, or look at it later.",
    )


def _told(tell: Callable[[CancelState], None], state: CancelState) -> CancelState:
    tell(state)
    return state
