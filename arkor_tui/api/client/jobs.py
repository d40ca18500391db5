"""Calls about jobs (docs/protocol.md, sections 3 and 5)."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager

import httpx

from arkor_tui.api import jobs
from arkor_tui.api.scope import Scope
from arkor_tui.text.redact import secrets_of
from arkor_tui.text.sanitize import plain

from .caller import Caller, query_of, segment

_UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # in a header's value


class JobCalls(Caller):
    """Jobs and their event streams."""

    async def create_job(self, scope: Scope, job: jobs.JobCreate) -> jobs.Job:
        """Submit a training job."""
        source = job.config.dataset_source
        if isinstance(source, jobs.BlobSource):
            self.secrets.add(source.token, *secrets_of(source.url))
        envelope = await self.json(
            jobs.JobEnvelope, "POST", "/v1/jobs", query=query_of(scope), body=job.body()
        )
        return envelope.job

    async def list_jobs(self, scope: Scope) -> list[jobs.Job]:
        """Every job of the scope, in the server's order."""
        return (await self.json(jobs.JobList, "GET", "/v1/jobs", query=query_of(scope))).jobs

    async def get_job(self, scope: Scope, job_id: str) -> jobs.JobDetail:
        """One job, with its events where the server sends them; never another one."""
        path = _job_path(job_id)
        detail = await self.json(jobs.JobDetail, "GET", path, query=query_of(scope))
        if detail.job.id != job_id:
            raise self.not_arkor(
                f"GET {path}", f"it told of the job {plain(detail.job.id, limit=80)!r}"
            )
        return detail

    async def cancel_job(self, scope: Scope, job_id: str) -> None:
        """Ask for the job's end. A server may answer 409 for a job that has ended already."""
        await self.send("POST", f"{_job_path(job_id)}/cancel", query=query_of(scope))

    def open_event_stream(
        self, scope: Scope, job_id: str, last_event_id: str | None
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """Open a job's event stream after ``last_event_id`` (None or empty: from its start).

        The response is unread and has a 2xx status. No read timeout: the stream's watchdog is the
        reader's.
        """
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_event_id and _UNSENDABLE.search(last_event_id) is None:
            # without it the history comes again, which is slower but loses nothing
            headers["Last-Event-ID"] = last_event_id.strip()
        return self.stream(
            "GET",
            f"{_job_path(job_id)}/events/stream",
            query=query_of(scope),
            headers=headers,
            waits=httpx.Timeout(30.0, connect=10.0, read=None),
        )


def _job_path(job_id: str) -> str:
    return f"/v1/jobs/{segment(job_id)}"
