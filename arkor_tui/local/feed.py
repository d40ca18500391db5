"""Wakes who waits for a job's next event. What happened is read from the store, never from here."""

from __future__ import annotations

import asyncio


class Feed:
    """One wake-up call for each job."""

    def __init__(self) -> None:
        self._waiters: dict[str, asyncio.Event] = {}
        self.closing = False
        """Whether the server stops, so that open streams should end."""

    def waiter(self, job_id: str) -> asyncio.Event:
        """Set at the job's next event. Take it *before* looking, and nothing is missed."""
        return self._waiters.setdefault(job_id, asyncio.Event())

    def announce(self, job_id: str) -> None:
        """Something was stored for this job."""
        waiter = self._waiters.pop(job_id, None)
        if waiter is not None:
            waiter.set()

    def close(self) -> None:
        """Wake everybody for the last time."""
        self.closing = True
        for job_id in list(self._waiters):
            self.announce(job_id)
