"""One job on its backend: submitted once, asked for, cancelled, over one shared connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from arkor_tui.api.jobs import Job
from arkor_tui.connect.connection import Connection

Connect = Callable[[], Awaitable[Connection]]
Create = Callable[[], Coroutine[Any, Any, Job]]


class BackendJob:
    """Knows the job's backend, and counts who uses the connection to it.

    ``known`` is the job as last known. A connection that was opened here is closed by its last user
    once that was asked for; a later use opens it again.
    """

    def __init__(
        self, connect: Connect, create: Create, job_id: str | None, connection: Connection | None
    ) -> None:
        self.known: Job | None = None
        self.given_id = job_id
        """The id of a job that somebody else submitted."""
        self.current: Connection | None = connection
        self._connect = connect
        self._create = create
        self._owns = connection is None
        # one job however many start at once
        self._submission: asyncio.Task[Job] | None = None
        self._connecting = asyncio.Lock()
        self._users = 0
        self._close_when_unused = False

    def use(self, connection: Connection) -> None:
        """Work with this connection, which stays the caller's to close."""
        self.current, self._owns = connection, False

    async def connection(self) -> Connection:
        """The backend, decided on the first call and kept; raises what connecting does."""
        async with self._connecting:
            if self.current is None:
                self.current = await self._connect()
            return self.current

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """Use the connection, which nobody else closes meanwhile."""
        self._users += 1
        try:
            yield await self.connection()
        finally:
            self._users -= 1
            if self._close_when_unused:
                await self._close_if_unused()

    async def _close_if_unused(self) -> None:
        if self._users == 0 and self._owns and self.current is not None:
            await self.current.aclose()

    async def aclose(self) -> None:
        """Close a connection that was opened here, as soon as nobody uses it."""
        self._close_when_unused = True
        await self._close_if_unused()

    async def submit(self) -> Job:
        """Submit the job, or ask for the one that is given; once however many call.

        Who gives up waiting does not undo it: the job may exist by then, and whoever stops it has
        to know it.
        """
        if self.known is not None:
            return self.known
        if self._submission is None:
            self._submission = asyncio.create_task(self._create(), name="submit the job")
            self._submission.add_done_callback(self._submitted)
        return await asyncio.shield(self._submission)

    def _submitted(self, submission: asyncio.Task[Job]) -> None:
        self._submission = None
        if not submission.cancelled() and submission.exception() is None:
            self.known = submission.result()

    @property
    def may_exist(self) -> bool:
        """Whether there is a job, or one is being submitted."""
        return not (self.given_id is None and self.known is None and self._submission is None)

    async def submitted(self) -> str | None:
        """Wait for a submission that is under way; the job's id, None where there is none."""
        if self.given_id is None and self._submission is not None:
            await asyncio.wait([self._submission])
        return self.given_id if self.known is None else self.known.id

    async def request_cancel(self, job_id: str) -> None:
        """Ask the backend to stop the job; raises what it says."""
        async with self.connected() as connection:
            await connection.find_again().cancel_job(connection.scope, job_id)

    async def ask(self, job_id: str) -> Job:
        """Ask the backend for the job; raises what it says."""
        async with self.connected() as connection:
            return (await connection.find_again().get_job(connection.scope, job_id)).job

    def learn(self, job: Job) -> None:
        """Take the job as the backend says that it is."""
        self.known = job


def known_job(job: Job, connection: Connection) -> BackendJob:
    """Make one of a job that was submitted elsewhere and asked for; the connection stays open."""

    async def connect() -> Connection:
        return connection

    async def ask() -> Job:
        return job

    known = BackendJob(connect, ask, job.id, connection)
    known.known = job
    return known
