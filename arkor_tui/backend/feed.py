"""Wakes who waits for a job's next event. What happened is read from the store, never from here."""

from __future__ import annotations

import asyncio


class Feed:
    """One wake-up call for each job."""

    def __init__(self) -> None:
        self._waiters: dict[str, asyncio.Event] = {}
        self.closing = False
        """Whether the server stops, so that open streams should end."""
        self._held_up: dict[str, str] = {}

    def waiter(self, job_id: str) -> asyncio.Event:
        """Set at the job's next event. Take it *before* looking, and nothing is missed."""
        return self._waiters.setdefault(job_id, asyncio.Event())

    def announce(self, job_id: str) -> None:
        """Something was stored for this job."""
        waiter = self._waiters.pop(job_id, None)
        if waiter is not None:
            waiter.set()

    def hold_up(self, job_id: str, why: str) -> None:
        """Nothing can be stored for this job at the moment, which its streams are told."""
        self._held_up[job_id] = why
        self.announce(job_id)

    def go_on(self, job_id: str) -> None:
        """Something can be stored for it again."""
        self._held_up.pop(job_id, None)

    def held_up(self, job_id: str) -> str:
        """Why nothing can be stored for it; empty where it can."""
        return self._held_up.get(job_id, "")

    def close(self) -> None:
        """Wake everybody for the last time."""
        self.closing = True
        for job_id in list(self._waiters):
            self.announce(job_id)
