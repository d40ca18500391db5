"""How a job ended, where its stream does not say or cannot say."""

from __future__ import annotations

import asyncio

from arkor_tui.api.errors import ApiError, ConnectionFailedError, StreamExhaustedError
from arkor_tui.api.events import TrainingCompleted, TrainingFailed
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import PERMANENT_STATUSES, ReconnectPolicy
from arkor_tui.connect.connection import Connection
from arkor_tui.errors import ArkorTuiError

from .abort import AbortSignal, interruptible

_BAD_ENDS = ("failed", "cancelled")


async def failed_or_cancelled(job: Job, error: str, connection: Connection) -> str:
    """The protocol has no event for "cancelled": only the job itself tells the two apart."""
    if job.status in _BAD_ENDS:
        return job.status
    try:
        detail = await connection.client.get_job(connection.scope, job.id)
    except ArkorTuiError:
        pass
    else:
        if detail.job.status in _BAD_ENDS:
            return detail.job.status
    return "cancelled" if error == "Job cancelled" else "failed"


async def wait_for_the_end(
    job: Job, connection: Connection, policy: ReconnectPolicy, abort_signal: AbortSignal | None
) -> Job:
    """Ask for the job until it is terminal.

    Raises:
        ApiError: the backend refuses for good.
        StreamExhaustedError: the reconnect policy gave up.
        BaseException: the abort signal's reason.
    """
    failures = 0
    while True:
        with interruptible(abort_signal):
            try:
                job = (await connection.client.get_job(connection.scope, job.id)).job
            except (ConnectionFailedError, ApiError) as error:
                if isinstance(error, ApiError) and error.status in PERMANENT_STATUSES:
                    raise
                if policy.max_attempts is not None and failures >= policy.max_attempts:
                    raise StreamExhaustedError(
                        "The event stream ended without saying how the job did, and asking "
                        f"for it failed {failures + 1} times in a row: {error.message}",
                        failures + 1,
                    ) from error
                delay = policy.delay(failures)
                failures += 1
            else:
                if job.is_terminal:
                    return job
                failures, delay = 0, policy.base_delay
            await asyncio.sleep(delay)


def terminal_event(job: Job) -> TrainingCompleted | TrainingFailed:
    """What the stream of an ended job should have said."""
    if job.status == "completed":
        return TrainingCompleted(
            type="training.completed", job_id=job.id, timestamp=job.completed_at
        )
    fallback = "Job cancelled" if job.status == "cancelled" else "The backend gave no reason."
    return TrainingFailed(
        type="training.failed",
        job_id=job.id,
        timestamp=job.completed_at,
        error=job.error or fallback,
    )
